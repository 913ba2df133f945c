//! TLS towards upstreams: whom to trust, one `ClientConfig` per trust identity and HTTP/2 policy, and what a failed handshake
//! means in words. Configurations are made when a snapshot is built, never per request; only the ring provider is used.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};

use crate::domain::Http2;

/// How many upstream hosts are remembered for resumption, per trust identity. rustls keeps 256 unless told.
const SESSIONS: usize = 1024;

/// Where the trusted authorities came from; for the log and `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustReport {
    /// How many authorities are trusted.
    pub authorities: usize,
    /// Whether they are the built-in ones because the system has none.
    pub fallback: bool,
    /// What could not be read of the system's, one sentence each.
    pub problems: Vec<String>,
}

/// Why a TLS configuration cannot be made. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// The `ca` file cannot be read.
    #[error("the certificate authorities in `{path}` cannot be read; check upstream.ca and the file's permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The `ca` file has no certificate, or one that is none.
    #[error("`{path}` {why}; upstream.ca must be a PEM file with one or more CA certificates")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The crypto provider has no usable protocol version.
    #[error("TLS cannot be set up")]
    Provider(#[source] Error),
}

/// The extra authorities as PEM, and the HTTP/2 policy.
type Identity = (Box<[u8]>, Http2);

/// The TLS configurations of the process. Equal trust gives the same configuration, so that sessions and pooled connections
/// outlive a reload.
pub struct TlsConfigs {
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
    known: Mutex<HashMap<Identity, Arc<ClientConfig>>>,
}

impl TlsConfigs {
    /// Trusts what the system trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured), or the built-in Mozilla authorities
    /// when the system has none, as in an empty container image.
    pub fn system() -> (Self, TrustReport) {
        let (found, mut problems) = system_authorities();
        let mut roots = RootCertStore::empty();
        let (_, unusable) = roots.add_parsable_certificates(found);
        if unusable > 0 {
            problems.push(format!("{unusable} of the system's certificate authorities cannot be parsed"));
        }
        let fallback = roots.is_empty();
        if fallback {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let report = TrustReport { authorities: roots.len(), fallback, problems };
        (Self::trusting(roots), report)
    }

    /// Trusts these authorities alone.
    pub fn trusting(roots: RootCertStore) -> Self {
        Self { roots, provider: Arc::new(rustls::crypto::ring::default_provider()), known: Mutex::default() }
    }

    /// The configuration for a service: the system's authorities, those in the PEM file `ca`, and ALPN by `http2`. Reads
    /// the file; call it when a snapshot is built.
    ///
    /// # Errors
    /// See [`TlsSetupError`].
    pub fn config(&self, ca: Option<&Path>, http2: Http2) -> Result<Arc<ClientConfig>, TlsSetupError> {
        let pem = match ca {
            Some(path) => std::fs::read(path)
                .map_err(|source| TlsSetupError::Read { path: path.to_owned(), source })?
                .into_boxed_slice(),
            None => Box::default(),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = known.get(&(pem.clone(), http2)) {
            return Ok(Arc::clone(config));
        }
        let mut roots = self.roots.clone();
        if let Some(path) = ca {
            add_pem(&mut roots, &pem, path)?;
        }
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsSetupError::Provider)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn(http2).iter().map(|protocol| protocol.to_vec()).collect();
        // One store per trust identity: a session must not be resumed under authorities that never vouched for it.
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        let config = Arc::new(config);
        known.insert((pem, http2), Arc::clone(&config));
        Ok(config)
    }

    /// Forgets the configurations that nobody holds any more; after a new snapshot has replaced the old one.
    pub fn forget_unused(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, config| Arc::strong_count(config) > 1);
    }
}

impl std::fmt::Debug for TlsConfigs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TlsConfigs({} authorities)", self.roots.len())
    }
}

/// The certificates of the authorities that this system trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured), and what
/// could not be read of them.
pub fn system_authorities() -> (Vec<CertificateDer<'static>>, Vec<String>) {
    let found = rustls_native_certs::load_native_certs();
    let problems = found.errors.iter().map(ToString::to_string).collect();
    (found.certs, problems)
}

fn alpn(http2: Http2) -> &'static [&'static [u8]] {
    match http2 {
        Http2::Auto => &[b"h2", b"http/1.1"],
        Http2::Always => &[b"h2"],
        Http2::Never => &[b"http/1.1"],
    }
}

fn add_pem(roots: &mut RootCertStore, pem: &[u8], path: &Path) -> Result<(), TlsSetupError> {
    let unfit = |why| TlsSetupError::Certificate { path: path.to_owned(), why };
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| unfit("is no PEM file"))?;
        roots.add(certificate).map_err(|_| unfit("has a certificate that cannot be used as an authority"))?;
    }
    if roots.len() == before { Err(unfit("has no certificate")) } else { Ok(()) }
}

