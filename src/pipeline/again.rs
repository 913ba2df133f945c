//! Whether a request goes out once more, and when: what `throttle` decides purely, with what this request still has. An
//! answer that is not given yet is kept until another attempt is under way, so that there is always one to give.

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;
use http::{Method, Response};
use hyper::upgrade::OnUpgrade;

use crate::crypto::random;
use crate::gate::{Attempt, Breaker, LimitOf, Permit, Refused};
use crate::metrics::Resend;
use crate::throttle::{self, Asked, Cause, Class, Cost, LARGEST_BODY, Reading, Repeats, is_vetoed, may_resend};
use crate::upstream::{Failed, Outgoing, UpstreamBody};

use super::error::ProxyError;
use super::heed::{self, Sending};
use super::inbound::{Inbound, KeepHead, Repeatable};
use super::snapshot::{Entry, Held};
use super::trail::Trail;
use super::{Line, judge};

/// How long the rest of an answer is waited for that another attempt may replace.
const DRAIN: Duration = Duration::from_secs(1);

/// The attempts of one request: how many there may be, and what they have cost.
pub(super) struct Attempts {
    most: u32,
    made: u32,
    asked: Asked,
    /// Of how large a body a copy is kept; none when nothing that was begun to be sent is sent again.
    pub(super) keep: Option<u64>,
    /// Whether the former version of the key may help out.
    pub(super) spare: bool,
    /// Whether the service's answers are looked at with their request.
    looks: bool,
    /// What was paid for the last of them, until it is known what became of it.
    paid: Option<Paid>,
}

/// What another attempt took of the budget. Unless it is made, the budget has it back.
struct Paid {
    held: Arc<Held>,
    /// None where a closed gate sets the pace.
    cost: Option<Cost>,
    why: Resend,
    is_made: bool,
}

/// What keeps further attempts from becoming a storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// The budget of the limit owner.
    Budget,
    /// The gate that is closed before it: it lets one try, and then no more than the service takes. A wave of refusals that
    /// all wait there is no storm, and none of them is turned away for want of a budget.
    Gate,
}

/// What follows an answer or a failure.
pub(super) enum Follow {
    /// It is given to the client; without a permit when that was let go before.
    Answer(Response<UpstreamBody>, Option<Permit<Held>>),
    /// Another attempt.
    Attempt(Next),
}

/// Another attempt: what it was admitted with, and its body.
pub(super) struct Next {
    pub(super) permit: Permit<Held>,
    pub(super) behind: Option<Attempt>,
    pub(super) body: Outgoing,
}

/// An answer that was read, and the admission it was had for.
pub(super) struct Heard {
    pub(super) answer: Response<UpstreamBody>,
    pub(super) reading: Reading,
    pub(super) permit: Permit<Held>,
}

/// The client gets this answer, with what the gates know of it.
pub(super) fn tell(answer: &mut Response<UpstreamBody>, reading: &Reading, permit: &Permit<Held>, trail: &Trail) {
    let shut = (permit.learns() && reading.class != Class::Fine).then(|| permit.closed_for());
    heed::tell(answer, reading, shut, trail);
}

impl Paid {
    /// It is known what became of the attempt.
    fn ended(mut self, went_well: bool) {
        self.is_made = true;
        self.held.entry.metrics.resent(self.why, went_well);
        if let Some(cost) = self.cost.filter(|_| went_well) {
            self.held.budget().refund(cost);
        }
    }
}

impl Drop for Paid {
    fn drop(&mut self) {
        if let Some(cost) = self.cost.filter(|_| !self.is_made) {
            self.held.budget().give_back(cost);
        }
    }
}

impl Attempts {
    /// Those of `inbound`, which gets a key to be known by where its service's record says so.
    pub(super) fn of(entry: &Entry, inbound: &mut Inbound, upgrade: Option<&OnUpgrade>) -> Self {
        let retry = &entry.service.retry;
        let name = &retry.idempotency_header;
        let mut known = inbound.has_idempotency_key(name);
        let changes = matches!(inbound.parts.method, Method::POST | Method::PATCH);
        if retry.generate_idempotency_key && changes && !known {
            let made = made_key();
            known = made.is_some();
            made.map(|key| inbound.parts.headers.insert(name, key));
        }
        let asked = Asked {
            repeats: Repeats::of(&inbound.parts.method, known),
            client: inbound.client(),
            throttle_safe: retry.throttle_safe,
            upgrades: upgrade.is_some(),
        };
        let most = if may_resend(&asked, Cause::Unsent, false) { retry.attempts } else { 1 };
        let keeps =
            most > 1 && may_resend(&Asked { throttle_safe: true, ..asked }, Cause::Answered(Class::Throttled), false);
        let looks = entry.family.has_body_rules();
        Self { most, made: 0, asked, keep: keeps.then_some(retry.max_body), spare: false, looks, paid: None }
    }

    /// What did not go out may do so later, whatever it is.
    pub(super) fn head(&self) -> KeepHead {
        if self.most > 1 || self.spare || self.looks { KeepHead::Yes } else { KeepHead::No }
    }

