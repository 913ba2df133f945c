//! One gate: what is configured (a rate by governor, places), what was learnt of the upstream's limit, and the queue in front
//! of all of it. Open and with nothing to count it costs a few atomic operations; else a short lock that no await crosses.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use crate::domain::{CallerId, Limits, Name, ServiceName, write_shape};
use crate::throttle::places::Places;
use crate::throttle::state::{Admission, Load, Mode, State, Ticket};

use super::allowance::{Allowance, interval};
use super::dice::Dice;
use super::fine::Fine;
use super::hall::{Hall, Rejections};
use super::pass::Pass;
use super::queue::Queue;
use super::refused::{Cause, LimitOf, Obstacle, Refused};
use super::waiting::{Comer, Gone};

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Which gate it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Whose limits it keeps.
    pub of: LimitOf,
    /// The service.
    pub service: ServiceName,
    /// Whose: the limit owner's name, the caller's, the team's, the credential's; none for the service's own.
    pub owner: Option<Box<str>>,
    /// Which of the owner's limits; none: all of its requests.
    pub bucket: Option<Box<str>>,
}

impl Label {
    /// The bucket as people may see it: of one that is a path, what stays when identifiers are taken out.
    pub fn shown_bucket(&self) -> Option<Cow<'_, str>> {
        self.bucket.as_deref().map(shown_bucket)
    }
}

/// A bucket as people may see it.
pub(super) fn shown_bucket(bucket: &str) -> Cow<'_, str> {
    if !bucket.starts_with('/') {
        return bucket.into();
    }
    let mut shape = Vec::new();
    write_shape(bucket, &mut shape);
    String::from_utf8(shape).unwrap_or_default().into()
}

/// One gate.
#[derive(Debug)]
pub struct Gate {
    pub(super) label: Label,
    pub(super) limits: Limits,
    rate: Option<Allowance>,
    pub(super) hall: Arc<Hall>,
    pub(super) rejections: Arc<Rejections>,
    /// The episode in the upper half; the lowest bit is set while nothing needs the lock.
    quick: AtomicU64,
    /// Passed, and without an answer.
    pub(super) unanswered: AtomicU32,
    /// Passed, and not over.
    pub(super) under_way: AtomicU32,
    /// How many of these wait in front of another gate.
    pub(super) aside: AtomicU32,
    /// Answers that went well and that nobody looked at.
    pub(super) fine: Fine,
    inner: Mutex<Inner>,
    pub(super) rearm: Notify,
}

/// What is behind the lock.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) state: State,
    pub(super) places: Places,
    pub(super) queue: Queue<Waiting>,
    /// How many places each caller has, while they are limited.
    pub(super) held: HashMap<CallerId, u32>,
    /// Whether a task keeps the time for those who wait, and what it waits for.
    pub(super) is_timed: bool,
    pub(super) next: Option<Instant>,
    /// Until when it was closed when it was last looked for those who cannot wait for that.
    pub(super) swept: Option<Instant>,
    /// Whether that is the latest time only: an answer may let them pass before.
    pub(super) is_held: bool,
    /// The credential by which it was last learnt, for people.
    pub(super) credential: Option<Name>,
    /// What the refusal that closed it last carried, and when it came, for people.
    pub(super) quoted: Option<(Arc<str>, Instant)>,
    /// Counts of closures, for the metrics.
    pub(super) closures: u64,
    pub(super) dice: Dice,
    /// What took its place; none while it is in force.
    pub(super) heir: Option<Heir>,
}

/// What takes the place of a gate.
#[derive(Debug)]
pub(super) enum Heir {
    /// This one: who waits goes there.
    Gate(Arc<Gate>),
    /// Nothing: everyone passes.
    Nothing,
}

/// Why a request does not pass at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MustWait {
    /// For so long at least.
    For(Duration),
    /// For its turn, or for a place.
    Turn,
}

/// What a request asks of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Want {
    /// For how many requests it counts.
    pub(super) cost: u32,
    /// For how many tokens it is taken where the upstream counts those, and how many its answer may have.
    pub(super) tokens: u32,
    pub(super) most_tokens: u32,
    /// Whether it can be sent again.
    pub(super) is_repeatable: bool,
}

/// One that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) tell: oneshot::Sender<Result<Pass, Gone>>,
    pub(super) deadline: Instant,
    pub(super) want: Want,
}

/// What is to be told when the lock is free again.
pub(super) type Told = Vec<(Waiting, Result<(Ticket, Option<CallerId>), Refused>)>;

