//! The same work against the same upstreams, by four strategies, on simulated time: no backoff, exponential backoff with full
//! jitter, `Retry-After` per request, and the gate (its real code). Prints total time, refusals, fairness and amplification,
//! and fails when the gate misses its goals. `cargo test` runs it too.
//!
//! The gate sends again here as often as it is refused: it plays without the budget that the pipeline has for that, which
//! `a_service_that_always_fails_is_not_stormed` holds to its bounds. What one that waits costs is the future of `gate::admit`
//! and its place in the queue, without its connection and what that has read.

#![allow(missing_docs, clippy::expect_used, clippy::print_stdout, reason = "a bench may stop at what it was given")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "of counts and spans far within the bounds"
)]

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use sidekey::access::{self, Grant, Known, Proof};
use sidekey::domain::{HeaderFamily, Share, Signals};
use sidekey::gate::{self, Course, Gates, Permit};
use sidekey::metrics::Metrics;
use sidekey::pipeline::{Held, Snapshot, Sources, Unmatched};
use sidekey::throttle::{Class, Sample};
use sidekey::upstream::{Approach, TlsConfigs};
use tokio::time::{Instant, sleep};

mod world;

const CALLERS: usize = 200;
const REQUESTS: usize = 10;
const LIMIT: u32 = 50;
const WINDOW: Duration = Duration::from_secs(10);
/// There and back.
const TRIP: Duration = Duration::from_millis(50);
const ATTEMPTS: u32 = 3;

/// What an upstream says when it is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// 429 and `Retry-After`.
    RetryAfter,
    /// 429 and nothing else.
    Nothing,
    /// What is left, with every answer.
    Remaining,
    /// 503, always.
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    None,
    Exponential,
    RetryAfter,
    Gate,
}

/// So many in each window, and what it was asked.
struct Upstream {
    says: Says,
    started: Instant,
    window: (u64, u32),
    sent: u32,
    refused: u32,
    /// When the first refusal came back, and how many were sent after that and refused.
    first: Option<Instant>,
    refused_after: u32,
    sent_after: u32,
}

impl Upstream {
    fn new(says: Says) -> Self {
        let started = Instant::now();
        Self { says, started, window: (0, 0), sent: 0, refused: 0, first: None, refused_after: 0, sent_after: 0 }
    }

    /// Answers a request that was sent at `sent` and arrives now.
    fn answer(&mut self, sent: Instant) -> (StatusCode, HeaderMap) {
        let mut headers = HeaderMap::new();
        let is_after = self.first.is_some_and(|first| sent > first);
        self.sent += 1;
        self.sent_after += u32::from(is_after);
        if self.says == Says::Dead {
            return (StatusCode::SERVICE_UNAVAILABLE, headers);
        }
        let at = self.started.elapsed();
        let current = at.as_secs() / WINDOW.as_secs();
        if self.window.0 != current {
            self.window = (current, 0);
        }
        self.window.1 += 1;
        let left = WINDOW.as_secs_f64() - at.as_secs_f64() % WINDOW.as_secs_f64();
        let seconds = |time: f64| HeaderValue::from(time.ceil() as u64);
        if self.says == Says::Remaining {
            headers.insert("ratelimit-limit", HeaderValue::from(LIMIT));
            headers.insert("ratelimit-remaining", HeaderValue::from(LIMIT.saturating_sub(self.window.1)));
            headers.insert("ratelimit-reset", seconds(left));
        }
        if self.window.1 <= LIMIT {
            return (StatusCode::OK, headers);
        }
        self.refused += 1;
        self.refused_after += u32::from(is_after);
        self.first.get_or_insert_with(|| Instant::now() + TRIP / 2);
        if self.says == Says::RetryAfter {
            headers.insert("retry-after", seconds(left));
        }
        (StatusCode::TOO_MANY_REQUESTS, headers)
    }
}

async fn exchange(upstream: &Mutex<Upstream>) -> (StatusCode, HeaderMap) {
    let sent = Instant::now();
    sleep(TRIP / 2).await;
    let answer = upstream.lock().expect("not poisoned").answer(sent);
    sleep(TRIP / 2).await;
    answer
}

/// The proxy's tables: one service, one key for everyone.
struct Proxy {
    view: Snapshot,
}

