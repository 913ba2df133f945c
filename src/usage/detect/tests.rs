//! Tables of what happens and what an operator is told.

use std::collections::HashMap;
use std::convert::Infallible;

use super::*;
use crate::domain::CallerId;
use crate::usage::Counts;

const NOW: i64 = 1_764_000_000;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn who() -> Who {
    Who {
        credential: Some((CredentialId::new("key-1"), name("main"))),
        caller: Some((CallerId::new("caller-1"), name("etl"))),
        service: Some(name("stripe")),
    }
}

fn activity(counts: Counts) -> Activity {
    Activity { who: who(), minute: Span::Minute.start(NOW), last: NOW, counts, endpoints: HashMap::new(), others: 0 }
}

/// So many calls of which so many were turned away.
fn calls(good: u64, unauthorized: u64, forbidden: u64) -> Activity {
    let answered = [0, 0, good, 0, unauthorized + forbidden, 0];
    activity(Counts { answered, unauthorized, forbidden, ..Counts::default() })
}

/// A workflow that is known for a while.
fn old() -> Noted {
    Noted {
        pair: 1,
        first_seen: NOW - LEARNED_AGE,
        calls_before: 10,
        shapes_before: 5,
        calls_this_hour: 10,
        new_endpoints: Vec::new(),
    }
}

fn observed(detector: &mut Detector, now: i64, activity: &Activity, noted: &Noted) -> Vec<Event> {
    detector.observe(now, activity, noted, |_| Ok::<_, Infallible>(vec![0; 28])).unwrap()
}

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(|event| event.kind).collect()
}

#[test]
fn an_ordinary_call_is_no_event() {
    assert!(observed(&mut Detector::default(), NOW, &calls(100, 0, 0), &old()).is_empty());
}

#[test]
fn a_burst_counts_all_that_made_it_and_nothing_twice() {
    let mut detector = Detector::default();
    let counts = |events: &[Event]| events.iter().map(|event| event.count).collect::<Vec<_>>();
    assert!(observed(&mut detector, NOW, &calls(0, 3, 0), &old()).is_empty());
    assert_eq!(counts(&observed(&mut detector, NOW + 2, &calls(1, 1, 2), &old())), [6], "both turns made it");
    assert_eq!(counts(&observed(&mut detector, NOW + 4, &calls(0, 2, 0), &old())), [2]);
    assert!(observed(&mut detector, NOW + 90, &calls(0, 4, 0), &old()).is_empty());
    assert_eq!(counts(&observed(&mut detector, NOW + 92, &calls(0, 1, 0), &old())), [5], "what is over is not counted");
    let strangers = |strangers| activity(Counts { strangers, refused: strangers, ..Counts::default() });
    assert!(observed(&mut detector, NOW, &strangers(9), &old()).is_empty());
    assert_eq!(counts(&observed(&mut detector, NOW + 30, &strangers(1), &old())), [10]);
}

#[test]
fn failed_authentication_is_told_when_it_is_a_burst_and_a_part_worth_looking_at() {
    // Each round: seconds later, good calls, 401, 403; and whether it is told.
    type Round = (i64, u64, u64, u64, bool);
    let table: [(&str, &[Round]); 6] = [
        ("four are few", &[(0, 0, 4, 0, false)]),
        ("five at once", &[(0, 0, 5, 0, true)]),
        ("401 and 403 together, over a while", &[(0, 0, 2, 1, false), (30, 3, 1, 1, true)]),
        ("too far apart", &[(0, 0, 4, 0, false), (61, 0, 4, 0, false), (122, 0, 4, 0, false)]),
        ("a small part of many calls", &[(0, 21, 5, 0, false), (2, 0, 1, 0, true)]),
        ("over, once the failures end", &[(0, 0, 5, 0, true), (5, 1, 0, 0, false), (10, 0, 1, 0, true)]),
    ];
    for (what, rounds) in table {
        let mut detector = Detector::default();
        let mut now = NOW;
        for (later, good, unauthorized, forbidden, told) in rounds {
            now += later;
            let events = observed(&mut detector, now, &calls(*good, *unauthorized, *forbidden), &old());
            assert_eq!(!events.is_empty(), *told, "{what}, at {}: {events:?}", now - NOW);
            assert!(events.iter().all(|event| event.kind == EventKind::AuthFailures && event.subject == "key-1"));
        }
    }
    let events = observed(&mut Detector::default(), NOW, &calls(1, 5, 0), &old());
    assert_eq!(
        events[0].message,
        "stripe turned away 5 of 6 calls with the key `main` within a minute (401 or 403), the last by `etl`"
    );
    assert_eq!(events[0].count, 5);
}

