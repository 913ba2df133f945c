//! Who sees which usage, and how it is summed up, on a real store and a real ledger in a temporary folder.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::config::{Config, Environment};
use crate::domain::{
    CallerId, Clock, CredentialId, EventKind, Fields, Perimeter, Role, Secret, SystemClock, User, Weight,
};
use crate::keys::MasterKeySource;
use crate::operations::{Acts, NewCaller, NewKey};
use crate::store::Sqlite;
use crate::usage::detect::{Event, Recurrence};
use crate::usage::{Activity, Who};
use crate::vault::Vault;

/// A moment in the middle of an hour, in Unix seconds.
const NOW: i64 = 1_764_000_000 + 1800;
const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

/// A clock that stands.
struct Still;

impl Clock for Still {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> Duration {
        Duration::from_secs(NOW.unsigned_abs())
    }
}

struct House {
    operations: Operations,
    folder: TempDir,
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn operator() -> Actor {
    Actor::Operator { name: "nina".to_owned() }
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::of_pairs([]).in_folder(folder.path());
        let config = Arc::new(Config::load(None, &environment).unwrap().config);
        let source = MasterKeySource::File(folder.path().join("data/master.key"));
        let store = Arc::new(Sqlite::open(&config.store).unwrap());
        let vault = Arc::new(Vault::open(store, &source, Arc::new(SystemClock)).unwrap());
        let acts = Acts::of(&config);
        Self { operations: Operations::new(config, vault, acts, Arc::new(Still)), folder }
    }

    fn ledger(&self) -> Ledger {
        Ledger::open(&self.folder.path().join("data").join(FILE), Still.wall()).unwrap()
    }

    fn user(&self, called: &str) -> User {
        self.operations.vault.add_user(&name(called), Role::Member).unwrap().0
    }

    /// A key of the user, and a caller of the same name.
    fn belongings(&self, owner: &User, called: &str) -> Who {
        let actor = Actor::Member(owner.clone());
        let new =
            NewKey { service: name("stripe"), name: Some(name(called)), owner: None, environment: None, expires: None };
        let value = Fields::new(vec![(name(Fields::SINGLE), Secret::new(b"sk_test_1".to_vec()))]);
        let draft = self.operations.draft_key(&actor, new).unwrap();
        let key = self.operations.add_key(&actor, draft, &value).unwrap();
        let new = NewCaller {
            name: name(called),
            owner: None,
            environment: None,
            perimeter: Perimeter::default(),
            weight: Weight::ONE,
        };
        let id = self.operations.add_caller(&actor, &new).unwrap().caller.id;
        Who {
            credential: Some((CredentialId::new(&key.id.unwrap()), name(called))),
            caller: Some((CallerId::new(&id), name(called))),
            service: Some(name("stripe")),
        }
    }

    fn count(&self, who: &Who, ago: i64, calls: u64) {
        let counts = Counts { answered: [0, 0, calls, 0, 0, 0], ..Counts::default() };
        let endpoints = HashMap::from([(("GET", format!("/{calls}")), calls)]);
        let (minute, last) = (Span::Minute.start(NOW - ago), NOW - ago);
        let activity = Activity { who: who.clone(), minute, last, counts, endpoints, others: 0 };
        self.ledger().add(&[activity]).unwrap();
    }

    fn asked(&self, actor: &Actor, by: UsageBy, ago: i64) -> UsageReport {
        let query = UsageQuery { service: None, key: None, caller: None, since: NOW - ago, by };
        self.operations.usage(actor, &query).unwrap()
    }
}

fn calls(report: &UsageReport) -> Vec<u64> {
    match &report.items {
        UsageItems::Sums(items) => items.iter().map(|item| item.sums.calls).collect(),
        UsageItems::Endpoints(items) => items.iter().map(|item| item.calls).collect(),
    }
}

#[test]
fn what_begins_before_anything_is_kept_or_in_the_future_is_refused() {
    const DAYS: i64 = 24 * 60 * 60;
    let house = House::new();
    for (by, ago, says) in [
        (UsageBy::Service, 730 * DAYS, None),
        (UsageBy::Service, 730 * DAYS + 1, Some("kept for 730 days")),
        (UsageBy::Day, i64::MAX, Some("kept for 730 days")),
        (UsageBy::Hour, 90 * DAYS, None),
        (UsageBy::Hour, 91 * DAYS, Some("kept for 90 days")),
        (UsageBy::Service, -30, None),
        (UsageBy::Service, -3600, Some("in the future")),
    ] {
        let query = UsageQuery { service: None, key: None, caller: None, since: NOW.saturating_sub(ago), by };
        let said = house.operations.usage(&Actor::proxy(), &query).err().map(|error| error.to_string());
        assert_eq!(said.is_some(), says.is_some(), "{by:?} {ago}: {said:?}");
        assert!(said.unwrap_or_default().contains(says.unwrap_or_default()), "{by:?} {ago}");
    }
}

