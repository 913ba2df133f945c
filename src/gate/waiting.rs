//! Waiting in front of a gate: joining the queue, being told, leaving early, and the task that keeps the time for all who
//! wait. A waiter costs its place in the queue and one channel; it leaves by dropping.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::domain::{CallerId, Weight};
use crate::throttle::state::{Admission, Phase, Ticket};

use super::hall::Rejection;
use super::limiter::{Gate, Inner, MustWait, Told, Waiting, Want, now};
use super::pass::Pass;
use super::queue::{Joined, Place, Seat};
use super::refused::Refused;

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

/// How a waiter is told.
type Verdict = oneshot::Receiver<Result<Pass, Refused>>;

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
    /// Passes, now or after its turn has come.
    ///
    /// # Errors
    /// At once when it would wait longer than it may, or when there is no room to wait.
    pub(super) async fn pass(self: &Arc<Self>, comer: &Comer<'_>) -> Result<Pass, Refused> {
        let must_wait = match self.try_pass(comer.caller, comer.want, comer.deadline.saturating_duration_since(now())) {
            Ok(pass) => return Ok(pass),
            Err(must_wait) => must_wait,
        };
        let (waiter, mut told, deadline) = self.join(*comer, must_wait)?;
        let patience = tokio::time::sleep_until(deadline.into());
        tokio::pin!(patience);
        tokio::select! {
            biased;
            verdict = &mut told => return verdict.unwrap_or(Err(Refused::Closing)),
            () = &mut patience => {}
        }
        match self.give_up(&waiter.seat, comer) {
            Some(refused) => Err(refused),
            // Its turn had come in the same moment.
            None => told.await.unwrap_or(Err(Refused::Closing)),
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
        let wait = self.predict(&inner, now, *comer);
        self.rejections.count(Rejection::Deadline);
        self.pump_and_tell(inner);
        self.tell(told);
        Some(self.refusal(wait))
    }

    /// Takes a place, and gives it with what waits there and until when.
    fn join<'a>(
        self: &'a Arc<Self>,
        comer: Comer<'a>,
        must_wait: MustWait,
    ) -> Result<(Waiter<'a>, Verdict, Instant), Refused> {
        let (now, mut inner) = (now(), self.lock());
        let comer = comer.patient(&inner);
        let least = if let MustWait::For(least) = must_wait { least } else { Duration::ZERO };
        let wait = self.predict(&inner, now, comer).max(least);
        if now + wait > comer.deadline {
            drop(inner);
            self.rejections.count(Rejection::Deadline);
            return Err(self.refusal(wait));
        }
        if self.hall.is_closing() {
            return Err(Refused::Closing);
        }
        let gone = self.make_room(&mut inner, comer.caller)?;
        let (tell, told) = oneshot::channel();
        let Comer { caller, weight, want, place, deadline } = comer;
        let joined = inner.queue.join((caller, weight), want.cost, place, Waiting { tell, deadline, want });
        let (seat, sent_away) = match joined {
            Joined::Seated(seat, sent_away) => (seat, sent_away),
            Joined::Full(_) => {
                drop(inner);
                self.hall.leave();
                self.send_off(gone, Rejection::Overall);
                self.rejections.count(Rejection::Queue);
                return Err(Refused::Full);
            }
        };
        if !inner.is_timed {
            inner.is_timed = true;
            tokio::spawn(keep_time(Arc::clone(self)));
        }
        self.pump_and_tell(inner);
        self.send_off(gone, Rejection::Overall);
        self.send_off(sent_away, Rejection::Queue);
        Ok((Waiter { gate: self, seat }, told, deadline))
    }

    /// Tells one that it made room for another.
    fn send_off(&self, gone: Option<Waiting>, why: Rejection) {
        if let Some(waiting) = gone {
            self.rejections.count(why);
            let _gone = waiting.tell.send(Err(Refused::Full));
        }
    }

    /// Takes a place among all who wait in the process. When there is none, the last of the caller with most waiters here leaves.
    fn make_room(&self, inner: &mut Inner, caller: &CallerId) -> Result<Option<Waiting>, Refused> {
        if self.hall.enter() {
            return Ok(None);
        }
        let own = inner.queue.by_caller().find(|(other, _)| *other == caller).map_or(0, |(_, count)| count);
        let gone = inner.queue.send_away(own);
        if gone.is_none() {
            self.rejections.count(Rejection::Overall);
            return Err(Refused::Full);
        }
        // It frees its place in a moment.
        self.hall.enter_anyway();
        Ok(gone)
    }

    /// Refuses at once what would wait too long here.
    pub(super) fn foresee(&self, comer: Comer<'_>) -> Result<(), Refused> {
        self.foreseen(comer).map_or(Ok(()), |refused| {
            self.rejections.count(Rejection::Deadline);
            Err(refused)
        })
    }

    /// The refusal of what would wait too long here; none when it would not.
    pub(super) fn foreseen(&self, comer: Comer<'_>) -> Option<Refused> {
        let now = now();
        let (wait, comer) = if self.quiet().is_some() {
            (self.look_at_rate(comer.want.cost), comer)
        } else {
            let inner = self.lock();
            (self.predict(&inner, now, comer), comer.patient(&inner))
        };
        // Who has no patience is on time where nobody waits, although the clock went on since it came.
        (!wait.is_zero() && now + wait > comer.deadline).then(|| self.refusal(wait))
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
        for waiting in inner.queue.take_where(|waiting| waiting.deadline < until) {
            self.rejections.count(Rejection::Deadline);
            told.push((waiting, Err(self.refusal(until - now))));
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
            // Who is gone meanwhile gives the pass back by dropping it.
            let _gone = waiting.tell.send(verdict);
        }
    }

    /// Lets everyone pass who waits: there is no such gate any more.
    pub(super) fn retire(self: &Arc<Self>) {
        let mut inner = self.lock();
        let (waiting, ticket) = (inner.queue.take_where(|_| true), Ticket::of_episode(inner.state.episode()));
        self.pump_and_tell(inner);
        for one in waiting {
            self.count_in();
            let _gone = one.tell.send(Ok(Pass::new(Arc::clone(self), ticket, 0, None)));
        }
    }

    /// Sends away everyone who waits.
    pub(super) fn close(self: &Arc<Self>) {
        let mut inner = self.lock();
        let waiting = inner.queue.take_where(|_| true);
        self.pump_and_tell(inner);
        for one in waiting {
            let _gone = one.tell.send(Err(Refused::Closing));
        }
    }
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
