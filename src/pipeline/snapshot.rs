//! Everything a request needs to know, compiled: services, callers, credentials as ciphertext. Built off the data path and
//! swapped in whole; a request holds one snapshot from its first step to its last.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::access::{Callers, Candidate, Credentials};
use crate::domain::{
    Bounds, Credential, CredentialId, Host, HostPattern, Name, Origin, Service, ServiceName, Share, Shared,
};
use crate::gate::{Breaker, Gate, Gates, Levels, Owner, OwnerQuotas, Pins, ShareGate, mode_of};
use crate::metrics::{Metrics, ServiceMetrics};
use crate::route::{Routes, RoutesBuilder};
use crate::store;
use crate::throttle::state::Mode;
use crate::throttle::{Budget, Family};
use crate::upstream::{Approach, Destination};
use crate::vault::{KeptOpener, Keyed};

use super::fallback::Former;
use super::outlet::{Outlet, Outlets};

/// A service with what is kept beside it.
#[derive(Debug)]
pub struct Entry {
    /// The service, shared with the configuration.
    pub service: Arc<Service>,
    /// Its limits at work; none when it has none.
    pub gate: Option<Arc<Gate>>,
    /// Its limits by who asks; none when it has none.
    pub levels: Option<Arc<Levels>>,
    /// What is pinned on it.
    pub pins: Arc<Pins>,
    /// How its answers are read.
    pub family: Family,
    /// How much it may be burdened with sending again, when its limit owners are not told apart.
    budget: Budget,
    /// How far its gates follow them.
    pub mode: Mode,
    /// Whether anything of the gates depends on the path as it is sent.
    pub looks_at_paths: bool,
    /// The gates of the process.
    pub(super) gates: Gates,
    /// Its counters.
    pub metrics: Arc<ServiceMetrics>,
    /// How its hosts are approached.
    approach: Approach,
}

/// What a share may be used for, at work.
#[derive(Debug)]
pub struct Bounded {
    /// With whom it is shared.
    pub with: Share,
    /// What for.
    pub bounds: Arc<Bounds>,
    /// Its own limits at work; none when it has none.
    pub gate: Option<Arc<ShareGate>>,
}

impl AsRef<Bounds> for Bounded {
    fn as_ref(&self) -> &Bounds {
        &self.bounds
    }
}

/// A credential with its service and its outlet.
#[derive(Debug)]
pub struct Held {
    /// What is known of it, and its ciphertext.
    pub credential: Credential,
    /// Its service.
    pub entry: Arc<Entry>,
    /// How and where.
    pub outlet: Arc<Outlet>,
    /// Its data key, once it was used.
    pub opener: KeptOpener,
    /// What its shares may be used for, in their order; empty when none is bounded.
    pub(super) bounded: Box<[Option<Arc<Bounded>>]>,
    /// What its limit owner is held to, once that was needed.
    pub(super) counted: OnceLock<Counted>,
    /// When it was told last that another of its pool is used in its place, in Unix seconds.
    pub(super) failed_over: AtomicI64,
    /// What it was before its last rotation, when that may help out.
    pub former: Option<Box<Former>>,
}

/// What a limit owner is held to at a service.
#[derive(Debug)]
pub(super) struct Counted {
    /// Its gates; none when nothing is learnt.
    gates: Option<Arc<Owner>>,
    /// Its quotas; none when it has none.
    quotas: Option<Arc<OwnerQuotas>>,
}

impl Keyed for Held {
    fn opener(&self) -> &KeptOpener {
        &self.opener
    }

    fn former(&self) -> Option<&Self> {
        self.former.as_ref().map(|former| &*former.held)
    }
}

impl Candidate for Held {
    type Bounded = Bounded;

    fn credential(&self) -> &Credential {
        &self.credential
    }

    fn bounded(&self, share: usize) -> Option<&Arc<Bounded>> {
        self.bounded.get(share)?.as_ref()
    }

    fn serves(&self, host: &Host) -> bool {
        let base = self.outlet.destination.origin();
        *host == base.host || self.outlet.plan.admits(host)
    }
}

impl Held {
    /// Whom the upstream counts when this key is used: several keys may be of one.
    pub fn limit_owner(&self) -> &str {
        self.credential.counted_as()
    }

    fn counted(&self) -> &Counted {
        let (entry, owner) = (&self.entry, self.limit_owner());
        let (service, quotas) = (&entry.service.name, &entry.service.gating.quotas);
        self.counted.get_or_init(|| Counted {
            gates: entry.gates.owner(service, owner, entry.mode, &entry.family),
            quotas: entry.gates.quotas_of(service, owner, quotas),
        })
    }

    /// The gates of its limit owner; none when nothing is learnt.
    pub fn owner(&self) -> Option<&Arc<Owner>> {
        self.counted().gates.as_ref()
    }

