//! Waiting in front of a gate: joining the queue, being told, leaving early, and the task that keeps the time for all who
//! wait. A waiter costs its place in the queue and one channel; it leaves by dropping.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::domain::{CallerId, Weight};
use crate::throttle::numbers;
use crate::throttle::state::{Admission, Phase};

use super::hall::Rejection;
use super::limiter::{Gate, Heir, Inner, MustWait, Told, Waiting, Want, now};
use super::pass::Pass;
use super::passes::Passes;
use super::queue::{Joined, Place, Seat};
use super::refused::{Cause, Crowd, Refused};

/// One that wants to pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comer<'a> {
    pub(super) caller: &'a CallerId,
    /// How many turns its caller has where others have one.
    pub(super) weight: Weight,
    pub(super) want: Want,
    pub(super) place: Place,
    /// When it will not wait any more.
    pub(super) deadline: Instant,
}

impl Comer<'_> {
    /// The same, as patient as the closure of this gate has it: what is added to the service's own time is no reason to refuse.
    fn patient(self, inner: &Inner) -> Self {
        Self { deadline: self.deadline + inner.state.jitter(), ..self }
    }
}

/// Why one waits no more and has not passed.
#[derive(Debug)]
pub(super) enum Gone {
    /// It was refused.
    Refused(Refused),
    /// This gate took the place of the one in front of which it waited.
    Replaced(Arc<Gate>),
}

impl From<Refused> for Gone {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// How a waiter is told.
type Verdict = oneshot::Receiver<Result<Pass, Gone>>;

/// A place in a queue, left on drop.
struct Waiter<'a> {
    gate: &'a Arc<Gate>,
    seat: Seat,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.gate.hall.leave();
        let mut inner = self.gate.lock();
        if inner.queue.leave(&self.seat) {
            self.gate.pump_and_tell(inner);
        }
    }
}

