//! One refusal and many that wait behind it, on paused time: what goes out while it holds, and who goes first after it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tokio::time::{Instant, sleep};

use super::*;
use crate::domain::{Name, ServiceName};
use crate::gate::Gates;
use crate::throttle::state::{Mode, Phase};
use crate::throttle::{Class, Dimension, Family, Reading};

const WANT: Want = Want { cost: 1, tokens: 0, most_tokens: 0, is_repeatable: true };

fn learnt() -> Arc<Gate> {
    let service = ServiceName::new("api").unwrap();
    let owner = Gates::default().owner(&service, "acme", Mode::Enforce, &Family::default()).unwrap();
    Arc::clone(&owner.all)
}

async fn pass(gate: &Arc<Gate>, caller: &str, want: Want) -> Pass {
    let caller = CallerId::new(caller);
    let deadline = now() + Duration::from_secs(60);
    let comer = Comer { caller: &caller, weight: Weight::ONE, want, place: Place::Last, deadline };
    gate.pass(&comer, &mut Passes::default()).await.unwrap()
}

fn answered(mut pass: Pass, reading: &Reading) {
    pass.answered(reading, &Name::new("prod").unwrap());
}

fn throttled(wait: u64) -> Reading {
    Reading { wait: Some(Duration::from_secs(wait)), ..Reading::plain(Class::Throttled) }
}

