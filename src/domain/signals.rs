//! How a service tells of its limits, as its record declares it: which headers, what its reset means, which statuses and
//! bodies say that a limit was met, and what is published. Facts only; what an answer means is read in `throttle`.

use std::num::NonZeroU32;
use std::time::Duration;

use http::HeaderName;

use super::{Rate, Rule};

/// A word of the record for each variant.
macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $type {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As it is written in a record.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),*
                }
            }

            /// What `word` stands for.
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }
    };
}

/// A family of rate-limit headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HeaderFamily {
    /// `Retry-After` alone (RFC 9110 §10.2.3).
    RetryAfter,
    /// `RateLimit-Limit`, `-Remaining`, `-Reset` (draft-ietf-httpapi-ratelimit-headers up to 06).
    Ietf06,
    /// `RateLimit: limit=100, remaining=50, reset=30` (draft 07).
    Ietf07,
    /// `RateLimit: "default";r=50;t=30` (draft 08 and later).
    Ietf08,
    /// `X-RateLimit-Limit`, `-Remaining`, `-Reset`.
    XRateLimit,
    /// The same with `X-Rate-Limit-`.
    XRateDashLimit,
    /// `x-ratelimit-*-requests` and `-tokens`, as OpenAI, Azure, Groq and Cerebras send them.
    OpenAi,
    /// `anthropic-ratelimit-*`.
    Anthropic,
    /// `x-ratelimit-*` with `-resource`, and a secondary limit without headers.
    GitHub,
    /// `RateLimit-*` with an epoch in `-Reset`.
    GitLab,
    /// `x-ratelimit-requests-*` and `x-ratelimit-complexity-*`.
    Linear,
    /// `x-shopify-shop-api-call-limit`: a leaky bucket.
    Shopify,
    /// `x-hubspot-ratelimit-*`: a window and a daily quota.
    HubSpot,
    /// `stripe-rate-limited-reason`.
    Stripe,
    /// `twilio-concurrent-requests`.
    Twilio,
    /// `x-ratelimit-*` with a bucket, a scope and fractions of seconds.
    Discord,
    /// `x-ratelimit-used`, `-remaining`, `-reset`, with fractions.
    Reddit,
    /// `x-sentry-rate-limit-*`: a window and a number at once.
    Sentry,
    /// `ratelimit-limit: 100;w=21600` without a reset.
    DockerHub,
    /// Names of its own.
    Vendor,
}

words!(HeaderFamily {
    RetryAfter = "retry-after",
    Ietf06 = "ietf-06",
    Ietf07 = "ietf-07",
    Ietf08 = "ietf-08",
    XRateLimit = "x-ratelimit",
    XRateDashLimit = "x-rate-limit",
    OpenAi = "openai",
    Anthropic = "anthropic",
    GitHub = "github",
    GitLab = "gitlab",
    Linear = "linear",
    Shopify = "shopify",
    HubSpot = "hubspot",
    Stripe = "stripe",
    Twilio = "twilio",
    Discord = "discord",
    Reddit = "reddit",
    Sentry = "sentry",
    DockerHub = "docker-hub",
    Vendor = "vendor",
});

/// What the value of a reset header means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResetUnit {
    /// Seconds since the Unix epoch.
    EpochSeconds,
    /// Milliseconds since the Unix epoch.
    EpochMillis,
    /// Seconds from now.
    DeltaSeconds,
    /// Milliseconds from now.
    DeltaMillis,
    /// A Go duration from now, such as `6m0s`.
    Duration,
    /// A date as in RFC 3339 or ISO 8601.
    Rfc3339,
    /// A date as in HTTP (RFC 9110 §5.6.7).
    HttpDate,
    /// A date as JavaScript prints it.
    JsDate,
}

words!(ResetUnit {
    EpochSeconds = "epoch-s",
    EpochMillis = "epoch-ms",
    DeltaSeconds = "delta-s",
    DeltaMillis = "delta-ms",
    Duration = "duration",
    Rfc3339 = "rfc3339",
    HttpDate = "http-date",
    JsDate = "js-date",
});

/// The headers of one limit of its own; at least one is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnHeaders {
    /// How many are allowed.
    pub limit: Option<HeaderName>,
    /// How many are left.
    pub remaining: Option<HeaderName>,
    /// When there are more.
    pub reset: Option<HeaderName>,
}

/// What a status or a body that meets a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Too fast: wait and send again.
    Throttled,
    /// A quota is used up: waiting does not help soon.
    Exhausted,
    /// The service has too much to do.
    Overloaded,
    /// A passing failure that is no limit, such as a lock that another request holds.
    Transient,
    /// Nothing to do with a limit of the account, such as a bound on what is done to one telephone number.
    Fine,
}

words!(Verdict {
    Throttled = "throttled",
    Exhausted = "exhausted",
    Overloaded = "overloaded",
    Transient = "transient",
    Fine = "fine",
});

/// A rule on the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyRule {
    /// The statuses on whose answers it looks.
    pub statuses: Vec<u16>,
    /// The members on the way to a value, such as `error`, `errors`, `*`, `reason`; `*` is each element of an array.
    pub path: Vec<Box<str>>,
    /// The values of which the text there must be one, without regard to case; a `*` at either end stands for anything.
    pub values: Vec<Box<str>>,
    /// What it means then.
    pub verdict: Verdict,
    /// Where in the body a number of seconds to wait stands, when it does.
    pub wait_at: Option<Vec<Box<str>>>,
    /// How long to wait when the answer does not say so.
    pub wait: Option<Duration>,
    /// Where in the body stands which limit was met, when it does.
    pub reason_at: Option<Vec<Box<str>>>,
    /// The routes on whose answers it looks; all when empty.
    pub routes: Vec<Rule>,
}

/// Routes that share a limit of their own.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteBucket {
    /// Its name.
    pub name: Box<str>,
    /// What belongs to it.
    pub routes: Vec<Rule>,
}

/// How a service tells of its limits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signals {
    /// Which headers it sends; unknown when none.
    pub family: Option<HeaderFamily>,
    /// What its reset header means; by its form when none.
    pub reset: Option<ResetUnit>,
    /// Headers of its own, by limit.
    pub own: Vec<OwnHeaders>,
    /// Statuses that mean something else than they usually do.
    pub statuses: Vec<(u16, Verdict)>,
    /// What bodies say.
    pub bodies: Vec<BodyRule>,
    /// How long to wait after a limit that does not say how long.
    pub default_wait: Option<Duration>,
    /// Routes with limits of their own.
    pub buckets: Vec<RouteBucket>,
    /// Each other path has a limit of its own.
    pub by_path: bool,
    /// Whom it counts, in words.
    pub owner: Option<String>,
    /// What it publishes, as a number.
    pub rate: Option<Rate>,
    /// How many requests it publishes to carry at once.
    pub concurrency: Option<NonZeroU32>,
    /// How fast a leaky bucket empties.
    pub leak: Option<Rate>,
}
