//! Quotas of the calendar at work: those of a service for each limit owner, and the count that those of shares are made of too. A
//! count lives on over a change of its quota, and over restarts by the control plane, which collects it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::{Clock, OwnerQuotaUse, Period, Quota, Quotas, ServiceName, SystemClock};

use super::hall::{Hall, Happened, News};
use super::limiter::Label;
use super::refused::{Cause, LimitOf, Obstacle, Refused};

/// How much of a quota was used: the number of the period in the upper half, the count in the lower.
#[derive(Debug, Default)]
pub(super) struct Tally(AtomicU64);

impl Tally {
    /// One that goes on where another ended.
    pub(super) fn resumed(period: u32, used: u32) -> Self {
        Self(AtomicU64::new(whole(period, used)))
    }

    pub(super) fn state(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The number of the period, and the count.
    pub(super) fn read(&self) -> (u32, u32) {
        halves(self.state())
    }
}

#[allow(clippy::cast_possible_truncation, reason = "each half is taken by itself")]
pub(super) const fn halves(state: u64) -> (u32, u32) {
    ((state >> 32) as u32, state as u32)
}

const fn whole(period: u32, used: u32) -> u64 {
    (period as u64) << 32 | used as u64
}

/// One quota with its count.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) quota: Quota,
    zone: TimeZone,
    label: Label,
    tally: Arc<Tally>,
}

/// What was used before and after one took from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    before: u32,
    after: u32,
}

impl Meter {
    pub(super) fn new(quota: Quota, zone: TimeZone, label: Label, tally: Arc<Tally>) -> Self {
        Self { quota, zone, label, tally }
    }

    /// What was used in the period of `now` (Unix seconds).
    pub(super) fn used(&self, now: i64) -> u32 {
        let (period, used) = self.tally.read();
        if period == self.quota.per.number(now, &self.zone) { used } else { 0 }
    }

    /// Whether there is room for `cost` in the period of `now`.
    ///
    /// # Errors
    /// When there is none: with the time until the next period.
    pub(super) fn look(&self, cost: u32, now: i64) -> Result<(), Refused> {
        let fits = self.used(now).saturating_add(cost) <= self.quota.count.get();
        if fits { Ok(()) } else { Err(self.refusal(cost, now)) }
    }

    /// Uses `cost` of it up.
    ///
    /// # Errors
    /// As [`Meter::look`].
    pub(super) fn take(&self, cost: u32, now: i64) -> Result<Taken, Refused> {
        let current = self.quota.per.number(now, &self.zone);
        let used_in = |state| {
            let (period, used) = halves(state);
            if period == current { used } else { 0 }
        };
        let next = |state| {
            let after = used_in(state).checked_add(cost)?;
            (after <= self.quota.count.get()).then(|| whole(current, after))
        };
        let former = self.tally.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let before = used_in(former.map_err(|_| self.refusal(cost, now))?);
        Ok(Taken { before, after: before.saturating_add(cost) })
    }

    /// Gives back what another limit refused, or what was never sent.
    pub(super) fn give_back(&self, cost: u32) {
        let less = |state| {
            let (period, used) = halves(state);
            Some(whole(period, used.saturating_sub(cost)))
        };
        let _always = self.tally.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// The refusal of one that counts for `cost`, until the end of the period.
    fn refusal(&self, cost: u32, now: i64) -> Refused {
        let (quota, label) = (self.quota, self.label.clone());
        let ends = u64::try_from(quota.per.end(now, &self.zone).saturating_sub(now)).unwrap_or(1);
        let (of, left) = (label.of, quota.count.get().saturating_sub(self.used(now)));
        let cause = Cause::Quota { quota, left, cost };
        let met = Box::new(Obstacle { label, cause, is_late: false, patience: None });
        Refused::Limit { policy: quota.to_string(), wait: Duration::from_secs(ends.max(1)), of, met }
    }

    /// What somebody should be told, when this was the request that came over it.
    fn crossed(&self, taken: Taken) -> Option<Happened> {
        let crossed = |mark: u32| taken.before < mark && mark <= taken.after;
        let count = self.quota.count.get();
        if crossed(count) {
            Some(Happened::QuotaUsedUp(self.quota))
        } else {
            crossed(soft(count)).then_some(Happened::QuotaNearlyUsedUp(self.quota, taken.after))
        }
    }
}

/// At so much somebody is told: four fifths, rounded up.
fn soft(count: u32) -> u32 {
    count - count / 5
}

pub(super) fn now() -> i64 {
    i64::try_from(SystemClock.wall().as_secs()).unwrap_or(i64::MAX)
}

/// The quotas of one service for one limit owner.
#[derive(Debug)]
pub struct OwnerQuotas {
    service: ServiceName,
    owner: Box<str>,
    zone: TimeZone,
    meters: Box<[Meter]>,
    hall: Arc<Hall>,
}

impl OwnerQuotas {
    /// Refuses at once when one of them has no room for `cost`: by that which has none for longest.
    pub(super) fn look(&self, cost: u32) -> Result<(), Refused> {
        let now = now();
        let refused = self.meters.iter().filter_map(|meter| meter.look(cost, now).err());
        refused.reduce(Refused::longer).map_or(Ok(()), Err)
    }

