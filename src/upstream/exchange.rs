//! One exchange with an upstream: a connection from the pool or a fresh one, the request out, the answer's head back.
//! Sends once; the one exception is a kept connection that died before anything of the request went out.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{EXPECT, HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body::{Body, Frame, SizeHint};

use crate::domain::{Code, Timeouts};

use super::ahead::Ahead;
use super::destination::{Approach, Destination};
use super::dial::{Dialer, Forward, Protocol};
use super::error::DialError;
use super::h1::{Broken, H1, H1Body};
use super::h2::{H2, H2Body};
use super::outgoing::Outgoing;
use super::patience;
use super::pool::{self, Found, Given, Slot, Trust};
use super::stream::Stream;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// No connection could be made.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The upstream closed a fresh connection before anything was sent on it.
    #[error("the upstream closed the connection as soon as it was opened")]
    Closed,
    /// Every connection that this process may open is in use.
    #[error("every connection that may be opened to the upstream is in use")]
    Full,
    /// The connection broke, or what came back was no HTTP.
    #[error("the upstream's connection broke before its answer")]
    Broken(#[source] hyper::Error),
    /// It switched to another protocol although the request did not ask for one.
    #[error("the upstream switched protocols unasked")]
    Unasked,
    /// No answer in time.
    #[error("the upstream sent no answer within {} s", .0.as_secs_f32())]
    Silent(Duration),
}

impl ExchangeError {
    /// Whether the same dial may succeed a moment later. Nothing was sent.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Dial(error) => error.is_transient(),
            Self::Closed => true,
            Self::Full | Self::Broken(_) | Self::Unasked | Self::Silent(_) => false,
        }
    }

    /// Whether the upstream failed, and not this process or the request's own address.
    pub fn is_of_upstream(&self) -> bool {
        match self {
            Self::Dial(error) => error.code() != Code::AddressRefused,
            Self::Closed | Self::Broken(_) | Self::Silent(_) => true,
            Self::Full | Self::Unasked => false,
        }
    }

    /// Whether the connection broke off before an answer, so that a request that may be repeated is worth repeating. What came
    /// back and was no HTTP would come back again.
    pub fn is_break(&self) -> bool {
        matches!(self, Self::Broken(error) if !error.is_parse())
    }

    /// Whether the upstream said of a request that it did not look at it: a refused stream, or one above the last that it
    /// looked at before it went away (RFC 9113 §8.7): of those alone `h2` says that the connection went away. A stream below the
    /// last that is cut off later fails as the connection does.
    pub fn is_unprocessed(&self) -> bool {
        let Self::Broken(error) = self else { return false };
        let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<h2::Error>());
        source.is_some_and(|error| match error.reason() {
            Some(h2::Reason::REFUSED_STREAM) => error.is_remote(),
            Some(h2::Reason::NO_ERROR) => error.is_go_away() && error.is_remote(),
            _ => false,
        })
    }

    /// Whether certainly nothing of the request reached the upstream, so that sending it again is safe for any method.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Dial(_) | Self::Closed | Self::Full)
    }
}

/// A failed exchange, with the request when nothing of it was sent.
pub struct Failed {
    /// Why.
    pub error: ExchangeError,
    /// The request, to try again.
    pub request: Option<Box<Request<Outgoing>>>,
}

/// An answer's body as it comes, or a connection that has switched protocols.
pub enum UpstreamBody {
    /// The body.
    H1(H1Stream),
    /// The body.
    H2(H2Stream),
    /// A body of which something was read ahead.
    Ahead(Box<Ahead>),
    /// After `101 Switching Protocols`: the stream, to be joined with the client's.
    Switched(Box<Switched>),
}

/// A body on a connection of its own.
pub struct H1Stream(H1Body);

/// A body on a shared connection.
pub struct H2Stream(H2Body);

/// What is left of a connection after it switched protocols.
pub struct Switched {
    /// The stream.
    pub stream: Stream,
    /// What was read of it already.
    pub read: Bytes,
    _slot: Slot,
}

/// Sends requests upstream.
#[derive(Debug)]
pub struct Upstream {
    dialer: Dialer,
    strangers: Approach,
}

enum Connection {
    Own(Box<H1>),
    Shared(H2),
}

impl Upstream {
    /// Exchanges over connections made by `dialer`; `strangers` says how hosts of no service are reached over TLS.
    pub fn new(dialer: Dialer, strangers: Approach) -> Self {
        Self { dialer, strangers }
    }

    /// How hosts of no service are approached.
    pub fn strangers(&self) -> &Approach {
        &self.strangers
    }