/// What went wrong in a TLS handshake, for the person who must act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// The certificate's time is over.
    #[error("its certificate expired{}; its operator must renew it (or this machine's clock is wrong)", on(.0.as_ref()))]
    Expired(Option<UnixTime>),
    /// The certificate's time has not come.
    #[error("its certificate is valid only later{}; most likely this machine's clock is wrong", on(.0.as_ref()))]
    NotYetValid(Option<UnixTime>),
    /// Nobody whom we trust has signed it.
    #[error(
        "its certificate is signed by an authority that is not trusted here; if that is your own, put its certificate into \
         a PEM file and name it in upstream = {{ ca = \"…\" }}"
    )]
    UnknownIssuer,
    /// It is another host's.
    #[error("its certificate is for {}, not for this host; check base_url and connect_to", names(.0))]
    WrongName(Vec<String>),
    /// It has been taken back.
    #[error("its certificate has been revoked; its operator must replace it")]
    Revoked,
    /// Something else is wrong with the certificate.
    #[error("its certificate is refused: {0}")]
    Certificate(String),
    /// It does not speak TLS.
    #[error("it does not speak TLS on this port; check the port, or use http:// in base_url")]
    NotTls,
    /// No protocol version or cipher in common.
    #[error("it shares no TLS version or cipher with sidekey, which speaks TLS 1.2 and 1.3: {0}")]
    Incompatible(String),
    /// HTTP/2 was demanded and it does not speak it.
    #[error("it does not agree to HTTP/2; set upstream = {{ http2 = \"auto\" }}")]
    NoHttp2,
    /// It hung up in the middle.
    #[error("it closed the connection during the TLS handshake")]
    Closed,
    /// The host's name cannot stand in a handshake.
    #[error("its name cannot be used for TLS")]
    Name,
    /// Anything else.
    #[error("the TLS handshake failed: {0}")]
    Other(String),
}

impl TlsFault {
    /// Whether another try may go better without anybody having acted.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// From what tokio-rustls reports.
    pub(super) fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(cause) => Self::of_rustls(cause),
            None => match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => Self::Closed,
                _ => Self::Other(error.to_string()),
            },
        }
    }

    fn of_rustls(cause: &Error) -> Self {
        match cause {
            Error::InvalidCertificate(certificate) => Self::of_certificate(certificate),
            Error::InvalidMessage(_) => Self::NotTls,
            Error::NoApplicationProtocol | Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol) => {
                Self::NoHttp2
            }
            Error::PeerIncompatible(why) => Self::Incompatible(format!("{why:?}")),
            Error::AlertReceived(
                alert @ (rustls::AlertDescription::HandshakeFailure | rustls::AlertDescription::ProtocolVersion),
            ) => Self::Incompatible(format!("it answered {alert:?}")),
            other => Self::Other(other.to_string()),
        }
    }

    fn of_certificate(certificate: &CertificateError) -> Self {
        match certificate {
            CertificateError::Expired => Self::Expired(None),
            CertificateError::ExpiredContext { not_after, .. } => Self::Expired(Some(*not_after)),
            CertificateError::NotValidYet => Self::NotYetValid(None),
            CertificateError::NotValidYetContext { not_before, .. } => Self::NotYetValid(Some(*not_before)),
            // A bad signature is what an authority that was made anew under its old name looks like.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::NotValidForName => Self::WrongName(Vec::new()),
            CertificateError::NotValidForNameContext { presented, .. } => Self::WrongName(presented.clone()),
            CertificateError::Revoked => Self::Revoked,
            other => Self::Certificate(other.to_string()),
        }
    }
}

/// The name that is checked against the certificate and sent as SNI.
pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, TlsFault> {
    ServerName::try_from(host.to_owned()).map_err(|_| TlsFault::Name)
}

/// ` on 2026-01-31`, or nothing.
fn on(time: Option<&UnixTime>) -> String {
    time.and_then(|time| jiff::Timestamp::from_second(i64::try_from(time.as_secs()).ok()?).ok())
        .map(|time| format!(" (on {})", time.strftime("%Y-%m-%d")))
        .unwrap_or_default()
}

/// The certificate's names as the verifier lists them, at most four.
fn names(presented: &[String]) -> String {
    let clean = |name: &String| {
        name.strip_prefix("DnsName(\"").and_then(|n| n.strip_suffix("\")")).unwrap_or(name).chars().take(80).collect()
    };
    match presented {
        [] => "another name".to_owned(),
        some => some.iter().take(4).map(clean).collect::<Vec<String>>().join(", "),
    }
}
