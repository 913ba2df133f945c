//! One limit of an upstream as its answers tell of it, counted on from there: how much of it is left for one more request, or
//! when. Three kinds: a count that begins anew at its reset, an amount that fills up steadily until then, and a bucket that
//! leaks.

use std::time::{Duration, Instant};

use super::super::numbers::numbers;
use super::super::reading::{Dimension, DimensionName, Unit};
use super::Load;

/// Resets that lie closer together than this are the same, unless the window is that short itself.
const SAME: Duration = Duration::from_millis(1500);
/// Below this many they are spaced whatever the limit is.
const FEW: u64 = 2;
/// A queue is let go within this, however little is left: half of the usual patience.
const DRAIN: Duration = Duration::from_secs(15);
/// A request is taken for at most this part of an amount: of a large body much is no text.
const MOST_AT_ONCE: u64 = 4;

/// Whether one more may be sent, as far as one limit goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// There is room.
    Enough,
    /// So long after the last that was let through there should be one more: little is left.
    Every(Duration),
    /// Then there is room.
    At(Instant),
    /// All that is left is under way.
    UnderWay,
    /// Nothing, until the reset.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// As many again at the reset. Spaced by this, from 0.9 to 1.1: two processes that share a limit do not send at the same
    /// moments.
    Count { swing: f64 },
    /// Full again at the reset, and steadily until then. What one request takes of it, on the average; one, where it is
    /// requests that are counted.
    Amount { each: f64, is_of_requests: bool },
    /// Empties by so many per second.
    Leaky { per_second: f64 },
}

/// One limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) name: DimensionName,
    pub(super) limit: Option<u64>,
    /// What was left when it was told last, less what was sent since without a count that came back.
    pub(super) left: u64,
    /// When there is more, or all of it.
    pub(super) reset: Instant,
    /// Up to when a reset that is told later is that of the same window.
    same: Instant,
    told: Instant,
    kind: Kind,
}

impl Window {
    /// What an answer tells of a limit; none when that is nothing to count by. `longest` bounds how long it is believed.
    pub(super) fn told(dimension: &Dimension, now: Instant, longest: Duration, chance: f64) -> Option<Self> {
        let (left, limit) = (dimension.remaining?, dimension.limit);
        let (kind, lasts) = match dimension.unit {
            Unit::Concurrency => return None,
            _ if dimension.leaky => {
                let (size, empties) = (limit.filter(|size| *size > 0)?, dimension.window?);
                let per_second = float(size) / empties.as_secs_f64().max(1e-3);
                (Kind::Leaky { per_second }, empties.mul_f64(float(size.saturating_sub(left)) / float(size)))
            }
            Unit::Requests if dimension.fills => (Kind::Amount { each: 1.0, is_of_requests: true }, dimension.reset?),
            Unit::Requests => (Kind::Count { swing: 0.9 + 0.2 * chance.clamp(0.0, 1.0) }, dimension.reset?),
            Unit::Amounts => (Kind::Amount { each: 0.0, is_of_requests: false }, dimension.reset?),
        };
        let lasts = lasts.min(longest);
        let (reset, same) = (now + lasts, now + lasts + SAME.min(lasts / 2));
        Some(Self { name: dimension.name, limit, left, reset, same, told: now, kind })
    }

    /// The same, but with more after `wait` at the latest if nothing is left: a refusal that says for how long overrides what
    /// its counts say (the drafts' §7).
    pub(super) fn within(self, wait: Option<Duration>, now: Instant) -> Self {
        let until = wait.filter(|_| self.is_empty()).map_or(self.reset, |wait| now + wait);
        Self { reset: self.reset.min(until), ..self }
    }

    /// Takes over what a later answer tells. Within a window the lowest count stands, until the latest reset that was told; one
    /// that is much later than the first begins another. Of what fills up steadily the last that was told stands, and the
    /// difference is what requests take.
    pub(super) fn follow(&mut self, fresh: Self) {
        match (self.kind, fresh.kind) {
            (Kind::Count { .. }, Kind::Count { .. }) if fresh.reset <= self.same => {
                self.left = self.left.min(fresh.left);
                self.reset = self.reset.max(fresh.reset);
                self.limit = fresh.limit.or(self.limit);
            }
            (Kind::Amount { each, is_of_requests: false }, Kind::Amount { .. }) => {
                let taken = (self.level(fresh.told) - float(fresh.left)).max(0.0);
                let each = if each == 0.0 { taken } else { each + (taken - each) / 4.0 };
                *self = Self { kind: Kind::Amount { each, is_of_requests: false }, ..fresh };
            }
            (Kind::Leaky { .. }, Kind::Leaky { .. }) if fresh.told < self.told + SAME => {
                // Answers overtake each other: the fuller bucket is the truer.
                let fuller = self.level(fresh.told) < float(fresh.left);
                *self = if fuller { Self { limit: fresh.limit, ..*self } } else { fresh };
            }
            _ => *self = fresh,
        }
    }

