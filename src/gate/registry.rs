//! The gates of the process. They live on over a reload: a configured one as long as its limits stay the same, a learnt one as
//! long as it is used or closed. Cheap to clone; all clones are the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::{Gating, Limits, Name, Origin, Pin, Quotas, ServiceName};
use crate::throttle::state::Mode;
use crate::throttle::{Bucket, Class, Family};

use super::address::Address;
use super::breaker::Breaker;
use super::hall::{Hall, Happened, News, Rejection};
use super::levels::Levels;
use super::limiter::{Gate, Label, now};
use super::owner::Owner;
use super::pins::{Board, Pins};
use super::quota::{OwnerQuotas, QuotaBook};
use super::refused::LimitOf;
use super::share::ShareGates;
use super::shared::{Alone, Shared};
use super::view::CircuitView;

/// The gates of all services, limit owners, callers and shares.
#[derive(Debug, Clone)]
pub struct Gates(Arc<Halls>);

/// A limit owner at a service.
type OwnerKey = (ServiceName, Box<str>);

#[derive(Debug)]
struct Halls {
    hall: Arc<Hall>,
    services: Mutex<HashMap<ServiceName, Arc<Gate>>>,
    levels: Mutex<HashMap<ServiceName, Arc<Levels>>>,
    owners: Mutex<HashMap<OwnerKey, Arc<Owner>>>,
    breakers: Mutex<HashMap<(ServiceName, Origin), Arc<Breaker>>>,
    addresses: Mutex<HashMap<ServiceName, Arc<Address>>>,
    shares: ShareGates,
    quotas: QuotaBook,
    pins: Board,
    /// Gates that a former process left closed, until their owner is asked for.
    left: Mutex<Vec<Left>>,
}

/// A gate that a former process left closed.
#[derive(Debug, Clone)]
pub struct LeftClosed {
    /// Which bucket; none: all requests of the owner.
    pub bucket: Option<Bucket>,
    /// For how long it is closed still.
    pub closed_for: Duration,
    /// For how long it was closed.
    pub wait: Duration,
    /// Why.
    pub class: Class,
    /// The credential through which that was found out.
    pub credential: Option<Name>,
}

/// The same, until its owner is asked for.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) label: Label,
    pub(super) until: Instant,
    pub(super) closed: LeftClosed,
}

impl Default for Gates {
    fn default() -> Self {
        Self::sharing(Arc::new(Alone))
    }
}

impl Gates {
    /// The gates of a node that has `between` in common with others.
    pub fn sharing(between: Arc<dyn Shared>) -> Self {
        let hall = Arc::new(Hall::new(between));
        let (shares, quotas) = (ShareGates::new(&hall), QuotaBook::new(&hall));
        Self(Arc::new(Halls {
            hall,
            services: Mutex::default(),
            levels: Mutex::default(),
            owners: Mutex::default(),
            breakers: Mutex::default(),
            addresses: Mutex::default(),
            shares,
            quotas,
            pins: Board::default(),
            left: Mutex::default(),
        }))
    }

    /// Another node was told to leave this gate of a limit owner alone for so long. What is known here is only made longer by it.
    pub fn close_from_elsewhere(&self, service: &ServiceName, owner: &str, closed: LeftClosed) {
        let known = locked(&self.0.owners).get(&(service.clone(), owner.into())).map(Arc::clone);
        let gate = known.as_ref().and_then(|known| known.gate(closed.bucket));
        match gate {
            Some(gate) => gate.close_as_told(&closed),
            None => self.resume(service, owner, closed),
        }
    }

