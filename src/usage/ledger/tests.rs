//! What is added is read, by another process too, and nothing grows without an end.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::domain::{CallerId, CredentialId, EventKind, Name};
use crate::usage::detect::{Event, Recurrence};
use crate::usage::{Activity, Counts, MOST_SHAPES, Who};

/// The beginning of a day, in Unix seconds.
const NOW: i64 = 1_763_942_400;
/// The same with something behind it.
const MOMENT: Duration = Duration::from_micros(1_763_942_400_123_456);
const DAY: i64 = 24 * 60 * 60;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    fn open(&self) -> Ledger {
        Ledger::open(&self.path(), MOMENT).unwrap()
    }

    fn read(&self) -> Ledger {
        Ledger::read(&self.path()).unwrap().unwrap()
    }
}

fn who(key: &str, caller: &str) -> Who {
    let name = |text| Name::new(text).unwrap();
    Who {
        credential: Some((CredentialId::new(&format!("id-{key}")), name(key))),
        caller: Some((CallerId::new(&format!("id-{caller}")), name(caller))),
        service: Some(name("stripe")),
    }
}

/// So many good calls of `/v1`.
fn activity(who: Who, at: i64, calls: u64) -> Activity {
    let mut counts = Counts { answered: [0, 0, calls, 0, 0, 0], bytes_out: 100 * calls, ..Counts::default() };
    (0..calls).for_each(|_| counts.latency.observe(Duration::from_millis(80)));
    let endpoints = HashMap::from([(("GET", "/v1".to_owned()), calls)]);
    Activity { who, minute: Span::Minute.start(at), last: at, counts, endpoints, others: 0 }
}

fn sums(ledger: &Ledger, span: Span) -> Vec<(i64, i64, u64)> {
    let mut found = Vec::new();
    ledger.sums(span, 0, |pair, start, counts| found.push((pair, start - NOW, counts.calls()))).unwrap();
    found.sort_unstable();
    found
}

#[test]
fn what_is_added_stands_in_its_minute_its_hour_and_its_day() {
    let place = Place::new();
    let mut ledger = place.open();
    let one = |at: i64, calls: u64| activity(who("main", "etl"), NOW + at, calls);
    let first = ledger.add(&[one(5, 3)]).unwrap();
    ledger.add(&[one(59, 2), one(60, 1), activity(who("main", "cron"), NOW + 3, 7)]).unwrap();
    let last = ledger.add(&[one(3601, 4), one(DAY, 8)]).unwrap();
    let reader = place.read();
    assert_eq!(sums(&reader, Span::Minute), [(1, 0, 5), (1, 60, 1), (1, 3600, 4), (1, DAY, 8), (2, 0, 7)]);
    assert_eq!(sums(&reader, Span::Hour), [(1, 0, 6), (1, 3600, 4), (1, DAY, 8), (2, 0, 7)]);
    assert_eq!(sums(&reader, Span::Day), [(1, 0, 10), (1, DAY, 8), (2, 0, 7)]);
    let mut day = Vec::new();
    reader.sums(Span::Day, NOW + DAY, |_, _, counts| day.push(counts)).unwrap();
    assert_eq!(day, [one(DAY, 8).counts], "every number comes back as it was");
    assert_eq!((first[0].calls_before, first[0].calls_this_hour, first[0].new_endpoints.len()), (0, 3, 1));
    assert_eq!((last[0].calls_before, last[0].calls_this_hour, last[0].first_seen), (6, 4, NOW + 5));
    assert_eq!((last[1].calls_before, last[1].new_endpoints.len(), last[1].shapes_before), (10, 0, 1));
    let pairs = reader.pairs().unwrap();
    assert_eq!((pairs.len(), pairs[0].first_seen, pairs[0].last_seen), (2, NOW + 5, NOW + DAY));
    assert_eq!(reader.begun_at().unwrap(), MOMENT);
}

