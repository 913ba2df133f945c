//! The rates that a service's configuration sets for each caller, each team, each credential and each limit owner, and for
//! certain requests of an owner: a gate for each of them that asks, forgotten when it has not asked for a while.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::{Gating, Level, Limits, Rule, ServiceName, TeamId};
use crate::throttle::state::Mode;

use super::allowance::interval;
use super::hall::Hall;
use super::limiter::{Gate, Label, now};
use super::refused::LimitOf;

/// How long a gate is kept at least that nobody asks for.
const KEPT: Duration = Duration::from_secs(600);

/// The rates of one service by who asks, and for what.
#[derive(Debug)]
pub struct Levels {
    caller: Option<Keyed>,
    team: Option<Keyed>,
    credential: Option<Keyed>,
    routes: Vec<(Rule, Keyed)>,
    owner: Option<Keyed>,
}

/// Who asks, and for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) caller: &'a str,
    pub(super) teams: &'a [TeamId],
    pub(super) credential: &'a str,
    pub(super) owner: &'a str,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
}

/// Gates of one kind.
#[derive(Debug)]
struct Keyed {
    service: ServiceName,
    of: LimitOf,
    /// For which requests; none: all.
    route: Option<Box<str>>,
    level: Level,
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
        let for_route = |of, route, level: Level| {
            let gates = Generations { young: HashMap::new(), old: HashMap::new(), changed: now() };
            let (service, hall, dearest) = (service.clone(), Arc::clone(hall), gating.dearest());
            Keyed { service, of, route, level, dearest, hall, gates: Mutex::new(gates) }
        };
        let keyed = |of, level| for_route(of, None, level);
        let route = |(rule, level): &(Rule, Level)| {
            (rule.clone(), for_route(LimitOf::Route, Some(rule.to_string().into()), *level))
        };
        let levels = Self {
            caller: gating.per_caller.map(|level| keyed(LimitOf::Caller, level)),
            team: gating.per_team.map(|level| keyed(LimitOf::Team, level)),
            credential: gating.per_credential.map(|level| keyed(LimitOf::Credential, level)),
            routes: gating.per_route.iter().map(route).collect(),
            owner: gating.per_owner.map(|level| keyed(LimitOf::Owner, level)),
        };
        let is_any = levels.each().next().is_some();
        is_any.then_some(levels)
    }

    pub(super) fn keeps(&self, gating: &Gating) -> bool {
        let level = |keyed: &Option<Keyed>| keyed.as_ref().map(|keyed| keyed.level);
        let routes = self.routes.iter().map(|(rule, keyed)| (rule, &keyed.level));
        self.each().all(|keyed| keyed.dearest == gating.dearest())
            && level(&self.caller) == gating.per_caller
            && level(&self.team) == gating.per_team
            && level(&self.credential) == gating.per_credential
            && level(&self.owner) == gating.per_owner
            && routes.eq(gating.per_route.iter().map(|(rule, level)| (rule, level)))
    }

    fn each(&self) -> impl Iterator<Item = &Keyed> {
        let by_who = [&self.caller, &self.team, &self.credential, &self.owner].into_iter().flatten();
        by_who.chain(self.routes.iter().map(|(_, keyed)| keyed))
    }

    /// The gates that this one passes, the narrow ones first.
    pub(super) fn of(&self, asker: &Asker<'_>) -> Vec<Arc<Gate>> {
        let mut gates = Vec::new();
        gates.extend(self.caller.as_ref().map(|caller| caller.of(asker.caller)));
        gates.extend(self.team.iter().flat_map(|team| asker.teams.iter().map(|id| team.of(id.as_str()))));
        gates.extend(self.of_key(asker));
        gates
    }

    /// Those of them that are the same whoever calls with this key.
    pub(super) fn of_key(&self, asker: &Asker<'_>) -> Vec<Arc<Gate>> {
        let mut gates = Vec::new();
        gates.extend(self.credential.as_ref().map(|of| of.of(asker.credential)));
        let route = self.routes.iter().find(|(rule, _)| rule.admits(asker.method, asker.path));
        gates.extend(route.map(|(_, of)| of.of(asker.owner)));
        gates.extend(self.owner.as_ref().map(|of| of.of(asker.owner)));
        gates
    }

    /// There are no such levels any more: who waits for one waits for what `heir` has in its place, and passes where it has none.
    pub(super) fn retire(&self, heir: Option<&Self>) {
        for keyed in self.each() {
            let next = heir.and_then(|heir| heir.each().find(|next| next.of == keyed.of && next.route == keyed.route));
            for gate in keyed.all().iter().filter(|gate| gate.waiting() > 0) {
                let next = next.zip(gate.label.owner.as_deref()).map(|(next, who)| next.of(who));
                gate.retire(next.as_ref());
            }
        }
    }

    /// Every gate there is.
    pub(super) fn gates(&self) -> Vec<Arc<Gate>> {
        self.each().flat_map(Keyed::all).collect()
    }

    pub(super) fn sweep(&self) {
        self.each().for_each(Keyed::age);
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
            let label = Label { of, service: self.service.clone(), owner, bucket: self.route.clone() };
            let limits = Limits { rate: Some(self.level.rate), burst: self.level.burst, ..Limits::default() };
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
        let full = interval(self.level.rate) * self.dearest.max(self.level.burst.map_or(1, NonZeroU32::get));
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
