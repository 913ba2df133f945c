//! The time after a closure in which requests are let through a few at once, twice as many with each round that goes well.

use std::time::{Duration, Instant};

use super::super::numbers::numbers;

/// The shortest slow start; else ten times the closure.
const SHORTEST: Duration = Duration::from_secs(1);
/// So many at once are always allowed at its end.
const LEAST_LEVEL: u32 = 4;

/// A slow start under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slow {
    /// When it is over.
    pub(super) until: Instant,
    /// How many may be under way.
    pub(super) most: u32,
    /// How many must go well before that doubles.
    round: u32,
    pub(super) spacing: Duration,
    pub(super) next: Instant,
}

impl Slow {
    /// After a closure of `wait`.
    pub(super) fn begin(now: Instant, wait: Duration) -> Self {
        let until = now + (wait * 10).min(numbers().longest_slow_start).max(SHORTEST);
        Self { until, most: 1, round: 1, spacing: numbers().slow_start_step, next: now }
    }

    /// One passes; the next may after `spacing`.
    pub(super) fn passed(&mut self, now: Instant, spacing: Duration) {
        // Timers are late by a millisecond: a pace is kept on the average.
        let is_late = now.saturating_duration_since(self.next) < spacing;
        self.next = if is_late { self.next } else { now } + spacing;
    }

    /// One went well; a round of them doubles how many go at once, up to `level`.
    pub(super) fn went_well(&mut self, level: u32) {
        self.round = self.round.saturating_sub(1);
        if self.round == 0 {
            self.most = self.most.saturating_mul(2).min(level.max(LEAST_LEVEL));
            self.round = self.most;
            self.spacing /= 2;
        }
    }
}