#[test]
fn every_number_of_a_sum_adds_up() {
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    let mut counts = Counts {
        answered: [next(), next(), next(), next(), next(), next()],
        unauthorized: next(),
        forbidden: next(),
        throttled: next(),
        refused: next(),
        limited: next(),
        strangers: next(),
        failed: next(),
        waits: next(),
        wait_us: next(),
        bytes_in: next(),
        bytes_out: next(),
        ..Counts::default()
    };
    counts.latency.observe(Duration::from_secs(3));
    let one = Activity { counts: counts.clone(), ..activity(who("main", "etl"), NOW, 0) };
    let place = Place::new();
    let mut ledger = place.open();
    ledger.add(&[one.clone(), one]).unwrap();
    counts.merge(&counts.clone());
    let mut found = Vec::new();
    place.read().sums(Span::Hour, 0, |_, _, counts| found.push(counts)).unwrap();
    assert_eq!(found, [counts]);
}

#[test]
fn a_renamed_key_keeps_its_history_under_its_new_name() {
    let place = Place::new();
    let mut ledger = place.open();
    ledger.add(&[activity(who("main", "etl"), NOW, 1)]).unwrap();
    let mut renamed = activity(who("main", "etl"), NOW, 1);
    renamed.who.credential = renamed.who.credential.map(|(id, _)| (id, Name::new("prod").unwrap()));
    ledger.add(&[renamed]).unwrap();
    let pairs = ledger.pairs().unwrap();
    assert_eq!((pairs.len(), pairs[0].credential_name.as_str()), (1, "prod"));
}

#[test]
fn strangers_and_calls_without_a_key_have_a_place_too() {
    let place = Place::new();
    let mut ledger = place.open();
    let nobody = Who { credential: None, caller: None, service: None };
    let counts = Counts { refused: 3, strangers: 3, ..Counts::default() };
    let refused = Activity { counts, endpoints: HashMap::new(), ..activity(nobody, NOW, 0) };
    ledger.add(&[refused.clone(), refused]).unwrap();
    assert_eq!(sums(&ledger, Span::Day), [(1, 0, 6)]);
    assert!(ledger.endpoints(0).unwrap().is_empty() && ledger.last_used().unwrap().is_empty());
}

#[test]
fn endpoints_are_known_from_their_first_call_on_and_bounded() {
    let place = Place::new();
    let mut ledger = place.open();
    let of = |from: usize, to: usize| {
        let endpoints = (from..to).map(|number| (("GET", format!("/{number}")), 1)).collect();
        Activity { endpoints, ..activity(who("main", "etl"), NOW, 0) }
    };
    let first = ledger.add(&[of(0, 150)]).unwrap();
    assert_eq!((first[0].new_endpoints.len(), first[0].shapes_before), (150, 0));
    let second = ledger.add(&[of(100, 250)]).unwrap();
    assert_eq!((second[0].new_endpoints.len(), second[0].shapes_before), (MOST_SHAPES - 150, 150));
    let third = ledger.add(&[Activity { others: 5, ..of(1000, 1010) }]).unwrap();
    assert!(third[0].new_endpoints.is_empty());
    let rows = ledger.endpoints(0).unwrap();
    assert_eq!(rows.len(), MOST_SHAPES + 1);
    let others = rows.iter().find(|row| row.method.is_empty()).unwrap();
    assert_eq!(others.calls, 50 + 15);
    assert_eq!(rows.iter().find(|row| row.shape == "/120").unwrap().calls, 2);
    assert!(ledger.endpoints(NOW + 1).unwrap().is_empty());
}

#[test]
fn who_used_a_key_is_read_back_with_the_most_frequent_first() {
    let place = Place::new();
    let mut ledger = place.open();
    let refused = Counts { refused: 9, ..Counts::default() };
    ledger
        .add(&[
            activity(who("main", "etl"), NOW, 3),
            activity(who("main", "cron"), NOW + 2 * DAY, 5),
            activity(who("main", "old"), NOW - 40 * DAY, 5),
            activity(who("other", "etl"), NOW, 7),
            Activity { counts: refused, ..activity(who("main", "refused"), NOW, 0) },
        ])
        .unwrap();
    let uses = ledger.uses("id-main", NOW - 28 * DAY).unwrap();
    let uses: Vec<_> = uses.iter().map(|used| (used.caller.as_str(), used.sent, used.last - NOW)).collect();
    assert_eq!(uses, [("cron", 5, 2 * DAY), ("etl", 3, 0)]);
    assert_eq!(ledger.last_used().unwrap()["id-main"], NOW + 2 * DAY);
}

