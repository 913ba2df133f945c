//! One client connection: HTTP/1.1 or HTTP/2 by its first bytes, then one call of the line per request.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{CONNECTION, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio_util::sync::CancellationToken;

use crate::intercept::Mint;
use crate::pipeline::{Inbound, Line, Peer, ReplyBody, Trail, Upload, refuse};

use super::doors::{self, Door, Entered, Here};
use super::extended::{self, Form};
use super::guarded::{self, Guarded, Lengths, State};
use super::served::Served;
use super::tunnel::{Inside, Passing};
use super::{own, tunnel, upgrade};

/// What every connection of the process shares.
pub struct Shared {
    /// The line.
    pub line: Arc<Line>,
    /// What opened tunnels shake hands with.
    pub mint: Arc<Mint>,
}

/// The largest head of a request, in bytes. It may have 100 headers: any other number than hyper's own would cost a
/// kilobyte's worth of allocation and copying for every request.
const MOST_HEAD: usize = 64 * 1024;

/// A client's stream of either kind.
pub(super) trait ClientStream: AsyncRead + AsyncWrite + AsFd + Unpin + Send + Sync + 'static {
    /// Waits until something is there to read.
    fn ready(&self) -> impl Future<Output = io::Result<()>> + Send;
    /// Runs a read that may say that nothing is there.
    fn try_read<T>(&self, read: impl FnOnce() -> io::Result<T>) -> io::Result<T>;
}

impl ClientStream for tokio::net::TcpStream {
    async fn ready(&self) -> io::Result<()> {
        self.readable().await
    }

    fn try_read<T>(&self, read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.try_io(Interest::READABLE, read)
    }
}

impl ClientStream for tokio::net::UnixStream {
    async fn ready(&self) -> io::Result<()> {
        self.readable().await
    }

    fn try_read<T>(&self, read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.try_io(Interest::READABLE, read)
    }
}

/// Serves `stream` in a task of its own, under the sweep.
pub(super) fn start<S: ClientStream>(
    stream: S,
    peer: Peer,
    here: Here,
    shared: &Arc<Shared>,
    stop: &CancellationToken,
) {
    let state = State::new();
    let visit = Visit::new(Arc::clone(shared), peer, here, Arc::clone(&state), stop.clone());
    let task = tokio::spawn(async move {
        match speaks_http2(&stream).await {
            // Boxed, because an idle HTTP/1 connection must not hold the room that HTTP/2 needs.
            Ok(true) => {
                visit.state.speaks_http2();
                Box::pin(serve_http2(stream, visit)).await;
            }
            Ok(false) => {
                let visit = Arc::new(visit);
                serve_http1(stream, &visit).await;
                if let Some(passing) = visit.left() {
                    Box::pin(tunnel::go_on::<S>(passing, &visit)).await;
                }
            }
            Err(_gone) => {}
        }
    });
    guarded::watch(state, task.abort_handle());
}

