//! How many requests went well and when, as far as the pace of an upstream is to be found from it. Knows no gate; holds the
//! last minute of answers in batches.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far it looks back from the last answer that went well.
const LOOK_BACK: Duration = Duration::from_secs(60);
/// What went well within this time is one batch.
const BATCH: Duration = Duration::from_millis(500);
/// No pace is found over less time than this.
const LEAST: Duration = Duration::from_millis(100);

/// Answers that went well, in batches by the time of their first.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    batches: VecDeque<(Instant, u32)>,
}

/// A pace as it was counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Counted {
    pub(super) per_second: f64,
    /// By how much one more that went well in the same time raises it.
    pub(super) each: f64,
}

impl Tally {
    /// So many went well at `at`; what is told late counts as the last that is known.
    pub(super) fn count(&mut self, at: Instant, fine: u32) {
        match self.batches.back_mut() {
            Some((since, count)) if at.saturating_duration_since(*since) < BATCH => *count = count.saturating_add(fine),
            _ => self.batches.push_back((at, fine)),
        }
        while self.batches.front().is_some_and(|(since, _)| at.saturating_duration_since(*since) > LOOK_BACK) {
            self.batches.pop_front();
        }
    }

    /// For how long it went well before `closed`.
    pub(super) fn held(&self, closed: Instant) -> Duration {
        self.batches.front().map_or(Duration::ZERO, |(since, _)| closed.saturating_duration_since(*since))
    }

    /// How many went well per second up to `opened`, over the stretch that gives most: before that stretch fewer came than
    /// the upstream would have let through. None when none went well.
    pub(super) fn per_second(&self, opened: Instant) -> Option<Counted> {
        let mut fine = 0_u32;
        let over_each = self.batches.iter().rev().map(|(since, count)| {
            fine = fine.saturating_add(*count);
            let each = 1.0 / opened.saturating_duration_since(*since).max(LEAST).as_secs_f64();
            Counted { per_second: f64::from(fine) * each, each }
        });
        over_each.max_by(|a, b| a.per_second.total_cmp(&b.per_second)).filter(|counted| counted.per_second > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Clock, SystemClock};

    fn seconds(n: f64) -> Duration {
        Duration::from_secs_f64(n)
    }

    fn counted(tally: &Tally, opened: Instant) -> Option<f64> {
        tally.per_second(opened).map(|counted| (counted.per_second * 1e6).round() / 1e6)
    }

    #[test]
    fn a_pace_is_what_went_well_up_to_when_the_upstream_opened() {
        let t = SystemClock.now();
        let mut tally = Tally::default();
        assert_eq!(tally.per_second(t + seconds(10.0)), None, "nothing went well");
        tally.count(t, 50);
        assert_eq!(counted(&tally, t + seconds(10.0)), Some(5.0));
        let one_more = tally.per_second(t + seconds(10.0)).unwrap().each;
        assert!((one_more - 0.1).abs() < 1e-9);
    }

    #[test]
    fn the_time_in_which_fewer_came_does_not_lower_it() {
        let t = SystemClock.now();
        let mut tally = Tally::default();
        (0..25).for_each(|n| tally.count(t + seconds(f64::from(n)), 1));
        tally.count(t + seconds(25.0), 50);
        assert_eq!(counted(&tally, t + seconds(30.0)), Some(10.0), "50 in 5 s, whatever was before");
    }

    #[test]
    fn what_is_older_than_a_minute_is_forgotten() {
        let t = SystemClock.now();
        let mut tally = Tally::default();
        tally.count(t, 10_000);
        tally.count(t + seconds(61.0), 1);
        assert_eq!(counted(&tally, t + seconds(63.0)), Some(0.5));
        (0..1_000_000).for_each(|n| tally.count(t + Duration::from_millis(n), 1));
        assert!(tally.batches.len() <= 121, "{}", tally.batches.len());
    }
}
