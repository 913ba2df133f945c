//! What a fake upstream answers: a status with a body, a body that the test feeds piece by piece, or a misdeed.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(super) act: Act,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) interim: Vec<u16>,
    pub(super) delay: Duration,
}

#[derive(Debug)]
pub(super) enum Act {
    Whole(Vec<u8>),
    Fed(UnboundedReceiver<Piece>),
    Raw { bytes: Vec<u8>, then: Then },
    Stall,
    Reset,
    HangUp,
    Refuse,
    Echo(Echo),
}

/// What follows raw bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Close,
    KeepOpen,
}

/// What is done with the bytes after an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Echo {
    Bytes,
    WebSocketFrames,
}

/// A part of a body that is fed.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Vec<u8>),
    Trailers(Vec<(String, String)>),
    Break,
}

impl Answer {
    fn new(status: u16, act: Act) -> Self {
        Self { act, status, headers: Vec::new(), interim: Vec::new(), delay: Duration::ZERO }
    }

    /// A status and a JSON body.
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::text(status, body).header("Content-Type", "application/json")
    }

    /// A status and a body.
    pub(crate) fn text(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::new(status, Act::Whole(body.as_ref().to_vec()))
    }

    /// A status alone.
    pub(crate) fn status(status: u16) -> Self {
        Self::text(status, "")
    }

    /// 429 with `Retry-After`.
    pub(crate) fn throttled(retry_after: &str) -> Self {
        Self::json(429, r#"{"error":"slow down"}"#).header("Retry-After", retry_after)
    }

    /// A body that goes out piece by piece, when the test feeds it; it ends when the feed is dropped. In HTTP/1.1 it is
    /// chunked, unless a `Content-Length` is set.
    pub(crate) fn fed(status: u16, content_type: &str) -> (Self, Feed) {
        let (feed, pieces) = unbounded_channel();
        (Self::new(status, Act::Fed(pieces)).header("Content-Type", content_type), Feed(feed))
    }

    /// These bytes in place of an answer (HTTP/1.1 only), then the connection is closed.
    pub(crate) fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self::new(0, Act::Raw { bytes: bytes.as_ref().to_vec(), then: Then::Close })
    }

    /// These bytes in place of an answer (HTTP/1.1 only); the connection stays open and takes the next request.
    pub(crate) fn raw_and_open(bytes: impl AsRef<[u8]>) -> Self {
        Self::new(0, Act::Raw { bytes: bytes.as_ref().to_vec(), then: Then::KeepOpen })
    }

    /// Never answers.
    pub(crate) fn stall() -> Self {
        Self::new(0, Act::Stall)
    }

    /// Resets the TCP connection.
    pub(crate) fn reset() -> Self {
        Self::new(0, Act::Reset)
    }

    /// Closes in place of an answer; in HTTP/2 it resets the stream.
    pub(crate) fn hang_up() -> Self {
        Self::new(0, Act::HangUp)
    }

    /// Refuses the stream, as one that was not looked at (HTTP/2 only; RFC 9113 §8.7).
    pub(crate) fn refuse() -> Self {
        Self::new(0, Act::Refuse)
    }

    /// 101 to whatever upgrade was asked for, then sends every byte back (HTTP/1.1 only).
    pub(crate) fn echo() -> Self {
        Self::new(101, Act::Echo(Echo::Bytes))
    }

    /// A WebSocket that sends every frame back (HTTP/1.1 only).
    pub(crate) fn websocket_echo() -> Self {
        Self::new(101, Act::Echo(Echo::WebSocketFrames))
    }

    /// Its status.
    pub(crate) fn status_code(&self) -> u16 {
        self.status
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Comes after so long (HTTP/1.1 only).
    pub(crate) fn later(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sends an interim answer first (HTTP/1.1 only), for example 103.
    pub(crate) fn after_interim(mut self, status: u16) -> Self {
        self.interim.push(status);
        self
    }
}

/// The test's end of a body that is fed.
#[derive(Debug)]
pub(crate) struct Feed(UnboundedSender<Piece>);

impl Feed {
    /// Sends one piece; in HTTP/1.1 it is one chunk.
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.send(Piece::Data(bytes.as_ref().to_vec()));
    }

    /// Whether somebody still reads.
    pub(crate) fn is_read(&self) -> bool {
        !self.0.is_closed()
    }

    /// Ends the body with trailers.
    pub(crate) fn end_with(self, trailers: &[(&str, &str)]) {
        let owned = trailers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let _ = self.0.send(Piece::Trailers(owned.collect()));
    }

    /// Breaks the body off in the middle.
    pub(crate) fn break_off(self) {
        let _ = self.0.send(Piece::Break);
    }
}