#[test]
fn the_same_hours_before_are_those_of_the_days_before() {
    let place = Place::new();
    let mut ledger = place.open();
    let at = |days_ago: i64, hour: i64, calls| activity(who("main", "etl"), NOW - days_ago * DAY + hour * 3600, calls);
    ledger.add(&[at(0, 9, 77), at(1, 9, 5), at(2, 8, 6), at(2, 10, 9), at(3, 11, 50), at(5, 7, 50)]).unwrap();
    assert_eq!(ledger.same_hours_before(1, NOW + 9 * 3600, 5).unwrap(), [5, 9, 0, 0, 0]);
}

#[test]
fn what_is_old_is_forgotten_each_span_in_its_own_time() {
    let place = Place::new();
    let mut ledger = place.open();
    for days_ago in [0, 3, 100, 731] {
        ledger.add(&[activity(who("main", &format!("caller-{days_ago}")), NOW - days_ago * DAY, 1)]).unwrap();
    }
    ledger.prune(NOW).unwrap();
    let spans = Span::ALL.map(|span| sums(&ledger, span).iter().map(|(pair, ..)| *pair).collect::<Vec<_>>());
    assert_eq!(spans, [vec![1], vec![1, 2], vec![1, 2, 3]]);
    assert_eq!(ledger.pairs().unwrap().len(), 3);
    assert_eq!(ledger.endpoints(0).unwrap().len(), 3, "endpoints go with their pair");
}

#[test]
fn too_many_rows_lose_the_oldest() {
    let place = Place::new();
    let mut ledger = place.open();
    let calls = |minute: i64| activity(who("main", "etl"), NOW + 60 * minute, 1);
    ledger.add(&(0..100).map(calls).collect::<Vec<_>>()).unwrap();
    ledger.raise(&[event(0, 1)], 1).unwrap();
    ledger.raise(&[Event { subject: "later".to_owned(), ..event(9, 1) }], 1).unwrap();
    (ledger.kept.minutes.rows, ledger.kept.events.rows, ledger.kept.endpoints.rows) = (10, 1, 1);
    ledger.prune(NOW).unwrap();
    let left = sums(&ledger, Span::Minute);
    assert_eq!((left.len(), left[0].1), (10, 60 * 90));
    assert_eq!(sums(&ledger, Span::Hour).len(), 2);
    assert_eq!(ledger.events(0).unwrap()[0].last_at, NOW + 9);
    let other = activity(who("main", "cron"), NOW, 4);
    assert!(
        ledger.add(&[other]).unwrap()[0].new_endpoints.is_empty(),
        "with too many in all, none is told apart any more"
    );
    assert_eq!(ledger.endpoints(0).unwrap().iter().find(|row| row.method.is_empty()).unwrap().calls, 4);
}

#[test]
fn the_file_is_its_owners_alone_and_a_loose_or_foreign_one_is_refused() {
    let place = Place::new();
    drop(place.open());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.path()), 0o600);
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o640)).unwrap();
    let refused = Ledger::open(&place.path(), MOMENT).unwrap_err().to_string();
    assert!(refused.contains("chmod 600") && refused.contains("0640"), "{refused}");
    assert!(matches!(Ledger::read(&place.path()), Err(LedgerError::Loose { .. })));

    let other = Place::new();
    Connection::open(other.path()).unwrap().execute_batch("CREATE TABLE keys (name TEXT)").unwrap();
    std::fs::set_permissions(other.path(), PermissionsExt::from_mode(0o600)).unwrap();
    assert!(matches!(Ledger::open(&other.path(), MOMENT), Err(LedgerError::Foreign { .. })));
    let newer = Place::new();
    newer.open().connection.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Ledger::open(&newer.path(), MOMENT), Err(LedgerError::Newer { found: 99, .. })));
}