    /// The gate of `service` for `limits`; none when nothing is limited. `dearest` is the most that one request costs. Who waits
    /// for other limits than these waits for these from now on.
    pub fn of(&self, service: &ServiceName, limits: Limits, dearest: u32) -> Option<Arc<Gate>> {
        let mut gates = locked(&self.0.services);
        if limits.rate.is_none() && limits.concurrency.is_none() {
            if let Some(former) = gates.remove(service) {
                former.retire(None);
            }
            return None;
        }
        let kept = gates.get(service).filter(|gate| *gate.limits() == limits).map(Arc::clone);
        Some(kept.unwrap_or_else(|| {
            let label = Label { of: LimitOf::Service, service: service.clone(), owner: None, bucket: None };
            let gate = Arc::new(Gate::new(label, limits, dearest, Mode::Off, &self.0.hall));
            let former = gates.insert(service.clone(), Arc::clone(&gate));
            if let Some(former) = &former {
                former.retire(Some(&gate));
            }
            gate
        }))
    }

    /// The gates of `service` by who asks; none when nothing is limited by that. Who waits for other limits than these waits for
    /// these from now on.
    pub fn levels(&self, service: &ServiceName, gating: &Gating) -> Option<Arc<Levels>> {
        let mut levels = locked(&self.0.levels);
        if let Some(kept) = levels.get(service).filter(|kept| kept.keeps(gating)) {
            return Some(Arc::clone(kept));
        }
        let fresh = Levels::new(service, gating, &self.0.hall).map(Arc::new);
        let former = match &fresh {
            Some(fresh) => levels.insert(service.clone(), Arc::clone(fresh)),
            None => levels.remove(service),
        };
        if let Some(former) = &former {
            former.retire(fresh.as_deref());
        }
        fresh
    }

    /// The gates of a limit owner at `service`; none when nothing is to be learnt.
    pub fn owner(&self, service: &ServiceName, owner: &str, mode: Mode, family: &Family) -> Option<Arc<Owner>> {
        if mode == Mode::Off {
            return None;
        }
        let mut owners = locked(&self.0.owners);
        let key = (service.clone(), owner.into());
        let former = owners.get(&key);
        if let Some(kept) = former.filter(|kept| kept.keeps(mode, family)) {
            return Some(Arc::clone(kept));
        }
        let address = family.counts_invalid().then(|| self.address(service));
        let fresh = Arc::new(Owner::new((service, owner), mode, family, address, &self.0.hall));
        if let Some(former) = former {
            fresh.follow(former);
        }
        let is_its = |left: &mut Left| left.label.service == *service && left.label.owner.as_deref() == Some(owner);
        for left in locked(&self.0.left).extract_if(.., is_its) {
            fresh.resume(&left);
        }
        owners.insert(key, Arc::clone(&fresh));
        Some(fresh)
    }

    fn address(&self, service: &ServiceName) -> Arc<Address> {
        let mut addresses = locked(&self.0.addresses);
        Arc::clone(addresses.entry(service.clone()).or_insert_with(|| Arc::new(Address::new())))
    }

    /// Goes on where a former process ended: this gate is closed still.
    pub fn resume(&self, service: &ServiceName, owner: &str, closed: LeftClosed) {
        let bucket = closed.bucket.map(|bucket| bucket.as_str().into());
        let label = Label { of: LimitOf::Upstream, service: service.clone(), owner: Some(owner.into()), bucket };
        locked(&self.0.left).push(Left { label, until: now() + closed.closed_for, closed });
    }