    /// One was sent of which no count came back.
    pub(super) fn spend(&mut self) {
        let one = if let Kind::Amount { each, .. } = self.kind { whole(each) } else { 1 };
        self.left = self.left.saturating_sub(one);
    }

    /// Whether nothing is left and nothing comes before the reset.
    pub(super) fn is_empty(&self) -> bool {
        self.left == 0 && !matches!(self.kind, Kind::Leaky { .. })
    }

    /// Whether it is one of tokens of which less than half is left.
    pub(super) fn has_few_tokens(&self) -> bool {
        matches!(self.kind, Kind::Amount { is_of_requests: false, .. })
            && self.limit.is_some_and(|limit| self.left < limit / 2)
    }

    /// Whether one more may be sent.
    pub(super) fn room(&self, now: Instant, load: Load) -> Left {
        if self.is_empty() {
            return Left::Nothing;
        }
        match self.kind {
            Kind::Count { swing } => self.room_in_count(now, load, swing),
            Kind::Amount { each, is_of_requests } => {
                let Some(limit) = self.limit.filter(|limit| *limit > self.left) else { return Left::Enough };
                let (length, most) = if is_of_requests { (0, 0) } else { (load.tokens, load.most_tokens) };
                let asked = u64::from(length).min(limit / MOST_AT_ONCE).max(u64::from(most));
                let asked = float(asked).max(each).min(float(limit));
                let have = self.level(now) - each * f64::from(load.unanswered);
                let filling = self.reset.saturating_duration_since(self.told).as_secs_f64().max(1e-3);
                self.after(now, asked - have, float(limit.saturating_sub(self.left)) / filling)
            }
            // One place stays free, since nobody but the upstream knows what is in its bucket.
            Kind::Leaky { per_second } => {
                self.after(now, f64::from(load.unanswered) + 2.0 - self.level(now), per_second)
            }
        }
    }

    /// When what is missing is there again; at the reset at the latest, for more does not come.
    fn after(&self, now: Instant, missing: f64, per_second: f64) -> Left {
        if missing <= 0.0 {
            return Left::Enough;
        }
        let rest = self.reset.saturating_duration_since(now).as_secs_f64();
        let wait = if matches!(self.kind, Kind::Leaky { .. }) {
            missing / per_second
        } else {
            (missing / per_second).min(rest)
        };
        Left::At(now + Duration::from_secs_f64(wait.clamp(0.0, 86_400.0)))
    }

    fn room_in_count(&self, now: Instant, load: Load, swing: f64) -> Left {
        let free = self.left.saturating_sub(u64::from(load.unanswered));
        if free == 0 {
            return Left::UnderWay;
        }
        if free > FEW.max(self.limit.unwrap_or(0).saturating_mul(numbers().scarce_percent.into()) / 100) {
            return Left::Enough;
        }
        // What is left, spread over the time that is left; but no wider than a queue may wait.
        let even = self.reset.saturating_duration_since(now) / u32::try_from(free).unwrap_or(u32::MAX).max(1);
        Left::Every(even.mul_f64(swing).min(DRAIN / load.waiting.saturating_add(1)))
    }

    /// What is left now, by what was told and has come back since.
    fn level(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.told).as_secs_f64();
        let (left, limit) = (float(self.left), self.limit.map_or(f64::INFINITY, float));
        let come_back = match self.kind {
            Kind::Count { .. } => 0.0,
            Kind::Leaky { per_second } => since * per_second,
            Kind::Amount { .. } => {
                let filling = self.reset.saturating_duration_since(self.told).as_secs_f64().max(1e-3);
                if limit.is_finite() { (limit - left).max(0.0) * (since / filling).min(1.0) } else { 0.0 }
            }
        };
        (left + come_back).min(limit)
    }

    /// The time between two requests while a bucket is full that leaks; none of any other.
    pub(super) fn spacing(&self, now: Instant) -> Option<Duration> {
        let Kind::Leaky { per_second } = self.kind else { return None };
        (self.level(now) < 3.0).then(|| Duration::from_secs_f64(1.0 / per_second.max(1e-3)))
    }
}

#[allow(clippy::cast_precision_loss, reason = "of more than 2^52 the last digits do not matter")]
const fn float(n: u64) -> f64 {
    n as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is not negative, and saturates")]
const fn whole(n: f64) -> u64 {
    n as u64
}
