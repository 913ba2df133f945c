//! A certificate authority for this test process, certificates minted for whatever name a client asks for, and client
//! configurations that trust one authority alone.

use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// Who signs the fake upstreams' certificates.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The one authority of this process.
pub(super) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "sidekey test upstreams");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    })
}

impl Authority {
    /// Its certificate, for the trust stores of others.
    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    fn certificate_for(&self, name: &str, ended: bool) -> CertifiedKey {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        if ended {
            params.not_after = rcgen::date_time_ymd(2020, 1, 31);
        }
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider()).unwrap()
    }
}

/// Answers every handshake with a certificate for the name that the client asked for, or always for the same one.
#[derive(Debug)]
struct Mint {
    always: Option<String>,
    ended: bool,
}

impl ResolvesServerCert for Mint {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = self.always.as_deref().or(hello.server_name()).unwrap_or("127.0.0.1");
        Some(Arc::new(authority().certificate_for(name, self.ended)))
    }
}

/// A server that speaks `protocols` (ALPN) and claims to be `always`, or else whoever the client asked for; `ended` says whether
/// its certificates' time is over.
pub(super) fn server(always: Option<&str>, ended: bool, protocols: &[&str]) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let mint = Mint { always: always.map(str::to_owned), ended };
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(mint));
    config.alpn_protocols = alpn(protocols);
    Arc::new(config)
}

/// A client that trusts the authorities in `ca_pem` alone.
pub(crate) fn client(ca_pem: &str, protocols: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn(protocols);
    Arc::new(config)
}

fn alpn(protocols: &[&str]) -> Vec<Vec<u8>> {
    protocols.iter().map(|name| name.as_bytes().to_vec()).collect()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