    /// One more begins.
    pub(super) fn begin(&mut self) {
        self.made += 1;
        if let Some(paid) = &mut self.paid {
            paid.is_made = true;
        }
    }

    fn may(&self, cause: Cause, vetoed: bool) -> bool {
        self.made < self.most && may_resend(&self.asked, cause, vetoed)
    }

    /// An answer came: where it is no failure, the budget gets its due.
    pub(super) fn answered(&mut self, held: &Held, class: Class) {
        let went_well = matches!(class, Class::Fine | Class::Auth);
        match self.paid.take() {
            Some(paid) => paid.ended(went_well),
            None if went_well => held.budget().succeeded(),
            None => {}
        }
    }

    /// None came.
    fn failed(&mut self) {
        if let Some(paid) = self.paid.take() {
            paid.ended(false);
        }
    }

    /// How long to pause before the next attempt.
    fn pause(&self, class: Class, hint: Option<Duration>) -> Duration {
        let chance = random::bytes().map_or(1.0, |bytes| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX));
        throttle::pause(class, hint, self.made, chance)
    }

    /// Takes what the next attempt costs from the budget; whether that had it.
    fn pay(&mut self, permit: &Permit<Held>, class: Class, pace: Pace, now: u64) -> bool {
        let held = Arc::clone(permit.grant().candidate());
        let cost = match pace {
            Pace::Gate => None,
            Pace::Budget => match held.budget().take(class, now) {
                None => return false,
                cost => cost,
            },
        };
        let why = match class {
            Class::Overloaded => Resend::Overloaded,
            Class::Transient => Resend::Transient,
            _ => Resend::Throttled,
        };
        self.paid = Some(Paid { held, cost, why, is_made: false });
        true
    }
}

/// A key of 128 random bits.
fn made_key() -> Option<HeaderValue> {
    let bits = u128::from_le_bytes(random::bytes().ok()?);
    HeaderValue::try_from(format!("{bits:032x}")).ok()
}