    /// The dialer, for tunnels.
    pub fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// Sends `request` once and waits for the head of the answer.
    ///
    /// # Errors
    /// See [`ExchangeError`]; the request comes back when nothing of it was sent.
    pub async fn exchange(
        &self,
        destination: &Arc<Destination>,
        timeouts: &Timeouts,
        mut request: Box<Request<Outgoing>>,
    ) -> Result<Response<UpstreamBody>, Failed> {
        // A kept connection tells of its end when it is used; once one has, the next is looked at before.
        let mut trust = Trust::Blind;
        loop {
            let (connection, kept) = match self.connection(destination, timeouts.connect, trust).await {
                Ok(found) => found,
                Err(error) => return Err(Failed { error, request: Some(request) }),
            };
            let limit = timeouts.first_byte;
            match patience::within(limit, pin!(send(connection, destination, request))).await {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(Broken::Unsent(back))) if kept && trust == Trust::Blind => {
                    trust = Trust::Checked;
                    request = back;
                }
                Some(Err(Broken::Unsent(back))) => {
                    return Err(Failed { error: ExchangeError::Closed, request: Some(back) });
                }
                Some(Err(Broken::Sent(error))) => {
                    return Err(Failed { error: ExchangeError::Broken(error), request: None });
                }
                None => return Err(Failed { error: ExchangeError::Silent(limit), request: None }),
            }
        }
    }

    /// A connection, and whether it was kept from before.
    async fn connection(
        &self,
        destination: &Arc<Destination>,
        patience: Duration,
        trust: Trust,
    ) -> Result<(Connection, bool), ExchangeError> {
        let slot = match pool::find(destination, trust) {
            Found::Kept(h1) => return Ok((Connection::Own(h1), true)),
            Found::Shared(h2) => return Ok((Connection::Shared(h2), true)),
            Found::Room(slot) => slot,
            Found::Full(full) => match Box::pin(tokio::time::timeout(patience, full.wait())).await {
                Ok(Given::Kept(h1)) => return Ok((Connection::Own(h1), true)),
                Ok(Given::Room(slot)) => slot,
                Ok(Given::Nothing) | Err(_) => return Err(ExchangeError::Full),
            },
        };
        // Boxed like everything rare: the future of a request on a kept connection stays small.
        Box::pin(self.open(destination, slot)).await
    }

    async fn open(&self, destination: &Arc<Destination>, slot: Slot) -> Result<(Connection, bool), ExchangeError> {
        let dialed = self.dialer.dial(destination.reach()).await?;
        if dialed.protocol == Protocol::Http2 {
            let h2 = H2::begin(dialed.stream, destination, slot).await.map_err(|error| never_begun(&error))?;
            pool::share(h2.clone());
            return Ok((Connection::Shared(h2), false));
        }
        let h1 =
            H1::begin(dialed.stream, destination, dialed.forward, slot).await.map_err(|error| never_begun(&error))?;
        Ok((Connection::Own(h1), false))
    }
}

/// A connection that ended before HTTP began on it, and with it before the request.
fn never_begun(error: &hyper::Error) -> ExchangeError {
    tracing::debug!(%error, "a connection to an upstream ended before it was used");
    ExchangeError::Closed
}

async fn send(
    connection: Connection,
    destination: &Destination,
    mut request: Box<Request<Outgoing>>,
) -> Result<Response<UpstreamBody>, Broken> {
    hold_for_continue(&mut request);
    match connection {
        Connection::Shared(h2) => {
            address_http2(&mut request, destination);
            let answer = Box::pin(h2.send(request)).await?;
            Ok(answer.map(|body| UpstreamBody::H2(H2Stream(body))))
        }
        Connection::Own(h1) => {
            address_http1(&mut request, destination, h1.forward());
            let (answer, h1) = h1.send(request).await?;
            let switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
            Ok(answer.map(|incoming| match h1 {
                Some(h1) if switched => {
                    let (stream, read, slot) = h1.into_stream();
                    UpstreamBody::Switched(Box::new(Switched { stream, read, _slot: slot }))
                }
                h1 => UpstreamBody::H1(H1Stream(H1Body::new(incoming, h1))),
            }))
        }
    }
}

/// With `Expect: 100-continue` the caller's body is asked for only when the upstream asks for it.
fn hold_for_continue(request: &mut Request<Outgoing>) {
    let expects = request.headers().get(EXPECT).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if expects && !request.body().is_end_stream() {
        let go: Arc<AtomicBool> = request.body_mut().hold_for_continue();
        hyper::ext::on_informational(request, move |answer| {
            if answer.status() == StatusCode::CONTINUE {
                go.store(true, Ordering::Relaxed);
            }
        });
    }
}

/// HTTP/2 carries scheme and authority in the target and no `Host` (RFC 9113 §8.3.1).
fn address_http2(request: &mut Request<Outgoing>, destination: &Destination) {
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().remove(HOST);
    name_in_full(request, destination);
}

/// HTTP/1.1 carries the path alone in the target, and `Host` (RFC 9112 §3.2.1); to a parent proxy that forwards plain HTTP
/// it carries the whole URL (§3.2.2).
fn address_http1(request: &mut Request<Outgoing>, destination: &Destination, forward: Option<&Forward>) {
    *request.version_mut() = Version::HTTP_11;
    if request.uri().authority().is_some() {
        // It was made for another connection, which died before anything was sent.
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = None;
        uri.authority = None;
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        request.headers_mut().remove(PROXY_AUTHORIZATION);
        if let Ok(host) = HeaderValue::from_str(destination.authority().as_str()) {
            request.headers_mut().insert(HOST, host);
        }
    }
    if let Some(forward) = forward {
        name_in_full(request, destination);
        if let Some(authorization) = &forward.authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
    }
}

fn name_in_full(request: &mut Request<Outgoing>, destination: &Destination) {
    let mut uri = std::mem::take(request.uri_mut()).into_parts();
    uri.scheme = destination.origin().scheme.as_str().parse().ok();
    uri.authority = Some(destination.authority().clone());
    *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::H1(body) => Pin::new(&mut body.0).poll_frame(cx),
            Self::H2(body) => Pin::new(&mut body.0).poll_frame(cx),
            Self::Ahead(body) => Pin::new(&mut **body).poll_frame(cx),
            Self::Switched(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::H1(body) => body.0.is_end_stream(),
            Self::H2(body) => body.0.is_end_stream(),
            Self::Ahead(body) => body.is_end_stream(),
            Self::Switched(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::H1(body) => body.0.size_hint(),
            Self::H2(body) => body.0.size_hint(),
            Self::Ahead(body) => body.size_hint(),
            Self::Switched(_) => SizeHint::with_exact(0),
        }
    }
}
