//! How often, how many at once and how long: the configured bounds of a service.

use std::num::NonZeroU32;
use std::time::Duration;

/// `limit = "100/s"`: so many requests in one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which time: a second, minute, hour or day.
    pub period: Duration,
}

/// Preventive limits of a service. All off unless configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests per period.
    pub rate: Option<Rate>,
    /// How many may come at once before the rate spaces them; 1 when absent.
    pub burst: Option<NonZeroU32>,
    /// How many may be under way at once.
    pub concurrency: Option<NonZeroU32>,
    /// How long a request may wait for its turn; 30 s unless set.
    pub max_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rate: None, burst: None, concurrency: None, max_wait: Duration::from_secs(30) }
    }
}

/// How often a request may be sent, and how large a body may be kept for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in total, 1 to 8; 3 unless set.
    pub attempts: u32,
    /// The largest request body that is kept for another attempt, in bytes; 256 KiB unless set.
    pub max_body: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, max_body: 256 * 1024 }
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
