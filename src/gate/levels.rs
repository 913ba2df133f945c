//! The rates that a service's configuration sets for each caller, each team and each credential: a gate for each of them that
//! asks, forgotten when it has not asked for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::{Gating, Limits, Rate, ServiceName};
use crate::throttle::state::Mode;

use super::hall::Hall;
use super::limiter::{Gate, Label, interval, now};
use super::refused::LimitOf;

/// How long a gate is kept at least that nobody asks for.
const KEPT: Duration = Duration::from_secs(600);

/// The rates of one service by who asks.
#[derive(Debug)]
pub struct Levels {
    pub(super) caller: Option<Keyed>,
    pub(super) team: Option<Keyed>,
    pub(super) credential: Option<Keyed>,
}

/// Gates of one kind.
#[derive(Debug)]
pub(super) struct Keyed {
    service: ServiceName,
    of: LimitOf,
    rate: Rate,
    dearest: u32,
    hall: Arc<Hall>,
    gates: Mutex<Generations>,
}

/// Who asked since the last change of generations, and who before that.
#[derive(Debug)]
struct Generations {
    young: HashMap<Box<str>, Arc<Gate>>,
    old: HashMap<Box<str>, Arc<Gate>>,
    changed: Instant,
}

impl Levels {
    /// None when nothing is limited by who asks.
    pub(super) fn new(service: &ServiceName, gating: &Gating, hall: &Arc<Hall>) -> Option<Self> {
        let keyed = |of, rate: Option<Rate>| {
            let gates = Generations { young: HashMap::new(), old: HashMap::new(), changed: now() };
            let (service, hall, dearest) = (service.clone(), Arc::clone(hall), gating.dearest());
            rate.map(|rate| Keyed { service, of, rate, dearest, hall, gates: Mutex::new(gates) })
        };
        let levels = Self {
            caller: keyed(LimitOf::Caller, gating.per_caller),
            team: keyed(LimitOf::Team, gating.per_team),
            credential: keyed(LimitOf::Credential, gating.per_credential),
        };
        (levels.caller.is_some() || levels.team.is_some() || levels.credential.is_some()).then_some(levels)
    }

    pub(super) fn keeps(&self, gating: &Gating) -> bool {
        let rate = |keyed: &Option<Keyed>| keyed.as_ref().map(|keyed| keyed.rate);
        let dearest = |keyed: &Option<Keyed>| keyed.as_ref().is_none_or(|keyed| keyed.dearest == gating.dearest());
        [(&self.caller, gating.per_caller), (&self.team, gating.per_team), (&self.credential, gating.per_credential)]
            .into_iter()
            .all(|(keyed, configured)| rate(keyed) == configured && dearest(keyed))
    }

    /// Every gate there is.
    pub(super) fn gates(&self) -> Vec<Arc<Gate>> {
        [&self.caller, &self.team, &self.credential].into_iter().flatten().flat_map(Keyed::all).collect()
    }

    pub(super) fn sweep(&self) {
        [&self.caller, &self.team, &self.credential].into_iter().flatten().for_each(Keyed::age);
    }
}

impl Keyed {
    /// The gate of `who`.
    pub(super) fn of(&self, who: &str) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.young.get(who) {
            return Arc::clone(gate);
        }
        let gate = gates.old.remove(who).unwrap_or_else(|| {
            let (of, owner) = (self.of, Some(who.into()));
            let label = Label { of, service: self.service.clone(), owner, bucket: None };
            let limits = Limits { rate: Some(self.rate), ..Limits::default() };
            Arc::new(Gate::new(label, limits, self.dearest, Mode::Off, &self.hall))
        });
        gates.young.insert(who.into(), Arc::clone(&gate));
        gate
    }

    fn all(&self) -> Vec<Arc<Gate>> {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.young.values().chain(gates.old.values()).map(Arc::clone).collect()
    }

    /// Forgets who has not asked for so long that its rate is as good as unused.
    fn age(&self) {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let full = interval(self.rate) * self.dearest;
        if now().saturating_duration_since(gates.changed) >= KEPT.max(full) {
            let waiting: HashMap<_, _> = gates.old.drain().filter(|(_, gate)| Arc::strong_count(gate) > 1).collect();
            gates.old = std::mem::take(&mut gates.young);
            gates.old.extend(waiting);
            gates.changed = now();
        }
    }
}

#[cfg(test)]
mod tests;
