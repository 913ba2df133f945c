//! The pace at which an upstream lets requests pass that says nothing of its limit but "too many": found from what went well
//! between two closures, and felt upwards from there.

use std::time::{Duration, Instant};

/// The look back for a pace: from one to two of these.
const LOOK_BACK: Duration = Duration::from_secs(30);
/// Closures that last longer belong to limits of hours and days, for which a pace says nothing.
const LONGEST: Duration = Duration::from_secs(120);
/// By how much a pace grows at first; twice that the next time.
const STEP: f64 = 0.005;
/// A count above this part of the pace says that the pace was a little too fast, and not that it was wrong.
const NEAR: f64 = 0.8;
/// What is left of a pace that was a little too fast.
const STEP_BACK: f64 = 0.97;
/// The most by which it grows.
const MOST_STEP: f64 = 0.5;

/// A count of answers that went well, since a moment of not too long ago.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tally {
    since: Instant,
    fine: u32,
    /// The one before, when the current one has just begun.
    former: Option<(Instant, u32)>,
}

impl Tally {
    pub(super) fn begin(now: Instant) -> Self {
        Self { since: now, fine: 0, former: None }
    }

    pub(super) fn count(&mut self, now: Instant) {
        self.count_many(now, 1);
    }

    pub(super) fn count_many(&mut self, now: Instant, fine: u32) {
        if now.saturating_duration_since(self.since) > LOOK_BACK {
            self.former = Some((self.since, self.fine));
            (self.since, self.fine) = (now, 0);
        }
        self.fine = self.fine.saturating_add(fine);
    }

    /// How many went well per second up to `now`; none when none did.
    pub(super) fn per_second(&self, now: Instant) -> Option<f64> {
        let (since, before) = self.former.unwrap_or((self.since, 0));
        let fine = before.saturating_add(self.fine);
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        (fine > 0 && seconds > 0.0).then(|| f64::from(fine) / seconds)
    }
}

/// A pace that was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    per_second: f64,
    step: f64,
    grown: Instant,
    period: Duration,
}

impl Pace {
    /// The pace after a closure of `wait`: what was counted, or somewhat less than the one before.
    pub(super) fn found(counted: Option<f64>, former: Option<Self>, wait: Duration, now: Instant) -> Option<Self> {
        if wait > LONGEST {
            return None;
        }
        let per_second = match (counted, former.map(|former| former.per_second)) {
            // The count has the closure in it, in which nothing was sent: a pace that was a little too fast is nearer to it.
            (Some(counted), Some(former)) if counted > former * NEAR => counted.max(former * STEP_BACK),
            (counted, former) => counted.or(former.map(|former| former * 0.7))?,
        };
        let period = former.map_or(wait, |former| former.period.max(wait)).clamp(Duration::from_secs(1), LOOK_BACK);
        Some(Self { per_second: per_second.clamp(0.01, 100_000.0), step: STEP, grown: now, period })
    }

    pub(super) fn per_second(&self) -> f64 {
        self.per_second
    }

    pub(super) fn spacing(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }

    /// It went well: once in a while it may go a little faster, and the more so the longer it went well.
    pub(super) fn grow(&mut self, now: Instant) {
        if now.saturating_duration_since(self.grown) < self.period {
            return;
        }
        self.per_second *= 1.0 + self.step;
        self.step = (self.step * 2.0).min(MOST_STEP);
        self.grown = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Clock, SystemClock};

    fn seconds(n: f64) -> Duration {
        Duration::from_secs_f64(n)
    }

    #[test]
    fn a_pace_is_what_went_well_between_two_closures() {
        let t = SystemClock.now();
        let mut tally = Tally::begin(t);
        assert_eq!(tally.per_second(t + seconds(10.0)), None, "nothing went well");
        tally.count_many(t + seconds(1.0), 50);
        assert_eq!(tally.per_second(t + seconds(10.0)), Some(5.0));
        tally.count_many(t + seconds(31.0), 60);
        assert_eq!(tally.per_second(t + seconds(44.0)), Some(2.5), "the span before counts too");
        tally.count_many(t + seconds(62.0), 1);
        assert_eq!(tally.per_second(t + seconds(62.0)), Some(61.0 / 31.0), "and the one before that does not");
    }

    #[test]
    fn a_pace_grows_slowly_at_first_and_faster_the_longer_it_goes_well() {
        let t = SystemClock.now();
        let mut pace = Pace::found(Some(10.0), None, seconds(10.0), t).unwrap();
        assert_eq!(pace.spacing(), seconds(0.1));
        pace.grow(t + seconds(9.0));
        assert!((pace.per_second() - 10.0).abs() < 1e-9, "not before its time");
        let mut paces = Vec::new();
        for turn in 1..=12 {
            pace.grow(t + seconds(10.0) * turn);
            paces.push(pace.per_second());
        }
        assert!(paces[0] < 10.06 && paces[3] < 10.8 && paces[11] > 40.0, "{paces:?}");
        assert!(paces.windows(2).all(|pair| pair[0] < pair[1]), "{paces:?}");
    }

    #[test]
    fn without_a_count_the_pace_before_is_lowered_and_long_closures_have_none() {
        let t = SystemClock.now();
        let former = Pace::found(Some(10.0), None, seconds(1.0), t);
        let nearly = Pace::found(Some(9.0), former, seconds(1.0), t).unwrap();
        assert!((nearly.per_second() - 9.7).abs() < 1e-9, "a step back");
        let wrong = Pace::found(Some(5.0), former, seconds(1.0), t).unwrap();
        assert!((wrong.per_second() - 5.0).abs() < 1e-9, "what was counted");
        let lowered = Pace::found(None, former, seconds(1.0), t).unwrap();
        assert!((lowered.per_second() - 7.0).abs() < 1e-9);
        assert!(Pace::found(None, None, seconds(1.0), t).is_none());
        assert!(Pace::found(Some(10.0), former, LONGEST * 2, t).is_none());
    }
}