/// HTTP/2 by prior knowledge begins with `PRI * HTTP/2.0` (RFC 9113 §3.4); no method of HTTP/1 is called PRI.
async fn speaks_http2(stream: &impl ClientStream) -> io::Result<bool> {
    loop {
        stream.ready().await?;
        let mut first = [0_u8; 3];
        let peeked = stream.try_read(|| {
            let flags = rustix::net::RecvFlags::PEEK;
            let (count, _) = rustix::net::recv(stream.as_fd(), &mut first, flags)?;
            Ok(count)
        });
        match peeked {
            Ok(_) => return Ok(&first == b"PRI"),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// What is known of a connection while it lasts.
pub(super) struct Visit {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: Peer,
    pub(super) here: Here,
    pub(super) state: Arc<State>,
    /// Ends it between two requests, at HTTP/2.
    stop: CancellationToken,
    /// Set within an opened tunnel. Boxed, like what follows: most connections have neither.
    inside: Option<Box<Inside>>,
    /// What it goes on with when it is no HTTP any more.
    passing: Mutex<Option<Box<Passing>>>,
}

impl Visit {
    fn new(shared: Arc<Shared>, peer: Peer, here: Here, state: Arc<State>, stop: CancellationToken) -> Self {
        Self { shared, peer, here, state, stop, inside: None, passing: Mutex::default() }
    }

    /// The same client, on a stream that is watched by `state`.
    pub(super) fn again(&self, state: Arc<State>) -> Self {
        Self::new(Arc::clone(&self.shared), Arc::clone(&self.peer), self.here, state, self.stop.clone())
    }

    /// Goes on with a tunnel after the answer under way.
    pub(super) fn leave(&self, passing: Passing) {
        *self.passing.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(passing));
    }

    /// A client within a tunnel that has to prove itself can do so at the next CONNECT alone: the tunnel ends (RFC 9110
    /// §9.3.6).
    fn leave_unproven(&self, answer: &mut Response<ReplyBody>) {
        if self.inside.is_some() && answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            if self.state.is_http2() {
                // Within a tunnel it is this connection's own.
                self.stop.cancel();
            } else {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
    }

    fn is_left(&self) -> bool {
        self.passing.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn left(&self) -> Option<Box<Passing>> {
        self.passing.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Serves the requests within an opened tunnel.
pub(super) async fn serve_within<S>(stream: S, is_http2: bool, inside: Inside, visit: Visit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    visit.state.begin_within(is_http2);
    let stop = if is_http2 { visit.stop.child_token() } else { visit.stop.clone() };
    let visit = Visit { inside: Some(Box::new(inside)), stop, ..visit };
    if is_http2 { serve_http2(stream, visit).await } else { serve_http1(stream, &Arc::new(visit)).await }
}

async fn serve_http1<S>(stream: S, visit: &Arc<Visit>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(Guarded::new(stream, Arc::clone(&visit.state), Arc::clone(&visit.peer)));
    let visit = Arc::clone(visit);
    let service = service_fn(move |request| serve(request, &visit));
    let served = http1::Builder::new()
        .auto_date_header(false)
        .preserve_header_case(true)
        .max_header_size(MOST_HEAD)
        .half_close(false)
        .serve_connection(io, service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a client connection ended");
    }
}

async fn serve_http2<S>(stream: S, visit: Visit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stop = visit.stop.clone();
    let io = TokioIo::new(Guarded::new(stream, Arc::clone(&visit.state), Arc::clone(&visit.peer)));
    let visit = Arc::new(visit);
    let service = service_fn(move |request| serve(request, &visit));
    let served = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(256)
        .enable_connect_protocol()
        .max_header_list_size(64 * 1024)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .keep_alive_interval(std::time::Duration::from_secs(60))
        .serve_connection(io, service);
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client connection ended");
    }
}

/// The rest of a request after its door. Boxed at once, so that hyper moves a pointer and not the whole line.
type Serving = Pin<Box<dyn Future<Output = Result<Response<Served>, Infallible>> + Send>>;

/// One request: through its door, along the line, back.
fn serve(request: Request<Incoming>, visit: &Arc<Visit>) -> Serving {
    let lengths = visit.state.begin();
    let (mut parts, body) = request.into_parts();
    let is_connect = parts.version == Version::HTTP_2 && parts.method == Method::CONNECT;
    let form = if is_connect { extended::unfold(&mut parts) } else { Form::Plain };
    let entered = match &visit.inside {
        Some(inside) => doors::within(&parts, inside),
        None => visit.shared.line.peek(|view| doors::enter(&parts, visit.here, view)),
    };
    let entered = match (entered, lengths) {
        (Ok(Entered { door, .. }), Lengths::Two) => Err((door, doors::TWO_LENGTHS)),
        (entered, _) => entered,
    };
    let visit = Arc::clone(visit);
    match entered {
        Ok(Entered { door, target, proof, signs }) => {
            let trail = Trail::open(door, &parts.method, &parts.uri, Some(&target), &visit.peer);
            let peer = Arc::clone(&visit.peer);
            through(
                Box::new(Inbound {
                    door,
                    proof,
                    target,
                    parts,
                    body: Upload::Fresh(body),
                    most_tokens: None,
                    peer,
                    signs,
                }),
                trail,
                visit,
                form,
            )
        }
        Err((door, fault)) => {
            let trail = Trail::open(door, &parts.method, &parts.uri, None, &visit.peer);
            finished(refuse(&fault.into(), trail), &visit)
        }
    }
}

fn through(inbound: Box<Inbound>, trail: Trail, visit: Arc<Visit>, form: Form) -> Serving {
    match inbound.door {
        Door::Own => finished(own::serve(&visit.shared, &inbound, trail), &visit),
        Door::Connect => Box::pin(async move {
            let answer = tunnel::answer(&visit, inbound, trail).await;
            Ok(leaving(answer, &visit))
        }),
        _ => Box::pin(async move {
            let mut answer = visit.shared.line.carry(inbound, trail).await;
            upgrade::join(&mut answer, &visit.state);
            if form == Form::Extended {
                extended::fold(&mut answer);
            }
            visit.leave_unproven(&mut answer);
            Ok(leaving(answer, &visit))
        }),
    }
}

fn finished(answer: Response<ReplyBody>, visit: &Visit) -> Serving {
    Box::pin(std::future::ready(Ok(leaving(answer, visit))))
}

/// The answer on its way out. While the process ends, it tells an HTTP/1 client to bring its next request elsewhere (RFC 9112
/// §9.6), unless the connection goes on as a tunnel or in another protocol; HTTP/2 says so by itself.
fn leaving(mut answer: Response<ReplyBody>, visit: &Visit) -> Response<Served> {
    let goes_on = || answer.status() == StatusCode::SWITCHING_PROTOCOLS || visit.is_left();
    if guarded::is_draining() && !visit.state.is_http2() && !goes_on() {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer.map(|body| Served::new(body, Arc::clone(&visit.state)))
}
