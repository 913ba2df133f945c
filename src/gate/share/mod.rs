//! The limits of one share: its rate, and its quota for the day or the month. What was used of a quota is kept over reloads
//! here and over restarts by the control plane.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;

use crate::domain::{Bounds, CredentialId, Limits, QuotaUse, ServiceName, Share};
use crate::throttle::state::Mode;

use super::hall::Hall;
use super::limiter::{Gate, Label};
use super::quota::{Meter, Tally, halves, now};
use super::refused::{LimitOf, Refused};

/// Which share of which credential.
type Which = (CredentialId, Share);

/// The limits of one share at work.
#[derive(Debug)]
pub struct ShareGate {
    rate: Option<Arc<Gate>>,
    quota: Option<Meter>,
}

impl ShareGate {
    /// Refuses at once when the quota is used up.
    pub(super) fn look(&self) -> Result<(), Refused> {
        self.quota.as_ref().map_or(Ok(()), |meter| meter.look(1, now()))
    }

    /// The gate of the rate, when it has one.
    pub(super) fn rate(&self) -> Option<&Arc<Gate>> {
        self.rate.as_ref()
    }

    /// Uses one up of the quota: last, so that what another limit refuses is not counted.
    pub(super) fn count(&self) -> Result<(), Refused> {
        self.quota.as_ref().map_or(Ok(()), |meter| meter.take(1, now()).map(drop))
    }

    /// Gives back what a request used up that was never sent.
    pub(super) fn give_back(&self) {
        self.quota.iter().for_each(|meter| meter.give_back(1));
    }

    /// Another rate holds for the share from now on.
    fn retire(&self, heir: Option<&Arc<Gate>>) {
        self.rate.iter().for_each(|gate| gate.retire(heir));
    }

    fn keeps(&self, bounds: &Bounds) -> bool {
        self.rate.as_ref().and_then(|gate| gate.limits().rate) == bounds.rate
            && self.quota.as_ref().map(|meter| meter.quota) == bounds.quota
    }
}

fn share_words(share: &Share) -> String {
    match share {
        Share::User(id) => format!("user:{id}"),
        Share::Team(id) => format!("team:{id}"),
        Share::Caller(id) => format!("caller:{id}"),
        Share::Everyone => "everyone".into(),
    }
}

/// The gates of all shares; a gate lives on over a reload as long as its limits stay the same, and what was used of a quota
/// even when they change.
#[derive(Debug, Default)]
pub struct ShareGates {
    hall: Arc<Hall>,
    shares: Mutex<Shares>,
}

#[derive(Debug, Default)]
struct Shares {
    gates: HashMap<Which, Arc<ShareGate>>,
    tallies: HashMap<Which, (Arc<Tally>, u64)>,
}

impl ShareGates {
    pub(super) fn new(hall: &Arc<Hall>) -> Self {
        Self { hall: Arc::clone(hall), shares: Mutex::default() }
    }

    /// The gate of a share of a key for `service`; none when `bounds` limit no number. Who waits for another rate waits for this one
    /// from now on.
    pub fn of(
        &self,
        service: &ServiceName,
        key: &CredentialId,
        share: &Share,
        bounds: &Bounds,
    ) -> Option<Arc<ShareGate>> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let which = (key.clone(), share.clone());
        if bounds.rate.is_none() && bounds.quota.is_none() {
            shares.gates.remove(&which).iter().for_each(|former| former.retire(None));
            return None;
        }
        if let Some(gate) = shares.gates.get(&which).filter(|gate| gate.keeps(bounds)) {
            return Some(Arc::clone(gate));
        }
        let owner = Some(format!("{} {}", key.as_str(), share_words(share)).into());
        let label = Label { of: LimitOf::Share, service: service.clone(), owner, bucket: None };
        let limits = Limits { rate: bounds.rate, ..Limits::default() };
        let quota = bounds.quota.map(|quota| {
            let (tally, _) = shares.tallies.entry(which.clone()).or_default();
            Meter::new(quota, TimeZone::UTC, label.clone(), Arc::clone(tally))
        });
        let rate = bounds.rate.map(|_| Arc::new(Gate::new(label, limits, 1, Mode::Off, &self.hall)));
        let gate = Arc::new(ShareGate { rate, quota });
        let former = shares.gates.insert(which, Arc::clone(&gate));
        if let Some(former) = former {
            former.retire(gate.rate());
        }
        Some(gate)
    }

    /// Every gate of a rate.
    pub(super) fn gates(&self) -> Vec<Arc<Gate>> {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.gates.values().filter_map(|gate| gate.rate().map(Arc::clone)).collect()
    }

    /// Goes on where a former process ended.
    pub fn resume(&self, uses: Vec<QuotaUse>) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        for QuotaUse { credential, share, period, used } in uses {
            let tally = Tally::resumed(period, used);
            let state = tally.state();
            shares.tallies.insert((credential, share), (Arc::new(tally), state));
        }
    }

    /// What was used and not collected yet.
    pub fn collect(&self) -> Vec<QuotaUse> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = Vec::new();
        for ((credential, share), (tally, collected)) in &mut shares.tallies {
            let state = tally.state();
            if state != *collected {
                *collected = state;
                let (period, used) = halves(state);
                fresh.push(QuotaUse { credential: credential.clone(), share: share.clone(), period, used });
            }
        }
        fresh
    }

    /// Forgets shares that ended.
    pub fn forget_unused(&self) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let Shares { gates, tallies } = &mut *shares;
        gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        tallies.retain(|_, (tally, _)| Arc::strong_count(tally) > 1);
    }
}

#[cfg(test)]
mod tests;