    /// What a former process left closed and nobody asked for since.
    pub(super) fn left(&self) -> MutexGuard<'_, Vec<Left>> {
        locked(&self.0.left)
    }

    /// What all of them share.
    pub(super) fn hall(&self) -> &Arc<Hall> {
        &self.0.hall
    }

    /// The circuit in front of `origin`.
    pub fn breaker(&self, service: &ServiceName, origin: &Origin) -> Arc<Breaker> {
        let mut breakers = locked(&self.0.breakers);
        let fresh = || Arc::new(Breaker::new(service, &self.0.hall));
        Arc::clone(breakers.entry((service.clone(), origin.clone())).or_insert_with(fresh))
    }

    /// The circuits that do not let everything pass.
    pub fn circuits(&self) -> Vec<CircuitView> {
        let breakers = locked(&self.0.breakers);
        let views = breakers.iter().filter_map(|((_, origin), breaker)| breaker.view(origin));
        views.collect()
    }

    /// The gates of shares.
    pub fn shares(&self) -> &ShareGates {
        &self.0.shares
    }

    /// The quotas of services.
    pub fn quotas(&self) -> &QuotaBook {
        &self.0.quotas
    }

    /// What `owner` may at `service` in a day or a month; none when there is no quota.
    pub fn quotas_of(&self, service: &ServiceName, owner: &str, quotas: &Quotas) -> Option<Arc<OwnerQuotas>> {
        self.0.quotas.of(service, owner, quotas)
    }

    /// What is pinned on `service`.
    pub fn pins(&self, service: &ServiceName) -> Arc<Pins> {
        self.0.pins.of(service)
    }

    /// Has these limits pinned and no others.
    pub fn pin(&self, pins: &[Pin]) {
        self.0.pins.set(pins, &self.0.hall);
    }

    /// Tells that the key `to` is used in place of `from`, which is of the same pool.
    pub fn failed_over(&self, service: &ServiceName, from: &Name, to: &Name) {
        let what = Happened::FailedOver(to.clone());
        let (service, credential) = (service.clone(), Some(from.clone()));
        self.0.hall.tell(News { service, owner: None, credential, bucket: None, what });
    }

    /// Sends away everyone who waits, and nobody waits any more: the proxy is being stopped.
    pub fn close(&self) {
        self.0.hall.close();
        self.all().iter().for_each(Gate::close);
    }

    /// Comes when the proxy is being stopped.
    pub async fn closing(&self) {
        self.0.hall.closing().await;
    }

    /// Forgets what nobody uses and what has nothing to remember.
    pub fn sweep(&self) {
        let is_used = |gates: usize| gates > 1;
        locked(&self.0.services).retain(|_, gate| is_used(Arc::strong_count(gate)));
        locked(&self.0.levels).retain(|_, levels| is_used(Arc::strong_count(levels)));
        locked(&self.0.breakers).retain(|_, one| is_used(Arc::strong_count(one)) || one.open_for().is_some());
        let remembers = |owner: &Owner| owner.gates().iter().any(|gate| gate.remembers());
        locked(&self.0.owners).retain(|_, owner| is_used(Arc::strong_count(owner)) || remembers(owner));
        locked(&self.0.levels).values().for_each(|levels| levels.sweep());
        self.0.shares.forget_unused();
        self.0.quotas.forget_unused();
        let now = now();
        self.left().retain(|left| left.until > now);
    }

    /// What happened since the last time that this was asked.
    pub fn news(&self) -> Vec<News> {
        self.0.hall.take_news()
    }

    /// What the budget for sending again of each service has left, of the limit owner of which least is left.
    pub fn budgets(&self) -> HashMap<ServiceName, u32> {
        let mut budgets = HashMap::new();
        for ((service, _), owner) in &*locked(&self.0.owners) {
            let left = owner.budget().left();
            let least = budgets.entry(service.clone()).or_insert(left);
            *least = left.min(*least);
        }
        budgets
    }

    /// How many limits are pinned.
    pub fn pinned(&self) -> usize {
        self.0.pins.gates().len()
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        self.0.hall.waiting()
    }

    /// How many were sent away, by service and why.
    pub fn rejections(&self) -> Vec<(ServiceName, Rejection, u64)> {
        self.0.hall.rejections()
    }

    /// Every gate there is.
    pub(super) fn all(&self) -> Vec<Arc<Gate>> {
        let mut all: Vec<Arc<Gate>> = locked(&self.0.services).values().map(Arc::clone).collect();
        all.extend(locked(&self.0.levels).values().flat_map(|levels| levels.gates()));
        all.extend(locked(&self.0.owners).values().flat_map(|owner| owner.gates()));
        all.extend(self.0.shares.gates());
        all.extend(self.0.pins.gates());
        all
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
