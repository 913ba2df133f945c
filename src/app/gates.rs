//! What the control thread does for the gates, once a second: it tells of what happened to them, notes what they look like for
//! commands and for the next start, and has them forget what somebody orders. It holds no request up.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;

use crate::audit::{self, Act};
use crate::domain::{Clock, Name, NotedGate, ServiceName, SystemClock};
use crate::gate::{CircuitView, GateView, Gates, Happened, LeftClosed, LimitOf, News};
use crate::metrics::{GATE_STATES, GateLevels, Metrics};
use crate::operations::{CircuitShown, GateLimit, GateShown, GateWaiters};
use crate::pipeline::Snapshot;
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
/// A shorter closure is nothing to be told of.
const SHORT: Duration = Duration::from_secs(2);
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
        let is_meant = |asked: Option<&str>, is: Option<&str>| asked.is_none() || asked == is;
        let count = parts.gates.reset(|label| {
            label.service == reset.service
                && is_meant(reset.owner.as_deref(), label.owner.as_deref())
                && is_meant(reset.bucket.as_deref(), label.shown_bucket().as_deref())
        });
        tracing::info!(service = %reset.service, gates = count, "what was learnt of limits is forgotten, as ordered");
    }
    if turn.is_multiple_of(RARELY) {
        parts.gates.sweep();
    }
    let now: Vec<_> = rows(&parts.gates, &parts.line.view()).into_iter().map(as_noted).collect();
    if now != *noted || turn.is_multiple_of(RARELY) {
        parts.vault.note_gates(&now)?;
        *noted = now;
    }
    Ok(())
}

/// Has `gates` know what a proxy noted last: for the next proxy, which goes on there, and for who asks what would become of a
/// request.
///
/// # Errors
/// When the store cannot be read.
pub fn resume(gates: &Gates, vault: &Vault) -> Result<(), VaultError> {
    gates.shares().resume(vault.quota_uses()?);
    gates.quotas().resume(vault.owner_quota_uses()?);
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

/// The last note before the process ends: what outlives it.
pub(super) fn note(parts: &Parts) {
    let rows = rows(&parts.gates, &parts.line.view());
    let outliving = rows.into_iter().filter_map(|row| Some(Row { shown: row.shown.outliving()?, ..row }));
    if let Err(error) = parts.vault.note_gates(&outliving.map(as_noted).collect::<Vec<_>>()) {
        tracing::warn!(%error, "what was learnt of limits could not be noted");
    }
}

/// The levels of the metrics.
pub(super) fn levels(gates: &Gates, snapshot: &Snapshot) -> GateLevels {
    let mut levels = GateLevels::default();
    for (service, why, count) in gates.rejections() {
        levels.rejections.push((service, why.as_str(), count));
    }
    for view in gates.views() {
        let service = &view.label.service;
        let waiting = view.waiting.iter().map(|(_, count)| *count).sum::<usize>();
        let is_of_upstream = view.label.of == LimitOf::Upstream;
        if is_of_upstream || waiting > 0 {
            *levels.waiting.entry(service.clone()).or_default() += u64::try_from(waiting).unwrap_or(u64::MAX);
        }
        if !is_of_upstream {
            continue;
        }
        let states = levels.gates.entry((service.clone(), bucket_class(&view, snapshot))).or_default();
        let of_state = GATE_STATES.iter().zip(states).find(|(name, _)| **name == state(&view));
        if let Some((_, count)) = of_state {
            *count += 1;
        }
        for window in &view.windows {
            let Some(limit) = window.limit.filter(|limit| *limit > 0) else { continue };
            #[allow(clippy::cast_precision_loss, reason = "a ratio")]
            let ratio = (window.left as f64 / limit as f64).min(1.0);
            let least = levels.left.entry(service.clone()).or_insert(1.0);
            *least = least.min(ratio);
        }
    }
    levels.quotas = gates.quotas().left().into_iter().collect();
    levels.budgets = gates.budgets().into_iter().map(|(service, left)| (service, left.into())).collect();
    levels.pins = u64::try_from(gates.pinned()).unwrap_or(u64::MAX);
    levels
}

/// Of what kind its bucket is, whose name may be from the wire: every request of the owner, one that the service's record
/// declares, or one that answers named.
fn bucket_class(view: &GateView, snapshot: &Snapshot) -> &'static str {
    let Some(bucket) = view.label.bucket.as_deref() else { return "all" };
    let entry = snapshot.routes.named(view.label.service.as_str());
    let is_declared = entry.is_some_and(|entry| entry.family.declares(bucket));
    if is_declared { "declared" } else { "learnt" }
}

