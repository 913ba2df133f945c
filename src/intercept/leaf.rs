//! Certificates for the hosts whose tunnels are opened: made when a host is first asked for, once however many ask at the
//! same time, and kept in a bounded cache until they are near their end or another authority signs.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use quick_cache::sync::Cache;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::authority::{is_among, moment, named, pem, serial, signing_at};
use super::{Authority, BACKDATED, MintError};
use crate::domain::{Host, HostRange};

/// How long a certificate for a host is valid.
const LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long before its end it is replaced: connections begun with it outlive that, and clocks of clients may be wrong.
const SPARE: Duration = Duration::from_secs(24 * 60 * 60);
/// How many hosts' certificates are kept. Hosts of no service are never among them, but those of a wildcard are the
/// client's to choose.
const MOST: usize = 2048;

/// A certificate for one host, ready to shake hands with.
struct Leaf {
    config: Arc<ServerConfig>,
    authority: Arc<Authority>,
    renew_at: i64,
}

/// Who signs, and for whom.
#[derive(Debug, Default)]
struct Followed {
    authorities: Vec<Arc<Authority>>,
    hosts: Vec<HostRange>,
}

/// Makes certificates for hosts, and keeps them. Shared by all cores.
pub struct Mint {
    followed: ArcSwap<Followed>,
    leaves: Cache<Host, Arc<Leaf>>,
    /// One for all hosts of this process: whoever could take it from its memory could take the authority's too.
    key: KeyPair,
    signer: Arc<dyn rustls::sign::SigningKey>,
    provider: Arc<CryptoProvider>,
    /// One for all hosts: rustls resumes a session for the name alone that it was begun for.
    ticketer: Arc<dyn ProducesTickets>,
}

impl Mint {
    /// A mint without an authority.
    ///
    /// # Errors
    /// When there is no randomness for its keys.
    pub fn new() -> Result<Self, MintError> {
        let key = KeyPair::generate()?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(Self {
            followed: ArcSwap::default(),
            leaves: Cache::new(MOST),
            signer: rustls::crypto::ring::sign::any_ecdsa_type(&der)?,
            key,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            ticketer: rustls::crypto::ring::Ticketer::new()?,
        })
    }

    /// Signs with these authorities from now on, the oldest first, and for these hosts alone unless there are none. What others
    /// have signed is replaced when it is asked for.
    pub fn follow(&self, authorities: Vec<Authority>, hosts: Vec<HostRange>) {
        let known = self.followed.load();
        let same = |new: &Authority| {
            let known = known.authorities.iter().find(|known| known.fingerprint() == new.fingerprint());
            known.filter(|known| known.signs_from() == new.signs_from()).map(Arc::clone)
        };
        // An authority that stays keeps its certificates for hosts, which are told by it.
        let authorities = authorities.into_iter().map(|new| same(&new).unwrap_or_else(|| Arc::new(new))).collect();
        self.followed.store(Arc::new(Followed { authorities, hosts }));
    }

    /// The authority that signs at `now`, in Unix seconds, and until when.
    fn signing(&self, now: i64) -> Option<(Arc<Authority>, i64)> {
        let followed = self.followed.load();
        let authorities = &followed.authorities;
        let at = signing_at(authorities, |authority| authority.signs_from(), now)?;
        let next = authorities.get(at + 1).map_or(i64::MAX, |next| next.signs_from());
        Some((Arc::clone(authorities.get(at)?), next))
    }

    /// Whether tunnels to `host` may be opened at `now`; none when there is no authority.
    pub fn admits(&self, host: &Host, now: i64) -> Option<bool> {
        let (authority, _) = self.signing(now)?;
        Some(authority.admits(host) && is_among(&self.followed.load().hosts, host))
    }

    /// What clients have to trust, as PEM: the authority that signs, and the one that will. Empty when there is none.
    pub fn trust(&self, now: i64) -> String {
        let followed = self.followed.load();
        let authorities = &followed.authorities;
        let from = signing_at(authorities, |authority| authority.signs_from(), now).unwrap_or_default();
        authorities.iter().skip(from).map(|authority| pem(authority.certificate())).collect()
    }

    /// How many certificates are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.leaves.len()
    }

    /// How to shake hands as `host` at `now`, in Unix seconds. A few hundred nanoseconds, or some 100 µs when its certificate
    /// has to be made.
    ///
    /// # Errors
    /// When there is no authority, or the certificate cannot be made.
    pub fn config(&self, host: &Host, now: i64) -> Result<Arc<ServerConfig>, MintError> {
        let (authority, until) = self.signing(now).ok_or(MintError::NoAuthority)?;
        let stale = |leaf: &Arc<Leaf>| now >= leaf.renew_at || !Arc::ptr_eq(&leaf.authority, &authority);
        if let Some(leaf) = self.leaves.get(host) {
            if !stale(&leaf) {
                return Ok(Arc::clone(&leaf.config));
            }
            self.leaves.remove_if(host, stale);
        }
        let leaf = self.leaves.get_or_insert_with(host, || self.leaf(host, &authority, until, now).map(Arc::new))?;
        Ok(Arc::clone(&leaf.config))
    }

    fn leaf(&self, host: &Host, authority: &Arc<Authority>, until: i64, now: i64) -> Result<Leaf, MintError> {
        let ends = now.saturating_add_unsigned(LIFE.as_secs()).min(authority.expires_at());
        let mut params = CertificateParams::default();
        let alternative = match host.ip() {
            Some(ip) => SanType::IpAddress(ip),
            None => SanType::DnsName(host.as_str().try_into()?),
        };
        params.subject_alt_names = vec![alternative];
        // A common name has 64 characters at most (RFC 5280, appendix A.1), and clients look at the alternative names alone.
        params.distinguished_name = named(if host.as_str().len() <= 64 { host.as_str() } else { "sidekey" });
        params.serial_number = Some(serial()?);
        params.not_before = moment(now.saturating_sub_unsigned(BACKDATED.as_secs()));
        params.not_after = moment(ends);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Strict verifiers demand it (RFC 5280 §4.2.1.1).
        params.use_authority_key_identifier_extension = true;
        let certificate = authority.sign(&params, &self.key)?;
        let certified = CertifiedKey::new(vec![certificate], Arc::clone(&self.signer));
        let renew_at = ends.saturating_sub_unsigned(SPARE.as_secs()).min(until);
        Ok(Leaf { config: Arc::new(self.server(certified)?), authority: Arc::clone(authority), renew_at })
    }

    fn server(&self, certified: CertifiedKey) -> Result<ServerConfig, MintError> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = Arc::clone(&self.ticketer);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // Every resumption brings another one.
        config.send_tls13_tickets = 1;
        Ok(config)
    }
}

impl std::fmt::Debug for Mint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mint").field("followed", &self.followed).finish_non_exhaustive()
    }
}