#[test]
fn calls_of_another_key_make_no_burst_of_this_one() {
    let mut detector = Detector::default();
    for number in 0..10 {
        let mut one = calls(0, 1, 0);
        one.who.credential = Some((CredentialId::new(&format!("key-{number}")), name("other")));
        assert!(observed(&mut detector, NOW, &one, &old()).is_empty());
    }
    detector.forget(NOW + 59);
    assert_eq!(detector.keys.len(), 10);
    detector.forget(NOW + 65);
    assert!(detector.keys.is_empty());
}

#[test]
fn a_new_endpoint_is_told_once_the_workflow_is_known() {
    let endpoint = |shape: &str| NewEndpoint { method: "POST", shape: shape.to_owned() };
    let one = vec![endpoint("/v1/refunds")];
    let table = [
        ("known for a week", NOW - LEARNED_AGE, 3, 5, one.clone(), true),
        ("known for less", NOW - LEARNED_AGE + 1, 499, 5, one.clone(), false),
        ("known by its calls", NOW - 60, 500, 5, one.clone(), true),
        ("nothing new", NOW - LEARNED_AGE, 3, 5, Vec::new(), false),
        ("with names in its paths", NOW - LEARNED_AGE, 3, 100, one.clone(), false),
    ];
    for (what, first_seen, calls_before, shapes_before, new_endpoints, told) in table {
        let noted = Noted { first_seen, calls_before, shapes_before, new_endpoints, ..old() };
        let events = observed(&mut Detector::default(), NOW, &calls(1, 0, 0), &noted);
        assert_eq!(!events.is_empty(), told, "{what}: {events:?}");
    }
    let message = |new_endpoints| {
        let noted = Noted { new_endpoints, ..old() };
        observed(&mut Detector::default(), NOW, &calls(1, 0, 0), &noted).remove(0).message
    };
    assert_eq!(message(one), "`etl` calls POST /v1/refunds with the key `main` for the first time");
    let three = ["/a", "/b", "/c"].map(endpoint).to_vec();
    assert_eq!(message(three), "`etl` calls POST /a (and 2 others) with the key `main` for the first time");
}

#[test]
fn every_answer_429_of_the_upstream_counts() {
    let counts = Counts { answered: [0, 0, 7, 0, 2, 0], throttled: 2, ..Counts::default() };
    let events = observed(&mut Detector::default(), NOW, &activity(counts), &old());
    assert_eq!(kinds(&events), [EventKind::UpstreamThrottled]);
    assert_eq!(events[0].message, "stripe answered 429 2 times with the key `main`, the last to `etl`");
    // A limit of ours is known to whoever set it.
    let ours = Counts { refused: 5, limited: 5, ..Counts::default() };
    assert!(observed(&mut Detector::default(), NOW, &activity(ours), &old()).is_empty());
}

#[test]
fn strangers_are_told_when_they_come_in_numbers() {
    let of_nobody = |strangers| {
        let counts = Counts { refused: strangers, strangers, ..Counts::default() };
        Activity { who: Who { credential: None, caller: None, service: None }, ..activity(counts) }
    };
    let mut detector = Detector::default();
    assert!(observed(&mut detector, NOW, &of_nobody(9), &old()).is_empty());
    let events = observed(&mut detector, NOW + 10, &of_nobody(1), &old());
    assert_eq!(kinds(&events), [EventKind::UnknownCallers]);
    assert_eq!(events[0].message, "10 calls within a minute came without a valid caller's token");
    assert!(observed(&mut detector, NOW + 80, &of_nobody(9), &old()).is_empty());
}

#[test]
fn too_many_calls_are_those_beyond_what_the_same_hours_had() {
    let days = |pattern: &[u64]| pattern.iter().copied().cycle().take(28).collect::<Vec<u64>>();
    let weekly = days(&[0, 0, 0, 1000, 0, 0, 0]);
    let one_odd_day = [vec![100; 27], vec![90_000]].concat();
    for (what, history, most) in [
        ("nobody called before", days(&[0]), 200),
        ("no history at all", Vec::new(), 200),
        ("always the same", days(&[1000]), 2000),
        ("a little apart", days(&[900, 1000, 1100]), 2200),
        ("far apart", days(&[0, 1000, 2000]), 10_000),
        ("once a week", weekly, 2000),
        ("one odd day", one_odd_day, 200),
    ] {
        assert_eq!(volume::most(&history), most, "{what}");
    }
}

