//! The gates of one limit owner at one service: one for all of its requests, and one per bucket that the service counts by
//! itself. Buckets are declared, or learnt from the answers that name them.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::{GateMode, Limits, Name, ServiceName};
use crate::throttle::state::{Mode, Phase};
use crate::throttle::{Bucket, Budget, Class, Family, Reading, Scope};

use super::address::Address;
use super::hall::Hall;
use super::limiter::{Gate, Label, now};
use super::pass::Pass;
use super::refused::LimitOf;
use super::registry::Left;

/// So many buckets of one owner have gates; what is beyond shares the owner's, until some have nothing to remember.
const MOST_BUCKETS: usize = 256;
/// How often it is looked for those at most.
const LOOKED_OVER: Duration = Duration::from_secs(1);
/// At a rate that holds for all requests, this part of it may go at once after a pause.
const BURST: u32 = 10;
/// Of so many routes it is remembered to which bucket they belong.
const MOST_ROUTES: usize = 1_024;

/// Whom an upstream counts, with its gates.
#[derive(Debug)]
pub struct Owner {
    service: ServiceName,
    name: Box<str>,
    mode: Mode,
    pub(super) all: Arc<Gate>,
    hall: Arc<Hall>,
    /// Whether any answer named a bucket.
    names_buckets: AtomicBool,
    buckets: Mutex<Buckets>,
    /// How often a bucket closed by what came of a request that had not passed its gate.
    closures: AtomicU32,
    budget: Budget,
    /// Where the service counts invalid requests by the address they come from.
    address: Option<Arc<Address>>,
}

#[derive(Debug, Default)]
struct Buckets {
    gates: HashMap<Bucket, Arc<Gate>>,
    routes: HashMap<u64, Bucket>,
    looked_over: Option<Instant>,
}

/// Routes are found again by their hash, so it is the same for all. Whoever makes two of them meet has them share a limit.
const SEED: foldhash::fast::FixedState = foldhash::fast::FixedState::with_seed(0);

impl Owner {
    pub(super) fn new(
        (service, name): (&ServiceName, &str),
        mode: Mode,
        family: &Family,
        address: Option<Arc<Address>>,
        hall: &Arc<Hall>,
    ) -> Self {
        let all = Arc::new(gate(service, name, None, limits(mode, family), mode, hall));
        if let Some(address) = &address {
            address.join(&all);
        }
        Self {
            service: service.clone(),
            name: name.into(),
            mode,
            all,
            hall: Arc::clone(hall),
            names_buckets: AtomicBool::new(false),
            buckets: Mutex::default(),
            closures: AtomicU32::new(0),
            budget: Budget::default(),
            address,
        }
    }

    /// Whether its gates are those that would be made for this.
    pub(super) fn keeps(&self, mode: Mode, family: &Family) -> bool {
        self.mode == mode
            && *self.all.limits() == limits(mode, family)
            && self.address.is_some() == family.counts_invalid()
    }

    /// Closes what is closed of `former`, which it takes the place of.
    pub(super) fn follow(&self, former: &Self) {
        former.gates().iter().filter_map(|gate| Left::of(gate)).for_each(|left| self.resume(&left));
    }

    /// Closes what was left closed.
    pub(super) fn resume(&self, left: &Left) {
        if let Some(gate) = self.gate(left.closed.bucket) {
            gate.resume(self.mode, left);
        }
    }

    /// The gate of this bucket, or of everything.
    pub(super) fn gate(&self, bucket: Option<Bucket>) -> Option<Arc<Gate>> {
        bucket.map_or_else(|| Some(Arc::clone(&self.all)), |bucket| self.gate_of(bucket))
    }

    /// How much sending again it may be burdened with.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How far its gates follow what the service says.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether less than half of the tokens that it may take is left, as far as that is told: only then it matters how many one
    /// request takes.
    pub fn has_few_tokens(&self) -> bool {
        self.all.quiet().is_none() && self.all.lock().state.has_few_tokens()
    }