/// So many are left of 10 for so many seconds.
fn left(left: u64, reset: u64) -> Reading {
    let window = Dimension {
        limit: Some(10),
        remaining: Some(left),
        reset: Some(Duration::from_secs(reset)),
        ..Dimension::new("requests")
    };
    Reading { trusted: true, ..Reading::of(Class::Fine, [window]) }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_answer_that_does_not_come_goes_at_the_reset() {
    let gate = learnt();
    answered(pass(&gate, "a", WANT).await, &left(1, 5));
    let (_unanswered, started) = (pass(&gate, "a", WANT).await, Instant::now());
    pass(&gate, "b", WANT).await;
    assert_eq!(started.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_answer_is_not_refused_for_a_reset_that_is_far() {
    let gate = learnt();
    answered(pass(&gate, "a", WANT).await, &left(1, 600));
    let unanswered = pass(&gate, "a", WANT).await;
    let waiting = ["b", "c"].map(|caller| {
        let gate = Arc::clone(&gate);
        tokio::spawn(async move {
            drop(pass(&gate, caller, WANT).await);
        })
    });
    sleep(Duration::from_secs(1)).await;
    answered(unanswered, &left(5, 599));
    for one in waiting {
        one.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_is_over_for_who_waits_although_its_request_has_no_answer() {
    let gate = learnt();
    answered(pass(&gate, "a", WANT).await, &throttled(200));
    sleep(Duration::from_secs(203)).await;
    answered(pass(&gate, "a", WANT).await, &Reading::plain(Class::Fine));
    let (_unanswered, started) = (pass(&gate, "a", WANT).await, Instant::now());
    let caller = CallerId::new("b");
    let deadline = now() + Duration::from_secs(900);
    let comer = Comer { caller: &caller, weight: Weight::ONE, want: WANT, place: Place::Last, deadline };
    gate.pass(&comer, &mut Passes::default()).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 600);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_whether_something_changed_opens_a_gate_again() {
    let gate = learnt();
    answered(pass(&gate, "a", WANT).await, &throttled(1));
    let unchanged = Reading { uncounted: true, ..Reading::plain(Class::Fine) };
    for _ in 0..20 {
        answered(pass(&gate, "a", WANT).await, &unchanged);
        sleep(Duration::from_secs(1)).await;
    }
    drop(pass(&gate, "a", WANT).await);
    assert_eq!(gate.view().phase, Phase::Open);
}

/// 200 at once; the upstream lets 50 through and says 429 with two seconds to the rest, and lets everything through after.
#[tokio::test(start_paused = true)]
async fn after_a_refusal_nothing_goes_out_until_its_time_is_over_then_one_and_then_everybody() {
    let (gate, started) = (learnt(), Instant::now());
    let opens: Arc<Mutex<Option<Instant>>> = Arc::default();
    // When each was sent, and whether it was refused.
    let seen: Arc<Mutex<Vec<(Duration, bool)>>> = Arc::default();
    let number = Arc::new(AtomicU32::new(0));
    let callers = (0..200).map(|n| {
        let (gate, opens, seen, number) =
            (Arc::clone(&gate), Arc::clone(&opens), Arc::clone(&seen), Arc::clone(&number));
        tokio::spawn(async move {
            for sent in 1.. {
                let mut passed = pass(&gate, &format!("c{n}"), WANT).await;
                passed.sent();
                let at = started.elapsed();
                sleep(Duration::from_millis(10)).await;
                let lets_through = {
                    let mut opens = opens.lock().unwrap();
                    let through =
                        number.fetch_add(1, Ordering::Relaxed) < 50 || opens.is_some_and(|at| Instant::now() >= at);
                    if !through {
                        opens.get_or_insert(Instant::now() + Duration::from_secs(2));
                    }
                    through
                };
                seen.lock().unwrap().push((at, !lets_through));
                sleep(Duration::from_millis(10)).await;
                answered(passed, &if lets_through { Reading::plain(Class::Fine) } else { throttled(2) });
                if lets_through {
                    return sent;
                }
            }
            unreachable!()
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        assert!(caller.await.unwrap() <= 2, "refused once at most");
    }
    let seen = seen.lock().unwrap();
    let refused = seen.iter().filter(|(_, refused)| *refused).count();
    assert_eq!((seen.len() - refused, refused), (200, 150), "all that were under way at the closure, and none after");
    let mut after: Vec<_> = seen.iter().map(|(at, _)| *at).filter(|at| !at.is_zero()).collect();
    after.sort();
    let closed = Duration::from_millis(20);
    assert!(after[0] >= closed + Duration::from_secs(2), "nothing while it is closed: {:?}", after[0]);
    assert!(after[1] >= after[0] + Duration::from_millis(20), "a second only after the answer to the first: {after:?}");
    assert!(started.elapsed() <= Duration::from_millis(9_000), "2 s, and 150 at 25 a second: {:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_one_that_goes_first_can_be_sent_again_when_there_is_such_a_one() {
    let gate = learnt();
    answered(pass(&gate, "a", WANT).await, &throttled(1));
    let order: Arc<Mutex<Vec<&str>>> = Arc::default();
    for (caller, is_repeatable) in [("large", false), ("larger", false), ("small", true), ("other", true)] {
        let (gate, order) = (Arc::clone(&gate), Arc::clone(&order));
        tokio::spawn(async move {
            let passed = pass(&gate, caller, Want { is_repeatable, ..WANT }).await;
            order.lock().unwrap().push(caller);
            sleep(Duration::from_millis(100)).await;
            answered(passed, &Reading::plain(Class::Fine));
        });
        tokio::task::yield_now().await;
    }
    sleep(Duration::from_secs(20)).await;
    assert_eq!(*order.lock().unwrap(), ["small", "large", "larger", "other"], "the others keep their turns");
}

#[tokio::test(start_paused = true)]
async fn where_none_can_be_sent_again_the_next_goes_first() {
    let gate = learnt();
    answered(pass(&gate, "a", WANT).await, &throttled(1));
    let started = Instant::now();
    let passed = pass(&gate, "b", Want { is_repeatable: false, ..WANT }).await;
    assert!(started.elapsed() < Duration::from_millis(1_200));
    answered(passed, &Reading::plain(Class::Fine));
}

#[tokio::test(start_paused = true)]
async fn a_pace_is_found_from_what_nobody_looked_at_while_the_gate_was_open() {
    let gate = learnt();
    for _ in 0..25 {
        answered(pass(&gate, "a", WANT).await, &Reading::plain(Class::Fine));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    for _ in 0..50 {
        answered(pass(&gate, "a", WANT).await, &Reading::plain(Class::Fine));
    }
    answered(pass(&gate, "a", WANT).await, &throttled(5));
    answered(pass(&gate, "a", WANT).await, &Reading::plain(Class::Fine));
    let pace = gate.view().pace.unwrap();
    assert!((9.5..=10.5).contains(&pace), "50 in 5 s, however long it was idle before: {pace}");
}