#[test]
fn unusual_volume_is_told_by_the_hour_and_the_history_is_asked_once() {
    let mut detector = Detector::default();
    let mut asked = 0;
    let mut observe = |now: i64, calls_this_hour: u64| {
        let noted = Noted { calls_this_hour, ..old() };
        let activity = Activity { minute: Span::Minute.start(now), ..calls(50, 0, 0) };
        let history = |hour: i64| {
            asked += 1;
            assert_eq!(hour, Span::Hour.start(now));
            Ok::<_, Infallible>(vec![300; 28])
        };
        kinds(&detector.observe(now, &activity, &noted, history).unwrap())
    };
    assert!(observe(NOW, 200).is_empty(), "the floor");
    assert!(observe(NOW, 600).is_empty());
    assert_eq!(observe(NOW, 601), [EventKind::UnusualVolume]);
    assert_eq!(observe(NOW, 700), [EventKind::UnusualVolume]);
    assert_eq!(observe(NOW + 3600, 700), [EventKind::UnusualVolume]);
    assert_eq!(asked, 2);
    let young = Noted { first_seen: NOW - LEARNED_AGE + 1, calls_this_hour: 10_000, ..old() };
    assert!(observed(&mut detector, NOW, &calls(1, 0, 0), &young).is_empty(), "what is usual is not known yet");
}

fn key_ending(end: End, left: i64) -> Ending {
    Ending { end, id: CredentialId::new("key-1"), name: name("main"), service: name("stripe"), at: NOW + left }
}

#[test]
fn a_rotation_is_told_before_it_is_due_and_when_it_is() {
    let told = |left: i64| {
        let event = ending(NOW, &key_ending(End::Rotation, left))?;
        Some((event.kind, event.subject.rsplit_once(' ').unwrap().1.to_owned(), event.message))
    };
    assert_eq!(told(15 * DAY), None);
    let text = "the key `main` for stripe is to get a new value in 7 days (2025-12-01T16:00:00Z)";
    assert_eq!(told(7 * DAY), Some((EventKind::RotationDue, "7d".to_owned(), text.to_owned())));
    let text = "the key `main` for stripe was to get a new value (2025-11-24T16:00:00Z)";
    assert_eq!(told(0), Some((EventKind::RotationDue, "0d".to_owned(), text.to_owned())));
}

#[test]
fn a_keys_last_days_are_told_stage_by_stage() {
    let key = |left: i64| key_ending(End::Expiry, left);
    for (left, expected) in [
        (15 * DAY, None),
        (14 * DAY, Some((EventKind::KeyExpiring, "14d"))),
        (7 * DAY + 1, Some((EventKind::KeyExpiring, "14d"))),
        (7 * DAY, Some((EventKind::KeyExpiring, "7d"))),
        (DAY, Some((EventKind::KeyExpiring, "1d"))),
        (1, Some((EventKind::KeyExpiring, "1d"))),
        (0, Some((EventKind::KeyExpired, "0d"))),
        (-100 * DAY, Some((EventKind::KeyExpired, "0d"))),
    ] {
        let event = ending(NOW, &key(left));
        let found = event.as_ref().map(|event| (event.kind, event.subject.rsplit_once(' ').unwrap().1));
        assert_eq!(found, expected, "{left}");
        assert!(event.is_none_or(|event| event.recurrence == Recurrence::Once));
    }
    let message = |left| ending(NOW, &key(left)).unwrap().message;
    assert_eq!(message(10 * DAY), "the key `main` for stripe expires in 10 days (2025-12-04T16:00:00Z)");
    assert_eq!(message(DAY), "the key `main` for stripe expires in 24 hours (2025-11-25T16:00:00Z)");
    assert_eq!(message(0), "the key `main` for stripe has expired (2025-11-24T16:00:00Z) and is not used any more");
    assert_ne!(ending(NOW, &key(10)).unwrap().subject, ending(NOW, &key(20)).unwrap().subject);
}
