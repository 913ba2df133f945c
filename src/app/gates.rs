//! What the control thread does for the gates, once a second: it tells of what happened to them, notes what they look like for
//! commands and for the next start, and has them forget what somebody orders. It holds no request up.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::audit::{self, Act};
use crate::domain::{Clock, Name, NotedGate, SystemClock};
use crate::gate::{GateView, Gates, Happened, LeftClosed, LimitOf, News};
use crate::metrics::{GateLevels, Metrics};
use crate::operations::{GateLimit, GateShown, GateWaiters};
use crate::throttle::state::Phase;
use crate::throttle::{Bucket, Class};
use crate::vault::{Vault, VaultError};

use super::parts::Parts;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);
/// How often the gates are noted although they look the same, as a sign of life; and what nobody uses is forgotten.
const RARELY: u32 = 10;
/// So many gates are noted.
const MOST_NOTED: usize = 1_000;
/// A closure as long as this is an act in the audit.
const LONG: Duration = Duration::from_secs(60);

/// Looks after the gates for as long as the control thread lives.
pub(super) async fn watch(parts: Arc<Parts>) {
    let mut second = tokio::time::interval(EVERY);
    let mut noted = Vec::new();
    for turn in 0_u32.. {
        second.tick().await;
        tell(&parts.gates.news(), &parts.metrics, &parts.audit);
        if let Err(error) = look(&parts, &mut noted, turn) {
            tracing::debug!(%error, "the gates could not be noted");
        }
    }
}

fn look(parts: &Parts, noted: &mut Vec<NotedGate>, turn: u32) -> Result<(), VaultError> {
    parts.gates.pin(&parts.vault.pins()?);
    for reset in parts.vault.take_gate_resets()? {
        let is_meant = |owner: Option<&str>| reset.owner.is_none() || reset.owner.as_deref() == owner;
        let count = parts.gates.reset(|label| label.service == reset.service && is_meant(label.owner.as_deref()));
        tracing::info!(service = %reset.service, gates = count, "what was learnt of limits is forgotten, as ordered");
    }
    if turn.is_multiple_of(RARELY) {
        parts.gates.sweep();
    }
    let now = notes(&parts.gates);
    if now != *noted || turn.is_multiple_of(RARELY) {
        parts.vault.note_gates(&now)?;
        *noted = now;
    }
    Ok(())
}

/// Goes on where a former process ended.
pub(super) fn resume(gates: &Gates, vault: &Vault) -> Result<(), VaultError> {
    gates.pin(&vault.pins()?);
    let now = i64::try_from(SystemClock.wall().as_secs()).unwrap_or(i64::MAX);
    let (_, noted) = vault.noted_gates()?;
    for gate in noted {
        let left = gate.until.map_or(0, |until| until - now);
        let Ok(left) = u64::try_from(left) else { continue };
        if left == 0 {
            continue;
        }
        let bucket = Bucket::new(&gate.bucket);
        let wait = Duration::from_secs(u64::try_from(gate.wait).unwrap_or(left).max(1));
        let shown: Option<GateShown> = serde_json::from_str(&gate.shown).ok();
        let class = shown.as_ref().and_then(|shown| shown.reason.as_deref()).map_or(Class::Throttled, class_of);
        let credential = shown.and_then(|shown| Name::new(&shown.key?).ok());
        let closed = LeftClosed { bucket, closed_for: Duration::from_secs(left), wait, class, credential };
        gates.resume(&gate.service, &gate.owner, closed);
    }
    Ok(())
}

/// The last note before the process ends.
pub(super) fn note(gates: &Gates, vault: &Vault) {
    if let Err(error) = vault.note_gates(&notes(gates)) {
        tracing::warn!(%error, "what was learnt of limits could not be noted");
    }
}

