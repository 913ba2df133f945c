//! The `rate` of a record, compiled: a service's own limits, and how its gates work besides.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::{GateMode, Gating, Level, Limits, Quota, Quotas, Rate, Rule};

use super::error::{Faults, KeyPath};
use super::units;
use super::wire::{RateRecord, ServiceRecord};

/// The longest that a request may wait.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// The most that one request may count for.
const DEAREST: u32 = 100;

/// The limits of a service.
pub(super) fn limits(record: &ServiceRecord, faults: &mut Faults) -> Limits {
    let mut out = Limits::default();
    let Some(record) = &record.rate else { return out };
    let at = KeyPath::root().key("rate");
    out.rate = rate(record.limit.as_deref(), at.key("limit"), faults);
    out.burst = at_least_one(record.burst, &at.key("burst"), faults);
    out.concurrency = at_least_one(record.concurrency, &at.key("concurrency"), faults);
    if record.burst.is_some() && record.limit.is_none() {
        let fix = "add `limit`, such as `limit = \"100/s\"`, or remove `burst`";
        faults.add(at.key("burst"), "a burst without a limit means nothing", fix);
    }
    if let Some(text) = record.max_wait.as_deref() {
        match units::duration(text) {
            Ok(wait) if wait <= LONGEST_WAIT => out.max_wait = wait,
            Ok(_) => faults.quote(at.key("max_wait"), "out of bounds", text, "use `0s` to `2m`"),
            Err(error) => faults.quote(at.key("max_wait"), error.to_string(), text, "use `0s` to `2m`"),
        }
    }
    out
}

/// How the gates of a service work.
pub(super) fn gating(record: &ServiceRecord, faults: &mut Faults) -> Gating {
    let Some(record) = &record.rate else { return Gating::default() };
    let at = KeyPath::root().key("rate");
    Gating {
        mode: mode(record, &at, faults),
        per_caller: level(record.per_caller.as_deref(), at.key("per_caller"), faults),
        per_team: level(record.per_team.as_deref(), at.key("per_team"), faults),
        per_credential: level(record.per_credential.as_deref(), at.key("per_credential"), faults),
        per_route: routes(record, &at.key("per_route"), faults),
        per_owner: level(record.per_owner.as_deref(), at.key("per_owner"), faults),
        costs: costs(record, &at.key("costs"), faults),
        quotas: Quotas { each: quotas(record, &at.key("quota"), faults), zone: zone(record, &at, faults) },
    }
}

fn quotas(record: &RateRecord, at: &KeyPath, faults: &mut Faults) -> Vec<Quota> {
    let mut quotas: Vec<Quota> = Vec::new();
    let fix = "write `10000/day`, `200000/month` or both";
    for text in record.quota.iter().flatten() {
        match units::quota(text) {
            Ok(quota) if quotas.iter().any(|other| other.per == quota.per) => {
                faults.quote(at.clone(), "a second one for the same period", text, "keep the lower of the two");
            }
            Ok(quota) => quotas.push(quota),
            Err(error) => faults.quote(at.clone(), error.to_string(), text, fix),
        }
    }
    quotas
}

fn zone(record: &RateRecord, at: &KeyPath, faults: &mut Faults) -> TimeZone {
    let Some(text) = record.quota_timezone.as_deref() else { return TimeZone::UTC };
    let at = at.key("quota_timezone");
    if record.quota.is_none() {
        let fix = "add `quota`, such as `quota = [\"10000/day\"]`, or remove `quota_timezone`";
        faults.add(at.clone(), "a time zone without a quota means nothing", fix);
    }
    TimeZone::get(text).unwrap_or_else(|_| {
        let fix = "use a name of the IANA database, such as `Europe/Berlin`, `America/New_York` or `UTC`";
        faults.quote(at, "no such time zone", text, fix);
        TimeZone::UTC
    })
}

fn mode(record: &RateRecord, at: &KeyPath, faults: &mut Faults) -> Option<GateMode> {
    let text = record.mode.as_deref()?;
    let found = GateMode::ALL.into_iter().find(|mode| mode.as_str() == text);
    if found.is_none() {
        let fix = "use `off`, `observe` or `enforce`";
        faults.quote(at.key("mode"), "no such mode", text, fix);
    }
    found
}

fn costs(record: &RateRecord, at: &KeyPath, faults: &mut Faults) -> Vec<(Rule, NonZeroU32)> {
    let mut costs = Vec::new();
    for (rule, cost) in record.costs.iter().flatten() {
        let at = at.key(rule);
        let Ok(parsed) = Rule::parse(rule) else {
            faults.quote(at, "this is no rule", rule, "write it as in `allow`, such as `POST /v1/search`");
            continue;
        };
        match NonZeroU32::new(*cost).filter(|cost| cost.get() <= DEAREST) {
            Some(cost) => costs.push((parsed, cost)),
            None => faults.quote(at, "out of bounds", &cost.to_string(), "use 1 to 100"),
        }
    }
    costs
}

fn routes(record: &RateRecord, at: &KeyPath, faults: &mut Faults) -> Vec<(Rule, Level)> {
    let mut routes = Vec::new();
    for (rule, text) in record.per_route.iter().flatten() {
        let at = at.key(rule);
        match Rule::parse(rule) {
            Ok(parsed) => routes.extend(level(Some(text), at, faults).map(|level| (parsed, level))),
            Err(_) => faults.quote(at, "this is no rule", rule, "write it as in `allow`, such as `POST /v1/search`"),
        }
    }
    routes
}

/// Notes what is no rate with a burst.
fn level(text: Option<&str>, at: KeyPath, faults: &mut Faults) -> Option<Level> {
    let text = text?;
    let found = units::level(text);
    found.map_err(|error| faults.quote(at, error.to_string(), text, "write `100/s`, `60/min` or `100/s burst 20`")).ok()
}

/// Notes what is no rate.
pub(super) fn rate(text: Option<&str>, at: KeyPath, faults: &mut Faults) -> Option<Rate> {
    let text = text?;
    match units::rate(text) {
        Ok(rate) => Some(rate),
        Err(error) => {
            let fix = "write `100/s`, `60/min`, `1000/h` or `10000/d`";
            faults.quote(at, error.to_string(), text, fix);
            None
        }
    }
}

/// Notes a count of 0.
pub(super) fn at_least_one(number: Option<u32>, at: &KeyPath, faults: &mut Faults) -> Option<NonZeroU32> {
    let number = number?;
    let found = NonZeroU32::new(number);
    if found.is_none() {
        faults.add(at.clone(), "0 would admit no request", "use 1 or more, or leave it out for no bound");
    }
    found
}
