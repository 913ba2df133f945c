//! Everything a request needs to know, compiled: services, callers, credentials as ciphertext. Built off the data path and
//! swapped in whole; a request holds one snapshot from its first step to its last.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::access::{Callers, Candidate, Credentials};
use crate::domain::{Bounds, Credential, Host, HostPattern, Name, Origin, Service, ServiceName, Share, Shared};
use crate::gate::{Gate, Gates, ShareGate};
use crate::inject::{Plan, PlanError};
use crate::metrics::{Metrics, ServiceMetrics};
use crate::route::{Routes, RoutesBuilder};
use crate::store;
use crate::upstream::{Approach, Destination};
use crate::vault::{KeptOpener, Keyed};

use super::fallback::Former;

/// A service with what is kept beside it.
#[derive(Debug)]
pub struct Entry {
    /// The service, shared with the configuration.
    pub service: Arc<Service>,
    /// Its limits at work; none when it has none.
    pub gate: Option<Arc<Gate>>,
    /// Its counters.
    pub metrics: Arc<ServiceMetrics>,
    /// How its hosts are approached.
    approach: Approach,
}

/// How requests of a credential are made and where they go. Shared by all credentials with the same variables.
#[derive(Debug)]
pub struct Outlet {
    /// How they are made.
    pub plan: Plan,
    /// Where they go, at the base URL.
    pub destination: Arc<Destination>,
    /// Whether a key may go there: see [`Entry::may_carry_key_to`].
    pub carries_key: bool,
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
    /// What it was before its last rotation, when that may help out.
    pub former: Option<Box<Former>>,
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

impl Entry {
    /// Another host of the service, as its own destination.
    pub fn destination(&self, origin: &Origin) -> Option<Arc<Destination>> {
        Destination::new(origin.clone(), &self.approach).ok().map(Arc::new)
    }

    /// Whether a key may go to `host` on this service: over TLS, to loopback, or where the operator allows plain text.
    pub fn may_carry_key_to(&self, origin: &Origin) -> bool {
        self.service.may_carry_key_to(origin)
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
            let gate = sources.gates.of(&service.name, service.limits);
            let metrics = sources.metrics.service(&service.name);
            let entry = Arc::new(Entry { service, gate, metrics, approach });
            builder.service(&entry.service, &entry);
            entries.insert(entry.service.name.clone(), entry);
        }
        let mut outlets = Outlets::default();
        let (mut held, mut unusable) = (Vec::new(), Vec::new());
        let mut formers: HashMap<_, _> = sources.formers.into_iter().map(|f| (f.credential.id.clone(), f)).collect();
        for credential in sources.credentials {
            let Some(entry) = entries.get(&credential.service) else {
                let why = format!("its service `{}` is unknown", credential.service);
                unusable.push(Unusable { credential: credential.name, why });
                continue;
            };
            match outlets.of(entry, &credential.variables) {
                Ok(outlet) => {
                    pin_hosts(&mut builder, entry, &credential);
                    let (entry, opener) = (Arc::clone(entry), KeptOpener::default());
                    let bounded = bounded(&credential, sources.gates);
                    let former = formers.remove(&credential.id);
                    let former = former.map(|former| Box::new(Former::new(former, &entry, &outlet)));
                    held.push(Arc::new(Held { credential, entry, outlet, opener, bounded, former }));
                }
                Err(why) => unusable.push(Unusable { credential: credential.name, why: why.to_string() }),
            }
        }
        let snapshot = Self {
            routes: builder.build(),
            callers: sources.callers,
            credentials: Credentials::new(held),
            unmatched: sources.unmatched,
            browser_origins: sources.browser_origins,
        };
        (snapshot, unusable)
    }
}

/// What the shares of `credential` may be used for.
fn bounded(credential: &Credential, gates: &Gates) -> Box<[Option<Arc<Bounded>>]> {
    if credential.shares.iter().all(|shared| shared.bounds.is_none()) {
        return Box::default();
    }
    let one = |shared: &Shared| {
        let bounds = Arc::clone(shared.bounds.as_ref()?);
        let gate = gates.shares().of(&credential.id, &shared.with, &bounds);
        Some(Arc::new(Bounded { with: shared.with.clone(), bounds, gate }))
    };
    credential.shares.iter().map(one).collect()
}

/// The outlets of one service, by the variables they were made for.
type OfVariables = Vec<(BTreeMap<Name, String>, Arc<Outlet>)>;

/// The outlets made so far, by service and variables.
#[derive(Default)]
struct Outlets(HashMap<ServiceName, OfVariables>);

impl Outlets {
    fn of(&mut self, entry: &Arc<Entry>, variables: &BTreeMap<Name, String>) -> Result<Arc<Outlet>, PlanError> {
        let of_service = self.0.entry(entry.service.name.clone()).or_default();
        if let Some((_, outlet)) = of_service.iter().find(|(pinned, _)| pinned == variables) {
            return Ok(Arc::clone(outlet));
        }
        let plan = Plan::compile(&entry.service, variables)?;
        let origin = plan.upstream().origin().clone();
        let destination = entry
            .destination(&origin)
            .ok_or(PlanError::Text { place: "the base URL's host".into(), why: "it cannot be dialled" })?;
        let carries_key = entry.may_carry_key_to(&origin);
        let outlet = Arc::new(Outlet { plan, destination, carries_key });
        of_service.push((variables.clone(), Arc::clone(&outlet)));
        Ok(outlet)
    }
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
