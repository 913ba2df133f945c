//! The body of an answer to a client, as the sweep has to know of it: when it has ended, and at HTTP/2 whether the client takes
//! it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::pipeline::ReplyBody;

use super::guarded::State;

/// An answer's body that tells the sweep when it has ended, and at HTTP/2 when the client does not take it.
pub(super) struct Served {
    body: ReplyBody,
    state: Arc<State>,
    taking: Taking,
}

/// What became of the last piece of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taking {
    /// At HTTP/1 the socket tells.
    Unknown,
    /// It was taken, or there was none.
    Taken,
    /// It waits. hyper asks for the next one when there is room for it.
    Waits,
}

impl Served {
    pub(super) fn new(body: ReplyBody, state: Arc<State>) -> Self {
        let taking = if state.is_http2() { Taking::Taken } else { Taking::Unknown };
        Self { body, state, taking }
    }

    fn note(&mut self, now: Taking) {
        if self.taking == now {
            return;
        }
        self.taking = now;
        self.state.untaken(now == Taking::Waits);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.taking == Taking::Waits {
            self.note(Taking::Taken);
        }
        self.state.end();
    }
}

impl Body for Served {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.taking == Taking::Unknown {
            return Pin::new(&mut self.body).poll_frame(cx);
        }
        self.note(Taking::Taken);
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(Some(Ok(_)))) {
            self.note(Taking::Waits);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