    /// Uses `cost` of each up, or of none.
    pub(super) fn take(&self, cost: u32) -> Result<(), Refused> {
        let now = now();
        for (at, meter) in self.meters.iter().enumerate() {
            match meter.take(cost, now) {
                Ok(taken) => {
                    if let Some(what) = meter.crossed(taken) {
                        self.tell(what);
                    }
                }
                Err(refused) => {
                    let earlier = self.meters.iter().take(at);
                    earlier.for_each(|meter| meter.give_back(cost));
                    return Err(refused);
                }
            }
        }
        Ok(())
    }

    /// Gives back what a request used up that was never sent.
    pub(super) fn give_back(&self, cost: u32) {
        self.meters.iter().for_each(|meter| meter.give_back(cost));
    }

    fn tell(&self, what: Happened) {
        let owner = Some(self.owner.to_string());
        self.hall.tell(News { service: self.service.clone(), owner, credential: None, bucket: None, what });
    }

    fn keeps(&self, quotas: &Quotas) -> bool {
        self.zone == quotas.zone && self.meters.iter().map(|meter| meter.quota).eq(quotas.each.iter().copied())
    }
}

/// Which quota of whom.
type Which = (ServiceName, Box<str>, Period);

/// The quotas of all limit owners.
#[derive(Debug)]
pub struct QuotaBook {
    hall: Arc<Hall>,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    owners: HashMap<(ServiceName, Box<str>), Arc<OwnerQuotas>>,
    /// Every count, with what of it was collected.
    tallies: HashMap<Which, (Arc<Tally>, u64)>,
}

impl QuotaBook {
    pub(super) fn new(hall: &Arc<Hall>) -> Self {
        Self { hall: Arc::clone(hall), pages: Mutex::default() }
    }

    /// The quotas of `service` for `owner`; none when it has none.
    pub(super) fn of(&self, service: &ServiceName, owner: &str, quotas: &Quotas) -> Option<Arc<OwnerQuotas>> {
        if quotas.each.is_empty() {
            return None;
        }
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let Pages { owners, tallies } = &mut *pages;
        let key = (service.clone(), owner.into());
        if let Some(kept) = owners.get(&key).filter(|kept| kept.keeps(quotas)) {
            return Some(Arc::clone(kept));
        }
        let meter = |quota: &Quota| {
            let (tally, _) = tallies.entry((service.clone(), owner.into(), quota.per)).or_default();
            let label = Label { of: LimitOf::Quota, service: service.clone(), owner: Some(owner.into()), bucket: None };
            Meter::new(*quota, quotas.zone.clone(), label, Arc::clone(tally))
        };
        let fresh = Arc::new(OwnerQuotas {
            service: service.clone(),
            owner: owner.into(),
            zone: quotas.zone.clone(),
            meters: quotas.each.iter().map(meter).collect(),
            hall: Arc::clone(&self.hall),
        });
        owners.insert(key, Arc::clone(&fresh));
        Some(fresh)
    }

    /// Goes on where a former process ended.
    pub fn resume(&self, uses: Vec<OwnerQuotaUse>) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        for OwnerQuotaUse { service, owner, per, period, used } in uses {
            let tally = Tally::resumed(period, used);
            let state = tally.state();
            pages.tallies.insert((service, owner.into(), per), (Arc::new(tally), state));
        }
    }

    /// What was used and not collected yet.
    pub fn collect(&self) -> Vec<OwnerQuotaUse> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = Vec::new();
        for ((service, owner, per), (tally, collected)) in &mut pages.tallies {
            let state = tally.state();
            if state != *collected {
                *collected = state;
                let (period, used) = halves(state);
                fresh.push(OwnerQuotaUse {
                    service: service.clone(),
                    owner: owner.to_string(),
                    per: *per,
                    period,
                    used,
                });
            }
        }
        fresh
    }

    /// What is left of the quota of each service of which least is left, from 0 to 1.
    pub fn left(&self) -> Vec<(ServiceName, f64)> {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, mut left) = (now(), HashMap::<&ServiceName, f64>::new());
        for quotas in pages.owners.values() {
            for meter in &quotas.meters {
                let ratio = 1.0 - f64::from(meter.used(now)) / f64::from(meter.quota.count.get());
                let least = left.entry(&quotas.service).or_insert(1.0);
                *least = least.min(ratio.max(0.0));
            }
        }
        left.into_iter().map(|(service, left)| (service.clone(), left)).collect()
    }

    /// Forgets whose keys are gone, but for the counts: they may come back.
    pub(super) fn forget_unused(&self) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.owners.retain(|_, quotas| Arc::strong_count(quotas) > 1);
    }
}

#[cfg(test)]
mod tests;