impl Proxy {
    fn new(says: Says, services: usize) -> Self {
        let nobody = TlsConfigs::trusting(rustls::RootCertStore::empty());
        let one = |n: usize| {
            let mut service =
                world::service(&format!("upstream-{n}"), &format!("api-{n}.example.com"), vec![world::bearer()]);
            let family = (says == Says::Remaining).then_some(HeaderFamily::Ietf06);
            service.signals = Signals { family, ..Signals::default() };
            let approach = Approach::new(&service.upstream, service.timeouts.connect, &nobody).expect("an approach");
            (Arc::new(service), approach)
        };
        let key = |n: usize| world::keyed(&format!("key-{n}"), &format!("upstream-{n}"), vec![Share::Everyone]);
        let (view, unusable) = Snapshot::build(Sources {
            services: (0..services).map(one).collect(),
            callers: world::callers(CALLERS.max(1_000)),
            credentials: (0..services).map(key).collect(),
            formers: Vec::new(),
            unmatched: Unmatched::Deny,
            browser_origins: Vec::new(),
            gates: &Gates::default(),
            metrics: &Metrics::new(1, Duration::ZERO),
        });
        assert!(unusable.is_empty(), "{unusable:?}");
        Self { view }
    }

    fn grant(&self, caller: usize, service: usize) -> Grant<Held> {
        let proof = Proof::Token { digest: world::digest(caller), name: None };
        let known: &Arc<Known> = self.view.callers.identify(&proof, &world::peer(), 1_800_000_000).expect("known");
        let name = world::name(&format!("upstream-{service}"));
        let request = access::Request { known, service: &name, named: None, host: None, now: 1_800_000_000 };
        access::grant(&self.view.credentials, known, &request).expect("a grant")
    }

    async fn admit(&self, caller: usize, service: usize, is_resend: bool) -> Result<Permit<Held>, gate::Refused> {
        let grant = self.grant(caller, service);
        let held = Arc::clone(grant.candidate());
        gate::admit(&Course { is_resend, ..patient(&held) }, grant).await
    }
}

fn patient(held: &Held) -> Course<'_> {
    Course { patience: Duration::from_secs(120), ..world::course(held) }
}

/// One request by the gate, sent again as long as it is refused for a limit; whether it was answered well.
async fn by_gate(proxy: &Proxy, caller: usize, upstream: &Mutex<Upstream>) -> bool {
    let mut is_resend = false;
    loop {
        let Ok(mut permit) = proxy.admit(caller, 0, is_resend).await else { return false };
        let held = Arc::clone(permit.grant().candidate());
        let Ok(behind) = held.outlet.breaker.as_ref().expect("a breaker").pass() else { return false };
        permit.sent();
        let (status, headers) = exchange(upstream).await;
        let now = Duration::from_secs(1_800_000_000) + Instant::now().elapsed();
        let reading = held.entry.family.read(&Sample { status, headers: &headers, now, body: None });
        permit.complete(&reading);
        match reading.class {
            Class::Transient => behind.failed(),
            _ => behind.answered(),
        }
        if status.is_success() {
            return true;
        }
        is_resend = true;
    }
}

/// One request by itself.
async fn alone(strategy: Strategy, caller: usize, upstream: &Mutex<Upstream>) -> bool {
    let mut dice = caller as u64 * 2_654_435_761 + 1;
    for attempt in 0..64_u32 {
        let (status, headers) = exchange(upstream).await;
        if status.is_success() {
            return true;
        }
        if status == StatusCode::SERVICE_UNAVAILABLE && attempt + 1 >= ATTEMPTS {
            return false;
        }
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let chance = (dice >> 40) as f64 / f64::from(1 << 24);
        let backoff = Duration::from_secs(1 << attempt.min(5)).min(Duration::from_secs(20)).mul_f64(chance);
        let told = headers.get("retry-after").or(headers.get("ratelimit-reset"));
        let told = told.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        match strategy {
            Strategy::None => {}
            Strategy::RetryAfter => sleep(told.unwrap_or(backoff)).await,
            Strategy::Exponential | Strategy::Gate => sleep(backoff).await,
        }
    }
    false
}

/// What came of it.
struct Outcome {
    total: Duration,
    sent: u32,
    refused: u32,
    refused_after: f64,
    fairness: f64,
    unanswered: usize,
}

