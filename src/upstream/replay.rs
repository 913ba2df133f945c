//! A request's body that may be sent more than once: what has passed is kept while it is small enough, and comes first when
//! the body is sent again. It decides nothing about when that is safe.
//!
//! Invariant: the bytes that are sent again are those that were sent before, in their order, trailers included.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// What the process keeps of bodies for sending them again.
static ROOM: Room = Room::of(64 << 20);

/// Room for so many bytes of bodies together.
pub(super) struct Room {
    taken: AtomicU64,
    most: u64,
}

impl Room {
    pub(super) const fn of(most: u64) -> Self {
        Self { taken: AtomicU64::new(0), most }
    }

    /// Takes room for `bytes` more, whether or not there is; whether there was.
    fn take(&self, bytes: u64) -> bool {
        self.taken.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.most
    }

    fn free(&self, bytes: u64) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A body of which a copy is kept. Clones are handles to the same one.
#[derive(Clone)]
pub struct Replay(Arc<Mutex<Source>>);

struct Source {
    body: Incoming,
    /// What was read of it before it was begun to be sent; it passes first.
    ahead: Option<Polled>,
    /// What has passed, from the first frame on; none when it was too much to keep.
    kept: Option<Vec<Kept>>,
    bytes: u64,
    most: u64,
    room: &'static Room,
    /// Whether its end has passed.
    ended: bool,
}

/// What reading a body gave: its next frame, its end, or that it broke off.
type Polled = Option<Result<Frame<Bytes>, hyper::Error>>;

/// One frame that has passed.
#[derive(Clone)]
enum Kept {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replay(…)")
    }
}

impl Replay {
    /// Keeps up to `most` bytes of `body`. A body that is said to be larger is not kept at all.
    pub fn new(body: Incoming, most: u64) -> Self {
        Self::within(&ROOM, body, most)
    }

    /// The same where `room` is what all copies share.
    pub(super) fn within(room: &'static Room, body: Incoming, most: u64) -> Self {
        let kept = (body.size_hint().lower() <= most).then(Vec::new);
        Self(Arc::new(Mutex::new(Source { body, ahead: None, kept, bytes: 0, most, room, ended: false })))
    }

    /// Whether everything that has passed is still there.
    pub fn is_whole(&self) -> bool {
        self.look(|source| source.kept.is_some())
    }

    /// Whether all of it has passed, so that nobody reads of it any more.
    pub fn is_finished(&self) -> bool {
        self.look(|source| source.ended || source.is_end_stream())
    }

    /// How long the whole body is, when that is known and all that has passed is still there.
    pub fn length(&self) -> Option<u64> {
        self.reader().size_hint().exact().filter(|_| self.is_whole())
    }

    /// The first data of the body where it came with the request: it is not waited for beyond a turn of the connection's task,
    /// and passes as if nobody had looked at it.
    pub async fn look_ahead(&self) -> Option<Bytes> {
        // The connection reads of a body only once somebody wants it.
        let wanted = std::future::poll_fn(|cx| Poll::Ready(self.look(|source| source.look_ahead(cx)))).await;
        if wanted.is_some() {
            return wanted;
        }
        tokio::task::yield_now().await;
        std::future::poll_fn(|cx| Poll::Ready(self.look(|source| source.look_ahead(cx)))).await
    }

    /// The body from its first byte on.
    pub(super) fn reader(&self) -> Reader {
        Reader { replay: self.clone(), next: 0 }
    }

    fn look<T>(&self, look: impl FnOnce(&mut Source) -> T) -> T {
        // Whoever panicked while it held the lock left whole frames.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Source {
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> Option<Bytes> {
        if self.ahead.is_none() {
            let Poll::Ready(polled) = Pin::new(&mut self.body).poll_frame(cx) else { return None };
            self.ahead = Some(polled);
        }
        self.ahead.as_ref()?.as_ref()?.as_ref().ok()?.data_ref().cloned()
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && self.body.is_end_stream()
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Polled> {
        let frame = match self.ahead.take() {
            Some(polled) => Poll::Ready(polled),
            None => Pin::new(&mut self.body).poll_frame(cx),
        };
        match &frame {
            Poll::Ready(Some(Ok(frame))) => self.keep(frame),
            Poll::Ready(None) => self.ended = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        frame
    }

    fn keep(&mut self, frame: &Frame<Bytes>) {
        let Some(kept) = &mut self.kept else { return };
        if let Some(trailers) = frame.trailers_ref() {
            kept.push(Kept::Trailers(trailers.clone()));
            self.ended = true;
            return;
        }
        let Some(data) = frame.data_ref() else { return };
        let length = data.len() as u64;
        let has_room = self.room.take(length);
        self.bytes += length;
        if self.bytes <= self.most && has_room {
            kept.push(Kept::Data(data.clone()));
        } else {
            self.forget();
        }
    }

    fn forget(&mut self) {
        if self.kept.take().is_some() {
            self.room.free(self.bytes);
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.forget();
    }
}

/// One sending of the body.
pub(super) struct Reader {
    replay: Replay,
    /// The first kept frame that was not sent yet.
    next: usize,
}

impl Body for Reader {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let next = self.next;
        let frame = self.replay.look(|source| match source.kept.as_ref().and_then(|kept| kept.get(next)) {
            Some(Kept::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data.clone())))),
            Some(Kept::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers.clone())))),
            None => source.poll_frame(cx),
        });
        if frame.is_ready() {
            self.next += 1;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        let read = self.next;
        self.replay.look(|source| source.is_end_stream() && source.kept.as_ref().is_none_or(|kept| kept.len() <= read))
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.next;
        self.replay.look(|source| {
            let to_come = source.kept.iter().flatten().skip(read).map(|frame| match frame {
                Kept::Data(data) => data.len() as u64,
                Kept::Trailers(_) => 0,
            });
            let ahead = source.ahead.iter().flatten().flatten().filter_map(Frame::data_ref);
            let ahead: u64 = ahead.map(|data| data.len() as u64).sum();
            let (to_come, rest) = (to_come.sum::<u64>().saturating_add(ahead), source.body.size_hint());
            let mut hint = SizeHint::new();
            hint.set_lower(rest.lower().saturating_add(to_come));
            if let Some(upper) = rest.upper() {
                hint.set_upper(upper.saturating_add(to_come));
            }
            hint
        })
    }
}