    /// The gate of the bucket of this route; none when it has none of its own.
    pub(super) fn bucket_of(&self, route: Route) -> Option<Arc<Gate>> {
        let hash = match route {
            Route::Declared(bucket) => return self.gate_of(bucket),
            Route::Learnt { hash, .. } => hash,
            Route::Any => return None,
        };
        if !self.names_buckets.load(Ordering::Relaxed) {
            return None;
        }
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.routes.get(&hash)?;
        buckets.gates.get(bucket).map(Arc::clone)
    }

    pub(super) fn gate_of(&self, bucket: Bucket) -> Option<Arc<Gate>> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = buckets.gates.get(&bucket) {
            return Some(Arc::clone(known));
        }
        if buckets.gates.len() >= MOST_BUCKETS && !buckets.make_room() {
            return None;
        }
        let fresh =
            Arc::new(gate(&self.service, &self.name, Some(bucket.as_str()), Limits::default(), self.mode, &self.hall));
        buckets.gates.insert(bucket, Arc::clone(&fresh));
        Some(fresh)
    }

    /// An answer named the bucket of this route.
    fn note_route(&self, bucket: Bucket, route: Route) {
        let Route::Learnt { hash, .. } = route else { return };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.routes.len() < MOST_ROUTES || buckets.routes.contains_key(&hash) {
            buckets.routes.insert(hash, bucket);
            self.names_buckets.store(true, Ordering::Relaxed);
        }
    }

    /// Tells the gates that a request passed what its answer says: the one it speaks for closes or counts, the other learns
    /// that an answer came.
    pub(super) fn hear(&self, passed: Passed<'_>, reading: &Reading, credential: &Name) {
        let Passed { all, bucket, route, closures } = passed;
        if let Some(address) = self.address.as_ref().filter(|_| reading.is_invalid) {
            address.count(credential);
        }
        let speaks_for_all = reading.speaks_for_owner();
        let passive = Reading { current: reading.current, uncounted: true, ..Reading::plain(passive(reading.class)) };
        if let Some(named) = route.bucket_in(reading).filter(|_| !speaks_for_all && reading.current) {
            let own = bucket.as_ref().is_some_and(|pass| pass.gate().label.bucket.as_deref() == Some(named.as_str()));
            if let (true, Some(pass)) = (own, bucket) {
                pass.answered(reading, credential);
            } else {
                self.note_route(named, route);
                match self.gate_of(named) {
                    Some(gate) => self.overhear(&gate, closures, reading, credential),
                    None => return hear_at(all, reading, credential),
                }
            }
            return hear_at(all, &passive, credential);
        }
        // A gate of one route is for what is said of the route: what is said besides is about all of the owner's requests.
        let of_route =
            |pass: &Pass| route.own().is_some_and(|own| pass.gate().label.bucket.as_deref() == Some(own.as_str()));
        match bucket {
            Some(pass) if !speaks_for_all && !of_route(pass) => {
                pass.answered(reading, credential);
                hear_at(all, &passive, credential);
            }
            Some(pass) => {
                pass.answered(&passive, credential);
                hear_at(all, reading, credential);
            }
            None => hear_at(all, reading, credential),
        }
    }

    /// How often a bucket closed by what came of a request that had not passed its gate: what is sent later knows of it.
    pub(super) fn closures(&self) -> u32 {
        self.closures.load(Ordering::Relaxed)
    }

    /// Tells the gate of a bucket what came of a request that did not pass it, since nobody knew that it should. One that was sent
    /// before that bucket closed says nothing of how it stands since.
    fn overhear(&self, gate: &Arc<Gate>, closures: u32, reading: &Reading, credential: &Name) {
        let is_late = closures != self.closures() && gate.view().phase != Phase::Open;
        if gate.overhear(reading, credential, is_late) {
            self.closures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every gate of it.
    pub(super) fn gates(&self) -> Vec<Arc<Gate>> {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(&self.all).chain(buckets.gates.values()).map(Arc::clone).collect()
    }
}

/// What one request holds of an owner's gates, and for which route.
pub(super) struct Passed<'a> {
    pub(super) all: Option<&'a mut Pass>,
    pub(super) bucket: Option<&'a mut Pass>,
    pub(super) route: Route,
    /// What [`Owner::closures`] was when it passed.
    pub(super) closures: u32,
}