/// One gate to be noted.
struct Row {
    service: ServiceName,
    /// The bucket as the gate is found again by it; it is shown without identifiers.
    bucket: String,
    /// For how long it was closed.
    wait: Duration,
    shown: GateShown,
}

/// What there is to note: gates that learnt something, with who waits for what is pinned on them; limits of the configuration
/// for which somebody waits; and circuits that do not let everything pass.
fn rows(gates: &Gates, snapshot: &Snapshot) -> Vec<Row> {
    let (now, views) = (SystemClock.wall(), gates.views());
    let of_upstream = views.iter().filter(|view| view.label.of == LimitOf::Upstream && says_something(view));
    let has_waiters = |view: &&GateView| !view.waiting.is_empty();
    let is_own = |view: &&GateView| !matches!(view.label.of, LimitOf::Upstream | LimitOf::Pin);
    let own = views.iter().filter(has_waiters).filter(is_own);
    let mut all: Vec<Row> = of_upstream.chain(own).take(MOST_NOTED).map(|view| row(view, snapshot, now)).collect();
    // Who waits for a pinned limit is shown at the gate that it is pinned on.
    for view in views.iter().filter(has_waiters).filter(|view| view.label.of == LimitOf::Pin) {
        let pinned = row(view, snapshot, now);
        let has_room = all.len() < MOST_NOTED;
        match all.iter_mut().find(|other| is_same(&other.shown, &pinned.shown)) {
            Some(other) => other.shown.waiting.extend(pinned.shown.waiting),
            None if has_room => all.push(pinned),
            None => {}
        }
    }
    for circuit in gates.circuits() {
        let shown = GateShown::quiet(&circuit.service, None, None);
        let at = all.iter().position(|other| is_same(&other.shown, &shown)).unwrap_or(all.len());
        if at == all.len() && all.len() < MOST_NOTED {
            let service = circuit.service.clone();
            all.push(Row { service, bucket: String::new(), wait: Duration::ZERO, shown });
        }
        if let Some(row) = all.get_mut(at) {
            row.shown.circuits.push(circuit_shown(&circuit, now));
        }
    }
    // Circuits come in any order, and what did not change is to look the same.
    for row in &mut all {
        row.shown.circuits.sort_by(|a, b| a.origin.cmp(&b.origin));
    }
    all
}

fn says_something(view: &GateView) -> bool {
    view.phase != Phase::Open || !view.windows.is_empty() || !view.waiting.is_empty() || view.closures > 0
}

/// How it stands. Where the time of a closure is over, the next request decides, whether or not there is one yet.
fn state(view: &GateView) -> &'static str {
    let is_over = matches!(view.phase, Phase::Closed { .. }) && view.closed_for.is_zero();
    if is_over { Phase::Probing } else { view.phase }.as_str()
}

fn is_same(one: &GateShown, other: &GateShown) -> bool {
    (&one.service, &one.of, &one.owner, &one.bucket) == (&other.service, &other.of, &other.owner, &other.bucket)
}

fn as_noted(row: Row) -> NotedGate {
    let Row { service, bucket, wait, shown } = row;
    // What is of the configuration is never found again by its owner, who may also be a limit owner of that name.
    let own = if shown.is_of_upstream() {
        String::new()
    } else {
        format!("{}/{}/", shown.of, shown.key.as_deref().unwrap_or_default())
    };
    NotedGate {
        service,
        owner: format!("{own}{}", shown.owner),
        bucket,
        until: shown.closed_until.map(Timestamp::as_second),
        wait: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        shown: serde_json::to_string(&shown).unwrap_or_default(),
    }
}

/// To the second, so that what did not change looks the same.
fn moment(now: Duration, left: Duration) -> Timestamp {
    let at = (now + left + Duration::from_millis(500)).as_secs();
    Timestamp::from_second(i64::try_from(at).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX)
}

fn circuit_shown(circuit: &CircuitView, now: Duration) -> CircuitShown {
    CircuitShown {
        origin: circuit.origin.to_string(),
        open_until: circuit.open_for.map(|left| moment(now, left)),
        held_back: (circuit.held_back * 100.0).round() / 100.0,
    }
}

