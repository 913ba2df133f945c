//! A tunnel that is opened: a handshake in the place of the host that the client asked for, then the client's requests, each
//! of which walks the whole line. What keeps a tunnel from being opened is in the CONNECT's audit entry.
//!
//! Invariants: the name in the handshake is the CONNECT's; a client has ten seconds for the handshake.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use rustls::server::{Acceptor, ClientHello};
use rustls::{AlertDescription, Error};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::audit::Outcome;
use crate::domain::{Host, Scheme};
use crate::intercept::Mint;
use crate::pipeline::{Handshake, Trail, refuse_unread};
use crate::upstream::Pieces;

use super::connection::{self, Visit};
use super::guarded::Phase;
use super::rewound::Rewound;
use super::tunnel::Inside;
use super::{own, unparsable};

/// How long a client may take from its CONNECT's answer to the end of the handshake.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first byte of a TLS handshake (RFC 8446 §5.1); no method of HTTP begins with it.
const HANDSHAKE: u8 = 22;
/// How much is read at first: most clients' first message is shorter.
const FIRST: usize = 2048;
/// A fatal alert: unrecognized_name (RFC 6066 §3), internal_error (RFC 8446 §6).
const OTHER_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
const INTERNAL: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

const PLAIN: &str = "The client speaks plain HTTP in a tunnel to a port where TLS is expected. Call the https URL, or the http URL through the proxy without a tunnel: sidekey speaks TLS to the service.";

/// What a client speaks in its tunnel.
enum Spoken<S> {
    Tls(Box<TlsStream<Rewound<S>>>),
    /// HTTP in the clear: as to the forward door, on a port where that is meant.
    Plain(Rewound<S>),
    /// HTTP in the clear, where it is not.
    Misplaced(Rewound<S>),
}

/// Opens the tunnel and serves the requests in it.
pub(super) async fn run<S>(client: S, before: Bytes, inside: Inside, mut trail: Trail, visit: Visit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    visit.state.enter(Phase::Head);
    let spoken = tokio::time::timeout(PATIENCE, begin(client, before, &inside, &visit.shared.mint)).await;
    let spoken = match spoken.unwrap_or(Err(Handshake::Slow)) {
        Ok(spoken) => spoken,
        Err(failed) => return trail.shook_hands(failed),
    };
    match spoken {
        Spoken::Tls(stream) => {
            let resumed = stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
            // The CONNECT is over; what follows are requests of their own.
            trail.shook_hands(if resumed { Handshake::Resumed } else { Handshake::Full });
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            connection::serve_within(Pieces::from(stream), is_http2, inside, visit).await;
        }
        Spoken::Plain(stream) => {
            trail.ended(Outcome::Complete);
            drop(trail);
            let inside = Inside { scheme: Scheme::Http, ..inside };
            connection::serve_within(stream, false, inside, visit).await;
        }
        Spoken::Misplaced(mut stream) => {
            let answer = refuse_unread(StatusCode::BAD_REQUEST, PLAIN, trail);
            // Whether it arrives is the client's concern alone.
            let _gone = stream.write_all(&unparsable::written(&answer)).await;
            let _gone = stream.shutdown().await;
        }
    }
}

/// Tells what the client speaks, and shakes hands when that is TLS.
async fn begin<S>(mut client: S, before: Bytes, inside: &Inside, mint: &Mint) -> Result<Spoken<S>, Handshake>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut first = BytesMut::from(before);
    while first.is_empty() {
        first.reserve(FIRST);
        if client.read_buf(&mut first).await.map_err(|_| Handshake::Gone)? == 0 {
            return Err(Handshake::Gone);
        }
    }
    let kind = first.first().copied().unwrap_or_default();
    let client = Rewound::new(client, first.freeze());
    match kind {
        HANDSHAKE => shake(client, inside, mint).await.map(|stream| Spoken::Tls(Box::new(stream))),
        method if method.is_ascii_alphabetic() && inside.port == 80 => Ok(Spoken::Plain(client)),
        method if method.is_ascii_alphabetic() => Ok(Spoken::Misplaced(client)),
        _ => Err(Handshake::NotTls),
    }
}

async fn shake<S>(client: Rewound<S>, inside: &Inside, mint: &Mint) -> Result<TlsStream<Rewound<S>>, Handshake>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let start = LazyConfigAcceptor::new(Acceptor::default(), client).await.map_err(|error| failure(&error))?;
    let refused = if is_for(&start.client_hello(), &inside.host) {
        match mint.config(&inside.host, own::unix_seconds()) {
            Ok(config) => return start.into_stream(config).await.map_err(|error| failure(&error)),
            Err(error) => {
                tracing::error!(host = %inside.host, error = format!("{:#}", anyhow::Error::from(error)), "no certificate can be made");
                (INTERNAL, Handshake::Unminted)
            }
        }
    } else {
        (OTHER_NAME, Handshake::OtherName)
    };
    let (alert, failed) = refused;
    let mut client = start.io;
    // Whether it arrives is the client's concern alone.
    let _gone = client.write_all(&alert).await;
    let _gone = client.shutdown().await;
    Err(failed)
}

/// Whether the handshake is meant for `host`. An address is never named in it (RFC 6066 §3), and old clients name nothing.
fn is_for(hello: &ClientHello<'_>, host: &Host) -> bool {
    hello.server_name().is_none_or(|name| {
        let name = name.strip_suffix('.').unwrap_or(name);
        name.eq_ignore_ascii_case(host.as_str())
    })
}

/// Why a handshake broke off.
fn failure(error: &io::Error) -> Handshake {
    use AlertDescription::{BadCertificate, CertificateExpired, CertificateUnknown, UnknownCA, UnsupportedCertificate};
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::AlertReceived(
            BadCertificate | CertificateExpired | CertificateUnknown | UnknownCA | UnsupportedCertificate,
        )) => Handshake::Untrusted,
        Some(Error::InvalidMessage(_)) => Handshake::NotTls,
        Some(_) => Handshake::Broken,
        None => Handshake::Gone,
    }
}
