//! The gates at work, on paused time: turns, patience, closures that all who share an owner keep, and what is freed when.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::hall::Rejection;
use super::levels::Asker;
use super::limiter::{Want, now};
use super::owner::{Passed, Route};
use super::pass::Pass;
use super::passes::Passes;
use super::queue::Place;
use super::waiting::Comer;
use super::*;
use crate::domain::{
    CallerId, Gating, Host, Level, Limits, Name, Origin, Pin, PinnedTo, Rate, Scheme, ServiceName, Weight,
};
use crate::throttle::state::{Mode, Phase};
use crate::throttle::{Bucket, Class, Dimension, Family, Reading, Scope, Word};

/// What an ordinary request asks.
const WANT: Want = Want { cost: 1, tokens: 0, most_tokens: 0, is_repeatable: true };

const fn route(hash: u64) -> Route {
    Route::Learnt { hash, major: None }
}

fn limits(rate: Option<(u32, u64)>, burst: Option<u32>, concurrency: Option<u32>) -> Limits {
    Limits {
        rate: rate.map(|(n, s)| Rate { count: NonZeroU32::new(n).unwrap(), period: Duration::from_secs(s) }),
        burst: burst.and_then(NonZeroU32::new),
        concurrency: concurrency.and_then(NonZeroU32::new),
        ..Limits::default()
    }
}

fn service() -> ServiceName {
    ServiceName::new("stripe").unwrap()
}

fn of_service(limits: Limits) -> Arc<Gate> {
    Gates::default().of(&service(), limits, 1).unwrap()
}

fn owner(gates: &Gates, name: &str) -> Arc<Owner> {
    gates.owner(&service(), name, Mode::Enforce, &Family::default()).unwrap()
}

fn learnt() -> Arc<Gate> {
    Arc::clone(&owner(&Gates::default(), "acme").all)
}

fn key() -> Name {
    Name::new("prod").unwrap()
}

/// Passes `gate` as `caller`, for at most `patience`.
async fn pass_as(gate: &Arc<Gate>, caller: &str, patience: Duration) -> Result<Pass, Refused> {
    let caller = CallerId::new(caller);
    let (weight, place, deadline) = (Weight::ONE, Place::Last, now() + patience);
    let comer = Comer { caller: &caller, weight, want: WANT, place, deadline };
    gate.pass(&comer, &mut Passes::default()).await
}

async fn pass(gate: &Arc<Gate>) -> Result<Pass, Refused> {
    pass_as(gate, "a", Duration::from_secs(30)).await
}

/// Passes `gate` with something that is sent.
async fn send(gate: &Arc<Gate>) {
    pass(gate).await.unwrap().sent();
}

fn throttled(wait: u64) -> Reading {
    Reading { wait: Some(Duration::from_secs(wait)), ..Reading::plain(Class::Throttled) }
}

