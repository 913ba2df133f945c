//! What the whole line adds to a request, without the network and the audit: who, where, with which key, may they, when,
//! open the key, place it. Among 446 services, a thousand callers and a thousand keys.

#![allow(missing_docs, clippy::expect_used, reason = "a bench may stop at what it was given")]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::request::Parts;
use sidekey::access::{self, Grant, Proof};
use sidekey::domain::{Fields, Peer, Rate, Rule, Scheme, Secret, Service, Share, SystemClock, TeamId};
use sidekey::gate::{self, Course, Gates, Permit};
use sidekey::inject::{self, Mount, Outbound};
use sidekey::keys::MasterKeySource;
use sidekey::metrics::Metrics;
use sidekey::pipeline::{Held, Snapshot, Sources, Unmatched};
use sidekey::route::Target;
use sidekey::store::Sqlite;
use sidekey::upstream::{Approach, TlsConfigs};
use sidekey::vault::Vault;

mod world;

// As in the binary.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERVICES: usize = 446;
const CALLERS: usize = 1_000;
const KEYS: usize = 1_000;

struct Corridor {
    _folder: tempfile::TempDir,
    vault: Vault,
    view: Snapshot,
    peer: Peer,
}

/// The services `service-N`: the first has rules, the second a limit that is never reached.
fn service(n: usize) -> Service {
    let mut service =
        world::service(&format!("service-{n}"), &format!("api.service-{n}.example.com"), vec![world::bearer()]);
    match n {
        1 => {
            let rules = ["GET /v1/customers/*", "GET /v1/charges/**", "POST /v1/charges"];
            service.allowed.rules = Some(rules.iter().map(|rule| Rule::parse(rule).expect("a rule")).collect());
        }
        2 => {
            let count = NonZeroU32::new(1_000_000_000).expect("not zero");
            service.limits.rate = Some(Rate { count, period: Duration::from_secs(1) });
            service.limits.burst = Some(count);
        }
        _ => {}
    }
    service
}

impl Corridor {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Sqlite::open(&folder.path().join("data/sidekey.db")).expect("a store");
        let key = MasterKeySource::File(folder.path().join("data/master.key"));
        let vault = Vault::open(Arc::new(store), &key, Arc::new(SystemClock)).expect("a vault");
        let fields =
            Fields::new(vec![(world::name("key"), Secret::new(b"sk_live_0123456789abcdef0123456789abcdef".to_vec()))]);
        let credentials = (0..KEYS).map(|n| {
            let shares = vec![Share::Team(TeamId::new("ops"))];
            let service = format!("service-{}", n % SERVICES);
            let owner = if n < SERVICES { "admin".to_owned() } else { format!("user-{n}") };
            let shares = if n < SERVICES { shares } else { vec![] };
            let mut credential = world::credential(&format!("key-{n}"), &service, &owner, shares);
            credential.sealed = Some(Arc::new(vault.seal_declared(&credential, &fields).expect("sealed")));
            credential
        });
        let nobody = TlsConfigs::trusting(rustls::RootCertStore::empty());
        let approach = |service: &Service| {
            Approach::new(&service.upstream, service.timeouts.connect, &nobody).expect("an approach")
        };
        let services = (0..SERVICES).map(service).map(|service| {
            let approach = approach(&service);
            (Arc::new(service), approach)
        });
        let (view, unusable) = Snapshot::build(Sources {
            services: services.collect(),
            callers: world::callers(CALLERS),
            credentials: credentials.collect(),
            formers: Vec::new(),
            unmatched: Unmatched::Deny,
            browser_origins: Vec::new(),
            gates: &Gates::default(),
            metrics: &Metrics::new(1, Duration::ZERO),
        });
        assert!(unusable.is_empty(), "{unusable:?}");
        Self { _folder: folder, vault, view, peer: world::peer() }
    }

    /// What the pipeline does between a door and the upstream, step by step.
    fn walk(&self, proof: &Proof, target: &Target, parts: Parts) -> Option<Outbound> {
        let known = self.view.callers.identify(proof, &self.peer, 1_800_000_000).ok()?;
        let routed = self.view.routes.find(target, parts.uri.path())?;
        let entry = routed.service;
        let service = &entry.service;
        let request =
            access::Request { known, service: &service.name, named: None, host: routed.host, now: 1_800_000_000 };
        let grant = access::grant(&self.view.credentials, known, &request).ok()?;
        let plan = Arc::clone(&grant.candidate().outlet);
        let mount = match target {
            Target::Named { rest, .. } => Mount::Base { skip: *rest },
            Target::Hosted { .. } => Mount::Origin(plan.plan.upstream()),
        };
        if !service.allowed.is_everything() {
            let path = plan.plan.ruled_path(parts.uri.path(), &mount).ok()?;
            if !service.allowed.admits(parts.method.as_str(), &path) {
                return None;
            }
        }
        let permit = admitted(grant, &parts)?;
        let fields = self.vault.unlock(&permit).ok()?;
        inject::place(parts, mount, &plan.plan, &fields).ok()
    }
}

/// What the gates say, who are open here and never have it wait.
fn admitted(grant: Grant<Held>, parts: &Parts) -> Option<Permit<Held>> {
    let held = Arc::clone(grant.candidate());
    let course = Course {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        patience: held.entry.service.limits.max_wait,
        ..world::course(&held)
    };
    let mut admission = pin!(gate::admit(&course, grant));
    let Poll::Ready(permit) = admission.as_mut().poll(&mut Context::from_waker(Waker::noop())) else { return None };
    permit.ok()
}

fn line(c: &mut Criterion) {
    let corridor = Corridor::new();
    let proof = Proof::Token { digest: world::digest(0), name: None };
    let named = |n: usize| {
        let name = format!("service-{n}");
        (
            Target::Named { rest: name.len() + 1, name: name.as_str().into() },
            format!("/{name}/v1/charges/ch_1?limit=10"),
        )
    };
    let host = world::host("api.service-3.example.com");
    let hosted = (Target::Hosted { host, port: None, scheme: Scheme::Http }, "/v1/charges/ch_1?limit=10".to_owned());
    let cases = [
        ("path door", named(3)),
        ("forward door", hosted),
        ("path door, with rules", named(1)),
        ("path door, with a rate", named(2)),
    ];
    for (title, (target, path)) in cases {
        assert!(corridor.walk(&proof, &target, world::request(&path)).is_some(), "{title}");
        c.bench_function(&format!("corridor/{title}"), |b| {
            b.iter_batched(
                || world::request(&path),
                |parts| corridor.walk(black_box(&proof), black_box(&target), parts),
                // Small batches: in the proxy the headers have just been parsed and are in the cache.
                BatchSize::NumIterations(32),
            );
        });
    }
}

criterion_group!(benches, line);
criterion_main!(benches);
