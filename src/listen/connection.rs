//! One client connection: HTTP/1.1 or HTTP/2 by its first bytes, then one call of the line per request.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio_util::sync::CancellationToken;

use crate::pipeline::{Inbound, Line, Peer, ReplyBody, Trail, Upload, refuse};

use super::doors::{self, Door, Entered, Here};
use super::guarded::{self, Guarded, Lengths, Served, State};
use super::{own, upgrade};

/// What every connection of the process shares.
pub struct Shared {
    /// The line.
    pub line: Arc<Line>,
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
    let visit = Visit { shared: Arc::clone(shared), peer, here, state: Arc::clone(&state) };
    let stop = stop.clone();
    let task = tokio::spawn(async move {
        match speaks_http2(&stream).await {
            // Boxed, because an idle HTTP/1 connection must not hold the room that HTTP/2 needs.
            Ok(true) => Box::pin(serve_http2(stream, visit, stop)).await,
            Ok(false) => serve_http1(stream, visit).await,
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
struct Visit {
    shared: Arc<Shared>,
    peer: Peer,
    here: Here,
    state: Arc<State>,
}

async fn serve_http1<S: ClientStream>(stream: S, visit: Visit) {
    let io = TokioIo::new(Guarded::new(stream, Arc::clone(&visit.state), Arc::clone(&visit.peer)));
    let visit = Arc::new(visit);
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

async fn serve_http2<S: ClientStream>(stream: S, visit: Visit, stop: CancellationToken) {
    visit.state.speaks_http2();
    let io = TokioIo::new(Guarded::new(stream, Arc::clone(&visit.state), Arc::clone(&visit.peer)));
    let visit = Arc::new(visit);
    let service = service_fn(move |request| serve(request, &visit));
    let served = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(256)
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
    let (parts, body) = request.into_parts();
    let entered = visit.shared.line.peek(|view| doors::enter(&parts, visit.here, view));
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
                Box::new(Inbound { door, proof, target, parts, body: Upload::Fresh(body), peer, signs }),
                trail,
                visit,
            )
        }
        Err((door, fault)) => {
            let trail = Trail::open(door, &parts.method, &parts.uri, None, &visit.peer);
            finished(refuse(&fault.into(), trail), &visit)
        }
    }
}

fn through(inbound: Box<Inbound>, trail: Trail, visit: Arc<Visit>) -> Serving {
    match inbound.door {
        Door::Own => finished(own::serve(&visit.shared.line, &inbound, trail), &visit),
        Door::Connect => Box::pin(async move {
            let answer = upgrade::tunnel(&visit.shared.line, inbound, trail).await;
            Ok(answer.map(|body| Served::new(body, Arc::clone(&visit.state))))
        }),
        _ => Box::pin(async move {
            let answer = upgrade::join(visit.shared.line.carry(inbound, trail).await);
            Ok(leaving(answer, &visit))
        }),
    }
}

fn finished(answer: Response<ReplyBody>, visit: &Visit) -> Serving {
    Box::pin(std::future::ready(Ok(leaving(answer, visit))))
}

/// The answer on its way out. While the process ends, it tells an HTTP/1 client to bring its next request elsewhere (RFC 9112
/// §9.6); HTTP/2 says so by itself.
fn leaving(mut answer: Response<ReplyBody>, visit: &Visit) -> Response<Served> {
    if guarded::is_draining() && !visit.state.is_http2() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer.map(|body| Served::new(body, Arc::clone(&visit.state)))
}
