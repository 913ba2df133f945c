//! What the refusal of a gate or a quota says: which limit stands in the way, for how long, and what helps.

use std::time::Duration;

use crate::gate::{Cause, Crowd, LONGEST_WAIT, Label, LimitOf, Obstacle, Patience, Refused};

use super::seconds;

/// What, why, and what to do.
pub(super) fn detail(refused: &Refused) -> String {
    match refused {
        Refused::Limit { wait, met, .. } => limit(met, *wait),
        Refused::Full { crowd, most, wait } => full(*crowd, *most, *wait),
        Refused::Circuit(wait) => format!(
            "The upstream failed again and again, so nothing is sent to it for {} s; then one request tries. Check that it is up; `rate.mode = \"off\"` in proxy.toml sends regardless.",
            seconds(*wait)
        ),
        Refused::HeldBack => {
            "The upstream failed more than half of the requests of the last two minutes, so some are held back, this one among them. Try again in a moment, and check that it is up; `rate.mode = \"off\"` in proxy.toml sends regardless.".into()
        }
        Refused::Closing => "sidekey is being stopped. Try again in a moment.".into(),
    }
}

/// How much is left of the limit that refused.
pub(super) fn left(refused: &Refused) -> u32 {
    match refused {
        Refused::Limit { met, .. } => match met.cause {
            Cause::Quota { left, .. } => left,
            _ => 0,
        },
        _ => 0,
    }
}

fn full(crowd: Crowd, most: u32, wait: Duration) -> String {
    let (what, setting) = match crowd {
        Crowd::Gate => ("wait for this limit of the service", "max_waiting_per_gate"),
        Crowd::Caller => ("of one caller wait for this limit of the service", "max_waiting_per_caller"),
        Crowd::Process => ("wait in this process", "max_waiting"),
        Crowd::UnderWay => ("are under way in this process", "max_in_flight"),
    };
    format!(
        "As many requests {what} as may: {most} (`{setting}` under [gates] in proxy.toml). Try again in {} s, or send fewer at once.",
        seconds(wait)
    )
}

fn limit(met: &Obstacle, wait: Duration) -> String {
    let then = match met.cause {
        Cause::Places(_) => "Try again in a moment",
        _ => "Try again after that time",
    };
    let helps = [patience(met, wait), remedy(&met.label, met.cause)].into_iter().flatten();
    let helps = helps.fold(String::new(), |all, one| format!("{all}, or {one}"));
    format!("{}. {then}{helps}.", obstacle(met, seconds(wait)))
}

/// What stands in the way, and for how long.
fn obstacle(met: &Obstacle, wait: u64) -> String {
    let (Obstacle { label, cause, is_late, .. }, may) = (met, may(met));
    let its = its(label);
    match cause {
        Cause::Quota { quota, left: 0, .. } => {
            format!("The quota {quota} {its} is used up; it begins anew in {wait} s")
        }
        Cause::Quota { quota, left, cost } => format!(
            "The quota {quota} {its} has {left} of {} left, this request counts {cost}; it begins anew in {wait} s",
            quota.count
        ),
        Cause::Places(places) => {
            let within = match met.patience.map(|patience| patience.may) {
                Some(Duration::ZERO) => "and this request may not wait".into(),
                Some(may) => {
                    format!("and none became free within {} s, as long as this request may wait", seconds(may))
                }
                None => "and none became free for as long as this request may wait".into(),
            };
            format!("No place of the limit concurrency {places} {its} is free, {within}")
        }
        Cause::Closed { is_told: true } => {
            format!("{} lets nothing pass for {wait} s, as it said in an answer, {may}", upstream(label))
        }
        Cause::Closed { is_told: false } => {
            format!("{} turned requests down, so nothing is sent to it for {wait} s, {may}", upstream(label))
        }
        Cause::Rate(_) | Cause::Pace => {
            let limit = match cause {
                Cause::Rate(rate) => format!("limit {rate}"),
                _ => "pace".into(),
            };
            if *is_late {
                format!("The {limit} {its} held this request for as long as it may wait, and would for {wait} s more")
            } else {
                format!("The {limit} {its} would make this request wait {wait} s, {may}")
            }
        }
    }
}