/// Closes `gate` for `wait` seconds, and at most a tenth more.
async fn close(gate: &Arc<Gate>, wait: u64) {
    let mut first = pass(gate).await.unwrap();
    first.sent();
    first.answered(&throttled(wait), &key());
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_at_once_and_the_next_waits_for_the_rate() {
    let gate = of_service(limits(Some((50, 1)), Some(3), None));
    let started = Instant::now();
    for _ in 0..3 {
        send(&gate).await;
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    send(&gate).await;
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(19) && waited <= Duration::from_millis(22), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_holds_however_many_wait_for_it() {
    let gate = of_service(limits(Some((10, 1)), None, None));
    let started = Instant::now();
    let waiting = (0..40).map(|n| {
        let gate = Arc::clone(&gate);
        tokio::spawn(async move {
            pass_as(&gate, &format!("c{}", n % 4), Duration::from_secs(30)).await.map(|mut pass| pass.sent())
        })
    });
    for one in waiting.collect::<Vec<_>>() {
        one.await.unwrap().unwrap();
    }
    let took = started.elapsed().as_secs_f32();
    assert!((3.8..4.3).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn what_passed_and_was_not_sent_leaves_its_room_to_who_waits() {
    let gate = of_service(limits(Some((1, 60)), None, None));
    let unsent = pass(&gate).await.unwrap();
    let started = Instant::now();
    let waiting = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move { pass_as(&gate, "b", Duration::from_secs(70)).await.map(|mut pass| pass.sent()) }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    drop(unsent);
    waiting.await.unwrap().unwrap();
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    let Err(Refused::Limit { wait, .. }) = pass(&gate).await else { panic!("passed") };
    assert_eq!(wait, Duration::from_secs(60), "what was sent counts, though it is over");
}

#[tokio::test(start_paused = true)]
async fn a_wait_longer_than_the_patience_is_refused_at_once_with_the_time() {
    let gate = learnt();
    close(&gate, 45).await;
    let started = Instant::now();
    let Err(Refused::Limit { wait, policy, of, .. }) = pass(&gate).await else { panic!("admitted") };
    assert!(wait >= Duration::from_secs(45) && wait <= Duration::from_secs(47), "{wait:?}");
    assert_eq!((policy.as_str(), of), ("stripe", LimitOf::Upstream));
    assert_eq!((started.elapsed(), gate.waiting()), (Duration::ZERO, 0));
    let patient = pass_as(&gate, "b", Duration::from_secs(48)).await;
    assert!(patient.is_ok() && started.elapsed() >= Duration::from_secs(45), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn places_are_freed_on_drop_and_patience_ends_the_wait() {
    let gate = of_service(limits(None, None, Some(1)));
    let first = pass(&gate).await.unwrap();
    let Err(Refused::Limit { policy, met, .. }) = pass_as(&gate, "b", Duration::from_secs(2)).await else {
        panic!("admitted")
    };
    assert_eq!((policy.as_str(), met.cause, met.is_late), ("concurrency 1", Cause::Places(1), true));
    drop(first);
    assert!(pass(&gate).await.is_ok());
    assert_eq!(gate.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_patience_passes_where_nobody_waits() {
    let gate = of_service(limits(Some((100, 1)), None, Some(4)));
    let caller = CallerId::new("a");
    let comer = Comer { caller: &caller, weight: Weight::ONE, want: WANT, place: Place::Last, deadline: now() };
    tokio::time::advance(Duration::from_micros(3)).await;
    assert!(gate.foreseen(comer).is_none() && gate.pass(&comer, &mut Passes::default()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn no_caller_has_more_than_half_of_the_places_while_others_wait() {
    let gate = of_service(limits(None, None, Some(4)));
    let mut held: Vec<Pass> = Vec::new();
    for _ in 0..4 {
        held.push(pass_as(&gate, "a", Duration::from_secs(9)).await.unwrap());
    }
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for caller in ["a", "a", "a", "b", "b"] {
        let (gate, order) = (Arc::clone(&gate), Arc::clone(&order));
        waiting.push(tokio::spawn(async move {
            let pass = pass_as(&gate, caller, Duration::from_secs(9)).await.unwrap();
            order.lock().unwrap().push(caller);
            std::mem::forget(pass);
        }));
        tokio::task::yield_now().await;
    }
    for _ in 0..4 {
        held.pop();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(*order.lock().unwrap(), ["b", "b", "a", "a"], "b has its half first");
}

#[tokio::test(start_paused = true)]
async fn two_hundred_callers_share_one_refusal_and_all_get_through() {
    const LIMIT: u32 = 50;
    let gate = learnt();
    let (served, refused, probes) =
        (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let started = Instant::now();
    // When the first was sent after the closure.
    let reopened = Arc::new(std::sync::Mutex::new(None));
    let window = Arc::new(std::sync::Mutex::new((0_u64, 0_u32)));
    let mut tasks = Vec::new();
    for n in 0..200 {
        let (gate, window, reopened) = (Arc::clone(&gate), Arc::clone(&window), Arc::clone(&reopened));
        let (served, refused, probes) = (Arc::clone(&served), Arc::clone(&refused), Arc::clone(&probes));
        tasks.push(tokio::spawn(async move {
            loop {
                let mut pass = pass_as(&gate, &format!("c{n}"), Duration::from_secs(60)).await.unwrap();
                pass.sent();
                let at = started.elapsed();
                assert!(at < Duration::from_millis(20) || at >= Duration::from_secs(2), "sent while closed: {at:?}");
                // The upstream: 50 in each window of two seconds, with the wait until the next one.
                let lets_through = {
                    let mut window = window.lock().unwrap();
                    let current = at.as_secs() / 2;
                    if window.0 != current {
                        *window = (current, 0);
                    }
                    window.1 += 1;
                    window.1 <= LIMIT
                };
                if at >= Duration::from_secs(2) {
                    let first = *reopened.lock().unwrap().get_or_insert(at);
                    probes.fetch_add(u32::from(at < first + Duration::from_millis(20)), Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                if lets_through {
                    pass.answered(&Reading::plain(Class::Fine), &key());
                    served.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                refused.fetch_add(1, Ordering::Relaxed);
                let since = u64::try_from(started.elapsed().as_nanos()).unwrap() % 2_000_000_000;
                let left = Duration::from_nanos(2_000_000_000 - since);
                pass.answered(&Reading { wait: Some(left), ..Reading::plain(Class::Throttled) }, &key());
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(served.load(Ordering::Relaxed), 200);
    assert_eq!(probes.load(Ordering::Relaxed), 1, "one before its answer");
    let refused = refused.load(Ordering::Relaxed);
    assert!((150..=154).contains(&refused), "150 were under way at the closure, then one a window at most: {refused}");
    // Two closures of 2 s at most, and 150 at 25 a second.
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_goes_first_when_the_time_is_over_and_the_others_follow_its_answer() {
    let gate = learnt();
    close(&gate, 2).await;
    let passed = Arc::new(AtomicU32::new(0));
    for n in 0..20 {
        let (gate, passed) = (Arc::clone(&gate), Arc::clone(&passed));
        tokio::spawn(async move {
            let mut pass = pass_as(&gate, &format!("c{n}"), Duration::from_secs(30)).await.unwrap();
            pass.sent();
            passed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(500)).await;
            pass.answered(&Reading::plain(Class::Fine), &key());
        });
    }
    tokio::time::sleep(Duration::from_millis(1_990)).await;
    assert_eq!(passed.load(Ordering::Relaxed), 0);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(passed.load(Ordering::Relaxed), 1, "one probe");
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(passed.load(Ordering::Relaxed), 20);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_caller_does_not_delay_another_by_more_than_a_turn() {
    let gate = of_service(limits(Some((10, 1)), None, None));
    let mut flood = Vec::new();
    for _ in 0..1_000 {
        let gate = Arc::clone(&gate);
        flood.push(tokio::spawn(async move {
            pass_as(&gate, "a", Duration::from_secs(120)).await.map(|mut pass| pass.sent())
        }));
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(gate.waiting(), 500, "half of the queue for one caller");
    for _ in 0..10 {
        let started = Instant::now();
        pass_as(&gate, "b", Duration::from_secs(120)).await.unwrap().sent();
        assert!(started.elapsed() <= Duration::from_millis(210), "{:?}", started.elapsed());
    }
    let refused = flood.iter().filter(|task| task.is_finished()).count();
    assert!(refused >= 480, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_closed_owner_delays_no_other() {
    let gates = Gates::default();
    let (x, y) = (owner(&gates, "x"), owner(&gates, "y"));
    close(&x.all, 20).await;
    let started = Instant::now();
    for _ in 0..100 {
        pass(&y.all).await.unwrap();
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert!(pass_as(&x.all, "a", Duration::from_secs(1)).await.is_err());
}

#[test]
fn a_gate_whose_lock_is_held_keeps_no_request_of_another_owner_waiting() {
    let gates = Gates::default();
    let (x, y) = (owner(&gates, "x"), owner(&gates, "y"));
    let held = x.all.lock();
    let (told, over) = std::sync::mpsc::channel();
    let of_y = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // Open; closed and refused at once; waited for; and a bucket of its own.
            pass(&y.all).await.unwrap();
            close(&y.all, 1).await;
            assert!(pass_as(&y.all, "a", Duration::ZERO).await.is_err());
            pass(&y.all).await.unwrap().answered(&Reading::plain(Class::Fine), &key());
            assert!(y.gate_of(Word::new("search").unwrap()).is_some());
        });
        told.send(()).unwrap();
    });
    assert_eq!(over.recv_timeout(Duration::from_secs(20)), Ok(()), "y waits for a lock of x");
    of_y.join().unwrap();
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn who_is_sent_away_is_counted_by_service_and_why() {
    let gates = Gates::default();
    let closed: Vec<_> = (0..11).map(|n| owner(&gates, &format!("owner-{n}"))).collect();
    let (day, patience) = (24 * 60 * 60, Duration::from_secs(2 * 24 * 60 * 60));
    for owner in &closed {
        close(&owner.all, day).await;
    }
    let waits = |n: usize, caller: &str| {
        let (gate, caller) = (Arc::clone(&closed[n].all), caller.to_owned());
        tokio::spawn(async move { pass_as(&gate, &caller, patience).await.map(drop) })
    };
    let fill = |n: usize| -> Vec<_> { (0..1_000).map(|m| waits(n, &format!("c{}", m % 20))).collect() };
    let counted = |why| {
        let all = gates.rejections();
        all.into_iter().find_map(|(name, counted, count)| (name == service() && counted == why).then_some(count))
    };
    assert_eq!(counted(Rejection::Deadline), None, "nothing was sent away yet");
    assert!(pass_as(&closed[0].all, "a", Duration::from_secs(1)).await.is_err());
    let _first = fill(0);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(gates.waiting(), 1_000);
    let _newcomer = waits(0, "another");
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((counted(Rejection::Deadline), counted(Rejection::Queue)), (Some(1), Some(1)), "a queue is full");
    let _others: Vec<_> = (1..10).map(fill).collect();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((gates.waiting(), counted(Rejection::Overall)), (10_000, Some(0)));
    let Err(Refused::Full { crowd, most, wait }) = waits(10, "a").await.unwrap() else { panic!("it waits") };
    assert_eq!((crowd, most), (Crowd::Process, 10_000));
    assert_eq!(wait, closed[10].all.closed_for(), "it is known how long it is closed");
    assert_eq!((counted(Rejection::Overall), counted(Rejection::Queue)), (Some(1), Some(1)));
    let newcomer = waits(3, "a");
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!newcomer.is_finished(), "where others wait, who has most of them makes room");
    assert_eq!((gates.waiting(), closed[3].all.waiting(), counted(Rejection::Overall)), (10_000, 1_000, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_it_waits_frees_its_place_and_is_never_let_through() {
    let gates = Gates::default();
    let gate = Arc::clone(&owner(&gates, "acme").all);
    close(&gate, 5).await;
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move { pass(&gate).await.map(drop) })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((gate.waiting(), gates.waiting()), (50, 50));
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((gate.waiting(), gates.waiting()), (0, 0));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(gate.under_way.load(Ordering::Relaxed), 0);
    assert!(matches!(gate.view().phase, Phase::Closed { .. }), "nobody was a probe");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_before_it_is_sent_hands_its_turn_on() {
    let gate = learnt();
    close(&gate, 1).await;
    let probe = pass(&gate).await.unwrap();
    let next = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move { pass_as(&gate, "b", Duration::from_secs(30)).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!next.is_finished());
    drop(probe);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(next.is_finished());
}

#[tokio::test(start_paused = true)]
async fn who_would_wait_too_long_after_a_closure_grew_is_told_at_once() {
    let gate = learnt();
    let mut late = pass(&gate).await.unwrap();
    close(&gate, 2).await;
    let (hasty, patient) = (Arc::clone(&gate), Arc::clone(&gate));
    let hasty = tokio::spawn(async move { pass_as(&hasty, "a", Duration::from_secs(10)).await.map(drop) });
    let patient = tokio::spawn(async move { pass_as(&patient, "b", Duration::from_secs(60)).await.map(drop) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    late.sent();
    late.answered(&throttled(40), &key());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(hasty.is_finished() && !patient.is_finished());
    let Err(Refused::Limit { wait, .. }) = hasty.await.unwrap() else { panic!("admitted") };
    assert!(wait >= Duration::from_secs(40), "{wait:?}");
    assert!(patient.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn stopping_sends_everyone_away() {
    let gates = Gates::default();
    let gate = Arc::clone(&owner(&gates, "acme").all);
    close(&gate, 20).await;
    let waiting = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move { pass(&gate).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    gates.close();
    assert_eq!(waiting.await.unwrap(), Err(Refused::Closing));
    assert_eq!(pass(&gate).await.map(drop), Err(Refused::Closing));
}

#[tokio::test(start_paused = true)]
async fn the_headers_of_an_answer_close_the_gate_before_the_upstream_must() {
    let gate = learnt();
    let left = |left| {
        let window = Dimension {
            limit: Some(10),
            remaining: Some(left),
            reset: Some(Duration::from_secs(5)),
            ..Dimension::new("requests")
        };
        Reading { trusted: true, ..Reading::of(Class::Fine, [window]) }
    };
    let mut first = pass(&gate).await.unwrap();
    first.sent();
    first.answered(&left(0), &key());
    let closed = Happened::Closed(Class::Throttled, Duration::from_secs(5));
    let told = gate.hall.take_news().into_iter().map(|news| news.what).collect::<Vec<_>>();
    assert_eq!((told, gate.view().closures), (vec![closed], 1), "also where nobody else comes");
    let started = Instant::now();
    let mut probe = pass(&gate).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(5), "{:?}", started.elapsed());
    probe.sent();
    probe.answered(&left(9), &key());
    let view = gate.view();
    assert_eq!((view.phase, view.windows[0].left, view.windows[0].limit), (Phase::Open, 9, Some(10)));
    let mut last = pass(&gate).await.unwrap();
    last.sent();
    last.answered(&left(1), &key());
    pass_as(&gate, "a", Duration::ZERO).await.unwrap().sent();
    assert!(pass_as(&gate, "a", Duration::ZERO).await.is_err(), "that one got no answer");
    let told = gate.hall.take_news().into_iter().map(|news| news.what).last();
    assert!(matches!(told, Some(Happened::Closed(Class::Throttled, _))), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_too_many_at_once_lowers_how_many_go_and_closes_nothing() {
    let gate = learnt();
    let mut under_way = Vec::new();
    for _ in 0..8 {
        under_way.push(pass(&gate).await.unwrap());
    }
    let too_many = Reading { concurrency: true, ..throttled(0) };
    under_way.pop().unwrap().answered(&too_many, &key());
    assert_eq!((gate.view().places, gate.view().phase), (Some(4), Phase::Open));
    assert!(pass_as(&gate, "b", Duration::from_secs(1)).await.is_err());
    while under_way.len() > 4 {
        under_way.pop().unwrap().answered(&too_many, &key());
    }
    assert_eq!(gate.view().places, Some(4), "the same wave");
    under_way.truncate(3);
    assert!(pass_as(&gate, "b", Duration::from_secs(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_answers_name_has_a_gate_of_its_own() {
    let gates = Gates::default();
    let owner = owner(&gates, "acme");
    let (search, other) = (route(1), route(2));
    let mut all = pass(&owner.all).await.unwrap();
    let named = Reading { bucket: Word::new("search"), scope: Scope::Bucket, ..throttled(20) };
    owner.hear(Passed { all: Some(&mut all), bucket: None, route: search, closures: 0 }, &named, &key());
    assert_eq!(owner.all.view().phase, Phase::Open);
    let bucket = owner.bucket_of(search).unwrap();
    assert!(matches!(bucket.view().phase, Phase::Closed { .. }));
    assert!(owner.bucket_of(other).is_none());
    let mut all = pass(&owner.all).await.unwrap();
    owner.hear(
        Passed { all: Some(&mut all), bucket: None, route: other, closures: 1 },
        &Reading { scope: Scope::Owner, ..named },
        &key(),
    );
    assert!(matches!(owner.all.view().phase, Phase::Closed { .. }), "what is said for all closes the owner's");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_opens_after_failures_in_a_row_and_one_trial_closes_it() {
    let gates = Gates::default();
    let origin = Origin { scheme: Scheme::Https, host: Host::new("api.example.com").unwrap(), port: 443 };
    let breaker = gates.breaker(&service(), &origin);
    for _ in 0..100 {
        breaker.pass().unwrap().answered();
    }
    for _ in 0..5 {
        breaker.pass().unwrap().failed();
    }
    assert!(matches!(breaker.pass(), Err(Refused::Circuit(wait)) if wait == Duration::from_secs(5)));
    let seen = gates.circuits().remove(0);
    assert_eq!((seen.origin, seen.open_for, seen.held_back), (origin, Some(Duration::from_secs(5)), 0.0));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let trial = breaker.pass().unwrap();
    assert!(breaker.pass().is_err(), "one trial alone");
    drop(trial);
    let trial = breaker.pass().unwrap();
    trial.answered();
    breaker.pass().unwrap().answered();
    let happened: Vec<Happened> = gates.news().into_iter().map(|news| news.what).collect();
    assert_eq!(happened, [Happened::CircuitOpened(Duration::from_secs(5)), Happened::CircuitClosed]);
    assert_eq!(gates.circuits(), []);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_holds_some_requests_back_from_an_upstream_that_fails_most_of_them() {
    let gates = Gates::default();
    let origin = Origin { scheme: Scheme::Https, host: Host::new("api.example.com").unwrap(), port: 443 };
    let breaker = gates.breaker(&service(), &origin);
    let (mut sent, mut held_back) = (0, 0);
    for _ in 0..400 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        match breaker.pass() {
            Ok(attempt) if sent % 4 == 0 => attempt.answered(),
            Ok(attempt) => attempt.failed(),
            Err(refused) => {
                assert_eq!(refused, Refused::HeldBack);
                held_back += 1;
                continue;
            }
        }
        sent += 1;
    }
    assert!(held_back > sent, "of an upstream that accepts one in four: {held_back} held back, {sent} sent");
    assert!(sent > 20, "it is tried still: {sent}");
    let counted = gates.rejections().into_iter().find(|(_, why, _)| *why == Rejection::Overload).unwrap().2;
    assert_eq!(counted, held_back);
    let seen = gates.circuits().remove(0);
    assert!(seen.open_for.is_none() && seen.held_back > 0.3 && seen.held_back < 1.0, "{seen:?}");
    assert_eq!(gates.news(), [], "the circuit never opened");
    tokio::time::sleep(Duration::from_secs(120)).await;
    for _ in 0..100 {
        breaker.pass().unwrap().answered();
    }
}

#[test]
fn a_waiter_is_woken_on_the_thread_where_it_waits_and_none_is_lost() {
    let gate = of_service(limits(None, None, Some(2)));
    let through = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (gate, through) = (Arc::clone(&gate), Arc::clone(&through));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async move {
                    let tasks: Vec<_> = (0..20)
                        .map(|_| {
                            let (gate, through) = (Arc::clone(&gate), Arc::clone(&through));
                            tokio::spawn(async move {
                                for _ in 0..50 {
                                    let pass = pass_as(&gate, &format!("t{thread}"), Duration::from_secs(30)).await;
                                    let pass = pass.unwrap();
                                    assert!(gate.under_way.load(Ordering::Relaxed) <= 2);
                                    tokio::task::yield_now().await;
                                    drop(pass);
                                    through.fetch_add(1, Ordering::Relaxed);
                                }
                            })
                        })
                        .collect();
                    for task in tasks {
                        task.await.unwrap();
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(through.load(Ordering::Relaxed), 4 * 20 * 50);
    assert_eq!((gate.waiting(), gate.under_way.load(Ordering::Relaxed)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_gate_outlives_a_reload_that_leaves_its_limits() {
    let gates = Gates::default();
    let same = limits(Some((5, 1)), None, None);
    assert!(gates.of(&service(), Limits::default(), 1).is_none(), "no limits need no gate");
    let first = gates.of(&service(), same, 1).unwrap();
    assert!(Arc::ptr_eq(&first, &gates.of(&service(), same, 1).unwrap()));
    let other = limits(Some((6, 1)), None, None);
    assert!(!Arc::ptr_eq(&first, &gates.of(&service(), other, 1).unwrap()));
    let rate = Rate { count: NonZeroU32::MIN, period: Duration::from_secs(60) };
    let gating = Gating { per_caller: Some(Level { rate, burst: None }), ..Gating::default() };
    let levels = gates.levels(&service(), &gating).unwrap();
    assert!(Arc::ptr_eq(&levels, &gates.levels(&service(), &gating).unwrap()));
    assert!(gates.levels(&service(), &Gating::default()).is_none());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_uses_is_forgotten_and_a_closed_gate_is_not() {
    let gates = Gates::default();
    let known = |name: &str| gates.views().iter().any(|view| view.label.owner.as_deref() == Some(name));
    drop(owner(&gates, "idle"));
    let closed = owner(&gates, "closed");
    close(&closed.all, 100).await;
    drop(closed);
    let used = owner(&gates, "used");
    gates.sweep();
    assert_eq!([known("idle"), known("closed"), known("used")], [false, true, true]);
    assert!(matches!(owner(&gates, "closed").all.view().phase, Phase::Closed { .. }), "it is found again as it was");
    tokio::time::sleep(Duration::from_secs(1_200)).await;
    gates.sweep();
    assert_eq!([known("closed"), known("used")], [false, true]);
    drop(used);
}

#[tokio::test(start_paused = true)]
async fn a_reset_opens_a_gate_and_lets_pass_who_waits() {
    let gates = Gates::default();
    let gate = Arc::clone(&owner(&gates, "acme").all);
    close(&gate, 25).await;
    let waiting = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move { pass(&gate).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(gates.reset(|label| label.owner.as_deref() == Some("acme")), 1);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(waiting.is_finished());
}

fn pin(owner: Option<&str>, bucket: Option<&str>, rate: (u32, u64)) -> Pin {
    let to = PinnedTo { service: service(), owner: owner.map(str::to_owned), bucket: bucket.map(str::to_owned) };
    Pin { to, rate: limits(Some(rate), None, None).rate, concurrency: None, until: None }
}

#[tokio::test(start_paused = true)]
async fn a_pinned_limit_holds_those_it_is_pinned_on_and_ends_with_its_pin() {
    let gates = Gates::default();
    let pins = gates.pins(&service());
    assert!(!pins.is_any());
    let all =
        [pin(None, None, (60, 60)), pin(Some("acme"), Some("search"), (1, 60)), pin(Some("other"), None, (1, 60))];
    gates.pin(&all);
    assert!(pins.is_any());
    assert_eq!((pins.of("acme", None).len(), pins.of("acme", Some("search")).len()), (1, 2));
    let narrow_first: Vec<_> = pins.of("acme", Some("search")).iter().map(|gate| gate.label().owner.clone()).collect();
    assert_eq!(narrow_first, [Some("acme".into()), None]);
    let gate = pins.of("acme", Some("search")).remove(0);
    send(&gate).await;
    let Err(Refused::Limit { policy, of, .. }) = pass_as(&gate, "b", Duration::from_secs(5)).await else {
        panic!("passed")
    };
    assert_eq!((policy.as_str(), of), ("1/60s", LimitOf::Pin));
    gates.pin(&all);
    assert!(Arc::ptr_eq(&gate, &pins.of("acme", Some("search"))[0]), "a pin that stays keeps its gate");
    let waiting = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move { pass_as(&gate, "c", Duration::from_secs(100)).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((gate.waiting(), gates.pinned()), (1, 3));
    let started = Instant::now();
    gates.pin(&[]);
    waiting.await.unwrap().unwrap();
    assert_eq!((started.elapsed(), gate.under_way.load(Ordering::Relaxed)), (Duration::ZERO, 0));
    assert!(!pins.is_any() && pins.of("acme", Some("search")).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_patience_that_ends_in_the_moment_of_opening_is_long_enough() {
    let gate = learnt();
    close(&gate, 30).await;
    let started = Instant::now();
    assert!(pass_as(&gate, "b", Duration::from_secs(30)).await.is_ok(), "the hint itself is honoured");
    assert!(started.elapsed() >= Duration::from_secs(30), "and nobody is early");
    let gate = learnt();
    close(&gate, 30).await;
    let refused = pass_as(&gate, "b", Duration::from_millis(29_999)).await;
    assert!(matches!(refused, Err(Refused::Limit { wait, .. }) if wait >= Duration::from_secs(30)), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_heavy_caller_has_its_turns_where_others_have_one() {
    let gate = of_service(limits(Some((10, 1)), None, None));
    let served = [Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0))];
    for (who, weight) in [(0, 4), (1, 1)] {
        for _ in 0..60 {
            let (gate, served) = (Arc::clone(&gate), Arc::clone(&served[who]));
            tokio::spawn(async move {
                let caller = CallerId::new(&who.to_string());
                let (weight, deadline) = (Weight::new(weight).unwrap(), now() + Duration::from_secs(100));
                let comer = Comer { caller: &caller, weight, want: WANT, place: Place::Last, deadline };
                gate.pass(&comer, &mut Passes::default()).await.unwrap().sent();
                served.fetch_add(1, Ordering::Relaxed);
            });
        }
    }
    tokio::time::sleep(Duration::from_millis(5_050)).await;
    let served = served.each_ref().map(|count| count.load(Ordering::Relaxed));
    assert!(served[0].abs_diff(40) <= 4 && served[1].abs_diff(10) <= 2, "{served:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_former_process_left_closed_is_shown_and_forgotten_before_anybody_asks_for_it() {
    let left = |bucket: Option<&str>, class| LeftClosed {
        bucket: bucket.and_then(Bucket::new),
        closed_for: Duration::from_secs(600),
        wait: Duration::from_secs(3600),
        class,
        credential: Name::new("prod").ok(),
    };
    let gates = Gates::default();
    gates.resume(&service(), "acme", left(None, Class::Exhausted));
    gates.resume(&service(), "acme", left(Some("search"), Class::Throttled));
    gates.resume(&service(), "other", left(None, Class::Throttled));
    tokio::time::sleep(Duration::from_secs(100)).await;
    let of_acme = |gates: &Gates| {
        gates.views().into_iter().filter(|view| view.label.owner.as_deref() == Some("acme")).collect::<Vec<_>>()
    };
    let before = of_acme(&gates);
    assert_eq!(before.len(), 2);
    assert_eq!(before[0].closed_for, Duration::from_secs(500), "time goes on");
    assert_eq!(before[0].why, Some((Class::Exhausted, Duration::from_secs(3600))));
    let owner = gates.owner(&service(), "acme", Mode::Enforce, &Family::default()).unwrap();
    assert_eq!(of_acme(&gates), before, "the gates that are made of it look the same");
    assert!(owner.all.exhausted().is_some());
    assert_eq!(gates.reset(|label| label.owner.as_deref() == Some("other")), 1);
    let other = gates.owner(&service(), "other", Mode::Enforce, &Family::default()).unwrap();
    assert_eq!(other.all.view().phase, Phase::Open);
    gates.resume(&service(), "late", left(None, Class::Throttled));
    tokio::time::sleep(Duration::from_secs(601)).await;
    gates.sweep();
    assert!(gates.left().is_empty(), "what is over is forgotten");
}

/// One that waits in front of `gate` for up to 100 s.
async fn waiting_at(gate: &Arc<Gate>) -> tokio::task::JoinHandle<Result<Pass, Refused>> {
    let one = tokio::spawn({
        let gate = Arc::clone(gate);
        async move { pass_as(&gate, "b", Duration::from_secs(100)).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!one.is_finished() && gate.waiting() == 1);
    one
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_limit_waits_for_what_takes_its_place() {
    let gates = Gates::default();
    let of = |rate: Option<(u32, u64)>| gates.of(&service(), limits(rate, None, None), 1);
    let slow = of(Some((1, 60))).unwrap();
    send(&slow).await;
    let (raised, started) = (waiting_at(&slow).await, Instant::now());
    let fast = of(Some((100, 1))).unwrap();
    let pass = raised.await.unwrap().unwrap();
    assert!(
        Arc::ptr_eq(pass.gate(), &fast) && started.elapsed() < Duration::from_millis(20),
        "{:?}",
        started.elapsed()
    );
    drop(pass);
    send(&fast).await;
    let late = pass_as(&slow, "c", Duration::from_secs(1)).await.unwrap();
    assert!(Arc::ptr_eq(late.gate(), &fast), "who has the former in hand still goes there too");
    drop(late);
    // One that is slower still holds them, and one that is gone does not.
    let slower = of(Some((1, 3_600))).unwrap();
    send(&slower).await;
    let waiting = tokio::spawn({
        let fast = Arc::clone(&fast);
        async move { pass_as(&fast, "d", Duration::from_secs(4_000)).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((waiting.is_finished(), slower.waiting()), (false, 1));
    assert!(of(None).is_none());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(waiting.is_finished());
    assert!(pass_as(&slower, "e", Duration::ZERO).await.is_ok());
    assert_eq!((slower.under_way.load(Ordering::Relaxed), gates.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_pin_that_is_pinned_anew_waits_for_that() {
    let gates = Gates::default();
    let pins = gates.pins(&service());
    gates.pin(&[pin(None, None, (1, 60))]);
    let former = pins.of("acme", None).remove(0);
    send(&former).await;
    let waiting = waiting_at(&former).await;
    gates.pin(&[pin(None, None, (1, 5))]);
    let next = pins.of("acme", None).remove(0);
    let pass = waiting.await.unwrap().unwrap();
    assert!(Arc::ptr_eq(pass.gate(), &next));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_level_waits_for_what_takes_its_place() {
    let gates = Gates::default();
    let level = |count: u32, seconds: u64| {
        let rate = Rate { count: count.try_into().unwrap(), period: Duration::from_secs(seconds) };
        let gating = Gating { per_caller: Some(Level { rate, burst: None }), ..Gating::default() };
        gates.levels(&service(), &gating).unwrap()
    };
    let asker = Asker { caller: "b", teams: &[], credential: "prod", owner: "acme", method: "GET", path: "/" };
    let of = |levels: &Levels| levels.of(&asker).remove(0);
    let slow = of(&level(1, 60));
    send(&slow).await;
    let raised = waiting_at(&slow).await;
    let fast = of(&level(10, 1));
    let pass = raised.await.unwrap().unwrap();
    assert!(Arc::ptr_eq(pass.gate(), &fast));
    drop(pass);
    let slow = of(&level(1, 60));
    send(&slow).await;
    let freed = waiting_at(&slow).await;
    assert!(gates.levels(&service(), &Gating::default()).is_none());
    assert!(freed.await.unwrap().is_ok());
}
