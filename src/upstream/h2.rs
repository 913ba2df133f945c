//! One HTTP/2 connection, shared by requests of this core. Its state machine runs in a task of its own, because several
//! requests need it at once.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::destination::Destination;
use super::h1::Broken;
use super::outgoing::Outgoing;
use super::pool::{self, Slot};
use super::stream::Stream;

/// Most requests at once on one connection; peers commonly allow 100 or more (RFC 9113 §6.5.2 recommends at least 100).
const MOST_STREAMS: u32 = 100;

/// A handle to a shared connection.
#[derive(Clone)]
pub(super) struct H2 {
    sender: http2::SendRequest<Outgoing>,
    destination: Arc<Destination>,
    use_count: Arc<Use>,
    born: u32,
}

#[derive(Default)]
struct Use {
    active: AtomicU32,
    last: AtomicU32,
}

/// One request's place on the connection; freed on drop.
pub(super) struct Stream2(Arc<Use>);

impl Drop for Stream2 {
    fn drop(&mut self) {
        self.0.last.store(pool::seconds(), Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl H2 {
    /// Begins HTTP/2 on a fresh stream and runs the connection in a task.
    pub(super) async fn begin(stream: Stream, destination: &Arc<Destination>, slot: Slot) -> hyper::Result<Self> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .keep_alive_interval(std::time::Duration::from_secs(30))
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(async move {
            let _slot = slot;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP/2 connection to an upstream ended");
            }
        });
        let use_count = Arc::new(Use::default());
        use_count.last.store(pool::seconds(), Ordering::Relaxed);
        Ok(Self { sender, destination: Arc::clone(destination), use_count, born: pool::seconds() })
    }

    pub(super) fn destination(&self) -> &Arc<Destination> {
        &self.destination
    }

    pub(super) fn has_room(&self, seconds: u32, age: u32) -> bool {
        self.sender.is_ready()
            && seconds.wrapping_sub(self.born) < age
            && self.use_count.active.load(Ordering::Relaxed) < MOST_STREAMS
    }

    pub(super) fn is_worth_keeping(&self, seconds: u32, age: u32, idle: u32) -> bool {
        let unused = self.use_count.active.load(Ordering::Relaxed) == 0;
        let idle_for = seconds.wrapping_sub(self.use_count.last.load(Ordering::Relaxed));
        !self.sender.is_closed() && seconds.wrapping_sub(self.born) < age && !(unused && idle_for >= idle)
    }

    /// Sends `request` and waits for the head of the answer.
    pub(super) async fn send(mut self, request: Box<Request<Outgoing>>) -> Result<Response<H2Body>, Broken> {
        self.use_count.active.fetch_add(1, Ordering::Relaxed);
        let stream = Stream2(Arc::clone(&self.use_count));
        match self.sender.try_send_request(*request).await {
            Ok(answer) => Ok(answer.map(|incoming| H2Body { incoming, _stream: stream })),
            Err(mut error) => Err(match error.take_message() {
                Some(request) => Broken::Unsent(Box::new(request)),
                None => Broken::Sent(error.into_error()),
            }),
        }
    }
}

/// The body of an answer on a shared connection.
pub(super) struct H2Body {
    incoming: Incoming,
    _stream: Stream2,
}

impl Body for H2Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
