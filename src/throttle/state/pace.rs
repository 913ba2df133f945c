//! The pace at which an upstream lets requests pass that says nothing of its limit but "too many": found from what went well
//! between two closures, and felt upwards from there.

use std::time::{Duration, Instant};

use super::tally::Counted;

/// The longest time after which a pace that went well grows.
const LONGEST_PERIOD: Duration = Duration::from_secs(30);
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

/// A pace that was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    per_second: f64,
    step: f64,
    grown: Instant,
    period: Duration,
    /// By how much one more raises it of which the count did not know yet; none when it was not counted.
    each: f64,
    /// Over how many seconds it was counted.
    span: f64,
    /// Whether the last count was much lower although the pace had held for as long as it was counted over.
    is_doubted: bool,
}

impl Pace {
    /// The pace after a closure of `wait`: what was counted, or somewhat less than the one before, which held for `held`.
    pub(super) fn found(
        counted: Option<Counted>,
        former: Option<Self>,
        held: Duration,
        wait: Duration,
        now: Instant,
    ) -> Option<Self> {
        if wait > LONGEST {
            return None;
        }
        let each = counted.map_or(0.0, |counted| counted.each);
        let mut span = if each > 0.0 { 1.0 / each } else { 0.0 };
        let mut is_doubted = false;
        let per_second = match (counted, former) {
            // The count has the closure in it, in which nothing was sent: a pace that was a little too fast is nearer to it.
            // Nothing was sent faster than it either, whatever clump of late answers the count has.
            (Some(counted), Some(former)) if counted.per_second > former.per_second * NEAR => {
                counted.per_second.clamp(former.per_second * STEP_BACK, former.per_second)
            }
            // It held for a whole span and was refused at the end of it: then it is the hint that is too long, as one is that
            // counts whole seconds. Once; a second time the count is right.
            (Some(_), Some(former)) if held.as_secs_f64() > former.span * NEAR && !former.is_doubted => {
                (span, is_doubted) = (former.span, former.span > 0.0);
                former.per_second * STEP_BACK
            }
            (Some(counted), _) => counted.per_second,
            (None, former) => former?.per_second * 0.7,
        };
        let period =
            former.map_or(wait, |former| former.period.max(wait)).clamp(Duration::from_secs(1), LONGEST_PERIOD);
        Some(Self {
            per_second: per_second.clamp(0.01, 100_000.0),
            step: STEP,
            grown: now,
            period,
            each,
            span,
            is_doubted,
        })
    }

    pub(super) fn per_second(&self) -> f64 {
        self.per_second
    }

    pub(super) fn spacing(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }

    /// The same after a closure that says nothing of it.
    pub(super) fn kept(self, now: Instant) -> Self {
        Self { step: STEP, grown: now, ..self }
    }

    /// One more went well of those that were counted, and its answer took longer than the closure.
    pub(super) fn missed(&mut self) {
        self.per_second += self.each;
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

    fn counted(per_second: f64) -> Counted {
        Counted { per_second, each: 0.5 }
    }

    #[test]
    fn a_pace_grows_slowly_at_first_and_faster_the_longer_it_goes_well() {
        let t = SystemClock.now();
        let mut pace = Pace::found(Some(counted(10.0)), None, Duration::ZERO, seconds(10.0), t).unwrap();
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
        let former = Pace::found(Some(counted(10.0)), None, Duration::ZERO, seconds(1.0), t);
        let nearly = Pace::found(Some(counted(9.0)), former, Duration::ZERO, seconds(1.0), t).unwrap();
        assert!((nearly.per_second() - 9.7).abs() < 1e-9, "a step back");
        let wrong = Pace::found(Some(counted(5.0)), former, Duration::ZERO, seconds(1.0), t).unwrap();
        assert!((wrong.per_second() - 5.0).abs() < 1e-9, "what was counted");
        let lowered = Pace::found(None, former, Duration::ZERO, seconds(1.0), t).unwrap();
        assert!((lowered.per_second() - 7.0).abs() < 1e-9);
        let mut late = Pace::found(Some(counted(9.0)), None, Duration::ZERO, seconds(1.0), t).unwrap();
        late.missed();
        assert!((late.per_second() - 9.5).abs() < 1e-9, "one more in the time that was counted");
        assert!(Pace::found(None, None, Duration::ZERO, seconds(1.0), t).is_none());
        assert!(Pace::found(Some(counted(10.0)), former, Duration::ZERO, LONGEST * 2, t).is_none());
    }

    #[test]
    fn a_pace_that_held_for_its_span_is_not_lowered_for_one_hint_that_is_too_long() {
        let t = SystemClock.now();
        let fifty = Some(Counted { per_second: 25.0, each: 0.5 });
        let former = Pace::found(fifty, None, Duration::ZERO, seconds(2.0), t);
        let half = Some(Counted { per_second: 12.5, each: 0.25 });
        let doubted = Pace::found(half, former, seconds(1.95), seconds(2.0), t);
        assert!((doubted.unwrap().per_second() - 24.25).abs() < 1e-9, "a step back");
        let twice = Pace::found(half, doubted, seconds(1.95), seconds(2.0), t).unwrap();
        assert!((twice.per_second() - 12.5).abs() < 1e-9, "the second time what was counted");
        let soon = Pace::found(half, former, seconds(0.5), seconds(2.0), t).unwrap();
        assert!((soon.per_second() - 12.5).abs() < 1e-9, "it did not hold");
    }
}
