//! How much is held back from an upstream that fails more than half of what it gets, without failing all of it: the client-side
//! adaptive throttling of Google's "Site Reliability Engineering", chapter 21 ("Handling Overload"). Pure: time is a parameter.
//!
//! With what was asked for and what was accepted in the last two minutes, a request is held back with the probability
//! max(0, (requests − 2 · accepts) / (requests + 1)). A request counts when it starts, and also when it is held back: answers
//! that are slow to fail must not make room for more of them.

use std::time::{Duration, Instant};

/// Over how long it looks back, in slots of which the oldest is dropped whole.
const SLOTS: usize = 12;
const SLOT: Duration = Duration::from_secs(10);
/// So many requests are let through for each that is accepted.
const FACTOR: u32 = 2;
/// Of fewer requests nothing can be told.
const ENOUGH: u32 = 20;

/// What was asked of one origin in the last two minutes, and what it accepted.
#[derive(Debug, Default)]
pub(super) struct Overload {
    began: Option<Instant>,
    slots: [Slot; SLOTS],
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    number: u64,
    requests: u32,
    accepts: u32,
}

impl Overload {
    /// Notes requests that started, and how many were accepted.
    pub(super) fn count(&mut self, now: Instant, requests: u32, accepts: u32) {
        let number = self.number(now);
        let at = usize::try_from(number % SLOTS as u64).unwrap_or_default();
        if let Some(slot) = self.slots.get_mut(at) {
            if slot.number != number {
                *slot = Slot { number, ..Slot::default() };
            }
            slot.requests = slot.requests.saturating_add(requests);
            slot.accepts = slot.accepts.saturating_add(accepts);
        }
    }

    /// With which probability a request is held back.
    pub(super) fn share(&self, now: Instant) -> f64 {
        let Some(began) = self.began else { return 0.0 };
        let number = number(began, now);
        let recent = self.slots.iter().filter(|slot| number.saturating_sub(slot.number) < SLOTS as u64);
        let (requests, accepts) = recent.fold((0_u32, 0_u32), |(requests, accepts), slot| {
            (requests.saturating_add(slot.requests), accepts.saturating_add(slot.accepts))
        });
        let too_many = requests.saturating_sub(accepts.saturating_mul(FACTOR));
        if requests < ENOUGH { 0.0 } else { f64::from(too_many) / (f64::from(requests) + 1.0) }
    }

    /// Whether anything was counted within the time of one slot.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        let Some(began) = self.began else { return false };
        let number = number(began, now);
        self.slots.iter().any(|slot| slot.requests > 0 && number.saturating_sub(slot.number) <= 1)
    }

    fn number(&mut self, now: Instant) -> u64 {
        number(*self.began.get_or_insert(now), now)
    }
}

/// The slot's number, from 1 on.
fn number(began: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(began).as_secs() / SLOT.as_secs() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Clock, SystemClock};

    #[test]
    fn the_share_is_what_was_asked_beyond_twice_what_was_accepted() {
        let now = SystemClock.now();
        for (requests, accepts, share) in [
            (0, 0, 0.0),
            (19, 0, 0.0),
            (20, 0, 20.0 / 21.0),
            (20, 10, 0.0),
            (20, 9, 2.0 / 21.0),
            (100, 100, 0.0),
            (100, 40, 20.0 / 101.0),
            (u32::MAX, 0, 1.0),
        ] {
            let mut overload = Overload::default();
            overload.count(now, requests, accepts);
            let found = overload.share(now);
            assert!((found - share).abs() < 1e-9, "{requests} {accepts}: {found}");
        }
    }

    #[test]
    fn two_minutes_are_looked_back_on() {
        let now = SystemClock.now();
        let mut overload = Overload::default();
        overload.count(now, 30, 0);
        assert!(overload.is_fresh(now + SLOT) && !overload.is_fresh(now + 2 * SLOT));
        assert!(overload.share(now + Duration::from_secs(119)) > 0.9);
        assert!(overload.share(now + Duration::from_secs(120)) == 0.0);
        for slot in 0..100 {
            overload.count(now + SLOT * slot, 10, 4);
        }
        let at = now + SLOT * 99;
        assert!((overload.share(at) - 24.0 / 121.0).abs() < 1e-9, "{}", overload.share(at));
    }
}
