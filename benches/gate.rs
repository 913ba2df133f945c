//! What a gate costs a request while it is open: passing, hearing the answer, leaving. Without anything known of the service,
//! with counts in every answer, with a rate of the service's own, and behind a breaker.

#![allow(missing_docs, clippy::expect_used, clippy::panic, reason = "a bench may stop at what it was given")]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, StatusCode};
use sidekey::access::{self, Grant, Proof};
use sidekey::domain::{HeaderFamily, Rate, Share, Signals};
use sidekey::gate::{self, Course, Gates};
use sidekey::metrics::Metrics;
use sidekey::pipeline::{Held, Snapshot, Sources, Unmatched};
use sidekey::throttle::Sample;
use sidekey::upstream::{Approach, TlsConfigs};

mod world;

// As in the binary.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn view() -> Snapshot {
    let nobody = TlsConfigs::trusting(rustls::RootCertStore::empty());
    let named = ["unknown", "counted", "rated"];
    let services = named.map(|name| {
        let mut service = world::service(name, &format!("{name}.example.com"), vec![world::bearer()]);
        if name == "counted" {
            service.signals = Signals { family: Some(HeaderFamily::Ietf06), ..Signals::default() };
        }
        if name == "rated" {
            let count = NonZeroU32::new(1_000_000_000).expect("not zero");
            service.limits.rate = Some(Rate { count, period: Duration::from_secs(1) });
            service.limits.burst = Some(count);
        }
        let approach = Approach::new(&service.upstream, service.timeouts.connect, &nobody).expect("an approach");
        (Arc::new(service), approach)
    });
    let key = |name: &str| world::keyed(&format!("{name}-key"), name, vec![Share::Everyone]);
    let (view, unusable) = Snapshot::build(Sources {
        services: services.into(),
        callers: world::callers(1_000),
        credentials: named.map(key).into(),
        formers: Vec::new(),
        unmatched: Unmatched::Deny,
        browser_origins: Vec::new(),
        gates: &Gates::default(),
        metrics: &Metrics::new(1, Duration::ZERO),
    });
    assert!(unusable.is_empty(), "{unusable:?}");
    view
}

fn grant(view: &Snapshot, service: &str) -> Grant<Held> {
    let proof = Proof::Token { digest: world::digest(0), name: None };
    let known = view.callers.identify(&proof, &world::peer(), 1_800_000_000).expect("known");
    let name = world::name(service);
    let request = access::Request { known, service: &name, named: None, host: None, now: 1_800_000_000 };
    access::grant(&view.credentials, known, &request).expect("a grant")
}

/// In, out, answered, over.
fn pass(grant: Grant<Held>, answer: &HeaderMap) {
    let held = Arc::clone(grant.candidate());
    let course = Course {
        gates: &held.entry.gates,
        share: None,
        levels: None,
        owner: held.owner(),
        owner_name: held.limit_owner(),
        pins: &held.entry.pins,
        quotas: held.quotas(),
        service: held.entry.gate.as_ref(),
        family: &held.entry.family,
        method: "GET",
        path: "/v1/charges/ch_1",
        cost: 1,
        tokens: 0,
        is_repeatable: true,
        patience: Duration::from_secs(30),
        is_resend: false,
    };
    let mut admission = pin!(gate::admit(&course, grant));
    let Poll::Ready(permit) = admission.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits")
    };
    let mut permit = permit.expect("open");
    let behind = held.outlet.breaker.as_ref().map(|breaker| breaker.pass().expect("closed"));
    permit.sent();
    let now = Duration::from_secs(1_800_000_000);
    let reading = held.entry.family.read(&Sample { status: StatusCode::OK, headers: answer, now, body: None });
    permit.complete(&reading);
    if let Some(behind) = behind {
        behind.answered();
    }
    drop(black_box(permit));
}

fn gates(c: &mut Criterion) {
    let view = view();
    let mut answer: HeaderMap = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("date", "Thu, 26 Nov 2026 09:00:00 GMT"),
        ("server", "nginx"),
        ("cache-control", "no-store"),
        ("x-request-id", "0190163d-8694-739b-aea5-966c26f8ad91"),
        ("content-length", "1024"),
    ] {
        answer.insert(name, HeaderValue::from_static(value));
    }
    let mut counted = answer.clone();
    counted.insert("ratelimit-limit", HeaderValue::from_static("1000000"));
    counted.insert("ratelimit-remaining", HeaderValue::from_static("999000"));
    counted.insert("ratelimit-reset", HeaderValue::from_static("3600"));
    for (title, service, answer) in [
        ("nothing known", "unknown", &answer),
        ("counts in every answer", "counted", &counted),
        ("a rate", "rated", &answer),
    ] {
        c.bench_function(&format!("gate/{title}"), |b| {
            b.iter_batched(|| grant(&view, service), |grant| pass(grant, answer), BatchSize::NumIterations(256));
        });
    }
}

criterion_group!(benches, gates);
criterion_main!(benches);
