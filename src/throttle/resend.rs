//! Whether a request may be sent once more, from what it is and what became of it. One decision for every cause; it does not
//! know when, nor whether a copy of the body is still there.
//!
//! Invariant: what may have been carried out is sent again only where carrying it out twice has the effect of once.

use http::{HeaderMap, HeaderName, Method};

use super::Class;

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Certainly nothing of it was carried out: no connection, a refused stream, or a stream above the last that counts.
    Unsent,
    /// Its connection broke before an answer.
    Broken,
    /// An answer of this class.
    Answered(Class),
}

/// Whether carrying a request out twice has the effect of once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// By its method (RFC 9110 §9.2.2), or by a header by which the service knows it again.
    Safely,
    /// Nobody says so.
    Unknown,
}

impl Repeats {
    /// Of a request with this method; `known` says that the service knows it again by a header.
    pub fn of(method: &Method, known: bool) -> Self {
        let idempotent = matches!(
            *method,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
        );
        if known || idempotent { Self::Safely } else { Self::Unknown }
    }
}

/// Who sees to another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// Nobody has, so far.
    Leaves,
    /// It wants each request sent once: `Sidekey-Retry: off` or `x-no-retry`.
    Declines,
    /// It sends again by itself and is at it: doing the same here would multiply the attempts of both.
    Repeats,
}

impl Client {
    /// What the headers of its request say; `x-no-retry` declines by being there, unless it says no itself.
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let off = text("sidekey-retry").is_some_and(|value| value.eq_ignore_ascii_case("off"));
        let declined = |value: &str| !["0", "false", "off"].iter().any(|no| value.eq_ignore_ascii_case(no));
        if off || text("x-no-retry").is_some_and(declined) {
            return Self::Declines;
        }
        // The first attempt of an SDK says 0, or `attempt=1`.
        let count = |name| text(name).and_then(|value| value.parse::<u32>().ok()).unwrap_or(0);
        let repeats = count("x-stainless-retry-count") > 0
            || count("x-retry-attempt") > 0
            || text("amz-sdk-request").and_then(attempt).is_some_and(|attempt| attempt > 1);
        if repeats { Self::Repeats } else { Self::Leaves }
    }
}

/// `attempt=2; max=3`.
fn attempt(field: &str) -> Option<u32> {
    let mut pairs = field.split(';').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == "attempt").and_then(|(_, value)| value.trim().parse().ok())
}

/// A request, as far as it matters.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Whether it may be carried out twice.
    pub repeats: Repeats,
    /// Who sees to another attempt.
    pub client: Client,
    /// A request that the service turns down for a limit is certainly not carried out.
    pub throttle_safe: bool,
    /// It asks for another protocol: what was begun cannot be begun again.
    pub upgrades: bool,
}

/// Whether to send once more. `vetoed` says that the answer forbids it ([`is_vetoed`]).
pub fn may_resend(asked: &Asked, cause: Cause, vetoed: bool) -> bool {
    // What never went out is no second attempt of the client's, so that only its own wish counts against it.
    if cause == Cause::Unsent {
        return asked.client != Client::Declines;
    }
    if asked.client != Client::Leaves || asked.upgrades || vetoed {
        return false;
    }
    match cause {
        Cause::Unsent => true,
        Cause::Answered(Class::Throttled) => asked.throttle_safe || asked.repeats == Repeats::Safely,
        Cause::Broken | Cause::Answered(Class::Overloaded | Class::Transient) => asked.repeats == Repeats::Safely,
        Cause::Answered(Class::Fine | Class::Exhausted | Class::Auth) => false,
    }
}

/// Whether an answer forbids another attempt: `x-should-retry: false`, Stripe's of that kind, or a pushback of gRPC that is
/// negative or no number (gRFC A6). A `true` allows nothing that is not allowed anyway.
pub fn is_vetoed(headers: &HeaderMap) -> bool {
    const SHOULD: [HeaderName; 2] =
        [HeaderName::from_static("x-should-retry"), HeaderName::from_static("stripe-should-retry")];
    let no = |name: &HeaderName| headers.get(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"false"));
    let pushback = headers.get("grpc-retry-pushback-ms");
    let pushed =
        pushback.is_some_and(|value| value.to_str().ok().and_then(|ms| ms.trim().parse::<u32>().ok()).is_none());
    SHOULD.iter().any(no) || pushed
}