const QUIET: u64 = 1;
/// After this other nodes are asked again that stand in the way.
const ASK_AGAIN: Duration = Duration::from_millis(250);

impl Gate {
    /// A gate for these limits that learns as `mode` says. `dearest` is the most that one request costs.
    pub(super) fn new(label: Label, limits: Limits, dearest: u32, mode: Mode, hall: &Arc<Hall>) -> Self {
        let rate = limits.rate.map(|rate| Allowance::new(rate, limits.burst, dearest));
        let inner = Inner {
            state: State::new(mode, now()),
            places: Places::new(limits.concurrency),
            queue: Queue::default(),
            held: HashMap::new(),
            is_timed: false,
            next: None,
            swept: None,
            is_held: false,
            credential: None,
            quoted: None,
            closures: 0,
            dice: Dice::default(),
            heir: None,
        };
        let rejections = hall.rejections_of(&label.service);
        let gate = Self {
            label,
            limits,
            rate,
            hall: Arc::clone(hall),
            rejections,
            quick: AtomicU64::new(0),
            unanswered: AtomicU32::new(0),
            under_way: AtomicU32::new(0),
            aside: AtomicU32::new(0),
            fine: Fine::new(now()),
            inner: Mutex::new(inner),
            rearm: Notify::new(),
        };
        gate.publish(&gate.lock());
        gate
    }

    /// The limits it keeps.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Which gate it is.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the next requests see whether they need the lock.
    pub(super) fn publish(&self, inner: &Inner) {
        let counts_nothing = inner.state.is_quiet() && inner.places.limit().is_none();
        let is_quiet = counts_nothing && inner.queue.is_empty() && inner.heir.is_none();
        let quick = (u64::from(inner.state.episode()) << 32) | (u64::from(is_quiet) * QUIET);
        self.quick.store(quick, Ordering::Release);
    }

    /// The episode, while nothing needs the lock.
    pub(super) fn quiet(&self) -> Option<Ticket> {
        let quick = self.quick.load(Ordering::Acquire);
        (quick & QUIET != 0).then(|| Ticket::of_episode(u32::try_from(quick >> 32).unwrap_or_default()))
    }

    pub(super) fn load(&self, inner: &Inner, patience: Duration) -> Load {
        let waiting = u32::try_from(inner.queue.len()).unwrap_or(u32::MAX);
        Load { unanswered: self.unanswered.load(Ordering::Relaxed), waiting, patience, tokens: 0, most_tokens: 0 }
    }

    /// Passes without waiting, when nobody else waits and every limit has room.
    ///
    /// # Errors
    /// When it must wait, and until when at least.
    pub(super) fn try_pass(
        self: &Arc<Self>,
        caller: &CallerId,
        want: Want,
        patience: Duration,
    ) -> Result<Pass, MustWait> {
        if let Some(ticket) = self.quiet() {
            self.take_rate(want.cost).map_err(MustWait::For)?;
            self.count_in();
            return Ok(Pass::new(Arc::clone(self), ticket, want.cost, None));
        }
        let mut inner = self.lock();
        match &inner.heir {
            None if inner.queue.is_empty() => {}
            None | Some(Heir::Gate(_)) => return Err(MustWait::Turn),
            Some(Heir::Nothing) => {
                self.count_in();
                return Ok(Pass::new(Arc::clone(self), Ticket::of_episode(inner.state.episode()), 0, None));
            }
        }
        let now = now();
        let ticket = match self.admit(&mut inner, now, want, patience) {
            Admission::Go(ticket) => ticket,
            Admission::At(at) => return Err(MustWait::For(at.saturating_duration_since(now))),
            Admission::Hold | Admission::HoldUntil(_) => return Err(MustWait::Turn),
        };
        let held = inner.hold(caller);
        self.publish(&inner);
        drop(inner);
        Ok(Pass::new(Arc::clone(self), ticket, want.cost, held))
    }

    /// Whether one more may pass now that may wait for `patience` still; when it may, it is counted.
    pub(super) fn admit(&self, inner: &mut Inner, now: Instant, want: Want, patience: Duration) -> Admission {
        let places = inner.places.limit();
        if places.is_some_and(|limit| self.under_way.load(Ordering::Relaxed) >= limit) {
            return Admission::Hold;
        }
        let shared = &self.hall.shared;
        if inner.state.wants_probe(now) && !shared.may_probe(&self.label) {
            return Admission::At(now + ASK_AGAIN);
        }
        let Want { tokens, most_tokens, .. } = want;
        let load = Load { tokens, most_tokens, ..self.load(inner, patience) };
        let admission = inner.state.admit(now, load);
        if let Some(change) = inner.state.take_untold() {
            self.tell_of(inner, change);
        }
        if let Admission::Go(ticket) = admission {
            if let Err(wait) = self.take_rate(want.cost) {
                inner.state.refund(now, ticket);
                return Admission::At(now + wait);
            }
            if places.is_some_and(|limit| !shared.enter(&self.label, limit)) {
                inner.state.refund(now, ticket);
                self.give_back_rate(want.cost);
                return Admission::At(now + ASK_AGAIN);
            }
            self.count_in();
        }
        admission
    }