/// The levels of the metrics.
pub(super) fn levels(gates: &Gates) -> GateLevels {
    let mut levels = GateLevels { waiting: u64::from(gates.waiting()), ..GateLevels::default() };
    levels.rejections = gates.rejections().map(|(why, count)| (why.as_str(), count)).to_vec();
    let mut left: BTreeMap<_, f64> = BTreeMap::new();
    for view in gates.views().iter().filter(|view| view.label.of == LimitOf::Upstream) {
        let service = || view.label.service.clone();
        *levels.closed.entry(service()).or_default() += u64::from(!view.closed_for.is_zero());
        for window in &view.windows {
            let Some(limit) = window.limit.filter(|limit| *limit > 0) else { continue };
            #[allow(clippy::cast_precision_loss, reason = "a ratio")]
            let ratio = (window.left as f64 / limit as f64).min(1.0);
            let least = left.entry(service()).or_insert(1.0);
            *least = least.min(ratio);
        }
    }
    levels.left = left;
    levels.quotas = gates.quotas().left().into_iter().collect();
    levels.budgets = gates.budgets().into_iter().map(|(service, left)| (service, left.into())).collect();
    levels.pins = u64::try_from(gates.pinned()).unwrap_or(u64::MAX);
    levels
}

fn notes(gates: &Gates) -> Vec<NotedGate> {
    let (now, views) = (SystemClock.wall(), gates.views());
    let learnt = views.iter().filter(|view| view.label.of == LimitOf::Upstream && says_something(view));
    let mut all: Vec<(&GateView, GateShown)> = learnt.take(MOST_NOTED).map(|view| (view, shown(view, now))).collect();
    // Who waits for a pinned limit is shown at the gate that it is pinned on.
    for view in views.iter().filter(|view| view.label.of == LimitOf::Pin && !view.waiting.is_empty()) {
        let pinned = shown(view, now);
        let is_it = |other: &GateShown| {
            (&other.service, &other.owner, &other.bucket) == (&pinned.service, &pinned.owner, &pinned.bucket)
        };
        let has_room = all.len() < MOST_NOTED;
        match all.iter_mut().find(|(_, other)| is_it(other)) {
            Some((_, other)) => other.waiting.extend(pinned.waiting),
            None if has_room => all.push((view, pinned)),
            None => {}
        }
    }
    all.into_iter().map(|(view, shown)| noted(view, &shown)).collect()
}

fn says_something(view: &GateView) -> bool {
    view.phase != Phase::Open || !view.windows.is_empty() || !view.waiting.is_empty() || view.closures > 0
}

/// The bucket is noted as the gate is found again by it, and shown without identifiers.
fn noted(view: &GateView, shown: &GateShown) -> NotedGate {
    let until = shown.closed_until.map(Timestamp::as_second);
    let wait = view.why.map_or(0, |(_, wait)| wait.as_secs());
    NotedGate {
        service: view.label.service.clone(),
        owner: shown.owner.clone(),
        bucket: view.label.bucket.as_deref().unwrap_or_default().to_owned(),
        until,
        wait: i64::try_from(wait).unwrap_or(i64::MAX),
        shown: serde_json::to_string(shown).unwrap_or_default(),
    }
}

fn shown(view: &GateView, now: Duration) -> GateShown {
    // To the second, so that what did not change looks the same.
    let moment = |left: Duration| {
        let at = (now + left + Duration::from_millis(500)).as_secs();
        Timestamp::from_second(i64::try_from(at).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX)
    };
    let limits = view.windows.iter().map(|window| GateLimit {
        name: window.name.clone(),
        limit: window.limit,
        left: window.left,
        reset_at: moment(window.reset),
    });
    let waiting = view.waiting.iter().map(|(caller, count)| GateWaiters {
        caller: caller.to_string(),
        waiting: u64::try_from(*count).unwrap_or(u64::MAX),
    });
    GateShown {
        service: view.label.service.to_string(),
        owner: view.label.owner.as_deref().unwrap_or("*").to_owned(),
        key: view.credential.as_ref().map(ToString::to_string),
        bucket: view.label.shown_bucket().map(Cow::into_owned),
        state: view.phase.as_str().to_owned(),
        closed_until: (!view.closed_for.is_zero()).then(|| moment(view.closed_for)),
        reason: view.why.map(|(class, _)| reason(class).to_owned()),
        closures: view.closures,
        last_refusal: view.quoted.iter().flat_map(|text| text.lines()).map(str::to_owned).collect(),
        limits: limits.collect(),
        pace_per_s: view.pace.map(|pace| (pace * 1000.0).round() / 1000.0),
        places: view.places,
        under_way: view.under_way,
        waiting: waiting.collect(),
        // These are in the store, from where they are shown.
        pin: None,
        quotas: Vec::new(),
    }
}