impl Gate {
    /// Passes, now or after its turn has come, here or at what takes the place of this gate meanwhile. Until then what its request
    /// `holds` already is under way nowhere.
    ///
    /// # Errors
    /// At once when it would wait longer than it may, or when there is no room to wait.
    pub(super) async fn pass(self: &Arc<Self>, comer: &Comer<'_>, holds: &mut Passes) -> Result<Pass, Refused> {
        // All in one, since whoever waits carries the room for each function that waits.
        let mut heir = None;
        loop {
            let gate = heir.as_ref().unwrap_or(self);
            let patience = comer.deadline.saturating_duration_since(now());
            let must_wait = match gate.try_pass(comer.caller, comer.want, patience) {
                Ok(pass) => return Ok(pass),
                Err(must_wait) => must_wait,
            };
            holds.set_aside(true);
            let verdict = 'turn: {
                let (waiter, mut told, deadline) = match gate.join(*comer, must_wait) {
                    Ok(joined) => joined,
                    Err(gone) => break 'turn Ok(Err(gone)),
                };
                let patience = tokio::time::sleep_until(deadline.into());
                tokio::pin!(patience);
                tokio::select! {
                    biased;
                    verdict = &mut told => break 'turn verdict,
                    () = &mut patience => {}
                }
                match gate.give_up(&waiter.seat, comer) {
                    Some(refused) => Ok(Err(refused.into())),
                    // Its turn had come in the same moment.
                    None => told.await,
                }
            };
            holds.set_aside(false);
            match verdict {
                Ok(Ok(pass)) => return Ok(pass),
                Ok(Err(Gone::Refused(refused))) => return Err(refused),
                Ok(Err(Gone::Replaced(next))) => heir = Some(next),
                Err(_) => return Err(Refused::Closing),
            }
        }
    }

    /// Leaves the queue because the time is over; none when the turn had come.
    fn give_up(self: &Arc<Self>, seat: &Seat, comer: &Comer<'_>) -> Option<Refused> {
        let (now, mut inner) = (now(), self.lock());
        // The turn may come in this very moment.
        let told = self.pump(&mut inner);
        let left = inner.queue.leave(seat);
        self.publish(&inner);
        if !left {
            drop(inner);
            self.tell(told);
            return None;
        }
        let (wait, cause) = (self.predict(&inner, now, *comer), self.cause(&inner, now, comer.want.cost));
        self.rejections.count(Rejection::Deadline);
        self.pump_and_tell(inner);
        self.tell(told);
        Some(self.refusal(wait, cause).late())
    }

    /// Takes a place, and gives it with what waits there and until when.
    fn join<'a>(
        self: &'a Arc<Self>,
        comer: Comer<'a>,
        must_wait: MustWait,
    ) -> Result<(Waiter<'a>, Verdict, Instant), Gone> {
        let (now, mut inner) = (now(), self.lock());
        match &inner.heir {
            None => {}
            Some(Heir::Gate(heir)) => return Err(Gone::Replaced(Arc::clone(heir))),
            Some(Heir::Nothing) => return Err(Gone::Replaced(Arc::clone(self))),
        }
        let comer = comer.patient(&inner);
        let least = if let MustWait::For(least) = must_wait { least } else { Duration::ZERO };
        let wait = self.predict(&inner, now, comer).max(least);
        if now + wait > comer.deadline {
            let cause = self.cause(&inner, now, comer.want.cost);
            drop(inner);
            self.rejections.count(Rejection::Deadline);
            return Err(self.refusal(wait, cause).into());
        }
        if self.hall.is_closing() {
            return Err(Refused::Closing.into());
        }
        let gone = self.make_room(&mut inner, comer.caller, wait)?;
        let (tell, told) = oneshot::channel();
        let Comer { caller, weight, want, place, deadline } = comer;
        let joined = inner.queue.join((caller, weight), want.cost, place, Waiting { tell, deadline, want });
        let (seat, sent_away) = match joined {
            Joined::Seated(seat, sent_away) => (seat, sent_away),
            Joined::Full(crowd) => {
                drop(inner);
                self.hall.leave();
                self.send_off(gone, Rejection::Overall, full(Crowd::Process, wait));
                self.rejections.count(Rejection::Queue);
                return Err(full(crowd, wait).into());
            }
        };
        if !inner.is_timed {
            inner.is_timed = true;
            tokio::spawn(keep_time(Arc::clone(self)));
        }
        self.pump_and_tell(inner);
        self.send_off(gone, Rejection::Overall, full(Crowd::Process, wait));
        self.send_off(sent_away, Rejection::Queue, full(Crowd::Gate, wait));
        Ok((Waiter { gate: self, seat }, told, deadline))
    }

    /// Tells one that it made room for another.
    fn send_off(&self, gone: Option<Waiting>, why: Rejection, refused: Refused) {
        if let Some(waiting) = gone {
            self.rejections.count(why);
            let _gone = waiting.tell.send(Err(refused.into()));
        }
    }

    /// Takes a place among all who wait in the process, for `wait` as far as it can be told. When there is none, the last of the
    /// caller with most waiters here leaves.
    fn make_room(&self, inner: &mut Inner, caller: &CallerId, wait: Duration) -> Result<Option<Waiting>, Refused> {
        if self.hall.enter() {
            return Ok(None);
        }
        let own = inner.queue.by_caller().find(|(other, _)| *other == caller).map_or(0, |(_, count)| count);
        let gone = inner.queue.send_away(own);
        if gone.is_none() {
            self.rejections.count(Rejection::Overall);
            return Err(full(Crowd::Process, wait));
        }
        // It frees its place in a moment.
        self.hall.enter_anyway();
        Ok(gone)
    }

    /// The refusal of what would wait too long here; none when it would not.
    pub(super) fn foreseen(&self, comer: Comer<'_>) -> Option<Refused> {
        let now = now();
        if let (Some(_), rate) = (self.quiet(), self.limits.rate) {
            let wait = self.look_at_rate(comer.want.cost);
            let too_long = !wait.is_zero() && now + wait > comer.deadline;
            return rate.filter(|_| too_long).map(|rate| self.refusal(wait, Cause::Rate(rate)));
        }
        let inner = self.lock();
        let (wait, comer) = (self.predict(&inner, now, comer), comer.patient(&inner));
        // Who has no patience is on time where nobody waits, although the clock went on since it came.
        let too_long = !wait.is_zero() && now + wait > comer.deadline && inner.heir.is_none();
        too_long.then(|| self.refusal(wait, self.cause(&inner, now, comer.want.cost)))
    }

    /// Lets pass who may, sends away who would wait too long, and frees the lock before it tells them.
    pub(super) fn pump_and_tell(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>) {
        let told = self.pump(&mut inner);
        self.publish(&inner);
        drop(inner);
        self.tell(told);
    }

    fn pump(&self, inner: &mut Inner) -> Told {
        let mut told = Vec::new();
        if inner.queue.is_empty() {
            self.rearm_when(inner, None);
            return told;
        }
        let now = now();
        inner.is_held = false;
        let next = loop {
            let Some((want, deadline)) = select(inner, now) else { break None };
            match self.admit(inner, now, want, deadline.saturating_duration_since(now)) {
                Admission::Go(ticket) => {
                    let Some((caller, waiting)) = inner.queue.take() else { break None };
                    let held = inner.hold(&caller);
                    told.push((waiting, Ok((ticket, held))));
                }
                Admission::At(at) => break Some(at),
                Admission::HoldUntil(at) => {
                    inner.is_held = true;
                    break Some(at);
                }
                Admission::Hold => break None,
            }
        };
        self.sweep(inner, now, &mut told);
        self.rearm_when(inner, next);
        told
    }

    /// Sends away who cannot wait for as long as it is closed: once for each time that it closes or stays closed for longer, for
    /// who comes later is not let in.
    fn sweep(&self, inner: &mut Inner, now: Instant, told: &mut Told) {
        let Phase::Closed { until } = inner.state.phase() else { return };
        if until <= now || inner.swept == Some(until) {
            return;
        }
        inner.swept = Some(until);
        let cause = self.cause(inner, now, 1);
        for waiting in inner.queue.take_where(|waiting| waiting.deadline < until) {
            self.rejections.count(Rejection::Deadline);
            told.push((waiting, Err(self.refusal(until - now, cause))));
        }
    }

    fn rearm_when(&self, inner: &mut Inner, next: Option<Instant>) {
        if inner.next != next || inner.queue.is_empty() {
            inner.next = next;
            if inner.is_timed {
                self.rearm.notify_one();
            }
        }
    }

    fn tell(self: &Arc<Self>, told: Told) {
        for (waiting, verdict) in told {
            let cost = waiting.want.cost;
            let verdict = verdict.map(|(ticket, held)| Pass::new(Arc::clone(self), ticket, cost, held));
            let verdict = verdict.map_err(Gone::Refused);
            // Who is gone meanwhile gives the pass back by dropping it.
            let _gone = waiting.tell.send(verdict);
        }
    }

    /// There is no such gate any more: who waits, and who comes with it in hand still, goes to `heir`; without one they pass.
    pub(super) fn retire(self: &Arc<Self>, heir: Option<&Arc<Self>>) {
        let mut inner = self.lock();
        inner.heir = Some(heir.map_or(Heir::Nothing, |heir| Heir::Gate(Arc::clone(heir))));
        let waiting = inner.queue.take_where(|_| true);
        self.pump_and_tell(inner);
        let next = heir.unwrap_or(self);
        for one in waiting {
            let _gone = one.tell.send(Err(Gone::Replaced(Arc::clone(next))));
        }
    }

    /// Sends away everyone who waits.
    pub(super) fn close(self: &Arc<Self>) {
        let mut inner = self.lock();
        let waiting = inner.queue.take_where(|_| true);
        self.pump_and_tell(inner);
        for one in waiting {
            let _gone = one.tell.send(Err(Refused::Closing.into()));
        }
    }
}

