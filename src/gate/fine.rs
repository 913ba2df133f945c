//! Answers that went well while nobody looked, by the half second in which they came: what a request that meets an open gate
//! adds to, without a lock, so that a pace can be told when the gate closes. Holds the last half minute.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Of so many half seconds the counts are kept.
const SLOTS: usize = 64;
const SLOT: Duration = Duration::from_millis(500);

/// The counts, each in one word: the half second's number since the beginning, and how many.
#[derive(Debug)]
pub(super) struct Fine {
    began: Instant,
    is_any: AtomicBool,
    slots: [AtomicU64; SLOTS],
}

impl Fine {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, is_any: AtomicBool::new(false), slots: [const { AtomicU64::new(0) }; SLOTS] }
    }

    /// One more went well.
    pub(super) fn count(&self, now: Instant) {
        let number = self.number(now);
        let Some(slot) = usize::try_from(number % SLOTS as u64).ok().and_then(|at| self.slots.get(at)) else { return };
        let add = |word: u64| Some(if word >> 32 == number { word + 1 } else { number << 32 | 1 });
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        self.is_any.store(true, Ordering::Relaxed);
    }

    /// Takes out what was counted, in its order: when, and how many.
    pub(super) fn take(&self, now: Instant) -> Vec<(Instant, u32)> {
        if !self.is_any.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        let oldest = self.number(now).saturating_sub(SLOTS as u64);
        let words = self.slots.iter().map(|slot| slot.swap(0, Ordering::Relaxed));
        let mut words: Vec<u64> = words.filter(|word| *word != 0 && word >> 32 > oldest).collect();
        words.sort_unstable();
        let counted = words.into_iter().map(|word| {
            let number = u32::try_from(word >> 32).unwrap_or(u32::MAX);
            // Somewhere in its half second: in the middle of it, but not later than now.
            let at = self.began + (SLOT * number).saturating_sub(SLOT / 2);
            (at.min(now), u32::try_from(word & u64::from(u32::MAX)).unwrap_or(u32::MAX))
        });
        counted.collect()
    }

    /// The half second's number, from 1 on.
    fn number(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.began);
        let halves = since.as_secs() * 2 + u64::from(since.subsec_nanos() >= SLOT.subsec_nanos());
        (halves + 1) & u64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Clock, SystemClock};

    #[test]
    fn what_went_well_is_told_once_with_its_time_and_what_is_old_is_not() {
        let t = SystemClock.now();
        let at = |millis: u64| t + Duration::from_millis(millis);
        let fine = Fine::new(t);
        assert!(fine.take(t).is_empty());
        fine.count(at(100));
        (0..40).for_each(|_| fine.count(at(40_020)));
        fine.count(at(41_600));
        let counted = fine.take(at(41_610));
        assert_eq!(counted, [(at(40_250), 40), (at(41_610), 1)], "half a minute, and never later than now");
        assert!(fine.take(at(41_620)).is_empty());
        fine.count(at(41_700));
        assert_eq!(fine.take(at(41_700)), [(at(41_700), 1)]);
    }
}
