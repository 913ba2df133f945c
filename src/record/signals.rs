//! `[limits]` of a record: how a service tells of its limits, and what it publishes.

use std::time::Duration;

use http::HeaderName;

use crate::domain::{BodyRule, HeaderFamily, OwnHeaders, ResetUnit, RouteBucket, Signals, Verdict};

use super::compile::{quantity, rules};
use super::error::Faults;
use super::gating::{at_least_one, rate};
use super::{BodyRuleRecord, KeyPath, LimitsRecord, ServiceRecord, nearest, units};

const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest name of a bucket that can be told from others on the wire.
const LONGEST_NAME: usize = 47;

/// Compiles `[limits]`.
pub(super) fn signals(record: &ServiceRecord, faults: &mut Faults) -> Signals {
    let Some(limits) = &record.limits else { return Signals::default() };
    let at = KeyPath::root().key("limits");
    let families = HeaderFamily::ALL.iter().map(|family| family.as_str());
    let resets = ResetUnit::ALL.iter().map(|reset| reset.as_str());
    let reset = "meaning of a reset header";
    Signals {
        family: word(limits.family.as_deref(), HeaderFamily::of, families, (&at.key("family"), "family"), faults),
        reset: word(limits.reset.as_deref(), ResetUnit::of, resets, (&at.key("reset"), reset), faults),
        own: own(limits, &at.key("headers"), faults),
        rate: rate(limits.rate.as_deref(), at.key("rate"), faults),
        concurrency: at_least_one(limits.concurrency, &at.key("concurrency"), faults),
        leak: rate(limits.leak.as_deref(), at.key("leak"), faults),
        owner: limits.owner.clone(),
        default_wait: wait(limits.default_wait.as_deref(), &at.key("default_wait"), faults),
        statuses: statuses(limits, &at.key("statuses"), faults),
        bodies: bodies(limits.bodies.as_deref().unwrap_or_default(), &at.key("bodies"), faults),
        buckets: buckets(limits, &at.key("buckets"), faults),
        by_path: by_path(limits.bucket_by.as_deref(), &at.key("bucket_by"), faults),
    }
}

/// One of a few words; notes any other, with the nearest of them.
fn word<T>(
    text: Option<&str>,
    of: fn(&str) -> Option<T>,
    all: impl Iterator<Item = &'static str> + Clone,
    (at, what): (&KeyPath, &str),
    faults: &mut Faults,
) -> Option<T> {
    let text = text?;
    let found = of(text);
    if found.is_none() {
        let near = nearest(text, all.clone()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let fix = format!("{near}It is one of {}", all.collect::<Vec<_>>().join(", "));
        faults.quote(at.clone(), format!("not a {what}"), text, fix);
    }
    found
}

fn verdict(text: Option<&str>, at: &KeyPath, faults: &mut Faults) -> Option<Verdict> {
    let all = Verdict::ALL.iter().map(|verdict| verdict.as_str());
    word(text, Verdict::of, all, (at, "meaning of an answer"), faults)
}

fn wait(text: Option<&str>, at: &KeyPath, faults: &mut Faults) -> Option<Duration> {
    let bounds = (&Duration::from_millis(1), &LONGEST_WAIT, "`1ms` to `1d`, such as `60s`");
    quantity(text, at, units::duration, bounds, faults)
}

fn is_status(status: u16) -> bool {
    (100..=599).contains(&status)
}

fn statuses(limits: &LimitsRecord, at: &KeyPath, faults: &mut Faults) -> Vec<(u16, Verdict)> {
    let mut out = Vec::new();
    for (key, text) in limits.statuses.iter().flatten() {
        let at = at.key(key);
        // What goes well would close the gate each time.
        let status = key.parse().ok().filter(|status| is_status(*status) && *status >= 300);
        if status.is_none() {
            let fix = "write a status from 300 to 599, such as `420`; refusals with 200 are told by a rule of `bodies`";
            faults.quote(at.clone(), "not the status of a refusal", key, fix);
        }
        out.extend(status.zip(verdict(Some(text), &at, faults)));
    }
    out
}

fn bodies(records: &[BodyRuleRecord], at: &KeyPath, faults: &mut Faults) -> Vec<BodyRule> {
    records.iter().enumerate().filter_map(|(i, record)| body(record, &at.index(i), faults)).collect()
}

fn body(record: &BodyRuleRecord, at: &KeyPath, faults: &mut Faults) -> Option<BodyRule> {
    let statuses = record.statuses.clone().unwrap_or_default();
    if statuses.is_empty() || !statuses.iter().all(|status| is_status(*status)) {
        let fix = "list the statuses on whose answers the rule looks, such as `[403, 429]`";
        faults.add(at.key("statuses"), "no status, or one that does not exist", fix);
    }
    let values: Vec<Box<str>> = record.values.iter().flatten().map(|value| value.as_str().into()).collect();
    if values.is_empty() {
        faults.add(at.key("values"), "no value to look for", "list the values, such as `[\"rate_limited\"]`");
    }
    if record.path.is_none() {
        faults.add(at.key("path"), "the path to the value is missing", "add `path = \"error.code\"`");
    }
    if record.verdict.is_none() {
        faults.add(at.key("verdict"), "what it means is missing", "add `verdict = \"throttled\"`");
    }
    Some(BodyRule {
        path: path(record.path.as_deref(), &at.key("path"), faults)?,
        values,
        verdict: verdict(record.verdict.as_deref(), &at.key("verdict"), faults)?,
        wait_at: path(record.wait_at.as_deref(), &at.key("wait_at"), faults),
        wait: wait(record.wait.as_deref(), &at.key("wait"), faults),
        reason_at: path(record.reason_at.as_deref(), &at.key("reason_at"), faults),
        routes: rules(record.routes.as_deref().unwrap_or_default(), &at.key("routes"), faults),
        statuses,
    })
}

fn path(text: Option<&str>, at: &KeyPath, faults: &mut Faults) -> Option<Vec<Box<str>>> {
    let text = text?;
    let members: Vec<Box<str>> = text.split('.').map(Into::into).collect();
    if members.iter().any(|member| member.is_empty()) {
        faults.quote(at.clone(), "not a path to a value", text, "write a path such as `error.code` or `errors.*.code`");
        return None;
    }
    Some(members)
}

fn buckets(limits: &LimitsRecord, at: &KeyPath, faults: &mut Faults) -> Vec<RouteBucket> {
    let mut out = Vec::new();
    for (name, routes) in limits.buckets.iter().flatten() {
        let at = at.key(name);
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            faults.quote(at.clone(), "not a name for a bucket", name, "use 1 to 47 letters, digits and signs");
        }
        out.push(RouteBucket { name: name.as_str().into(), routes: rules(routes, &at, faults) });
    }
    out
}

