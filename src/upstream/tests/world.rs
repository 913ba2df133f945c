//! Certificates made on the spot, a TLS server, and a CONNECT proxy of a few lines. Everything listens on loopback.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;

use super::super::*;
use crate::domain::{ConnectTo, Host, Http2, Origin, Scheme, UpstreamOptions};

/// What a dialled upstream answers to anything, so that a test can see that bytes pass.
pub(super) const GREETING: &[u8] = b"upstream";

/// An authority, and what it signs.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// From when to when a certificate is valid.
pub(super) enum Validity {
    Now,
    Past,
    Future,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::named("authority")
    }

    pub(super) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server's configuration with a certificate for `name`.
    pub(super) fn server(&self, name: &str, validity: &Validity, alpn: &[&str]) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = match validity {
            Validity::Now => (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1)),
            Validity::Past => (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 2, 3)),
            Validity::Future => (date_time_ymd(2080, 1, 1), date_time_ymd(2090, 1, 1)),
        };
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// Client configurations that trust this authority alone.
    pub(super) fn trusted(&self) -> TlsConfigs {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        TlsConfigs::trusting(roots)
    }
}

/// A listener whose every connection is handed to `serve`.
pub(super) async fn listener<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// A TLS server that answers [`GREETING`].
pub(super) async fn tls_server(config: Arc<ServerConfig>) -> SocketAddr {
    let acceptor = TlsAcceptor::from(config);
    listener(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.write_all(GREETING).await;
                let _ = stream.shutdown().await;
            }
        }
    })
    .await
}

/// A plain server that answers [`GREETING`].
pub(super) async fn plain_server() -> SocketAddr {
    listener(|mut stream| async move {
        let _ = stream.write_all(GREETING).await;
    })
    .await
}

/// A CONNECT proxy: sends every request head it sees to the test, answers with `answer`, and on a 200 joins the client
/// with `upstream`.
pub(super) async fn connect_proxy(
    answer: &'static str,
    upstream: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
) -> (SocketAddr, UnboundedReceiver<String>) {
    let (heads, seen) = unbounded_channel();
    let acceptor = tls.map(TlsAcceptor::from);
    let address = listener(move |stream| {
        let (heads, acceptor) = (heads.clone(), acceptor.clone());
        async move {
            match acceptor {
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        relay(stream, answer, upstream, &heads).await;
                    }
                }
                None => relay(stream, answer, upstream, &heads).await,
            }
        }
    })
    .await;
    (address, seen)
}

async fn relay<S>(mut client: S, answer: &str, upstream: SocketAddr, heads: &UnboundedSender<String>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let _ = heads.send(String::from_utf8(head).unwrap());
    client.write_all(answer.as_bytes()).await.unwrap();
    client.flush().await.unwrap();
    if answer.starts_with("HTTP/1.1 200") {
        let mut upstream = TcpStream::connect(upstream).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
    }
}

/// How to reach `host` at `address`, private addresses allowed.
pub(super) fn reach(
    scheme: Scheme,
    host: &str,
    address: Option<SocketAddr>,
    http2: Http2,
    configs: &TlsConfigs,
) -> Reach {
    let host = Host::new(host).unwrap();
    let port = address.map_or(scheme.default_port(), |address| address.port());
    let options = UpstreamOptions { ca: None, connect_to: address.map(ConnectTo::Address), http2, allow_private: true };
    Reach::new(Origin { scheme, host, port }, &options, Duration::from_secs(10), configs).unwrap()
}

/// Reads what the upstream greets with.
pub(super) async fn greeting(dialed: &mut Dialed) -> Vec<u8> {
    let mut read = vec![0; GREETING.len()];
    dialed.stream.read_exact(&mut read).await.unwrap();
    read
}

/// A file with `text`, and the folder that keeps it.
pub(super) fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}
