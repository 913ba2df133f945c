//! The limits of one service or share: a rate (GCRA by governor), a number of places, and the queue in front of both.
//! Waiting happens before the request's body is read, so a queued upload costs no memory.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::{Limits, Rate, ServiceName};

use super::ShareGates;

/// How many requests may wait in front of one gate.
const MOST_WAITERS: u32 = 1_000;

/// Whose limits a gate keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitOf {
    /// A service's, for all who call it.
    Service,
    /// A share's, for those who use a key through it.
    Share,
}

/// The gate of one service, or of one share, that has limits.
#[derive(Debug)]
pub struct Gate {
    limits: Limits,
    of: LimitOf,
    rate: Option<DefaultDirectRateLimiter>,
    clock: DefaultClock,
    slots: Option<Arc<Semaphore>>,
    /// One at a time asks the rate, in order of arrival: tokio's semaphore is first come, first served.
    turn: Semaphore,
    waiting: AtomicU32,
}

/// Why a request was not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The limit would make it wait longer than it may.
    #[error("the limit `{policy}` would make this request wait {} s, longer than it may", wait.as_secs_f32().ceil())]
    Limit {
        /// The limit in words, such as `100/1s` or `concurrency 25`.
        policy: String,
        /// After which time it is worth another try.
        wait: Duration,
        /// Whose limit it is.
        of: LimitOf,
    },
    /// Too many wait already.
    #[error("{MOST_WAITERS} requests wait for this service already")]
    Full,
}

/// A limit has no room right now.
struct NoRoom;

/// Counts a waiter for as long as it waits, whatever ends the wait.
struct Waiter<'a>(&'a AtomicU32);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    /// The gate for `limits`; none when nothing is limited.
    pub fn new(limits: Limits, of: LimitOf) -> Option<Self> {
        if limits.rate.is_none() && limits.concurrency.is_none() {
            return None;
        }
        let clock = DefaultClock::default();
        let rate = limits.rate.map(|rate| RateLimiter::direct(quota(rate, limits.burst)));
        let slots = limits.concurrency.map(|n| Arc::new(Semaphore::new(n.get() as usize)));
        Some(Self { limits, of, rate, clock, slots, turn: Semaphore::new(1), waiting: AtomicU32::new(0) })
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The limits it keeps.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) async fn pass(
        &self,
        patience: Option<Duration>,
    ) -> Result<(Option<OwnedSemaphorePermit>, Duration), Refused> {
        let patience = patience.map_or(self.limits.max_wait, |p| p.min(self.limits.max_wait));
        if let Ok(slot) = self.pass_at_once() {
            return Ok((slot, Duration::ZERO));
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MOST_WAITERS {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Full);
        }
        let waiter = Waiter(&self.waiting);
        self.foresee(patience)?;
        let started = tokio::time::Instant::now();
        let passed = tokio::time::timeout(patience, self.wait_turn(patience)).await;
        drop(waiter);
        match passed {
            Ok(result) => result.map(|slot| (slot, started.elapsed())),
            Err(_elapsed) => Err(self.refusal(Duration::from_secs(1))),
        }
    }

    /// Without waiting, when nobody else waits and both limits have room.
    fn pass_at_once(&self) -> Result<Option<OwnedSemaphorePermit>, NoRoom> {
        if self.waiting() > 0 {
            return Err(NoRoom);
        }
        let slot = match &self.slots {
            Some(slots) => Some(Arc::clone(slots).try_acquire_owned().map_err(|_| NoRoom)?),
            None => None,
        };
        match &self.rate {
            Some(rate) => rate.check().map(|()| slot).map_err(|_| NoRoom),
            None => Ok(slot),
        }
    }

    async fn wait_turn(&self, patience: Duration) -> Result<Option<OwnedSemaphorePermit>, Refused> {
        let closed = |_| Refused::Full;
        let slot = match &self.slots {
            Some(slots) => Some(Arc::clone(slots).acquire_owned().await.map_err(closed)?),
            None => None,
        };
        if let Some(rate) = &self.rate {
            let _turn = self.turn.acquire().await.map_err(closed)?;
            while let Err(not_until) = rate.check() {
                let wait = not_until.wait_time_from(self.clock.now());
                if wait > patience {
                    return Err(self.refusal(wait));
                }
                tokio::time::sleep(wait).await;
            }
        }
        Ok(slot)
    }

    /// Refuses at once when those ahead and the rate already make the wait too long.
    fn foresee(&self, patience: Duration) -> Result<(), Refused> {
        let Some(rate) = self.limits.rate else { return Ok(()) };
        let ahead = self.waiting().saturating_sub(1);
        let wait = interval(rate).saturating_mul(ahead);
        if wait > patience { Err(self.refusal(wait)) } else { Ok(()) }
    }

    fn refusal(&self, wait: Duration) -> Refused {
        let policy = match (self.limits.rate, self.limits.concurrency) {
            (Some(rate), _) => format!("{}/{}s", rate.count, rate.period.as_secs()),
            (None, Some(places)) => format!("concurrency {places}"),
            (None, None) => String::new(),
        };
        Refused::Limit { policy, wait: wait.max(Duration::from_secs(1)), of: self.of }
    }
}

fn interval(rate: Rate) -> Duration {
    rate.period / rate.count.get()
}

/// `100/s burst 20`: one every 10 ms, and up to 20 at once after a pause.
fn quota(rate: Rate, burst: Option<NonZeroU32>) -> Quota {
    let fallback = Quota::per_second(NonZeroU32::MIN);
    let every = interval(rate).max(Duration::from_nanos(1));
    Quota::with_period(every).unwrap_or(fallback).allow_burst(burst.unwrap_or(NonZeroU32::MIN))
}

/// The gates of all services and shares; a gate lives on over a reload as long as its limits stay the same.
#[derive(Debug, Default)]
pub struct Gates {
    services: Mutex<HashMap<ServiceName, Arc<Gate>>>,
    shares: ShareGates,
}

impl Gates {
    /// The gate of `service` for `limits`.
    pub fn of(&self, service: &ServiceName, limits: Limits) -> Option<Arc<Gate>> {
        let fresh = Gate::new(limits, LimitOf::Service)?;
        let mut gates = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = gates.get(service).filter(|gate| gate.limits == limits).map(Arc::clone);
        Some(kept.unwrap_or_else(|| {
            let gate = Arc::new(fresh);
            gates.insert(service.clone(), Arc::clone(&gate));
            gate
        }))
    }

    /// The gates of shares.
    pub fn shares(&self) -> &ShareGates {
        &self.shares
    }
}