fn by_path(text: Option<&str>, at: &KeyPath, faults: &mut Faults) -> bool {
    let known = |text: &str| (text == "path").then_some(());
    word(text, known, std::iter::once("path"), (at, "division into buckets"), faults).is_some()
}

/// A header's part in a limit, told by its name.
#[derive(Clone, Copy)]
enum Part {
    Limit,
    Remaining,
    Reset,
}

impl Part {
    fn of(name: &str) -> Self {
        if name.contains("reset") {
            Self::Reset
        } else if name.contains("remaining") || name.contains("left") {
            Self::Remaining
        } else {
            Self::Limit
        }
    }

    fn slot(self, own: &mut OwnHeaders) -> &mut Option<HeaderName> {
        match self {
            Self::Limit => &mut own.limit,
            Self::Remaining => &mut own.remaining,
            Self::Reset => &mut own.reset,
        }
    }
}

/// The limits that a list of headers tells of: with the second header of a kind, a second limit begins.
fn own(limits: &LimitsRecord, at: &KeyPath, faults: &mut Faults) -> Vec<OwnHeaders> {
    let mut out: Vec<OwnHeaders> = Vec::new();
    let names = limits.headers.as_deref().unwrap_or_default();
    if names.is_empty() && limits.family.as_deref() == Some(HeaderFamily::Vendor.as_str()) {
        let fix = "add their names, such as `headers = [\"X-Calls-Left\", \"X-Calls-Reset\"]`, or leave `family` out";
        faults.add(at.clone(), "the family `vendor` has no names but these, and there are none", fix);
    }
    for (i, text) in names.iter().enumerate() {
        let Ok(name) = HeaderName::try_from(text.as_str()) else {
            let fix = "use letters, digits and `-`, such as `X-RateLimit-Reset`";
            faults.quote(at.index(i), "not a header name", text, fix);
            continue;
        };
        let part = Part::of(name.as_str());
        if out.last_mut().is_none_or(|own| part.slot(own).is_some()) {
            out.push(OwnHeaders::default());
        }
        if let Some(own) = out.last_mut() {
            *part.slot(own) = Some(name);
        }
    }
    out
}
