//! What each refusal says, in full.

use super::*;
use crate::domain::{Period, Quota, Rate, ServiceName};

fn label(of: LimitOf, owner: Option<&str>, bucket: Option<&str>) -> Label {
    let service = ServiceName::new("bill").unwrap();
    Label { of, service, owner: owner.map(Into::into), bucket: bucket.map(Into::into) }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Of a request that may wait for so long, at a service whose requests may wait for 30 s.
fn said(label: Label, cause: Cause, wait: u64, may: u64, is_late: bool) -> String {
    let patience = Some(Patience { may: secs(may), most: secs(30) });
    let met = Box::new(Obstacle { label, cause, is_late, patience });
    detail(&Refused::Limit { policy: String::new(), wait: secs(wait), of: met.label.of, met })
}

fn per_minute() -> Cause {
    Cause::Rate(Rate { count: 6.try_into().unwrap(), period: secs(60) })
}

#[test]
fn a_limit_is_named_with_how_long_it_holds_and_what_helps() {
    let service = || label(LimitOf::Service, None, None);
    let caller = || label(LimitOf::Caller, Some("etl"), None);
    let route = label(LimitOf::Route, Some("acme"), Some("POST /v1/batch"));
    let places = Cause::Places(2);
    for (label, cause, wait, may, is_late, expected) in [
        (
            service(),
            per_minute(),
            10,
            0,
            false,
            "The limit 6/min of the service `bill` would make this request wait 10 s, and this request may not wait. Try again after that time, or be more patient (`Prefer: wait=SECONDS`, up to 30 here), or have the service's `rate.limit` raised.",
        ),
        (
            caller(),
            per_minute(),
            40,
            30,
            false,
            "The limit 6/min of this caller would make this request wait 40 s, and this request may wait 30 s. Try again after that time, or have the service's `rate.max_wait` raised, or have the service's `rate.per_caller` raised.",
        ),
        (
            caller(),
            per_minute(),
            3_000,
            30,
            false,
            "The limit 6/min of this caller would make this request wait 3000 s, and this request may wait 30 s. Try again after that time, or have the service's `rate.per_caller` raised.",
        ),
        (
            caller(),
            per_minute(),
            10,
            5,
            true,
            "The limit 6/min of this caller held this request for as long as it may wait, and would for 10 s more. Try again after that time, or be more patient (`Prefer: wait=SECONDS`, up to 30 here), or have the service's `rate.per_caller` raised.",
        ),
        (
            route,
            per_minute(),
            3_000,
            30,
            false,
            "The limit 6/min of `POST /v1/batch` at the service `bill` would make this request wait 3000 s, and this request may wait 30 s. Try again after that time, or have the service's `rate.per_route` raised.",
        ),
        (
            service(),
            places,
            1,
            3,
            true,
            "No place of the limit concurrency 2 of the service `bill` is free, and none became free within 3 s, as long as this request may wait. Try again in a moment, or be more patient (`Prefer: wait=SECONDS`, up to 30 here), or have the service's `rate.concurrency` raised.",
        ),
        (
            service(),
            places,
            1,
            0,
            false,
            "No place of the limit concurrency 2 of the service `bill` is free, and this request may not wait. Try again in a moment, or be more patient (`Prefer: wait=SECONDS`, up to 30 here), or have the service's `rate.concurrency` raised.",
        ),
    ] {
        assert_eq!(said(label, cause, wait, may, is_late), expected);
    }
}

#[test]
fn what_a_service_says_of_itself_is_told_apart_from_what_nobody_said() {
    let upstream = |bucket: Option<&str>| label(LimitOf::Upstream, Some("acme"), bucket);
    for (label, cause, wait, expected) in [
        (
            upstream(None),
            Cause::Closed { is_told: true },
            3_599,
            "The service `bill` lets nothing pass for 3599 s, as it said in an answer, and this request may wait 30 s. Try again after that time, or have it forgotten when the limit was raised (`sidekey limits reset bill`).",
        ),
        (
            upstream(Some("search")),
            Cause::Closed { is_told: false },
            60,
            "The bucket `search` of the service `bill` turned requests down, so nothing is sent to it for 60 s, and this request may wait 30 s. Try again after that time, or have the service's `rate.max_wait` raised, or have it forgotten when the limit was raised (`sidekey limits reset bill --bucket search`).",
        ),
        (
            upstream(Some("/v1/things/83217712345")),
            Cause::Closed { is_told: true },
            3_599,
            "The bucket `/v1/things/{…}` of the service `bill` lets nothing pass for 3599 s, as it said in an answer, and this request may wait 30 s. Try again after that time, or have it forgotten when the limit was raised (`sidekey limits reset bill --bucket '/v1/things/{…}'`).",
        ),
        (
            upstream(None),
            per_minute(),
            200,
            "The limit 6/min that the service `bill` keeps would make this request wait 200 s, and this request may wait 30 s. Try again after that time.",
        ),
        (
            upstream(None),
            Cause::Pace,
            200,
            "The pace that the service `bill` keeps would make this request wait 200 s, and this request may wait 30 s. Try again after that time, or have it forgotten when the limit was raised (`sidekey limits reset bill`).",
        ),
    ] {
        assert_eq!(said(label, cause, wait, 30, false), expected);
    }
}

#[test]
fn a_pin_is_named_with_what_it_is_pinned_on_and_the_command_that_takes_it_back() {
    for (owner, bucket, on, command) in [
        (None, None, "the service `bill`", "bill"),
        (Some("acme"), None, "this key's limit owner at the service `bill`", "bill --owner OWNER"),
        (None, Some("search"), "the bucket `search` of the service `bill`", "bill --bucket search"),
        (
            Some("acme"),
            Some("the search"),
            "the bucket `the search` of this key's limit owner at the service `bill`",
            "bill --owner OWNER --bucket 'the search'",
        ),
    ] {
        let said = said(label(LimitOf::Pin, owner, bucket), per_minute(), 300, 30, false);
        assert!(said.starts_with(&format!("The limit 6/min that is pinned on {on} would make")), "{said}");
        assert!(said.ends_with(&format!("or have it taken back (`sidekey limits unpin {command}`).")), "{said}");
        assert!(!said.contains("acme"), "whose account it is, is the key's id where nobody named it: {said}");
    }
}

#[test]
fn a_quota_is_used_up_only_when_nothing_is_left() {
    let quota = Quota { count: 5.try_into().unwrap(), per: Period::Day };
    for (left, state) in [(0, "is used up"), (3, "has 3 of 5 left, this request counts 4")] {
        let cause = Cause::Quota { quota, left, cost: 4 };
        let expected = format!(
            "The quota 5/day of this key's account at the service `bill` {state}; it begins anew in 600 s. Try again after that time, or have the service's `rate.quota` raised."
        );
        assert_eq!(said(label(LimitOf::Quota, Some("acme"), None), cause, 600, 30, false), expected);
    }
}

#[test]
fn who_finds_no_room_is_told_where_how_many_there_are_and_which_setting_it_is() {
    for (crowd, what, setting) in [
        (Crowd::Gate, "wait for this limit of the service", "max_waiting_per_gate"),
        (Crowd::Caller, "of one caller wait for this limit of the service", "max_waiting_per_caller"),
        (Crowd::Process, "wait in this process", "max_waiting"),
        (Crowd::UnderWay, "are under way in this process", "max_in_flight"),
    ] {
        let expected = format!(
            "As many requests {what} as may: 4 (`{setting}` under [gates] in proxy.toml). Try again in 18 s, or send fewer at once."
        );
        assert_eq!(detail(&Refused::Full { crowd, most: 4, wait: secs(18) }), expected);
    }
}