#[test]
fn a_member_sees_what_its_keys_and_callers_did_and_nothing_else() {
    let house = House::new();
    let (ada, bob, eve) = (house.user("ada"), house.user("bob"), house.user("eve"));
    let (of_ada, of_bob) = (house.belongings(&ada, "ada"), house.belongings(&bob, "bob"));
    // Bob's caller with the key that Ada shares.
    let shared = Who { credential: of_ada.credential.clone(), ..of_bob.clone() };
    house.count(&of_ada, 60, 1);
    house.count(&of_bob, 60, 10);
    house.count(&shared, 60, 100);
    let mut ledger = house.ledger();
    for who in [&of_ada, &of_bob] {
        let event = Event {
            kind: EventKind::UpstreamThrottled,
            subject: who.credential.as_ref().unwrap().0.to_string(),
            recurrence: Recurrence::Hourly,
            who: who.clone(),
            message: String::new(),
            count: 1,
            at: NOW,
        };
        ledger.raise(&[event], 1).unwrap();
    }
    let seen = |user: &User| {
        let report = house.asked(&Actor::Member(user.clone()), UsageBy::Key, HOUR);
        let endpoints = house.asked(&Actor::Member(user.clone()), UsageBy::Endpoint, HOUR);
        (report.total.calls, report.events.len(), calls(&endpoints))
    };
    assert_eq!(seen(&ada), (101, 1, vec![100, 1]));
    assert_eq!(seen(&bob), (110, 1, vec![100, 10]));
    assert_eq!(seen(&eve), (0, 0, vec![]));
    let all = house.asked(&operator(), UsageBy::Key, HOUR);
    assert_eq!((all.total.calls, all.events.len(), calls(&all)), (111, 2, vec![101, 10]));
    assert_eq!(house.asked(&Actor::Admin(eve), UsageBy::Caller, HOUR).total.calls, 111);
}

#[test]
fn a_sum_begins_with_the_whole_span_and_every_step_is_there() {
    let house = House::new();
    let who = house.belongings(&house.user("ada"), "ada");
    for (ago, calls) in [(0, 1), (HOUR + 600, 2), (5 * HOUR, 4), (30 * HOUR, 8), (40 * DAY, 16), (100 * DAY, 32)] {
        house.count(&who, ago, calls);
    }
    let total = |by, ago| house.asked(&operator(), by, ago).total.calls;
    assert_eq!(total(UsageBy::Service, 60), 1);
    assert_eq!(total(UsageBy::Service, 90 * 60), 3);
    assert_eq!(total(UsageBy::Service, 24 * HOUR), 7);
    assert_eq!(total(UsageBy::Service, 50 * DAY), 31);
    assert_eq!(total(UsageBy::Service, 200 * DAY), 63);
    assert_eq!(calls(&house.asked(&operator(), UsageBy::Hour, 2 * HOUR)), [0, 2, 1]);
    assert_eq!(calls(&house.asked(&operator(), UsageBy::Day, 2 * DAY)).iter().sum::<u64>(), 15);
    for (ago, steps) in [(10 * 60, 11), (24 * HOUR, 25), (10 * DAY, 11), (200 * DAY, 201)] {
        assert_eq!(house.asked(&operator(), UsageBy::Service, ago).timeline.len(), steps, "{ago}");
    }
}

#[test]
fn what_has_no_name_is_null_and_what_was_not_asked_for_is_absent() {
    let house = House::new();
    house.count(&Who { credential: None, caller: None, service: None }, 0, 3);
    let json = |by| serde_json::to_value(house.asked(&operator(), by, HOUR)).unwrap();
    for (by, named) in [(UsageBy::Service, "service"), (UsageBy::Key, "key"), (UsageBy::Caller, "caller")] {
        let report = json(by);
        let item = report["items"][0].as_object().unwrap();
        assert_eq!((&report["by"], item.get(named)), (&Value::from(named), Some(&Value::Null)));
        assert_eq!(
            ["service", "key", "caller", "at"].iter().filter(|name| item.contains_key(**name)).count(),
            1 + usize::from(by == UsageBy::Key)
        );
    }
    assert!(json(UsageBy::Hour)["items"][0]["at"].is_string());
}

#[test]
fn nothing_is_known_before_anything_was_called() {
    let house = House::new();
    let report = house.asked(&operator(), UsageBy::Day, 30 * DAY);
    assert_eq!(
        (report.total, report.items, report.events.len()),
        (UsageSums::default(), UsageItems::Sums(Vec::new()), 0)
    );
}