const fn reason(class: Class) -> &'static str {
    match class {
        Class::Exhausted => "exhausted",
        Class::Overloaded => "overloaded",
        _ => "throttled",
    }
}

fn class_of(word: &str) -> Class {
    let closing = [Class::Exhausted, Class::Overloaded];
    closing.into_iter().find(|class| reason(*class) == word).unwrap_or(Class::Throttled)
}

fn tell(news: &[News], metrics: &Metrics, audit: &audit::Log) {
    for one in news {
        let News { service, owner, credential, bucket, what } = one;
        let key = credential.as_ref().map(ToString::to_string).unwrap_or_default();
        let (owner, bucket) = (owner.as_deref().unwrap_or_default(), bucket.as_deref().unwrap_or_default());
        match what {
            Happened::Closed(class, wait) => tell_closed(one, *class, *wait, metrics, audit),
            Happened::Reopened => tracing::info!(%service, key, bucket, "a service lets requests pass again"),
            Happened::CircuitOpened(open) => {
                metrics.circuit_opened(service);
                let seconds = open.as_secs();
                tracing::warn!(%service, seconds, "an upstream failed again and again: nothing is sent to it for a while");
                record(audit, "circuit.open", service.as_str(), &[("seconds", &seconds.to_string())]);
            }
            Happened::CircuitClosed => tracing::info!(%service, "an upstream answers again"),
            Happened::QuotaNearlyUsedUp(quota, used) => {
                metrics.quota_alerted(service, "nearly_used_up");
                tracing::warn!(%service, owner, %quota, used, "four fifths of a quota are used");
                let (quota, used) = (quota.to_string(), used.to_string());
                let details = [("owner", owner), ("quota", &*quota), ("used", &*used)];
                record(audit, "quota.nearly_used_up", service.as_str(), &details);
            }
            Happened::QuotaUsedUp(quota) => {
                metrics.quota_alerted(service, "used_up");
                tracing::warn!(%service, owner, %quota, "a quota is used up: nothing more is sent in its period");
                record(audit, "quota.used_up", service.as_str(), &[("owner", owner), ("quota", &quota.to_string())]);
            }
            Happened::FailedOver(to) => {
                tracing::warn!(%service, key, %to, "the limit of a key is used up: another of its pool is used");
                record(audit, "pool.failover", service.as_str(), &[("key", &key), ("to", to.as_str())]);
            }
        }
    }
}

fn tell_closed(news: &News, class: Class, wait: Duration, metrics: &Metrics, audit: &audit::Log) {
    let News { service, credential, bucket, .. } = news;
    let key = credential.as_ref().map(ToString::to_string).unwrap_or_default();
    let bucket = bucket.as_deref().unwrap_or_default();
    let (reason, seconds) = (reason(class), wait.as_secs_f32().ceil());
    metrics.gate_closed(service, reason);
    if class != Class::Exhausted && wait < LONG {
        tracing::info!(%service, key, bucket, reason, seconds, "a service lets nothing pass for a moment");
        return;
    }
    tracing::warn!(%service, key, bucket, reason, seconds, "a service lets nothing pass for a while");
    let details = [("key", &*key), ("bucket", bucket), ("reason", reason), ("seconds", &seconds.to_string())];
    record(audit, "gate.close", service.as_str(), &details);
}

fn record(audit: &audit::Log, act: &'static str, service: &str, details: &[(&'static str, &str)]) {
    let given: Vec<(&'static str, &str)> = details.iter().filter(|(_, text)| !text.is_empty()).copied().collect();
    let written = Act {
        id: None,
        time: SystemClock.wall(),
        actor: "sidekey",
        act,
        object: service,
        object_id: None,
        details: &given,
    };
    if let Err(error) = audit.append_act(&written) {
        tracing::error!(%error, "what happened to a gate could not be written to the audit log");
    }
}
