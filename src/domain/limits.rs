//! How often, how many at once and how long: the configured bounds of a service.

use std::num::NonZeroU32;
use std::time::Duration;

use http::HeaderName;

use super::{Quotas, Rule};

/// `limit = "100/s"`: so many requests in one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which time: a second, minute, hour or day.
    pub period: Duration,
}

/// `"100/s burst 20"`: a rate, and how many may come at once after a pause; 1 when nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// The rate.
    pub rate: Rate,
    /// How many may come at once before the rate spaces them.
    pub burst: Option<NonZeroU32>,
}

/// Preventive limits of a service. All off unless configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests per period.
    pub rate: Option<Rate>,
    /// How many may come at once before the rate spaces them; 1 when absent.
    pub burst: Option<NonZeroU32>,
    /// How many may be under way.
    pub concurrency: Option<NonZeroU32>,
    /// How long a request may wait for its turn; 30 s unless set.
    pub max_wait: Duration,
}

/// How far the gates of a service follow what it says of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GateMode {
    /// They learn nothing.
    Off,
    /// They close when the service refuses, and not before.
    Observe,
    /// They also space requests when little is left, and close when nothing is.
    Enforce,
}

impl GateMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::Observe, Self::Enforce];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

/// How the gates of a service work, besides its own limits. Nothing unless configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gating {
    /// How far they follow it; by what is known of it when none.
    pub mode: Option<GateMode>,
    /// What each caller may.
    pub per_caller: Option<Level>,
    /// What the callers of each team may together.
    pub per_team: Option<Level>,
    /// What each credential is used for.
    pub per_credential: Option<Level>,
    /// What is sent of certain requests with the keys of each limit owner: the first rule that admits a request says how often.
    pub per_route: Vec<(Rule, Level)>,
    /// What is sent with the keys of each limit owner together.
    pub per_owner: Option<Level>,
    /// Requests that count for more than one: the first rule that admits a request says for how many.
    pub costs: Vec<(Rule, NonZeroU32)>,
    /// How much each limit owner may in a day or a month.
    pub quotas: Quotas,
}

impl Gating {
    /// For how many requests this one counts.
    pub fn cost(&self, method: &str, path: &str) -> u32 {
        let found = self.costs.iter().find(|(rule, _)| rule.admits(method, path));
        found.map_or(1, |(_, cost)| cost.get())
    }

    /// Whether it matters which path a request is for.
    pub fn looks_at_paths(&self) -> bool {
        !self.costs.is_empty() || !self.per_route.is_empty()
    }

    /// The most that one request counts for.
    pub fn dearest(&self) -> u32 {
        self.costs.iter().map(|(_, cost)| cost.get()).max().unwrap_or(1)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { rate: None, burst: None, concurrency: None, max_wait: Duration::from_secs(30) }
    }
}

/// How often a request may be sent, how large a body may be kept for that, and what the service vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in total, 1 to 8; 3 unless set.
    pub attempts: u32,
    /// The largest request body that is kept for another attempt, in bytes; 256 KiB unless set.
    pub max_body: u64,
    /// A request that was turned down for a limit was certainly not carried out; true unless set.
    pub throttle_safe: bool,
    /// The header by which the service knows a request again; `Idempotency-Key` unless set.
    pub idempotency_header: HeaderName,
    /// Such a header is made up for a POST or PATCH that has none; false unless set.
    pub generate_idempotency_key: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            max_body: 256 * 1024,
            throttle_safe: true,
            idempotency_header: HeaderName::from_static("idempotency-key"),
            generate_idempotency_key: false,
        }
    }
}

/// How long each stage upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Resolving, connecting and the TLS handshake; 5 s unless set.
    pub connect: Duration,
    /// From the request's last byte to the answer's first; 10 min unless set (slow language models).
    pub first_byte: Duration,
    /// Without a byte in either direction; 10 min unless set.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), first_byte: Duration::from_secs(600), idle: Duration::from_secs(600) }
    }
}