/// The refusal of one for which there is no room, where one that comes now would wait for `wait`.
fn full(crowd: Crowd, wait: Duration) -> Refused {
    let numbers = numbers();
    let most = match crowd {
        Crowd::Gate => numbers.max_waiting_per_gate,
        Crowd::Caller => numbers.max_waiting_per_caller,
        Crowd::Process => numbers.max_waiting,
        Crowd::UnderWay => numbers.max_in_flight,
    };
    Refused::Full { crowd, most, wait: wait.max(Duration::from_secs(1)) }
}

/// Brings the next to the front: what it asks, and when it will not wait any more. Who has half of the places already waits
/// while others do; and a probe, which may be refused, is one that can be sent again, when there is one.
fn select(inner: &mut Inner, now: Instant) -> Option<(Want, Instant)> {
    if inner.state.wants_probe(now)
        && let Some(waiting) = inner.queue.prefer(|waiting| waiting.want.is_repeatable)
    {
        return Some((waiting.want, waiting.deadline));
    }
    let half = inner.places.limit().filter(|limit| *limit >= 2).map(|limit| limit / 2);
    let held = &inner.held;
    let may = |caller: &CallerId| half.is_none_or(|half| held.get(caller).copied().unwrap_or(0) < half);
    if let Some((waiting, _)) = inner.queue.select(may) {
        return Some((waiting.want, waiting.deadline));
    }
    inner.queue.select(|_| true).map(|(waiting, _)| (waiting.want, waiting.deadline))
}

/// Lets another task keep the time when this one ends with its runtime.
struct Timed {
    gate: Arc<Gate>,
    is_over: bool,
}

impl Drop for Timed {
    fn drop(&mut self) {
        if !self.is_over {
            self.gate.lock().is_timed = false;
        }
    }
}

/// Keeps the time for those who wait in front of `gate`, until nobody does.
async fn keep_time(gate: Arc<Gate>) {
    let mut timed = Timed { gate, is_over: false };
    loop {
        let gate = &timed.gate;
        let next = {
            let mut inner = gate.lock();
            let told = gate.pump(&mut inner);
            gate.publish(&inner);
            let next = inner.next;
            // Under the same lock: whoever joins next starts another task.
            inner.is_timed = !inner.queue.is_empty();
            let goes_on = inner.is_timed;
            drop(inner);
            gate.tell(told);
            if !goes_on {
                timed.is_over = true;
                return;
            }
            next
        };
        let rearmed = gate.rearm.notified();
        match next {
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {}
                () = rearmed => {}
            },
            None => rearmed.await,
        }
    }
}

#[cfg(test)]
mod tests;
