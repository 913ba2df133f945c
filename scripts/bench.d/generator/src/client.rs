//! One client: how it comes to a proxy, and one request on a connection.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Failure;

/// Enough for the windows to be no bar to anybody's download.
const WINDOW: u32 = 8 << 20;

/// Where a proxy is, and what is asked of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Door {
    address: String,
    /// The authority to CONNECT to; none where TLS is spoken at once.
    connect: Option<String>,
    name: String,
    /// A PEM file.
    ca: String,
    protocol: Protocol,
    path: String,
    /// How many bytes a whole answer has.
    answer: u64,
    resume: bool,
}

/// The version of HTTP that is offered, and the only one.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    H1,
    H2,
}

/// A client of one door.
pub(crate) struct Client {
    door: Door,
    tls: TlsConnector,
    name: ServerName<'static>,
}

/// A connection that requests can be sent on.
pub(crate) enum Sender {
    H1(http1::SendRequest<Empty<Bytes>>),
    H2(http2::SendRequest<Empty<Bytes>>),
}

impl Client {
    pub(crate) fn new(door: Door) -> Result<Self, Failure> {
        let mut provider: CryptoProvider = ring::default_provider();
        provider.cipher_suites = vec![ring::cipher_suite::TLS13_AES_128_GCM_SHA256];
        provider.kx_groups = vec![ring::kx_group::X25519];
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&door.ca)? {
            roots.add(certificate?)?;
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![if door.protocol == Protocol::H2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        if !door.resume {
            config.resumption = Resumption::disabled();
        }
        let name = ServerName::try_from(door.name.clone())?;
        Ok(Self { door, tls: TlsConnector::from(Arc::new(config)), name })
    }

    /// A fresh connection, and whether its TLS session was resumed.
    pub(crate) async fn connect(&self) -> Result<(Sender, bool), Failure> {
        let mut stream = TcpStream::connect(&self.door.address).await?;
        stream.set_nodelay(true)?;
        if let Some(authority) = &self.door.connect {
            open_tunnel(&mut stream, authority).await?;
        }
        let stream = self.tls.connect(self.name.clone(), stream).await?;
        let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        let io = TokioIo::new(stream);
        let sender = match self.door.protocol {
            Protocol::H1 => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection);
                Sender::H1(sender)
            }
            Protocol::H2 => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(WINDOW)
                    .initial_connection_window_size(WINDOW)
                    .handshake(io)
                    .await?;
                tokio::spawn(connection);
                Sender::H2(sender)
            }
        };
        Ok((sender, resumed))
    }

    /// One request; how many bytes its answer has. Anything but a whole answer with status 200 is a failure.
    pub(crate) async fn ask(&self, sender: &mut Sender) -> Result<u64, Failure> {
        let Door { name, path, answer, .. } = &self.door;
        let request = Request::builder();
        let answered = match sender {
            Sender::H1(sender) => {
                sender.ready().await?;
                sender.send_request(request.uri(path).header("host", name).body(Empty::new())?).await?
            }
            Sender::H2(sender) => {
                sender.ready().await?;
                sender.send_request(request.uri(format!("https://{name}{path}")).body(Empty::new())?).await?
            }
        };
        if answered.status() != StatusCode::OK {
            let (status, body) = (answered.status(), answered.into_body().collect().await?.to_bytes());
            return Err(format!("status {status}: {}", String::from_utf8_lossy(&body)).into());
        }
        let mut body = answered.into_body();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        if length == *answer { Ok(length) } else { Err(format!("{length} bytes instead of {answer}").into()) }
    }
}

/// Asks for a tunnel on a fresh connection. Nobody speaks in it before the client does.
pub(crate) async fn open_tunnel(stream: &mut TcpStream, authority: &str) -> Result<(), Failure> {
    stream.write_all(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes()).await?;
    let mut head = Vec::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err("the proxy hung up before it answered the CONNECT".into());
        }
    }
    if head.starts_with(b"HTTP/1.1 200") || head.starts_with(b"HTTP/1.0 200") {
        return Ok(());
    }
    Err(format!("CONNECT was answered {}", String::from_utf8_lossy(&head)).into())
}
