//! What is written of one request and of one administrative act. Both only borrow names, numbers and the client's own
//! target; no field takes a `Secret`, and nothing here can open one.

use std::time::Duration;

use super::line::{Line, has_either};
use crate::domain::{Code, CredentialId, Name, RequestId, UserId};

/// The most bytes of a path that are kept; the rest is cut off at a character's boundary.
pub const PATH_LIMIT: usize = 1024;
/// The most bytes of a host that are kept.
pub const HOST_LIMIT: usize = 256;
/// The most bytes of a method, a client's address or an act's single value that are kept.
pub const WORD_LIMIT: usize = 256;

/// How the exchange with the client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The whole answer was handed to the client.
    Complete,
    /// The client hung up before the end.
    ClientGone,
    /// The upstream's answer broke off.
    UpstreamBroke,
}

impl Outcome {
    /// The text in the log; never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientGone => "client_gone",
            Self::UpstreamBroke => "upstream_broke",
        }
    }
}

/// One request, refused or not, as it is recorded when it is over.
///
/// It has no number of its own: its place in the chain numbers it, and the seal after it fixes that place.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// When the request was over, since the Unix epoch; kept in microseconds.
    pub time: Duration,
    /// Which request.
    pub request_id: RequestId,
    /// Through which door it came: `forward`, `connect`, `path`, `host`, …
    pub door: &'static str,
    /// The client's address as text, or `unix`; formatted once per connection.
    pub client: &'a str,
    /// Who asked, when it was recognised.
    pub caller: Option<&'a Name>,
    /// The user that the caller belongs to.
    pub owner: Option<&'a UserId>,
    /// For which service, when one was found.
    pub service: Option<&'a Name>,
    /// With which credential, when one was chosen.
    pub credential: Option<&'a Name>,
    /// That credential's identifier.
    pub credential_id: Option<&'a CredentialId>,
    /// Which version of its value was used last, from 1.
    pub version: Option<u32>,
    /// The method.
    pub method: &'a str,
    /// The host that was asked for; at most [`HOST_LIMIT`] bytes are kept.
    pub host: &'a str,
    /// The path as the client sent it, before anything was placed in it. What follows a `?` is never written;
    /// at most [`PATH_LIMIT`] bytes are kept.
    pub path: &'a str,
    /// The status of the answer; 0 when the client left before there was one.
    pub status: u16,
    /// Why sidekey itself answered, when it did.
    pub code: Option<Code>,
    /// More about that, for the operator alone: one of our own words.
    pub reason: Option<&'static str>,
    /// How often the request was sent upstream.
    pub attempts: u32,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// How long it waited at the gate.
    pub wait: Duration,
    /// How long the upstream took, all attempts together.
    pub upstream: Duration,
    /// From the request's first byte to its end.
    pub total: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

impl Entry<'_> {
    /// Appends the entry as one line of JSON. What is as usual (one attempt, no wait, complete) is left out: each byte is
    /// hashed and written for every request, and a reader fills it in again.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let id = self.request_id.hex();
        let mut line = Line::begin(out, "request", std::str::from_utf8(&id).unwrap_or_default());
        line.number("time", micros(self.time));
        self.write_who(&mut line);
        self.write_what(&mut line);
        line.end();
    }

    #[inline]
    fn write_who(&self, line: &mut Line<'_>) {
        line.plain("door", self.door);
        line.clipped("client", self.client, WORD_LIMIT);
        if let Some(caller) = self.caller {
            line.plain("caller", caller.as_str());
        }
        if let Some(owner) = self.owner {
            line.text("owner", owner.as_str());
        }
        if let Some(service) = self.service {
            line.plain("service", service.as_str());
        }
        if let Some(credential) = self.credential {
            line.plain("credential", credential.as_str());
        }
        if let Some(id) = self.credential_id {
            line.text("credential_id", id.as_str());
        }
        if let Some(version) = self.version {
            line.number("version", u64::from(version));
        }
    }

    #[inline]
    fn write_what(&self, line: &mut Line<'_>) {
        line.clipped("method", self.method, WORD_LIMIT);
        line.clipped("host", self.host, HOST_LIMIT);
        line.clipped("path", without_query(self.path), PATH_LIMIT);
        line.number("status", u64::from(self.status));
        if let Some(code) = self.code {
            line.plain("code", code.as_str());
        }
        if let Some(reason) = self.reason {
            line.plain("reason", reason);
        }
        if self.attempts != 1 {
            line.number("attempts", u64::from(self.attempts));
        }
        line.number("bytes_in", self.bytes_in);
        line.number("bytes_out", self.bytes_out);
        if !self.wait.is_zero() {
            line.number("wait_us", micros(self.wait));
        }
        line.number("upstream_us", micros(self.upstream));
        line.number("total_us", micros(self.total));
        if self.outcome != Outcome::Complete {
            line.plain("outcome", self.outcome.as_str());
        }
    }
}

/// One administrative act, as it is recorded before it is acknowledged.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// What tells a change of the store from every other; none for an act that changes nothing there.
    pub id: Option<&'a str>,
    /// When, since the Unix epoch; kept in microseconds.
    pub time: Duration,
    /// Who: the user at the console, or the operating system's user at the command line.
    pub actor: &'a str,
    /// What: `key.add`, `key.rotate`, `caller.delete`, …
    pub act: &'a str,
    /// The name of what it was done to.
    pub object: &'a str,
    /// Its identifier, when it has one that outlives the name.
    pub object_id: Option<&'a str>,
    /// What else a reader needs, such as the service or with whom a key was shared. Never a value that is secret.
    pub details: &'a [(&'a str, &'a str)],
}

impl Act<'_> {
    /// Appends the act as one line of JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut line = Line::begin_with(out, "act", self.act);
        if let Some(id) = self.id {
            line.text("id", id);
        }
        line.number("time", micros(self.time));
        line.clipped("actor", self.actor, WORD_LIMIT);
        line.clipped("object", self.object, WORD_LIMIT);
        if let Some(id) = self.object_id {
            line.text("object_id", id);
        }
        if !self.details.is_empty() {
            line.object("details", self.details);
        }
        line.end();
    }
}

/// Whole microseconds; what does not fit (584,000 years) is the largest number.
pub(super) fn micros(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(duration.subsec_micros()))
}

/// Whoever fills an entry should have cut the query off already; a query may hold a key, so it is cut off here again.
fn without_query(path: &str) -> &str {
    if !has_either(path.as_bytes(), b'?', b'#') {
        return path;
    }
    path.split(['?', '#']).next().unwrap_or_default()
}
