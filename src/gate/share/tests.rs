//! What was used over changes and restarts; gates over reloads.

use std::num::NonZeroU32;
use std::time::Duration;

use super::*;
use crate::domain::{Allowed, Period, Quota, Rate, TeamId};

fn service() -> ServiceName {
    ServiceName::new("stripe").unwrap()
}

fn quota(count: u32, per: Period) -> Quota {
    Quota { count: NonZeroU32::new(count).unwrap(), per }
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
