//! Counting and handing over: what goes in comes out, whichever core and minute it was.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::Method;

use super::tally::{MOST_PAIRS, Tally};
use super::{Activity, Call, MOST_SHAPES, Tallies, count, sweep};
use crate::domain::{CallerId, Code, CredentialId, Name};

/// The beginning of a minute, in Unix seconds.
const MINUTE: u64 = 1_764_000_000;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A key.
fn credential(text: &str) -> (CredentialId, Name) {
    (CredentialId::new(&format!("id-of-{text}")), name(text))
}

/// A caller.
fn caller(text: &str) -> (CallerId, Name) {
    (CallerId::new(&format!("id-of-{text}")), name(text))
}

fn stripe() -> &'static Name {
    static STRIPE: LazyLock<Name> = LazyLock::new(|| name("stripe"));
    &STRIPE
}

/// A call that went well.
fn good<'a>(credential: &'a (CredentialId, Name), caller: &'a (CallerId, Name), path: &'a str) -> Call<'a> {
    Call {
        at: Duration::from_secs(MINUTE + 7),
        credential: Some((&credential.0, &credential.1)),
        caller: Some((&caller.0, &caller.1)),
        service: Some(stripe()),
        method: &Method::GET,
        path,
        status: 200,
        code: None,
        attempts: 1,
        turned_down: 0,
        bytes_in: 10,
        bytes_out: 100,
        wait: Duration::ZERO,
        took: Duration::from_millis(80),
    }
}

/// Counts on a thread of its own, as a core does.
fn on_a_core(tallies: &Tallies, work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let core = scope.spawn(|| {
            tallies.enter();
            work();
        });
        // Joined by hand: the scope's own end does not wait until a thread has dropped what belongs to it.
        core.join().unwrap();
    });
}

fn one(tallies: &Tallies) -> Activity {
    let mut taken = tallies.take();
    assert_eq!((taken.activities.len(), taken.uncounted), (1, 0));
    taken.activities.remove(0)
}

#[test]
fn calls_are_counted_by_what_became_of_them() {
    let (key, etl) = (credential("main"), caller("etl"));
    let call = good(&key, &etl, "/v1/charges/42");
    let tallies = Tallies::default();
    on_a_core(&tallies, || {
        count(&call);
        for status in [401, 403, 429, 503, 101, 0] {
            count(&Call { status, turned_down: u32::from(status == 429), ..call });
        }
        count(&Call { status: 429, code: Some(Code::RateLimited), attempts: 0, ..call });
        count(&Call { status: 502, code: Some(Code::UpstreamUnreachable), attempts: 3, ..call });
        count(&Call { attempts: 3, turned_down: 2, ..call });
        count(&Call { wait: Duration::from_millis(3), method: &Method::POST, ..call });
        count(&Call { method: &Method::CONNECT, took: Duration::from_secs(3600), ..call });
    });
    let Activity { who, minute, last, counts, endpoints, others } = one(&tallies);
    assert_eq!(who.credential.unwrap().1, name("main"));
    assert_eq!(who.caller.unwrap().0, CallerId::new("id-of-etl"));
    assert_eq!((minute, last), (i64::try_from(MINUTE).unwrap(), i64::try_from(MINUTE + 7).unwrap()));
    assert_eq!(counts.answered, [1, 1, 4, 0, 3, 1]);
    assert_eq!((counts.unauthorized, counts.forbidden, counts.throttled), (1, 1, 3));
    assert_eq!((counts.refused, counts.limited, counts.failed, counts.strangers), (1, 1, 1, 0));
    assert_eq!((counts.calls(), counts.sent(), counts.errors(), counts.auth_failures()), (12, 11, 2, 2));
    assert_eq!((counts.waits, counts.wait_us, counts.bytes_in, counts.bytes_out), (1, 3000, 120, 1200));
    assert_eq!(counts.latency.count(), 7, "what sidekey answered, tunnels and clients that left have no latency");
    let shape = "/v1/charges/{…}".to_owned();
    assert_eq!(
        endpoints,
        HashMap::from([(("GET", shape.clone()), 9), (("POST", shape.clone()), 1), (("CONNECT", shape), 1)])
    );
    assert_eq!(others, 0);
}

#[test]
fn what_was_refused_before_a_key_was_chosen_has_no_endpoint() {
    let (key, etl) = (credential("main"), caller("etl"));
    let call =
        Call { credential: None, code: Some(Code::CredentialMissing), attempts: 0, ..good(&key, &etl, "/secret") };
    let stranger = Call { caller: None, service: None, code: Some(Code::CallerUnknown), ..call };
    let tallies = Tallies::default();
    on_a_core(&tallies, || [call, stranger, stranger].iter().for_each(count));
    let mut all = tallies.take().activities;
    all.sort_by_key(|activity| activity.counts.refused);
    assert_eq!((all[0].counts.refused, all[0].counts.strangers), (1, 0));
    assert_eq!((all[1].counts.refused, all[1].counts.strangers), (2, 2));
    assert!(all[1].who.caller.is_none() && all[1].who.service.is_none());
    assert!(all.iter().all(|activity| activity.endpoints.is_empty()));
}