fn play(strategy: Strategy, says: Says) -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async move {
        let proxy = Arc::new(Proxy::new(says, 1));
        let upstream = Arc::new(Mutex::new(Upstream::new(says)));
        let started = Instant::now();
        let tasks: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (proxy, upstream) = (Arc::clone(&proxy), Arc::clone(&upstream));
                tokio::spawn(async move {
                    let mut answered = 0;
                    for _ in 0..REQUESTS {
                        answered += usize::from(match strategy {
                            Strategy::Gate => by_gate(&proxy, caller, &upstream).await,
                            _ => alone(strategy, caller, &upstream).await,
                        });
                    }
                    (answered, started.elapsed())
                })
            })
            .collect();
        let mut speeds = Vec::new();
        let mut answered = 0;
        for task in tasks {
            let (own, took) = task.await.expect("no panic");
            answered += own;
            speeds.push(own as f64 / took.as_secs_f64().max(0.001));
        }
        let upstream = upstream.lock().expect("not poisoned");
        Outcome {
            total: started.elapsed(),
            sent: upstream.sent,
            refused: upstream.refused,
            refused_after: f64::from(upstream.refused_after) / f64::from(upstream.sent_after.max(1)),
            fairness: jain(&speeds),
            unanswered: CALLERS * REQUESTS - answered,
        }
    })
}

/// Jain's index: 1 when all are equally fast, 1/n when one has everything.
fn jain(speeds: &[f64]) -> f64 {
    let (sum, squares) = (speeds.iter().sum::<f64>(), speeds.iter().map(|speed| speed * speed).sum::<f64>());
    if squares == 0.0 { 1.0 } else { sum * sum / (speeds.len() as f64 * squares) }
}

/// What ten thousand that wait cost, by what is resident: 1,000 callers in front of each of ten closed gates.
fn waiters() -> f64 {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let proxy = Proxy::new(Says::RetryAfter, 10);
        for service in 0..10 {
            let mut first = proxy.admit(0, service, false).await.expect("open");
            let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_static("60"))]);
            let sample =
                Sample { status: StatusCode::TOO_MANY_REQUESTS, headers: &headers, now: Duration::ZERO, body: None };
            let reading = first.grant().candidate().entry.family.read(&sample);
            first.sent();
            first.complete(&reading);
        }
        let held: Vec<Arc<Held>> = (0..10).map(|service| Arc::clone(proxy.grant(0, service).candidate())).collect();
        let courses: Vec<Course<'_>> = held.iter().map(|held| patient(held)).collect();
        let mut waiting: Vec<Pin<Box<dyn Future<Output = _>>>> = Vec::with_capacity(10_000);
        let before = resident();
        for (service, course) in courses.iter().enumerate() {
            for caller in 0..1_000 {
                let mut one = Box::pin(gate::admit(course, proxy.grant(caller, service)));
                let polled = one.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(matches!(polled, Poll::Pending), "it waits");
                waiting.push(one);
            }
        }
        (resident() - before) / 10_000.0
    })
}

/// Bytes.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or_default() * 4096.0
}

fn main() {
    let least = WINDOW * (CALLERS * REQUESTS).div_ceil(LIMIT as usize).saturating_sub(1) as u32;
    println!(
        "{CALLERS} callers, {REQUESTS} requests each; {LIMIT} in {} s: at least {} s\n",
        WINDOW.as_secs(),
        least.as_secs()
    );
    println!(
        "{:<12} {:<12} {:>8} {:>7} {:>7} {:>7} {:>9} {:>7} {:>7} {:>10}",
        "upstream", "strategy", "total s", "x least", "sent", "429", "429 after", "Jain", "amplif.", "unanswered"
    );
    let mut missed = Vec::new();
    for says in [Says::RetryAfter, Says::Nothing, Says::Remaining, Says::Dead] {
        for strategy in [Strategy::None, Strategy::Exponential, Strategy::RetryAfter, Strategy::Gate] {
            let Outcome { total, sent, refused, refused_after, fairness, unanswered } = play(strategy, says);
            let slowness = total.as_secs_f64() / least.as_secs_f64();
            let amplification = f64::from(sent) / (CALLERS * REQUESTS) as f64;
            println!(
                "{:<12} {:<12} {:>8.1} {:>7.3} {:>7} {:>7} {:>8.2}% {:>7.3} {:>7.2} {:>10}",
                format!("{says:?}"),
                format!("{strategy:?}"),
                total.as_secs_f64(),
                slowness,
                sent,
                refused,
                refused_after * 100.0,
                fairness,
                amplification,
                unanswered
            );
            let goals = match says {
                Says::Dead => amplification <= 1.2,
                _ => slowness <= 1.1 && refused_after <= 0.02 && fairness >= 0.95 && unanswered == 0,
            };
            if strategy == Strategy::Gate && !goals {
                missed.push(says);
            }
        }
    }
    let bytes = waiters();
    println!("\none that waits costs {bytes:.0} bytes");
    assert!(bytes <= 2048.0, "a waiter costs too much");
    assert!(missed.is_empty(), "the gate misses its goals: {missed:?}");
}
