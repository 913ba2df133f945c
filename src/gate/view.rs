//! A gate as it is shown: where it stands, what is left, who waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::domain::{CallerId, Name, Origin, ServiceName};
use crate::throttle::places::Places;
use crate::throttle::state::{Mode, Phase, State};
use crate::throttle::{Bucket, Class};

use super::limiter::{Gate, Label, now};
use super::refused::{Cause, Refused};
use super::registry::{Gates, Left, LeftClosed};

/// One gate at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct GateView {
    /// Which.
    pub label: Label,
    /// Open, closed, probing, in slow start.
    pub phase: Phase,
    /// For how long it is closed still.
    pub closed_for: Duration,
    /// Why it closed last, and for how long.
    pub why: Option<(Class, Duration)>,
    /// How often it closed.
    pub closures: u64,
    /// The credential through which that was found out.
    pub credential: Option<Name>,
    /// What the refusal that closed it last carried: the status and the headers of limits, one a line; and how long ago it came.
    pub quoted: Option<(Arc<str>, Duration)>,
    /// What the upstream said was left.
    pub windows: Vec<WindowView>,
    /// The pace that was found, in requests per second.
    pub pace: Option<f64>,
    /// How many may be under way at once, when that is limited.
    pub places: Option<u32>,
    /// How many are under way: passed, and not waiting in front of another gate.
    pub under_way: u32,
    /// How many of each caller wait.
    pub waiting: Vec<(CallerId, usize)>,
}

/// The circuit in front of one origin at one moment, while it does not let everything pass.
#[derive(Debug, Clone, PartialEq)]
pub struct CircuitView {
    /// Of which service.
    pub service: ServiceName,
    /// In front of what.
    pub origin: Origin,
    /// How long it is open still; none when it is not.
    pub open_for: Option<Duration>,
    /// Which part of the requests is held back, from 0 to 1.
    pub held_back: f64,
}

/// A limit that answers told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowView {
    /// Its name.
    pub name: String,
    /// How many are allowed.
    pub limit: Option<u64>,
    /// How many are left.
    pub left: u64,
    /// After which time there are more.
    pub reset: Duration,
}

impl Gate {
    /// What it looks like now.
    pub fn view(&self) -> GateView {
        let (now, inner) = (now(), self.lock());
        let window = |(name, limit, left, reset): (crate::throttle::DimensionName, Option<u64>, u64, Instant)| {
            WindowView { name: name.to_string(), limit, left, reset: reset.saturating_duration_since(now) }
        };
        GateView {
            label: self.label.clone(),
            phase: inner.state.phase(),
            closed_for: inner.state.closed_for(now),
            why: inner.state.why().map(|closure| (closure.class, closure.wait)),
            closures: inner.closures,
            credential: inner.credential.clone(),
            quoted: inner.quoted.clone().map(|(text, at)| (text, now.saturating_duration_since(at))),
            windows: inner.state.windows().map(window).filter(|window| !window.reset.is_zero()).collect(),
            pace: inner.state.pace(),
            places: inner.places.limit(),
            under_way: self.under_way.load(Ordering::Relaxed).saturating_sub(self.aside.load(Ordering::Relaxed)),
            waiting: inner.queue.by_caller().map(|(caller, count)| (caller.clone(), count)).collect(),
        }
    }

    /// For how long it is closed still.
    pub(super) fn closed_for(&self) -> Duration {
        if self.quiet().is_some() { Duration::ZERO } else { self.lock().state.closed_for(now()) }
    }

    /// How much of that the service itself asked for.
    pub(super) fn asked_for(&self) -> Duration {
        if self.quiet().is_some() {
            return Duration::ZERO;
        }
        let inner = self.lock();
        inner.state.closed_for(now()).saturating_sub(inner.state.jitter())
    }

    /// The refusal of a gate that is closed because the limit is used up for long.
    pub(super) fn exhausted(&self) -> Option<Refused> {
        if self.quiet().is_some() {
            return None;
        }
        let inner = self.lock();
        let closed_for = inner.state.closed_for(now());
        let used_up = inner.state.why().is_some_and(|why| why.class == Class::Exhausted) && !closed_for.is_zero();
        used_up.then(|| self.refusal(closed_for, Cause::Closed { is_told: inner.state.is_told() }))
    }

    /// Whether it must not be forgotten: it is closed, counts something, or somebody waits.
    pub(super) fn remembers(&self) -> bool {
        let inner = self.lock();
        inner.state.remembers(now()) || !inner.places.is_settled() || !inner.queue.is_empty()
    }

    /// Is closed for so long, as a former process left it.
    pub(super) fn resume(&self, mode: Mode, left: &Left) {
        let mut inner = self.lock();
        inner.state = State::resumed(mode, left.until, left.closed.wait, left.closed.class, now());
        inner.credential.clone_from(&left.closed.credential);
        self.publish(&inner);
    }

    /// Forgets what was learnt, and lets pass who waits.
    pub(super) fn reset(self: &Arc<Self>) {
        let mut inner = self.lock();
        inner.state.reset(now());
        inner.quoted = None;
        inner.places = Places::new(self.limits.concurrency);
        self.hall.shared.forgotten(&self.label);
        self.pump_and_tell(inner);
    }
}

impl Left {
    /// A gate that is closed; none when it is not.
    pub(super) fn of(gate: &Gate) -> Option<Self> {
        let GateView { label, closed_for, why, credential, .. } = gate.view();
        let (class, wait) = why.filter(|_| !closed_for.is_zero())?;
        let bucket = label.bucket.as_deref().and_then(Bucket::new);
        let closed = LeftClosed { bucket, closed_for, wait, class, credential };
        Some(Self { label, until: now() + closed_for, closed })
    }

    /// What it looks like now; none when it is closed no more.
    fn view(&self, now: Instant) -> Option<GateView> {
        let closed_for = self.until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        Some(GateView {
            label: self.label.clone(),
            phase: Phase::Closed { until: self.until },
            closed_for,
            why: Some((self.closed.class, self.closed.wait)),
            closures: 0,
            credential: self.closed.credential.clone(),
            quoted: None,
            windows: Vec::new(),
            pace: None,
            places: None,
            under_way: 0,
            waiting: Vec::new(),
        })
    }
}

impl Gates {
    /// Every gate, as it is now.
    pub fn views(&self) -> Vec<GateView> {
        let now = now();
        let left: Vec<GateView> = self.left().iter().filter_map(|left| left.view(now)).collect();
        self.all().iter().map(|gate| gate.view()).chain(left).collect()
    }

    /// Forgets what was learnt of the gates that `which` names; how many there were.
    pub fn reset(&self, which: impl Fn(&Label) -> bool) -> usize {
        let found: Vec<Arc<Gate>> = self.all().into_iter().filter(|gate| which(gate.label())).collect();
        found.iter().for_each(Gate::reset);
        found.len() + self.left().extract_if(.., |left| which(&left.label)).count()
    }
}