#[test]
fn a_ledger_that_nobody_has_begun_is_none() {
    let place = Place::new();
    assert!(Ledger::read(&place.path()).unwrap().is_none());
    std::fs::write(place.path(), b"").unwrap();
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o600)).unwrap();
    assert!(Ledger::read(&place.path()).unwrap().is_none());
    drop(place.open());
    assert!(place.read().add(&[activity(who("main", "etl"), NOW, 1)]).is_err(), "a reader writes nothing");
}

fn event(at: i64, count: u64) -> Event {
    Event {
        kind: EventKind::AuthFailures,
        subject: "id-main".to_owned(),
        recurrence: Recurrence::Hourly,
        who: who("main", "etl"),
        message: format!("at {at}"),
        count,
        at: NOW + at,
    }
}

/// How often it happened, when it is told.
fn told(ledger: &mut Ledger, event: &Event) -> Option<u64> {
    ledger.raise(std::slice::from_ref(event), 1).unwrap().first().map(|told| told.count)
}

#[test]
fn a_subject_is_told_once_an_hour_with_everything_since() {
    let place = Place::new();
    let mut ledger = place.open();
    assert_eq!(told(&mut ledger, &event(0, 5)), Some(5));
    assert_eq!(told(&mut ledger, &event(10, 2)), None);
    assert_eq!(told(&mut ledger, &event(3599, 1)), None);
    assert!(ledger.due(NOW + 3599, 9).unwrap().is_empty());
    let mut ledger = place.open();
    assert_eq!(told(&mut ledger, &event(3600, 4)), Some(7), "a restart forgets nothing");
    assert_eq!(told(&mut ledger, &event(3700, 3)), None);
    assert_eq!(told(&mut ledger, &Event { subject: "id-other".to_owned(), ..event(3700, 1) }), Some(1));
    assert_eq!(told(&mut ledger, &Event { kind: EventKind::UpstreamThrottled, ..event(3700, 1) }), Some(1));
    let due = ledger.due(NOW + 7200, 9).unwrap();
    assert_eq!((due.len(), due[0].count, due[0].event.message.as_str()), (1, 3, "at 3700"), "what is left is told too");
    assert!(ledger.due(NOW + 20_000, 9).unwrap().is_empty());
    let rows = ledger.events(NOW).unwrap();
    assert_eq!(rows.len(), 3);
    let first = rows.iter().find(|row| row.total > 1).unwrap();
    assert_eq!((first.total, first.first_at, first.last_at), (15, NOW, NOW + 3700));
    assert_eq!((first.credential_name.as_str(), first.caller_name.as_str()), ("main", "etl"));
    assert!(ledger.events(NOW + 3701).unwrap().is_empty());
}

#[test]
fn what_finds_no_room_is_told_later() {
    let mut ledger = Place::new().open();
    assert_eq!(ledger.raise(&[event(0, 5)], 0).unwrap(), []);
    assert_eq!(ledger.due(NOW, 0).unwrap(), []);
    let due = ledger.due(NOW + 2, 9).unwrap();
    assert_eq!((due.len(), due[0].count), (1, 5));
    let three = ["a", "b", "c"].map(|subject| Event { subject: subject.to_owned(), ..event(3, 1) });
    assert_eq!(ledger.raise(&three, 2).unwrap().len(), 2, "the room is for all of them together");
    assert_eq!(ledger.due(NOW + 3, 9).unwrap().len(), 1);
}

#[test]
fn what_happens_once_is_told_once() {
    let mut ledger = Place::new().open();
    let once = |at| Event { recurrence: Recurrence::Once, ..event(at, 1) };
    assert_eq!(told(&mut ledger, &once(0)), Some(1));
    assert_eq!(told(&mut ledger, &once(90_000)), None);
    assert!(ledger.due(NOW + 200_000, 9).unwrap().is_empty());
}