    /// What its limit owner may in a day or a month; none when there is no quota.
    pub fn quotas(&self) -> Option<&Arc<OwnerQuotas>> {
        self.counted().quotas.as_ref()
    }

    /// Another of its pool, `by`, is used in its place: counted, and told once a minute. `now` is in Unix seconds.
    pub(super) fn stood_in(&self, by: &Self, now: i64) {
        self.entry.metrics.failed_over();
        let told = self.failed_over.load(Ordering::Relaxed);
        if now - told >= 60
            && self.failed_over.compare_exchange(told, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.entry.gates.failed_over(&self.entry.service.name, &self.credential.name, &by.credential.name);
        }
    }

    /// How much its limit owner may be burdened with sending again.
    pub(super) fn budget(&self) -> &Budget {
        self.owner().map_or(&self.entry.budget, |owner| owner.budget())
    }
}

impl Entry {
    fn new(service: Arc<Service>, approach: Approach, gates: &Gates, metrics: &Metrics) -> Self {
        let family = Family::new(&service.signals);
        let (name, gating) = (&service.name, &service.gating);
        Self {
            gate: gates.of(name, service.limits, gating.dearest()),
            levels: gates.levels(name, gating),
            pins: gates.pins(name),
            mode: mode_of(gating.mode, &family),
            looks_at_paths: !gating.costs.is_empty() || !service.signals.buckets.is_empty() || service.signals.by_path,
            budget: Budget::default(),
            gates: gates.clone(),
            metrics: metrics.service(name),
            family,
            approach,
            service,
        }
    }

    /// The circuit in front of `origin`; none when nothing is learnt of it.
    pub fn breaker(&self, origin: &Origin) -> Option<Arc<Breaker>> {
        (self.mode != Mode::Off).then(|| self.gates.breaker(&self.service.name, origin))
    }

    /// Another host of the service, as its own destination.
    pub fn destination(&self, origin: &Origin) -> Option<Arc<Destination>> {
        Destination::new(origin.clone(), &self.approach).ok().map(Arc::new)
    }
}

/// What hosts of no service get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unmatched {
    /// A refusal.
    #[default]
    Deny,
    /// A blind tunnel, or a plain request without any key.
    Tunnel,
}

/// The compiled whole.
#[derive(Debug)]
pub struct Snapshot {
    /// Services by name and host.
    pub routes: Routes<Entry>,
    /// Callers by token.
    pub callers: Callers,
    /// Credentials by service and principal.
    pub credentials: Credentials<Held>,
    /// What hosts of no service get.
    pub unmatched: Unmatched,
    /// Web origins that may call the local doors.
    pub browser_origins: Vec<String>,
}

/// What a snapshot is built from, besides what must live on from one to the next.
pub struct Sources<'a> {
    /// Every service, in the order of precedence where two claim a host.
    pub services: Vec<(Arc<Service>, Approach)>,
    /// Who may ask.
    pub callers: Callers,
    /// Every credential.
    pub credentials: Vec<Credential>,
    /// What some of them were before their last rotation.
    pub formers: Vec<store::Former>,
    /// What hosts of no service get.
    pub unmatched: Unmatched,
    /// Web origins that may call the local doors.
    pub browser_origins: Vec<String>,
    /// The gates, which live on.
    pub gates: &'a Gates,
    /// The counters, which live on.
    pub metrics: &'a Metrics,
}

/// A credential that cannot be used as it is, and why.
#[derive(Debug)]
pub struct Unusable {
    /// Its name.
    pub credential: Name,
    /// Why.
    pub why: String,
}

impl Snapshot {
    /// Compiles. A credential that cannot be used is left out and reported; everything else works on.
    pub fn build(sources: Sources<'_>) -> (Self, Vec<Unusable>) {
        let mut builder = RoutesBuilder::default();
        let mut entries: HashMap<ServiceName, Arc<Entry>> = HashMap::new();
        for (service, approach) in sources.services {
            let entry = Arc::new(Entry::new(service, approach, sources.gates, sources.metrics));
            builder.service(&entry.service, &entry);
            entries.insert(entry.service.name.clone(), entry);
        }
        let mut holding = Holding { builder, held: Vec::new(), outlets: Outlets::default(), unusable: Vec::new() };
        holding.hold(sources.credentials, sources.formers, sources.gates, |name| entries.get(name));
        let Holding { builder, held, unusable, .. } = holding;
        let snapshot = Self {
            routes: builder.build(),
            callers: sources.callers,
            credentials: Credentials::new(held),
            unmatched: sources.unmatched,
            browser_origins: sources.browser_origins,
        };
        (snapshot, unusable)
    }

