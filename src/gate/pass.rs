//! What a request holds of one gate that it passed: freed on drop, and told of the answer before that.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::domain::{CallerId, Name};
use crate::throttle::state::{Change, Ticket};
use crate::throttle::{Class, Reading};

use super::hall::{Happened, News};
use super::limiter::{Gate, Inner, now};
use super::registry::LeftClosed;
use super::shared::Shut;

/// One request's passage through one gate.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    ticket: Ticket,
    stage: Stage,
    /// What it took of the gate's rate.
    cost: u32,
    held: Option<CallerId>,
    /// Whether its request waits in front of another gate.
    is_aside: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing of it was sent: dropped, it is as if it had never passed.
    Unsent,
    /// It was sent: dropped, it counts.
    Sent,
    /// Its answer came.
    Answered,
}

impl Pass {
    /// For a request that was counted in already.
    pub(super) fn new(gate: Arc<Gate>, ticket: Ticket, cost: u32, held: Option<CallerId>) -> Self {
        Self { gate, ticket, stage: Stage::Unsent, cost, held, is_aside: false }
    }

    pub(super) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Whether its gate waits for its answer.
    pub(super) fn is_probe(&self) -> bool {
        self.ticket.is_probe()
    }

    /// Whether nothing changed since that would hold the request back now.
    pub(super) fn is_good(&self) -> bool {
        self.gate.quiet() == Some(self.ticket) || self.gate.lock().state.still_admits(self.ticket)
    }

    pub(super) fn set_aside(&mut self, is_aside: bool) {
        if std::mem::replace(&mut self.is_aside, is_aside) == is_aside {
            return;
        }
        let aside = &self.gate.aside;
        if is_aside {
            aside.fetch_add(1, Ordering::Relaxed)
        } else {
            aside.fetch_sub(1, Ordering::Relaxed)
        };
    }

    pub(super) fn sent(&mut self) {
        if self.stage == Stage::Unsent {
            self.stage = Stage::Sent;
        }
    }

    /// Nothing of it went out after all.
    pub(super) fn unsent(&mut self) {
        if self.stage == Stage::Sent {
            self.stage = Stage::Unsent;
        }
    }

    /// The answer came. Whether the gate is closed by it for the first time.
    pub(super) fn answered(&mut self, reading: &Reading, credential: &Name) {
        if self.stage == Stage::Answered {
            return;
        }
        self.stage = Stage::Answered;
        let gate = &self.gate;
        gate.unanswered.fetch_sub(1, Ordering::Relaxed);
        let says_nothing = reading.dimensions.is_empty() && !reading.class.closes();
        if says_nothing && gate.quiet() == Some(self.ticket) {
            gate.fine.count(now());
            return;
        }
        gate.hear(self.ticket, reading, credential);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.set_aside(false);
        let gate = &self.gate;
        gate.under_way.fetch_sub(1, Ordering::Relaxed);
        if self.stage != Stage::Answered {
            gate.unanswered.fetch_sub(1, Ordering::Relaxed);
        }
        if self.stage == Stage::Unsent {
            gate.give_back_rate(self.cost);
        }
        let changes_nothing = self.stage == Stage::Answered || !self.ticket.is_probe();
        if changes_nothing && self.held.is_none() && gate.quiet().is_some() {
            return;
        }
        let mut inner = gate.lock();
        match self.stage {
            Stage::Unsent => inner.state.refund(now(), self.ticket),
            Stage::Sent => inner.state.lost(now(), self.ticket),
            Stage::Answered => {}
        }
        if let Some(caller) = &self.held {
            inner.let_go(caller);
            gate.hall.shared.leave(&gate.label);
        }
        gate.pump_and_tell(inner);
    }
}

impl Gate {
    /// Takes in what an answer says, whether or not its request passed here.
    pub(super) fn hear(self: &Arc<Self>, ticket: Ticket, reading: &Reading, credential: &Name) {
        let now = now();
        let mut inner = self.lock();
        for (at, fine) in self.fine.take(now) {
            inner.state.count_unseen(at, fine);
        }
        self.hear_of_places(&mut inner, reading);
        let (load, chance) = (self.load(&inner, Duration::ZERO), inner.dice.roll());
        let learnt = inner.state.learn(now, ticket, reading, load, chance);
        if let Some(change) = learnt {
            inner.credential = Some(credential.clone());
            inner.quoted = reading.quoted.clone().map(|text| (text, now)).or(inner.quoted.take());
            self.tell_of(&mut inner, change);
        }
        self.pump_and_tell(inner);
    }

    /// What came of a request that did not pass here: it counts as one of the current episode, or of the one before when it
    /// `is_late`. Whether the gate closed by it.
    pub(super) fn overhear(self: &Arc<Self>, reading: &Reading, credential: &Name, is_late: bool) -> bool {
        let episode = self.lock().state.episode();
        self.hear(Ticket::of_episode(episode.wrapping_sub(u32::from(is_late))), reading, credential);
        self.lock().state.episode() != episode
    }

    /// Closes, or stays closed for longer, because another node was refused.
    pub(super) fn close_as_told(self: &Arc<Self>, closed: &LeftClosed) {
        let mut inner = self.lock();
        let reading = Reading { wait: Some(closed.closed_for), trusted: true, ..Reading::plain(closed.class) };
        let ticket = Ticket::of_episode(inner.state.episode());
        let load = self.load(&inner, Duration::ZERO);
        // The jitter is in what was told; and who told it is not told of it.
        if let Some(Change::Closed(_)) = inner.state.learn(now(), ticket, &reading, load, 0.0) {
            inner.closures += 1;
            inner.credential.clone_from(&closed.credential);
        }
        self.pump_and_tell(inner);
    }

    fn hear_of_places(&self, inner: &mut Inner, reading: &Reading) {
        let under_way = self.under_way.load(Ordering::Relaxed);
        if reading.concurrency && reading.class.closes() {
            inner.places.refused(under_way);
        } else if reading.class == Class::Fine {
            inner.places.went_well(under_way);
        }
    }

    /// Tells of what changed, for the log, the audit, the metrics and other nodes.
    pub(super) fn tell_of(&self, inner: &mut Inner, change: Change) {
        if let (Change::Closed(_) | Change::Extended, Some(why)) = (change, inner.state.why()) {
            let closed_for = inner.state.closed_for(now());
            self.hall.shared.shut(Shut { gate: &self.label, closed_for, class: why.class });
        }
        let what = match change {
            Change::Closed(closure) => {
                inner.closures += 1;
                Happened::Closed(closure.class, closure.wait)
            }
            Change::Reopened => Happened::Reopened,
            Change::Extended => return,
        };
        let bucket = self.label.shown_bucket().map(Cow::into_owned);
        let (service, credential) = (self.label.service.clone(), inner.credential.clone());
        let owner = self.label.owner.as_deref().map(str::to_owned);
        self.hall.tell(News { service, owner, credential, bucket, what });
    }
}
