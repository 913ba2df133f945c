//! The body that goes upstream: the caller's own frames, passed on as they come, trailers included. Nothing is collected but what
//! is kept for another attempt (`replay`).

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

use super::replay::{Reader, Replay};

/// How long we wait for the upstream's `100 Continue` before the body is sent anyway (RFC 9110 §10.1.1).
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// Takes out of trailers what may not go upstream.
type Sieve = Box<dyn Fn(&mut HeaderMap) + Send + Sync>;

/// A request body on its way upstream; nothing, and no bigger than a pointer, when there is none.
#[derive(Default)]
pub struct Outgoing(Option<Box<Passing>>);

/// A body that has something to send.
struct Passing {
    body: Source,
    held: Option<Held>,
    count: Option<Arc<AtomicU64>>,
    sieve: Option<Sieve>,
}

/// Where the body comes from.
enum Source {
    /// The caller, once.
    Caller(Incoming),
    /// The caller, with what was sent before kept.
    Kept(Reader),
    /// sidekey itself; none once it was sent.
    Own(Option<Bytes>),
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Outgoing(a body)" } else { "Outgoing(nothing)" })
    }
}

/// A body that waits for the upstream's `100 Continue`, so that the caller's own wait is a real one.
#[derive(Debug)]
struct Held {
    go: Arc<AtomicBool>,
    patience: Pin<Box<Sleep>>,
}

impl Outgoing {
    /// The caller's body, to be sent once.
    pub fn new(body: Incoming) -> Self {
        Self::of(Source::Caller(body))
    }

    /// The caller's body from its first byte on, and perhaps not for the last time.
    pub fn again(body: &Replay) -> Self {
        Self::of(Source::Kept(body.reader()))
    }

    /// A body of sidekey's own, in one piece.
    pub fn own(body: Bytes) -> Self {
        Self::of(Source::Own((!body.is_empty()).then_some(body)))
    }

    fn of(body: Source) -> Self {
        let passing = |body| Box::new(Passing { body, held: None, count: None, sieve: None });
        Self((!body.is_end_stream()).then(|| passing(body)))
    }

    /// Whether trailers may follow the body: not at HTTP/1.1 when its length was declared.
    pub fn may_have_trailers(&self, version: Version) -> bool {
        let declared = |body: &Source| version != Version::HTTP_2 && body.size_hint().exact().is_some();
        self.0.as_ref().is_some_and(|passing| !declared(&passing.body))
    }

    /// Whether nobody has said how long it is.
    pub fn is_unsized(&self) -> bool {
        self.size_hint().exact().is_none()
    }

    /// Has `sieve` look over the trailers before they go upstream.
    pub fn sift_trailers(&mut self, sieve: impl Fn(&mut HeaderMap) + Send + Sync + 'static) {
        if let Some(passing) = &mut self.0 {
            passing.sieve = Some(Box::new(sieve));
        }
    }

    /// A count of the bytes that have passed; none for an empty body.
    pub fn counted(&mut self) -> Option<Arc<AtomicU64>> {
        Some(Arc::clone(self.0.as_mut()?.count.get_or_insert_default()))
    }

    /// Holds the body back until the upstream says `100 Continue` or the patience ends. The flag is to be set when it does.
    pub fn hold_for_continue(&mut self) -> Arc<AtomicBool> {
        let go = Arc::new(AtomicBool::new(false));
        if let Some(passing) = &mut self.0 {
            let patience = Box::pin(tokio::time::sleep(CONTINUE_PATIENCE));
            passing.held = Some(Held { go: Arc::clone(&go), patience });
        }
        go
    }
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self {
            Self::Caller(body) => Pin::new(body).poll_frame(cx),
            Self::Kept(reader) => Pin::new(reader).poll_frame(cx),
            Self::Own(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Caller(body) => body.is_end_stream(),
            Self::Kept(reader) => reader.is_end_stream(),
            Self::Own(body) => body.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Caller(body) => body.size_hint(),
            Self::Kept(reader) => reader.size_hint(),
            Self::Own(body) => SizeHint::with_exact(body.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}

impl Passing {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(held) = &mut self.held {
            if !held.go.load(Ordering::Relaxed) && held.patience.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.held = None;
        }
        let mut frame = self.body.poll_frame(cx);
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
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.0.as_mut().map_or(Poll::Ready(None), |passing| passing.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|passing| passing.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |passing| passing.body.size_hint())
    }
}