impl Line {
    /// Sends once more after an answer that is a passing refusal, when that is safe, paid for, and the wait within what the
    /// request may wait; the answer is given else.
    pub(super) async fn follow(
        &self,
        heard: Heard,
        inbound: &mut Inbound,
        attempts: &mut Attempts,
        trail: &mut Trail,
    ) -> Result<Follow, ProxyError> {
        let again = self.weigh(&heard, inbound, attempts, trail.waited());
        let whole = inbound.body.repeatable() == Repeatable::Whole;
        let Some((pause, body)) = again.and_then(|pause| Some((pause, inbound.body.outgoing(attempts.keep)?))) else {
            let Heard { mut answer, reading, permit } = heard;
            tell(&mut answer, &reading, &permit, trail);
            return Ok(Follow::Answer(answer, Some(permit)));
        };
        let Heard { answer, reading, permit } = heard;
        let learns = permit.learns();
        let open_at = self.clock.now() + permit.closed_for();
        let kept = if whole {
            Some(drained(answer).await)
        } else {
            // What still reads of the client's body must be gone before another does.
            drop(answer);
            None
        };
        match (self.again(permit, pause, body, inbound, trail).await, kept) {
            (Ok(next), _) => Ok(Follow::Attempt(next)),
            (Err(ProxyError::Gate(refused)), Some(mut answer)) => {
                let shut = learns.then(|| shut_for(&refused, open_at.saturating_duration_since(self.clock.now())));
                heed::tell(&mut answer, &reading, shut, trail);
                Ok(Follow::Answer(answer, None))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Sends once more after a failure, where that is safe, paid for and within what the request may wait.
    ///
    /// # Errors
    /// The failure, when no attempt may follow.
    pub(super) async fn recover(
        &self,
        failed: Failed,
        permit: Permit<Held>,
        inbound: &mut Inbound,
        attempts: &mut Attempts,
        trail: &mut Trail,
    ) -> Result<Follow, ProxyError> {
        attempts.failed();
        let Failed { error, request } = failed;
        let cause = match &request {
            Some(_) if error.is_passing() => Some(Cause::Unsent),
            None if error.is_unprocessed() => Some(Cause::Unsent),
            None if error.is_break() => Some(Cause::Broken),
            _ => None,
        };
        let pause = attempts.pause(Class::Transient, None);
        let is_in_time = pause <= heed::patience(permit.grant(), inbound).saturating_sub(trail.waited());
        if !is_in_time || !cause.is_some_and(|cause| attempts.may(cause, false)) {
            return Err(error.into());
        }
        // Of what did not go out nothing was read; all the rest of it is made again.
        let body = match request {
            Some(request) => Some(request.into_body()),
            None => inbound.body.outgoing(attempts.keep),
        };
        let (Some(body), true) = (body, attempts.pay(&permit, Class::Transient, Pace::Budget, self.now())) else {
            return Err(error.into());
        };
        match self.again(permit, pause, body, inbound, trail).await {
            Ok(next) => Ok(Follow::Attempt(next)),
            // That it failed says more than that it may not try again now.
            Err(ProxyError::Gate(refused)) if refused != Refused::Closing => Err(error.into()),
            Err(other) => Err(other),
        }
    }

    /// Gives up an admission, pauses, and asks for another: caller, key, gates and circuit are those of that moment.
    async fn again(
        &self,
        permit: Permit<Held>,
        pause: Duration,
        body: Outgoing,
        inbound: &Inbound,
        trail: &mut Trail,
    ) -> Result<Next, ProxyError> {
        let began = self.clock.now();
        let entry = Arc::clone(&permit.grant().candidate().entry);
        drop(permit);
        match self.pass_again(&entry, pause, inbound, trail.waited() + pause).await {
            Ok((permit, behind)) => {
                trail.readmitted(&permit, pause);
                Ok(Next { permit, behind, body })
            }
            Err(error) => {
                trail.paused(self.clock.now().saturating_duration_since(began));
                Err(error)
            }
        }
    }

    async fn pass_again(
        &self,
        entry: &Entry,
        pause: Duration,
        inbound: &Inbound,
        spent: Duration,
    ) -> Result<(Permit<Held>, Option<Attempt>), ProxyError> {
        if !pause.is_zero() {
            tokio::select! {
                biased;
                () = entry.gates.closing() => return Err(Refused::Closing.into()),
                () = tokio::time::sleep(pause) => {}
            }
        }
        let permit = self.admit(self.grant_anew(inbound)?, inbound, Sending::Again, spent).await?;
        let way = judge::way(permit.grant().candidate(), &inbound.target)?;
        let behind = way.breaker.as_ref().map(Breaker::pass).transpose()?;
        Ok((permit, behind))
    }

    fn now(&self) -> u64 {
        self.clock.wall().as_secs()
    }

    /// The pause after which to ask the gates again; none when the answer is to be given.
    fn weigh(&self, heard: &Heard, inbound: &Inbound, attempts: &mut Attempts, spent: Duration) -> Option<Duration> {
        let Heard { answer, reading, permit } = heard;
        let elsewhere = may_go_elsewhere(permit, reading);
        // What is used up for this key alone was turned down, as far as another of its pool is concerned.
        let class = if elsewhere { Class::Throttled } else { reading.class };
        if !attempts.may(Cause::Answered(class), is_vetoed(answer.headers())) {
            return None;
        }
        // On a shared connection what is left of the upload cannot be called back.
        let ready = match inbound.body.repeatable() {
            Repeatable::Whole => true,
            Repeatable::Begun => matches!(answer.body(), UpstreamBody::H1(_)),
            Repeatable::No => false,
        };
        let (shut, hint) = (permit.closed_for(), reading.wait.unwrap_or_default());
        // A gate that is closed for the hint holds the request, and spreads those that wait; it has no need of a pause.
        let pause = if shut > hint { Duration::ZERO } else { attempts.pause(reading.class, reading.wait) };
        let patience = heed::patience(permit.grant(), inbound).saturating_sub(spent);
        // What is added to the service's own time is no reason to give up: as much patience as that is enough.
        let asked_for = permit.asked_for().max(reading.wait.unwrap_or(pause));
        let outlasts = asked_for > patience || reading.class == Class::Exhausted;
        let pause = if outlasts && elsewhere { Duration::ZERO } else { pause.min(hint.max(patience)) };
        let is_held = reading.class == Class::Throttled && !shut.is_zero() && !outlasts;
        let pace = if is_held { Pace::Gate } else { Pace::Budget };
        let may = ready && (!outlasts || elsewhere) && attempts.pay(permit, class, pace, self.now());
        may.then_some(pause)
    }
}

/// Whether a limit was met that another key of the pool does not have.
pub(super) fn may_go_elsewhere(permit: &Permit<Held>, reading: &Reading) -> bool {
    let held = permit.grant().candidate();
    matches!(reading.class, Class::Throttled | Class::Exhausted)
        && permit.learns()
        && permit.grant().others().any(|other| other.limit_owner() != held.limit_owner())
}

/// For how long the service is left alone, when another attempt was `refused`: an answer in hand is the service's own word, and
/// tells nothing of the limits that we have besides. `closed` is for how long the gate was known to be closed.
fn shut_for(refused: &Refused, closed: Duration) -> Duration {
    match refused {
        Refused::Limit { wait, of: LimitOf::Upstream, .. } | Refused::Circuit(wait) => closed.max(*wait),
        Refused::Limit { .. } | Refused::Full { .. } | Refused::HeldBack | Refused::Closing => closed,
    }
}

/// An answer with its body in hand, so that its connection is free while another attempt waits.
async fn drained(answer: Response<UpstreamBody>) -> Response<UpstreamBody> {
    let (parts, body) = answer.into_parts();
    Response::from_parts(parts, body.read_ahead(LARGEST_BODY, DRAIN).await)
}
