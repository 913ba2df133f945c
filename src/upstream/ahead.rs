//! The body of an answer of which a bounded part was read ahead: to look at it, or to have done with a connection before
//! the answer is needed. Whoever reads on gets every frame in its order, and an error where it came.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

use super::exchange::UpstreamBody;

/// A body with what was read of it.
pub struct Ahead {
    read: VecDeque<hyper::Result<Frame<Bytes>>>,
    /// What is left; none when the end was read.
    rest: Option<UpstreamBody>,
}

impl UpstreamBody {
    /// Reads ahead until the body ends, or more than `most` bytes of it came, or `patience` does. A connection whose answer
    /// was read whole is free for others.
    pub async fn read_ahead(mut self, most: usize, patience: Duration) -> Self {
        if matches!(self, Self::Switched(_)) || self.is_end_stream() {
            return self;
        }
        let mut read = VecDeque::new();
        let ended = tokio::time::timeout(patience, fill(&mut self, &mut read, most)).await.unwrap_or(false);
        Self::Ahead(Box::new(Ahead { read, rest: (!ended).then_some(self) }))
    }

    /// All of it in one piece, when all of it was read ahead.
    pub fn read_whole(&self) -> Option<Bytes> {
        match self {
            Self::Ahead(ahead) => ahead.whole(),
            Self::H1(_) | Self::H2(_) | Self::Switched(_) => None,
        }
    }
}

/// Whether the body has ended.
async fn fill(body: &mut UpstreamBody, read: &mut VecDeque<hyper::Result<Frame<Bytes>>>, most: usize) -> bool {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len);
        let broken = frame.is_err();
        read.push_back(frame);
        if broken {
            return true;
        }
        if bytes > most {
            return false;
        }
    }
    true
}

impl Ahead {
    fn whole(&self) -> Option<Bytes> {
        if self.rest.is_some() {
            return None;
        }
        let mut data = Vec::new();
        for frame in &self.read {
            data.extend(frame.as_ref().ok()?.data_ref());
        }
        match data.as_slice() {
            [one] => Some(Bytes::clone(one)),
            several => Some(several.iter().flat_map(|piece| piece.iter().copied()).collect()),
        }
    }
}

impl Body for Ahead {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match (self.read.pop_front(), &mut self.rest) {
            (Some(frame), _) => Poll::Ready(Some(frame)),
            (None, Some(rest)) => Pin::new(rest).poll_frame(cx),
            (None, None) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref()).map(|data| data.len() as u64);
        let (read, rest) = (read.sum::<u64>(), self.rest.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint));
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}