/// How long the request may wait instead.
fn may(met: &Obstacle) -> String {
    match met.patience.map(|patience| patience.may) {
        None => "longer than it may".into(),
        Some(Duration::ZERO) => "and this request may not wait".into(),
        Some(may) => format!("and this request may wait {} s", seconds(may)),
    }
}

/// What of the service it is that lets nothing pass.
fn upstream(label: &Label) -> String {
    match label.shown_bucket() {
        Some(bucket) => format!("The bucket `{bucket}` of the service `{}`", label.service),
        None => format!("The service `{}`", label.service),
    }
}

/// Whose limit it is.
fn its(label: &Label) -> String {
    let (service, bucket) = (&label.service, label.shown_bucket());
    match (label.of, bucket) {
        (LimitOf::Share, _) => "of the share through which this caller uses the key".into(),
        (LimitOf::Service, _) => format!("of the service `{service}`"),
        (LimitOf::Caller, _) => "of this caller".into(),
        (LimitOf::Team, _) => "of this caller's team".into(),
        (LimitOf::Credential, _) => "of this key".into(),
        (LimitOf::Route, Some(rule)) => format!("of `{rule}` at the service `{service}`"),
        (LimitOf::Route, None) => "of requests like this one".into(),
        (LimitOf::Owner, _) => "of this key's limit owner".into(),
        (LimitOf::Quota, _) => format!("of this key's account at the service `{service}`"),
        (LimitOf::Pin, bucket) => {
            // Not by its name, which is the key's id where nobody gave it another: callers are told none.
            let owner = if label.owner.is_some() { "this key's limit owner at " } else { "" };
            let bucket = bucket.map(|bucket| format!("the bucket `{bucket}` of ")).unwrap_or_default();
            format!("that is pinned on {bucket}{owner}the service `{service}`")
        }
        (LimitOf::Upstream, Some(bucket)) => format!("of the bucket `{bucket}` that the service `{service}` keeps"),
        (LimitOf::Upstream, None) => format!("that the service `{service}` keeps"),
    }
}

/// Whether more patience would help, and how it is had.
fn patience(met: &Obstacle, wait: Duration) -> Option<String> {
    let Patience { may, most } = met.patience?;
    let needed = match met.cause {
        Cause::Quota { .. } => return None,
        Cause::Places(_) => may + Duration::from_secs(1),
        _ if met.is_late => may + wait,
        _ => wait,
    };
    if needed <= most {
        return Some(format!("be more patient (`Prefer: wait=SECONDS`, up to {} here)", seconds(most)));
    }
    (needed <= LONGEST_WAIT).then(|| "have the service's `rate.max_wait` raised".into())
}

/// What else helps, besides waiting.
fn remedy(label: &Label, cause: Cause) -> Option<String> {
    let raised = |key: &str| format!("have the service's `rate.{key}` raised");
    Some(match label.of {
        LimitOf::Share => "ask the key's owner for more (`sidekey key share`)".into(),
        LimitOf::Service => match cause {
            Cause::Places(_) => raised("concurrency"),
            _ => raised("limit"),
        },
        LimitOf::Caller => raised("per_caller"),
        LimitOf::Team => raised("per_team"),
        LimitOf::Credential => raised("per_credential"),
        LimitOf::Route => raised("per_route"),
        LimitOf::Owner => raised("per_owner"),
        LimitOf::Quota => raised("quota"),
        LimitOf::Pin => format!("have it taken back (`sidekey limits unpin {}`)", target(label)),
        LimitOf::Upstream => match cause {
            // What the service publishes is not forgotten.
            Cause::Rate(_) => return None,
            Cause::Places(_) => "send fewer at once".into(),
            _ => {
                // Of whichever owner: it is forgotten for all of them.
                let target = target(&Label { owner: None, ..label.clone() });
                format!("have it forgotten when the limit was raised (`sidekey limits reset {target}`)")
            }
        },
    })
}

/// A gate as the command line names it, but for whose it is: `sidekey limits list` tells that to who may know.
fn target(label: &Label) -> String {
    let owner = if label.owner.is_some() { " --owner OWNER" } else { "" };
    let bucket = label.shown_bucket().map(|bucket| format!(" --bucket {}", quoted(&bucket)));
    format!("{}{owner}{}", label.service, bucket.unwrap_or_default())
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
    if word.bytes().all(is_plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests;
