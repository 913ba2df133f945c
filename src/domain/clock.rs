//! The time as a parameter. Only `SystemClock` reads the machine's clocks; everything pure takes an instant.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the time comes from. Implementations must be monotonic in `now`; a clock that goes back makes waits wrong.
pub trait Clock: Send + Sync {
    /// Monotonic time, for measuring and waiting.
    fn now(&self) -> Instant;
    /// Time since the Unix epoch, for dates that people and peers see.
    fn wall(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one home of the machine's clocks")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[allow(clippy::disallowed_methods, reason = "the one home of the machine's clocks")]
    fn wall(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}
