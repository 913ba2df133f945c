//! What a gate costs a request while it is open: passing, hearing the answer, leaving. Without anything known of the service,
//! with counts in every answer, with a rate of the service's own, and while another limit owner of the same service is shut
//! with many in front of it. Fails when the median without anything known is above its goal.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a bench may stop at what it was given"
)]

use std::future::Future;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, StatusCode};
use sidekey::access::{self, Grant, Proof};
use sidekey::domain::{HeaderFamily, Rate, Share, Signals};
use sidekey::gate::{self, Course, Gates, Permit, Refused};
use sidekey::metrics::Metrics;
use sidekey::pipeline::{Held, Snapshot, Sources, Unmatched};
use sidekey::throttle::Sample;
use sidekey::upstream::{Approach, TlsConfigs};

mod world;

// As in the binary.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the gate may cost a request that it lets pass.
const GOAL: Duration = Duration::from_micros(1);
/// So many wait at the gate of another.
const WAITING: usize = 1_000;

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
    // A second key of a service, with a limit owner of its own.
    let shut = world::keyed("shut-key", "unknown", vec![Share::Everyone]);
    let (view, unusable) = Snapshot::build(Sources {
        services: services.into(),
        callers: world::callers(WAITING),
        credentials: named.map(key).into_iter().chain([shut]).collect(),
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
    grant_of(view, service, &format!("{service}-key"), 0)
}

fn grant_of(view: &Snapshot, service: &str, key: &str, caller: usize) -> Grant<Held> {
    let proof = Proof::Token { digest: world::digest(caller), name: None };
    let known = view.callers.identify(&proof, &world::peer(), 1_800_000_000).expect("known");
    let name = world::name(service);
    let request = access::Request { known, service: &name, named: Some(key), host: None, now: 1_800_000_000 };
    access::grant(&view.credentials, known, &request).expect("a grant")
}

/// In, out, answered, over.
fn pass(grant: Grant<Held>, answer: &HeaderMap) {
    let held = Arc::clone(grant.candidate());
    let course = world::course(&held);
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

/// A request on its way through the gates.
type Admission<'a> = Pin<Box<dyn Future<Output = Result<Permit<Held>, Refused>> + 'a>>;

/// One request with `shut-key`, as soon as it may.
async fn admitted(view: &Snapshot, caller: usize) -> Result<Permit<Held>, Refused> {
    let grant = grant_of(view, "unknown", "shut-key", caller);
    let held = Arc::clone(grant.candidate());
    let course = Course { patience: Duration::from_secs(120), ..world::course(&held) };
    gate::admit(&course, grant).await
}

/// Has the gate of `shut-key` closed, and one request of each caller wait in front of it.
async fn shut(view: &Snapshot) -> Vec<Admission<'_>> {
    let mut first = admitted(view, 0).await.expect("open");
    let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_static("60"))]);
    let now = Duration::from_secs(1_800_000_000);
    let sample = Sample { status: StatusCode::TOO_MANY_REQUESTS, headers: &headers, now, body: None };
    let reading = first.grant().candidate().entry.family.read(&sample);
    first.sent();
    first.complete(&reading);
    drop(first);
    let mut waiting: Vec<Admission<'_>> = Vec::with_capacity(WAITING);
    for caller in 0..WAITING {
        waiting.push(Box::pin(admitted(view, caller)));
    }
    for one in &mut waiting {
        assert!(one.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it waits");
    }
    waiting
}

/// Holds the open gate to its goal, by the median of many batches. Code that is not optimised is held to nothing.
#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn hold_to_goal(view: &Snapshot, answer: &HeaderMap) {
    if cfg!(debug_assertions) {
        return;
    }
    let batch = |_| {
        let grants: Vec<_> = (0..256).map(|_| grant(view, "unknown")).collect();
        let started = Instant::now();
        for grant in grants {
            pass(grant, answer);
        }
        started.elapsed() / 256
    };
    let mut took: Vec<Duration> = (0..401).map(batch).collect();
    took.sort_unstable();
    let median = took[took.len() / 2];
    println!("gate/nothing known: a median of {median:?}, of at most {GOAL:?}");
    assert!(median <= GOAL, "an open gate costs too much: {median:?}");
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
    hold_to_goal(&view, &answer);
    for (title, service, answer) in [
        ("nothing known", "unknown", &answer),
        ("counts in every answer", "counted", &counted),
        ("a rate", "rated", &answer),
    ] {
        c.bench_function(&format!("gate/{title}"), |b| {
            b.iter_batched(|| grant(&view, service), |grant| pass(grant, answer), BatchSize::NumIterations(256));
        });
    }
    // Who waits needs a clock, and is never woken: this thread is busy.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let waiting = runtime.block_on(shut(&view));
    c.bench_function("gate/nothing known, another owner shut and 1,000 wait for it", |b| {
        b.iter_batched(|| grant(&view, "unknown"), |grant| pass(grant, &answer), BatchSize::NumIterations(256));
    });
    drop(waiting);
}

criterion_group!(benches, gates);
criterion_main!(benches);