#[test]
fn cores_are_added_up_and_minutes_kept_apart() {
    let (key, etl) = (credential("main"), caller("etl"));
    let call = good(&key, &etl, "/v1");
    let later = Call { at: Duration::from_secs(MINUTE + 61), ..call };
    let tallies = Tallies::default();
    for _ in 0..3 {
        // A snapshot that was built anew has the same names in another place.
        let (key, etl) = (credential("main"), caller("etl"));
        let again = good(&key, &etl, "/v1");
        on_a_core(&tallies, || [call, again, later, call].iter().for_each(count));
    }
    let taken = tallies.take();
    let mut found: Vec<(i64, u64)> = taken.activities.iter().map(|a| (a.minute, a.counts.calls())).collect();
    found.sort_unstable();
    let minute = i64::try_from(MINUTE).unwrap();
    assert_eq!(found, [(minute, 9), (minute + 60, 3)]);
    assert!(tallies.take().activities.is_empty(), "what was taken is gone");
}

#[test]
fn a_sweep_hands_over_and_the_emptied_tally_comes_back() {
    let (key, etl) = (credential("main"), caller("etl"));
    let call = good(&key, &etl, "/v1");
    let tallies = Tallies::default();
    on_a_core(&tallies, || {
        for round in 1..10 {
            for _ in 0..round {
                count(&call);
            }
            assert!(tallies.take().activities.is_empty(), "nothing is taken from a core that has not handed it over");
            sweep();
            assert_eq!(one(&tallies).counts.calls(), round);
        }
        sweep();
        assert!(tallies.take().activities.is_empty());
    });
}

#[test]
fn nothing_is_lost_while_nobody_takes() {
    let (key, etl) = (credential("main"), caller("etl"));
    let tallies = Tallies::default();
    on_a_core(&tallies, || {
        for minute in 0..10 {
            let call = good(&key, &etl, "/v1");
            count(&Call { at: call.at + Duration::from_secs(60 * minute), ..call });
            sweep();
        }
    });
    let all: Vec<u64> = tallies.take().activities.iter().map(|activity| activity.counts.calls()).collect();
    assert_eq!(all.iter().sum::<u64>(), 10);
    assert!(all.len() <= 4, "late minutes are counted with an earlier one: {all:?}");
}

#[test]
fn a_thread_that_is_no_core_counts_nothing() {
    let (key, etl) = (credential("main"), caller("etl"));
    count(&good(&key, &etl, "/v1"));
    sweep();
}

#[test]
fn endpoints_beyond_the_bound_are_counted_together() {
    let (key, etl) = (credential("main"), caller("etl"));
    let tallies = Tallies::default();
    on_a_core(&tallies, || {
        for number in 0..MOST_SHAPES + 50 {
            let word: String = number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
            count(&good(&key, &etl, &format!("/{word}")));
            count(&good(&key, &etl, "/a"));
        }
    });
    let activity = one(&tallies);
    assert_eq!((activity.endpoints.len(), activity.others), (MOST_SHAPES, 50));
    assert_eq!(activity.endpoints[&("GET", "/a".to_owned())], MOST_SHAPES as u64 + 51);
}

#[test]
fn a_method_of_the_callers_own_is_not_written_down() {
    let (key, etl) = (credential("main"), caller("etl"));
    let method = Method::from_bytes(b"SECRETWORD").unwrap();
    let tallies = Tallies::default();
    on_a_core(&tallies, || count(&Call { method: &method, ..good(&key, &etl, "/v1") }));
    assert_eq!(one(&tallies).endpoints.into_keys().collect::<Vec<_>>(), [("OTHER", "/v1".to_owned())]);
}

#[test]
fn a_table_that_is_full_says_what_it_left_out() {
    let etl = caller("etl");
    let mut tally = Tally::new(3);
    for number in 0..MOST_PAIRS + 10 {
        let key = credential(&format!("key-{number}"));
        tally.count(&good(&key, &etl, "/v1"));
        tally.count(&good(&key, &etl, "/v1"));
    }
    assert!(tally.is_full());
    assert_eq!((tally.pairs().count(), tally.uncounted), (MOST_PAIRS, 20));
    assert!(tally.pairs().all(|(_, pair)| pair.counts.calls() == 2));
    assert_eq!(tally.endpoints().map(|(.., calls)| calls).sum::<u64>(), 2 * MOST_PAIRS as u64);
}

#[test]
fn a_hundred_thousand_keys_are_counted_and_the_memory_is_bounded() {
    let etl = Arc::new(caller("etl"));
    let tallies = Tallies::default();
    let mut calls = 0;
    on_a_core(&tallies, || {
        for number in 0..100_000 {
            let key = credential(&format!("key-{number}"));
            count(&good(&key, &etl, "/v1"));
            // As often as the control thread comes by when the cores are as fast as this.
            if number % 20_000 == 0 {
                let taken = tallies.take();
                assert!(taken.activities.len() <= 3 * MOST_PAIRS);
                calls += taken.activities.iter().map(|a| a.counts.calls()).sum::<u64>() + taken.uncounted;
            }
        }
    });
    let taken = tallies.take();
    assert_eq!(taken.uncounted, 0);
    calls += taken.activities.iter().map(|activity| activity.counts.calls()).sum::<u64>();
    assert_eq!(calls, 100_000);
}
