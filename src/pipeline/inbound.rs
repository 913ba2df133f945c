//! What a door hands to the line: one request, normalised, with its proof and its target. Doors make it and nothing more.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, EXPECT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Request};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use crate::access::Proof;
use crate::domain;
use crate::route::{Door, Target};
use crate::throttle::{Client, most_tokens};
use crate::upstream::{Outgoing, Replay};

use super::judge::Question;

/// The peer of a connection, made once per connection.
pub type Peer = Arc<domain::Peer>;

/// Which of the headers that mean something to sidekey a request has: one look over the names instead of a search for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs(u16);

impl Signs {
    /// `Host`.
    pub const HOST: Self = Self(1);
    /// `Origin` or `Sec-Fetch-Site`.
    pub const BROWSER: Self = Self(1 << 1);
    /// `Authorization`.
    pub const AUTHORIZATION: Self = Self(1 << 2);
    /// `Proxy-Authorization`.
    pub const PROXY_AUTHORIZATION: Self = Self(1 << 3);
    /// `Sidekey-Credential`.
    pub const CREDENTIAL: Self = Self(1 << 4);
    /// `Sidekey-Retry`, `x-no-retry`, or what a client that sends again by itself says of that.
    pub const RETRY: Self = Self(1 << 5);
    /// `Prefer`.
    pub const PREFER: Self = Self(1 << 6);
    /// `Idempotency-Key`.
    pub const IDEMPOTENCY_KEY: Self = Self(1 << 7);

    /// What `headers` has.
    pub fn of(headers: &HeaderMap) -> Self {
        let sign = |name: &HeaderName| match name.as_str() {
            "host" => Self::HOST.0,
            "origin" | "sec-fetch-site" => Self::BROWSER.0,
            "authorization" => Self::AUTHORIZATION.0,
            "proxy-authorization" => Self::PROXY_AUTHORIZATION.0,
            "sidekey-credential" => Self::CREDENTIAL.0,
            "sidekey-retry" | "x-no-retry" | "x-stainless-retry-count" | "x-retry-attempt" | "amz-sdk-request" => {
                Self::RETRY.0
            }
            "prefer" => Self::PREFER.0,
            "idempotency-key" => Self::IDEMPOTENCY_KEY.0,
            _ => 0,
        };
        Self(headers.keys().map(sign).fold(0, |all, one| all | one))
    }

    /// Whether `sign` is among them.
    pub const fn has(self, sign: Self) -> bool {
        self.0 & sign.0 != 0
    }
}

/// A caller's body before and after it was begun to be sent.
pub enum Upload {
    /// Unread.
    Fresh(Incoming),
    /// Begun; what was read is kept for another attempt.
    Kept(Replay),
    /// Begun, and not to be had again.
    Gone,
}

impl Upload {
    /// Whether it can be sent again.
    pub(super) fn repeatable(&self) -> Repeatable {
        match self {
            Self::Fresh(_) => Repeatable::Whole,
            Self::Kept(replay) if replay.is_whole() && replay.is_finished() => Repeatable::Whole,
            Self::Kept(replay) if replay.is_whole() => Repeatable::Begun,
            Self::Kept(_) | Self::Gone => Repeatable::No,
        }
    }

    /// How long all of it is, where that is known and it is at hand.
    fn length(&self) -> Option<u64> {
        match self {
            Self::Fresh(body) => body.size_hint().exact(),
            Self::Kept(replay) => replay.length(),
            Self::Gone => None,
        }
    }

    /// The body for the next attempt, of which up to `most` bytes are kept for one after it; none when it is gone.
    pub(super) fn outgoing(&mut self, most: Option<u64>) -> Option<Outgoing> {
        match (std::mem::replace(self, Self::Gone), most) {
            (Self::Fresh(body), Some(most)) if !body.is_end_stream() => {
                let replay = Replay::new(body, most);
                let outgoing = Outgoing::again(&replay);
                *self = Self::Kept(replay);
                Some(outgoing)
            }
            (Self::Fresh(body), Some(_)) => {
                // Nothing is to be sent, as often as one likes.
                *self = Self::Fresh(body);
                Some(Outgoing::default())
            }
            (Self::Fresh(body), None) => Some(Outgoing::new(body)),
            (Self::Kept(replay), _) if replay.is_whole() => {
                let outgoing = Outgoing::again(&replay);
                *self = Self::Kept(replay);
                Some(outgoing)
            }
            (Self::Kept(_) | Self::Gone, _) => None,
        }
    }
}

/// How many bytes of JSON are taken for one token, as OpenAI's limiter takes them
/// (platform.openai.com/docs/guides/rate-limits).
const BYTES_PER_TOKEN: u64 = 4;

/// No larger body is looked into before it is sent.
const MOST_LOOKED_AT: u64 = 64 * 1024;

/// Whether a body can be had from its first byte on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeatable {
    /// It is gone, or was too much to keep.
    No,
    /// What came is there, but the client has not sent all of it.
    Begun,
    /// All of it is there.
    Whole,
}