fn row(view: &GateView, snapshot: &Snapshot, now: Duration) -> Row {
    let bucket = view.label.bucket.as_deref().unwrap_or_default().to_owned();
    let wait = view.why.map(|(_, wait)| wait).unwrap_or_default();
    Row { service: view.label.service.clone(), bucket, wait, shown: shown(view, snapshot, now) }
}

/// Whose it is, and with which key.
fn whose(view: &GateView, snapshot: &Snapshot) -> (Option<String>, Option<String>) {
    let label = &view.label;
    let key = |id: &str| {
        let mut held = snapshot.credentials.of_service(&label.service);
        held.find(|held| held.credential.id.as_str() == id).map(|held| held.credential.name.to_string())
    };
    let owner = label.owner.as_deref();
    match (label.of, owner.and_then(|owner| owner.split_once(' '))) {
        (LimitOf::Share, Some((id, with))) => (Some(with.to_owned()), key(id)),
        (LimitOf::Credential, _) => {
            let name = owner.and_then(key);
            (name.clone().or(owner.map(str::to_owned)), name)
        }
        _ => (owner.map(str::to_owned), view.credential.as_ref().map(ToString::to_string)),
    }
}

fn shown(view: &GateView, snapshot: &Snapshot, now: Duration) -> GateShown {
    let limits = view.windows.iter().map(|window| GateLimit {
        name: window.name.clone(),
        limit: window.limit,
        left: window.left,
        reset_at: moment(now, window.reset),
    });
    let waiting = view.waiting.iter().map(|(caller, count)| GateWaiters {
        caller: caller.to_string(),
        waiting: u64::try_from(*count).unwrap_or(u64::MAX),
    });
    let (owner, key) = whose(view, snapshot);
    let bucket = view.label.shown_bucket();
    GateShown {
        // A limit that is pinned on a gate of the upstream is shown with it.
        of: if view.label.of == LimitOf::Pin { LimitOf::Upstream } else { view.label.of }.as_str().to_owned(),
        key,
        mark: view.label.bucket.as_deref().filter(|whole| bucket.as_deref() != Some(whole)).map(mark),
        state: state(view).to_owned(),
        closed_until: (!view.closed_for.is_zero()).then(|| moment(now, view.closed_for)),
        reason: view.why.map(|(class, _)| reason(class).to_owned()),
        closures: view.closures,
        last_refusal: view.quoted.iter().flat_map(|(text, _)| text.lines()).map(str::to_owned).collect(),
        last_refusal_at: view.quoted.as_ref().map(|(_, ago)| moment(now.saturating_sub(*ago), Duration::ZERO)),
        limits: limits.collect(),
        pace_per_s: view.pace.map(|pace| (pace * 1000.0).round() / 1000.0),
        places: view.places,
        under_way: view.under_way,
        waiting: waiting.collect(),
        ..GateShown::quiet(&view.label.service, owner.as_deref(), bucket.as_deref())
    }
}

/// What tells a bucket apart whose identifiers are not shown. By a hash with a key that no other process has, so that nobody can
/// find the path out by trying.
fn mark(bucket: &str) -> String {
    static KEYED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    format!("{:06x}", KEYED.hash_one(bucket) & 0x00ff_ffff)
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
    // A bucket of a few a second closes with every other request.
    if class != Class::Exhausted && wait < SHORT {
        tracing::debug!(%service, key, bucket, reason, seconds, "a service lets nothing pass for a moment");
        return;
    }
    if class != Class::Exhausted && wait < LONG {
        tracing::info!(%service, key, bucket, reason, seconds, "a service lets nothing pass for a moment");
        return;
    }
    tracing::warn!(%service, key, bucket, reason, seconds, "a service lets nothing pass for a while");
    let details = [("key", &*key), ("bucket", bucket), ("reason", reason), ("seconds", &seconds.to_string())];
    record(audit, "gate.close", service.as_str(), &details);
}

/// Writes an act of sidekey's own; details without a text are left out.
pub(super) fn record(audit: &audit::Log, act: &'static str, service: &str, details: &[(&'static str, &str)]) {
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
        tracing::error!(%error, act, "what happened to a limit could not be written to the audit log");
    }
}