    pub(super) fn count_in(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    /// Uses up some of the rate, or says when there is enough.
    fn take_rate(&self, cost: u32) -> Result<(), Duration> {
        let (Some(rate), Some(of)) = (&self.rate, self.limits.rate) else { return Ok(()) };
        rate.take(cost)?;
        self.hall.shared.take(&self.label, of, cost).inspect_err(|_| rate.give_back(cost))
    }

    /// Gives back what was taken of the rate for what is never sent.
    pub(super) fn give_back_rate(&self, cost: u32) {
        if let Some(rate) = &self.rate {
            rate.give_back(cost);
            self.hall.shared.give_back(&self.label, cost);
        }
    }

    /// When there is enough of the rate.
    pub(super) fn look_at_rate(&self, cost: u32) -> Duration {
        self.rate.as_ref().map(|rate| rate.look(cost)).unwrap_or_default()
    }

    /// How long one that comes now would wait, as far as it can be told: until the next may pass, and for those ahead at the
    /// known pace.
    pub(super) fn predict(&self, inner: &Inner, now: Instant, comer: Comer<'_>) -> Duration {
        let ahead = u32::try_from(inner.queue.ahead(comer.caller, comer.weight, comer.place)).unwrap_or(u32::MAX);
        let spacing = self.limits.rate.map(interval).unwrap_or_default().max(inner.state.spacing(now));
        // What is under way is answered at any moment; only who has no answer waits for the time.
        let next = inner.next.filter(|_| !inner.is_held);
        let next = next.map(|next| next.saturating_duration_since(now)).unwrap_or_default();
        let least = inner.state.closed_for(now).max(next).max(self.look_at_rate(comer.want.cost));
        least.saturating_add(spacing.saturating_mul(ahead))
    }

    /// What of it holds one that counts for `cost`.
    pub(super) fn cause(&self, inner: &Inner, now: Instant, cost: u32) -> Cause {
        let full = inner.places.limit().filter(|places| self.under_way.load(Ordering::Relaxed) >= *places);
        match (full, self.limits.rate) {
            _ if !inner.state.closed_for(now).is_zero() => Cause::Closed { is_told: inner.state.is_told() },
            (Some(places), _) if self.look_at_rate(cost).is_zero() => Cause::Places(places),
            (_, Some(rate)) => Cause::Rate(rate),
            (_, None) => Cause::Pace,
        }
    }

    /// The refusal of one that would wait for `wait`.
    pub(super) fn refusal(&self, wait: Duration, cause: Cause) -> Refused {
        let (label, of, wait) = (self.label.clone(), self.label.of, wait.max(Duration::from_secs(1)));
        let met = Box::new(Obstacle { label, cause, is_late: false, patience: None });
        Refused::Limit { policy: self.policy(cause), wait, of, met }
    }

    /// The limit in words, such as `100/1s`, `concurrency 25` or the name of the service that has it.
    fn policy(&self, cause: Cause) -> String {
        match (cause, self.label.shown_bucket()) {
            (Cause::Rate(rate), _) if self.label.of != LimitOf::Upstream => {
                format!("{}/{}s", rate.count, rate.period.as_secs())
            }
            (Cause::Places(places), _) if self.label.of != LimitOf::Upstream => format!("concurrency {places}"),
            (_, Some(bucket)) => format!("{} {bucket}", self.label.service),
            (_, None) => self.label.service.to_string(),
        }
    }
}

impl Inner {
    /// Notes that `caller` has a place, while places are limited.
    pub(super) fn hold(&mut self, caller: &CallerId) -> Option<CallerId> {
        self.places.limit()?;
        *self.held.entry(caller.clone()).or_default() += 1;
        Some(caller.clone())
    }

    /// Notes that it has one less.
    pub(super) fn let_go(&mut self, caller: &CallerId) {
        if let Some(places) = self.held.get_mut(caller) {
            *places = places.saturating_sub(1);
            if *places == 0 {
                self.held.remove(caller);
            }
        }
    }
}