/// Whether a copy of a request's head stays for another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeepHead {
    /// There may be one.
    Yes,
    /// There will be none.
    No,
}

/// One request as it came through a door.
///
/// It has no `Debug`: its head may hold a caller's token.
pub struct Inbound {
    /// Through which door.
    pub door: Door,
    /// What the caller showed.
    pub proof: Proof,
    /// Where it wants to go.
    pub target: Target,
    /// The request's head as the client sent it.
    pub parts: Parts,
    /// Its body.
    pub body: Upload,
    /// How many tokens its answer may have, where that was looked for and found.
    pub most_tokens: Option<u32>,
    /// Who is at the other end of the connection.
    pub peer: Peer,
    /// Which headers it has.
    pub signs: Signs,
}

impl Inbound {
    /// What is asked of the decision at `now`, in Unix seconds.
    pub fn question(&self, now: i64) -> Question<'_> {
        let (method, path) = (self.parts.method.as_str(), self.parts.uri.path());
        Question { target: &self.target, method, path, named: self.named_credential(), now }
    }

    /// The path that rules and routes see: what will be sent, without the query and without what belongs to the door.
    pub fn path(&self) -> &str {
        self.target.within(self.parts.uri.path())
    }

    /// The credential that the caller named.
    pub fn named_credential(&self) -> Option<&str> {
        if !self.signs.has(Signs::CREDENTIAL) {
            return None;
        }
        self.parts.headers.get("sidekey-credential").map(|value| value.to_str().unwrap_or("").trim())
    }

    /// How long the caller will wait for a rate limit: `Prefer: wait=N` (RFC 7240 §4.3).
    pub fn patience(&self) -> Option<Duration> {
        if self.signs.has(Signs::PREFER) { patience(&self.parts.headers) } else { None }
    }

    /// For how many tokens it is taken by its length, which is known before its body is read; 0 where that is not JSON, or of
    /// unknown length.
    pub(super) fn tokens(&self) -> u32 {
        u32::try_from(self.length_of_json() / BYTES_PER_TOKEN).unwrap_or(u32::MAX)
    }

    fn length_of_json(&self) -> u64 {
        let kind = self.parts.headers.get(CONTENT_TYPE);
        let is_json = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        self.body.length().filter(|_| is_json).unwrap_or(0)
    }

    /// Looks how many tokens its answer may have, in what came of its body already: that is not waited for, and of a body that is
    /// kept for another attempt anyway, which may be of `most` bytes. A client that waits for `100 Continue` is not asked for it.
    pub(super) async fn look_ahead(&mut self, most: u64) {
        let length = self.length_of_json();
        if length == 0 || length > most.min(MOST_LOOKED_AT) || self.parts.headers.contains_key(EXPECT) {
            return;
        }
        match std::mem::replace(&mut self.body, Upload::Gone) {
            Upload::Fresh(body) => {
                let replay = Replay::new(body, most);
                self.most_tokens = replay.look_ahead().await.and_then(|start| most_tokens(&start));
                self.body = Upload::Kept(replay);
            }
            other => self.body = other,
        }
    }

    /// Whether it can be sent again after a refusal, of bodies up to `most` bytes.
    pub(super) fn is_repeatable(&self, most: u64) -> bool {
        let is_whole = match &self.body {
            Upload::Fresh(body) => body.size_hint().upper().is_some_and(|upper| upper <= most),
            Upload::Kept(replay) => replay.is_whole(),
            Upload::Gone => false,
        };
        is_whole && self.client() == Client::Leaves && self.parts.extensions.get::<OnUpgrade>().is_none()
    }

    /// Takes the head out; a copy stays for another attempt when there may be one. The copy has no extensions: the spelling
    /// of header names is lost with them.
    pub(super) fn take_head(&mut self, keep: KeepHead) -> Parts {
        let (mut copy, ()) = Request::new(()).into_parts();
        if keep == KeepHead::Yes {
            copy.method = self.parts.method.clone();
            copy.uri = self.parts.uri.clone();
            copy.version = self.parts.version;
            copy.headers = self.parts.headers.clone();
        }
        std::mem::replace(&mut self.parts, copy)
    }

    /// Whether its client wants it sent once, or sends it again by itself.
    pub(super) fn client(&self) -> Client {
        if self.signs.has(Signs::RETRY) { Client::of(&self.parts.headers) } else { Client::Leaves }
    }

    /// Whether the service knows it again by a header of this name.
    pub(super) fn has_idempotency_key(&self, name: &HeaderName) -> bool {
        match name.as_str() {
            "idempotency-key" => self.signs.has(Signs::IDEMPOTENCY_KEY),
            _ => self.parts.headers.contains_key(name),
        }
    }
}

fn patience(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = lines.flat_map(|line| line.split([',', ';']));
    let seconds = preferences.find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"').parse::<u64>().ok())?
    })?;
    Some(Duration::from_secs(seconds))
}
