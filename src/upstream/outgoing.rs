//! The body that goes upstream: the caller's own frames, passed on as they come, trailers included. Nothing is collected.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

/// How long we wait for the upstream's `100 Continue` before the body is sent anyway (RFC 9110 §10.1.1).
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// Takes out of trailers what may not go upstream.
type Sieve = Box<dyn Fn(&mut HeaderMap) + Send + Sync>;

/// A request body on its way upstream.
#[derive(Default)]
pub struct Outgoing {
    body: Option<Incoming>,
    held: Option<Held>,
    count: Option<Arc<AtomicU64>>,
    sieve: Option<Sieve>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("body", &self.body).field("held", &self.held).finish_non_exhaustive()
    }
}

/// A body that waits for the upstream's `100 Continue`, so that the caller's own wait is a real one.
#[derive(Debug)]
struct Held {
    go: Arc<AtomicBool>,
    patience: Pin<Box<Sleep>>,
}

impl Outgoing {
    /// The caller's body.
    pub fn new(body: Incoming) -> Self {
        Self { body: (!body.is_end_stream()).then_some(body), held: None, count: None, sieve: None }
    }

    /// Whether trailers may follow the body: not at HTTP/1.1 when its length was declared.
    pub fn may_have_trailers(&self, version: Version) -> bool {
        let declared = |body: &Incoming| version != Version::HTTP_2 && body.size_hint().exact().is_some();
        self.body.as_ref().is_some_and(|body| !declared(body))
    }

    /// Has `sieve` look over the trailers before they go upstream.
    pub fn sift_trailers(&mut self, sieve: impl Fn(&mut HeaderMap) + Send + Sync + 'static) {
        self.sieve = Some(Box::new(sieve));
    }

    /// A count of the bytes that have passed; none for an empty body.
    pub fn counted(&mut self) -> Option<Arc<AtomicU64>> {
        self.body.as_ref()?;
        Some(Arc::clone(self.count.get_or_insert_default()))
    }

    /// Holds the body back until the upstream says `100 Continue` or the patience ends. The flag is to be set when it does.
    pub fn hold_for_continue(&mut self) -> Arc<AtomicBool> {
        let go = Arc::new(AtomicBool::new(false));
        let patience = Box::pin(tokio::time::sleep(CONTINUE_PATIENCE));
        self.held = Some(Held { go: Arc::clone(&go), patience });
        go
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(held) = &mut self.held {
            if !held.go.load(Ordering::Relaxed) && held.patience.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.held = None;
        }
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let mut frame = Pin::new(body).poll_frame(cx);
        if let (Some(sieve), Poll::Ready(Some(Ok(frame)))) = (&self.sieve, &mut frame)
            && let Some(trailers) = frame.trailers_mut()
        {
            sieve(trailers);
        }
        if let (Some(count), Poll::Ready(Some(Ok(frame)))) = (&self.count, &frame)
            && let Some(data) = frame.data_ref()
        {
            count.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