/// To which of an owner's buckets a request may belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// The record says so.
    Declared(Bucket),
    /// Answers may say so, by this; what sets buckets of the same name apart comes with it.
    Learnt { hash: u64, major: Option<Bucket> },
    /// None: nothing is known of the service.
    Any,
}

impl Route {
    /// The route of a request: by what is declared, else its method, and its path without what looks like identifiers.
    pub(super) fn of(family: &Family, method: &str, path: &str) -> Self {
        if let Some(declared) = family.bucket(method, path) {
            return Self::Declared(declared);
        }
        if !family.is_known() {
            return Self::Any;
        }
        let mut hasher = SEED.build_hasher();
        method.hash(&mut hasher);
        for part in path.split('/') {
            let is_word = part.len() < 24 && !part.bytes().any(|byte| byte.is_ascii_digit());
            if is_word { part.hash(&mut hasher) } else { hasher.write_u8(0) }
        }
        let major = family.major(path);
        major.hash(&mut hasher);
        Self::Learnt { hash: hasher.finish(), major }
    }

    /// The bucket of this route alone.
    pub(super) fn own(self) -> Option<Bucket> {
        let Self::Learnt { hash, .. } = self else { return None };
        Bucket::new(&format!("route-{hash:016x}"))
    }

    /// The bucket for which an answer to a request of this route speaks, when it names one.
    fn bucket_in(self, reading: &Reading) -> Option<Bucket> {
        match (self, reading.scope) {
            (Self::Learnt { .. }, Scope::Route) => self.own(),
            (Self::Learnt { major: Some(major), .. }, _) => reading.bucket?.joined(major.as_str()),
            _ => reading.bucket,
        }
    }
}

impl Buckets {
    /// Forgets the gates of buckets that have nothing to remember, with their routes; whether there is room then.
    fn make_room(&mut self) -> bool {
        if self.looked_over.is_some_and(|at| now().saturating_duration_since(at) < LOOKED_OVER) {
            return false;
        }
        self.looked_over = Some(now());
        self.gates.retain(|_, gate| Arc::strong_count(gate) > 1 || gate.remembers());
        self.routes.retain(|_, bucket| self.gates.contains_key(bucket));
        self.gates.len() < MOST_BUCKETS
    }
}

/// What the catalogue knows of the limits of an owner.
fn limits(mode: Mode, family: &Family) -> Limits {
    let concurrency = family.signals().concurrency.filter(|_| mode == Mode::Enforce);
    let rate = family.overall().filter(|_| mode == Mode::Enforce);
    let burst = rate.and_then(|rate| NonZeroU32::new(rate.count.get() / BURST));
    Limits { rate, burst, concurrency, ..Limits::default() }
}

fn hear_at(pass: Option<&mut Pass>, reading: &Reading, credential: &Name) {
    if let Some(pass) = pass {
        pass.answered(reading, credential);
    }
}

/// What an answer means for the gate that it does not speak for: an answer came, and that is all.
const fn passive(class: Class) -> Class {
    match class {
        Class::Transient => Class::Transient,
        _ => Class::Fine,
    }
}

fn gate(
    service: &ServiceName,
    owner: &str,
    bucket: Option<&str>,
    limits: Limits,
    mode: Mode,
    hall: &Arc<Hall>,
) -> Gate {
    let label = Label {
        of: LimitOf::Upstream,
        service: service.clone(),
        owner: Some(owner.into()),
        bucket: bucket.map(Into::into),
    };
    Gate::new(label, limits, 1, mode, hall)
}

/// How far a service's gates follow it: as is configured; else they enforce what the catalogue vouches for, and observe what
/// nobody does.
pub fn mode_of(configured: Option<GateMode>, family: &Family) -> Mode {
    configured.unwrap_or(if family.is_known() { Mode::Enforce } else { Mode::Observe })
}

#[cfg(test)]
mod tests;
