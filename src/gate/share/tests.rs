//! Quotas over periods, changes and restarts; gates over reloads.

use std::num::NonZeroU32;

use super::*;
use crate::domain::{Allowed, Period, Rate, TeamId};

const NOON: i64 = 1_795_435_200; // 2026-11-23T12:00:00Z

fn service() -> ServiceName {
    ServiceName::new("stripe").unwrap()
}

fn quota(count: u32, per: Period) -> Quota {
    Quota { count: NonZeroU32::new(count).unwrap(), per }
}

#[test]
fn a_quota_is_used_up_and_comes_back_with_the_next_period() {
    for (per, end) in [(Period::Day, NOON + 12 * 3600), (Period::Month, NOON + 12 * 3600 + 7 * 86_400)] {
        let (tally, two) = (Tally::default(), quota(2, per));
        for _ in 0..2 {
            tally.look(two, NOON).unwrap();
            tally.take(two, NOON).unwrap();
        }
        assert!(tally.look(two, end - 1).is_err());
        let Err(Refused::Limit { policy, wait, of }) = tally.take(two, NOON) else { panic!("taken") };
        assert_eq!((policy, of), (format!("2/{}", per.as_str()), LimitOf::Share));
        assert_eq!(wait.as_secs(), u64::try_from(end - NOON).unwrap());
        tally.look(two, end).unwrap();
        tally.take(two, end).unwrap();
        assert_eq!(tally.read(), (per.number(end), 1));
    }
}

#[test]
fn periods_are_those_of_the_calendar() {
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
    for (within, end) in [
        ("2024-02-29T23:59:59Z", "2024-03-01T00:00:00Z"),
        ("2023-02-01T00:00:00Z", "2023-03-01T00:00:00Z"),
        ("2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
    ] {
        let (within, end) = (at(within), at(end));
        assert_eq!(Period::Month.end(within), end);
        assert_eq!(Period::Month.number(end), Period::Month.number(within) + 1);
        assert_eq!(Period::Month.number(end - 1), Period::Month.number(within));
    }
    assert_eq!((Period::Month.number(0), Period::Day.number(0), Period::Day.number(86_400)), (0, 0, 1));
    assert_eq!(Period::Day.end(at("2024-02-29T05:00:00Z")), at("2024-03-01T00:00:00Z"));
}

#[test]
fn what_was_used_outlives_a_change_of_the_quota_and_a_restart() {
    let (key, data) = (CredentialId::new("c1"), Share::Team(TeamId::new("data")));
    let with = |count| Bounds { quota: Some(quota(count, Period::Month)), ..Bounds::default() };
    let gates = ShareGates::default();
    let first = gates.of(&service(), &key, &data, &with(2)).unwrap();
    first.count().unwrap();
    first.count().unwrap();
    assert!(first.count().is_err());
    let wider = gates.of(&service(), &key, &data, &with(3)).unwrap();
    wider.count().unwrap();
    assert!(wider.count().is_err(), "what was used before counts");
    let uses = gates.collect();
    assert_eq!((uses.len(), uses[0].used), (1, 3));
    assert!(gates.collect().is_empty());
    let restarted = ShareGates::default();
    restarted.resume(uses);
    assert!(restarted.collect().is_empty(), "what came from the store need not go there");
    assert!(restarted.of(&service(), &key, &data, &with(3)).unwrap().count().is_err());
    assert!(restarted.of(&service(), &key, &Share::Everyone, &with(3)).unwrap().count().is_ok());
}

#[test]
fn a_share_has_a_gate_of_its_own_that_is_forgotten_with_it() {
    let gates = ShareGates::default();
    let (key, data) = (CredentialId::new("c1"), Share::Team(TeamId::new("data")));
    let rate = |count| {
        let rate = Rate { count: NonZeroU32::new(count).unwrap(), period: Duration::from_secs(1) };
        Bounds { rate: Some(rate), ..Bounds::default() }
    };
    let reading = Bounds { allowed: Allowed { rules: None, read_only: true }, ..Bounds::default() };
    assert!(gates.of(&service(), &key, &data, &reading).is_none());
    let first = gates.of(&service(), &key, &data, &rate(5)).unwrap();
    assert!(Arc::ptr_eq(&first, &gates.of(&service(), &key, &data, &rate(5)).unwrap()));
    assert!(!Arc::ptr_eq(&first, &gates.of(&service(), &key, &Share::Everyone, &rate(5)).unwrap()));
    assert!(
        !Arc::ptr_eq(&first, &gates.of(&service(), &key, &data, &rate(6)).unwrap()),
        "another rate is another gate"
    );
    drop(first);
    let last = gates.of(&service(), &key, &data, &rate(6)).unwrap();
    let known = Arc::downgrade(&gates.of(&service(), &key, &Share::Everyone, &rate(5)).unwrap());
    gates.forget_unused();
    assert!(known.upgrade().is_none());
    assert!(Arc::ptr_eq(&last, &gates.of(&service(), &key, &data, &rate(6)).unwrap()));
}