    /// The same with other callers and some other credentials: what was not touched is shared with this one, which costs a
    /// small part of building it anew.
    pub fn amended(&self, amends: Amends, gates: &Gates) -> (Self, Vec<Unusable>) {
        let Amends { callers, touched, credentials, formers } = amends;
        let mut entries: Vec<&Arc<Entry>> = self.routes.services().collect();
        entries.sort_by_key(|entry| entry.service.precedence());
        let mut builder = RoutesBuilder::default();
        for entry in entries {
            builder.service(&entry.service, entry);
        }
        let mut holding = Holding { builder, held: Vec::new(), outlets: Outlets::default(), unusable: Vec::new() };
        let services: HashSet<&ServiceName> = credentials.iter().map(|credential| &credential.service).collect();
        holding.held.reserve(self.credentials.count() + credentials.len());
        for held in self.credentials.all().filter(|held| !touched.contains(&held.credential.id)) {
            pin_hosts(&mut holding.builder, &held.entry, &held.credential);
            if services.contains(&held.credential.service) {
                holding.outlets.know(held);
            }
            holding.held.push(Arc::clone(held));
        }
        drop(services);
        holding.hold(credentials, formers, gates, |name| self.routes.named(name.as_str()));
        let Holding { builder, held, unusable, .. } = holding;
        let snapshot = Self {
            routes: builder.build(),
            callers,
            credentials: Credentials::new(held),
            unmatched: self.unmatched,
            browser_origins: self.browser_origins.clone(),
        };
        (snapshot, unusable)
    }
}

/// What a snapshot differs in from the one before.
pub struct Amends {
    /// Who may ask.
    pub callers: Callers,
    /// The credentials that are not shared: changed, new or gone.
    pub touched: HashSet<CredentialId>,
    /// Those of them that there are.
    pub credentials: Vec<Credential>,
    /// What some of these were before their last rotation.
    pub formers: Vec<store::Former>,
}

/// Credentials on their way into a snapshot.
struct Holding {
    builder: RoutesBuilder<Entry>,
    held: Vec<Arc<Held>>,
    outlets: Outlets,
    unusable: Vec<Unusable>,
}

impl Holding {
    fn hold<'a>(
        &mut self,
        credentials: Vec<Credential>,
        formers: Vec<store::Former>,
        gates: &Gates,
        entry_of: impl Fn(&ServiceName) -> Option<&'a Arc<Entry>>,
    ) {
        let mut formers: HashMap<_, _> = formers.into_iter().map(|f| (f.credential.id.clone(), f)).collect();
        for credential in credentials {
            let Some(entry) = entry_of(&credential.service) else {
                let why = format!("its service `{}` is unknown", credential.service);
                self.unusable.push(Unusable { credential: credential.name, why });
                continue;
            };
            match self.outlets.of(entry, &credential.variables) {
                Ok(outlet) => {
                    pin_hosts(&mut self.builder, entry, &credential);
                    let (entry, opener) = (Arc::clone(entry), KeptOpener::default());
                    let bounded = bounded(&credential, gates);
                    let former = formers.remove(&credential.id);
                    let former = former.map(|former| Box::new(Former::new(former, &entry, &outlet)));
                    let (counted, failed_over) = (OnceLock::new(), AtomicI64::new(0));
                    self.held.push(Arc::new(Held {
                        credential,
                        entry,
                        outlet,
                        opener,
                        bounded,
                        counted,
                        failed_over,
                        former,
                    }));
                }
                Err(why) => self.unusable.push(Unusable { credential: credential.name, why: why.to_string() }),
            }
        }
    }
}

/// What the shares of `credential` may be used for.
fn bounded(credential: &Credential, gates: &Gates) -> Box<[Option<Arc<Bounded>>]> {
    if credential.shares.iter().all(|shared| shared.bounds.is_none()) {
        return Box::default();
    }
    let one = |shared: &Shared| {
        let bounds = Arc::clone(shared.bounds.as_ref()?);
        let gate = gates.shares().of(&credential.service, &credential.id, &shared.with, &bounds);
        Some(Arc::new(Bounded { with: shared.with.clone(), bounds, gate }))
    };
    credential.shares.iter().map(one).collect()
}

/// The hosts that exist only through a credential's variables become known to the proxy doors.
fn pin_hosts(builder: &mut RoutesBuilder<Entry>, entry: &Arc<Entry>, credential: &Credential) {
    let service = &entry.service;
    for (pattern, port) in &service.hosts {
        let HostPattern::Tenant(template) = pattern else { continue };
        let default =
            |name: &Name| service.variables.iter().find(|v| v.name == *name).and_then(|v| v.default.as_deref());
        let filled = template.fill(|name| credential.variables.get(name).map(String::as_str).or_else(|| default(name)));
        if let Some(host) = filled.and_then(|text| Host::new(&text).ok()) {
            builder.host(service, entry, host, port.unwrap_or(service.base.port));
        }
    }
}
