//! A rate at work: governor's GCRA over a word of ours, so that it can also be looked at without using any of it up, and given
//! back what was taken for a request that was never sent.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use crate::domain::Rate;

use super::limiter::now;

/// The clock of all gates: tokio's, so that tests can hold it.
#[derive(Debug, Clone, Copy, Default)]
struct GateClock;

impl Clock for GateClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        now()
    }
}

/// When the next request is due, in nanoseconds since the beginning; 0 before the first.
#[derive(Debug, Clone, Default)]
struct Due(Arc<AtomicU64>);

/// What looks at it only.
#[derive(Debug)]
struct Look(Due);

/// What uses it up.
#[derive(Debug)]
struct Take(Due);

impl Due {
    fn read(&self) -> Option<Nanos> {
        let word = self.0.load(Ordering::Acquire);
        (word != 0).then(|| word.into())
    }
}

impl StateStore for Look {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        decide(self.0.read()).map(|(outcome, _)| outcome)
    }
}

impl StateStore for Take {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        loop {
            let former = self.0.read();
            let (outcome, next) = decide(former)?;
            let former = former.map_or(0, u64::from);
            if self.0.0.compare_exchange_weak(former, next.into(), Ordering::Release, Ordering::Relaxed).is_ok() {
                return Ok(outcome);
            }
        }
    }
}

type Limiter<S> = RateLimiter<NotKeyed, S, GateClock, NoOpMiddleware<Instant>>;

/// So many requests per time, with a burst.
#[derive(Debug)]
pub(super) struct Allowance {
    due: Due,
    look: Limiter<Look>,
    take: Limiter<Take>,
    every: Duration,
}

impl Allowance {
    /// `100/s burst 20`: one every 10 ms, and up to 20 at once after a pause; never less than the dearest request costs.
    pub(super) fn new(rate: Rate, burst: Option<NonZeroU32>, dearest: u32) -> Self {
        let every = interval(rate).max(Duration::from_nanos(1));
        let burst = burst.unwrap_or(NonZeroU32::MIN).max(NonZeroU32::new(dearest).unwrap_or(NonZeroU32::MIN));
        let quota = Quota::with_period(every).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(burst);
        let due = Due::default();
        let look = Limiter::new(quota, Look(due.clone()), GateClock);
        let take = Limiter::new(quota, Take(due.clone()), GateClock);
        Self { due, look, take, every }
    }

    /// After which time there is enough for `cost`; zero when there is now.
    pub(super) fn look(&self, cost: u32) -> Duration {
        decided(&self.look, cost).err().unwrap_or_default()
    }

    /// Uses `cost` up.
    ///
    /// # Errors
    /// When there is not enough: after which time there is.
    pub(super) fn take(&self, cost: u32) -> Result<(), Duration> {
        decided(&self.take, cost)
    }

    /// Gives back what was taken.
    pub(super) fn give_back(&self, cost: u32) {
        let less = u64::try_from((self.every * cost).as_nanos()).unwrap_or(u64::MAX);
        // Earlier than now is as good as now, so that nothing can be saved up by it.
        let earlier = |due: u64| Some(due.saturating_sub(less));
        let _always = self.due.0.fetch_update(Ordering::Release, Ordering::Relaxed, earlier);
    }
}

fn decided<S: StateStore<Key = NotKeyed>>(limiter: &Limiter<S>, cost: u32) -> Result<(), Duration> {
    match limiter.check_n(NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN)) {
        Ok(Ok(())) | Err(_) => Ok(()),
        Ok(Err(not_until)) => Err(not_until.wait_time_from(now())),
    }
}

/// The time between two requests.
pub(super) fn interval(rate: Rate) -> Duration {
    rate.period / rate.count.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(count: u32, seconds: u64, burst: u32, dearest: u32) -> Allowance {
        let rate = Rate { count: NonZeroU32::new(count).unwrap(), period: Duration::from_secs(seconds) };
        Allowance::new(rate, NonZeroU32::new(burst), dearest)
    }

    #[tokio::test(start_paused = true)]
    async fn looking_uses_nothing_up_and_says_when_there_is_enough() {
        let of = allowance(10, 1, 3, 1);
        for _ in 0..100 {
            assert_eq!(of.look(3), Duration::ZERO);
        }
        assert_eq!(of.take(2), Ok(()));
        assert_eq!(of.look(1), Duration::ZERO);
        assert_eq!(of.look(2), Duration::from_millis(100));
        assert_eq!(of.take(2), Err(Duration::from_millis(100)), "looking tells what taking says");
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(of.take(2), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_can_be_taken_again_and_never_more_than_the_burst() {
        let of = allowance(1, 60, 5, 1);
        assert_eq!(of.take(5), Ok(()));
        assert!(of.take(1).is_err());
        of.give_back(3);
        assert_eq!(of.take(3), Ok(()));
        assert!(of.take(1).is_err());
        tokio::time::advance(Duration::from_secs(600)).await;
        of.give_back(5);
        assert_eq!(of.take(5), Ok(()));
        assert!(of.take(1).is_err(), "ten minutes and five back are still a burst of five");
    }

    #[tokio::test(start_paused = true)]
    async fn the_dearest_request_fits_whatever_the_burst() {
        let of = allowance(1, 1, 1, 20);
        assert_eq!(of.take(20), Ok(()));
        assert_eq!(of.look(1), Duration::from_secs(1));
    }

    #[test]
    fn cores_that_take_at_once_take_no_more_than_there_is() {
        let of = allowance(1, 3_600, 1_000, 1);
        let taken: usize = std::thread::scope(|scope| {
            let takers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..500).filter(|_| of.take(1).is_ok()).count())).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(taken, 1_000);
    }
}
