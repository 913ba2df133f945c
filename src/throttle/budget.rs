//! How much sending again a limit's owner may be burdened with, and how long to pause before. Time and chance are
//! parameters, so that both can be told in tests.
//!
//! Invariants: a pause is never shorter than the hint; a first attempt is never held back.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use super::Class;
use super::numbers::numbers;

/// What a first attempt that succeeds puts back.
const REWARD: u32 = 1;
/// Of so many seconds the requests are counted.
const WINDOW: usize = 10;
/// The most that is added to a hint.
const LONGEST_JITTER: Duration = Duration::from_secs(5);

/// The budget of one limit owner for sending again: a quota that every resend takes from and every success gives to, and a
/// ceiling on their share of the requests of the last ten seconds. Of a resend that fails, the cost stays lost.
///
/// It is shared by cores and has no lock: each second's counts are in one word, which a request touches once.
#[derive(Debug)]
pub struct Budget {
    left: AtomicU32,
    /// The last seconds, by their number.
    seconds: [AtomicU64; WINDOW],
}

/// One second's counts, packed: 24 bits of its number, 24 of requests, 16 of resends.
#[derive(Debug, Clone, Copy)]
struct Second {
    number: u64,
    requests: u64,
    resends: u64,
}

/// What a resend took from the quota, to be given back when it succeeds or is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a resend that succeeds is refunded"]
pub struct Cost {
    quota: u32,
    /// In which second it counts.
    number: u64,
}

impl Second {
    const NUMBERS: u64 = (1 << 24) - 1;
    const RESENDS: u64 = (1 << 16) - 1;

    const fn of(word: u64) -> Self {
        Self { number: word >> 40, requests: (word >> 16) & Self::NUMBERS, resends: word & Self::RESENDS }
    }

    fn word(self) -> u64 {
        self.number << 40 | self.requests.min(Self::NUMBERS) << 16 | self.resends.min(Self::RESENDS)
    }

    /// The same second, or a fresh one in its place.
    fn at(self, number: u64) -> Self {
        if self.number == number { self } else { Self { number, requests: 0, resends: 0 } }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: AtomicU32::new(numbers().resend_quota), seconds: Default::default() }
    }
}

impl Budget {
    /// What is left of the quota.
    pub fn left(&self) -> u32 {
        self.left.load(Relaxed)
    }

    /// Notes a request's first attempt. `now` is in seconds, on one clock for all.
    pub fn begun(&self, now: u64) {
        self.count(now, |second| Second { requests: second.requests + 1, ..second });
    }

    /// Takes what a resend after an answer of this class costs; none when the quota or the ceiling does not have it.
    pub fn take(&self, class: Class, now: u64) -> Option<Cost> {
        let numbers = numbers();
        let cost = if class == Class::Throttled { numbers.resend_cost_throttled } else { numbers.resend_cost };
        let number = now & Second::NUMBERS;
        let recent = self.seconds.iter().map(|word| Second::of(word.load(Relaxed)));
        let recent = recent.filter(|second| number.wrapping_sub(second.number) & Second::NUMBERS < WINDOW as u64);
        let (requests, resends) = recent.fold((0, 0), |(r, s), second| (r + second.requests, s + second.resends));
        let besides = u64::from(numbers.resend_per_second) * WINDOW as u64;
        if resends >= requests * u64::from(numbers.resend_percent) / 100 + besides {
            return None;
        }
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(cost)).ok()?;
        self.count(now, |second| Second { resends: second.resends + 1, ..second });
        Some(Cost { quota: cost, number })
    }

    /// A resend succeeded: what it took comes back.
    pub fn refund(&self, cost: Cost) {
        self.give(cost.quota);
    }

    /// A resend that was paid for is not made: it is as if nobody had asked.
    pub fn give_back(&self, cost: Cost) {
        self.give(cost.quota);
        for word in &self.seconds {
            let _ = word.fetch_update(Relaxed, Relaxed, |word| {
                let second = Second::of(word);
                let resends = second.resends.checked_sub(1).filter(|_| second.number == cost.number)?;
                Some(Second { resends, ..second }.word())
            });
        }
    }

    /// A first attempt succeeded.
    pub fn succeeded(&self) {
        // A full quota, as it nearly always is, is only looked at.
        if self.left() < numbers().resend_quota {
            self.give(REWARD);
        }
    }

    fn give(&self, amount: u32) {
        let _ = self.left.fetch_update(Relaxed, Relaxed, |left| Some((left + amount).min(numbers().resend_quota)));
    }

    fn count(&self, now: u64, add: impl Fn(Second) -> Second) {
        let number = now & Second::NUMBERS;
        let index = usize::try_from(now % WINDOW as u64).unwrap_or(0);
        if let Some(word) = self.seconds.get(index) {
            let _ = word.fetch_update(Relaxed, Relaxed, |word| Some(add(Second::of(word).at(number)).word()));
        }
    }
}

/// How long to pause before the `resend`th resend, counted from 1. `chance` is a random number from 0 to 1.
///
/// With a hint: the hint and up to a quarter of it, at most 5 s more. Without: anything from nothing to a bound that doubles
/// from 1 s after a limit, from 50 ms after a failure, up to 20 s.
pub fn pause(class: Class, hint: Option<Duration>, resend: u32, chance: f64) -> Duration {
    let chance = if chance.is_finite() { chance.clamp(0.0, 1.0) } else { 1.0 };
    if let Some(hint) = hint {
        return hint.saturating_add((hint / 4).min(LONGEST_JITTER).mul_f64(chance));
    }
    let numbers = numbers();
    let base = if class == Class::Throttled { numbers.first_pause_throttled } else { numbers.first_pause };
    let doubled = 1_u32.checked_shl(resend.saturating_sub(1)).filter(|_| resend <= 16).unwrap_or(u32::MAX);
    base.saturating_mul(doubled).min(numbers.longest_pause).mul_f64(chance)
}
