//! Whether a request goes out once more, and when: what `throttle` decides purely, with what this request still has. An
//! answer that is not given yet is kept until another attempt is under way, so that there is always one to give.

use std::time::Duration;

use http::header::HeaderValue;
use http::{Method, Request, Response};
use hyper::upgrade::OnUpgrade;

use crate::crypto::random;
use crate::gate::Permit;
use crate::metrics::Resend;
use crate::throttle::{self, Asked, Cause, Class, Cost, LARGEST_BODY, Reading, Repeats, is_vetoed, may_resend};
use crate::upstream::{Failed, Outgoing, UpstreamBody};

use super::Line;
use super::error::ProxyError;
use super::heed::{self, Sending};
use super::inbound::{Inbound, KeepHead, Repeatable};
use super::send::Ready;
use super::snapshot::{Entry, Held};
use super::trail::Trail;

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
    /// What the last of them took of the budget.
    taken: Option<Cost>,
    /// Why it was made, until it is known what became of it.
    why: Option<Resend>,
}

/// What follows an answer.
pub(super) enum Follow {
    /// It is given to the client; without a permit when that was let go before.
    Answer(Response<UpstreamBody>, Option<Permit<Held>>),
    /// The same request once more: nothing of it went out.
    Unsent(Permit<Held>, Ready),
    /// Another attempt, which was admitted, with its body.
    Attempt(Permit<Held>, Outgoing),
}

/// An answer that was read, and the admission it was had for.
pub(super) struct Heard {
    pub(super) answer: Response<UpstreamBody>,
    pub(super) reading: Reading,
    pub(super) permit: Permit<Held>,
}

/// What is left of a failed attempt.
pub(super) enum Remains {
    /// The request as it was: nothing of it went out.
    Request(Box<Request<Outgoing>>),
    /// The client's body, from its first byte on.
    Body(Outgoing),
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
        Self {
            most,
            made: 0,
            asked,
            keep: keeps.then_some(retry.max_body),
            spare: false,
            looks,
            taken: None,
            why: None,
        }
    }

    pub(super) fn head(&self) -> KeepHead {
        if self.keep.is_some() || self.spare || self.looks { KeepHead::Yes } else { KeepHead::No }
    }

    /// One more begins; which it is.
    pub(super) fn begin(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    fn may(&self, cause: Cause, vetoed: bool) -> bool {
        self.made < self.most && may_resend(&self.asked, cause, vetoed)
    }

    /// An answer came: where it is no failure, the budget gets its due.
    pub(super) fn answered(&mut self, held: &Held, class: Class) {
        let went_well = matches!(class, Class::Fine | Class::Auth);
        self.ended(held, went_well);
        if went_well {
            match self.taken.take() {
                Some(cost) => held.budget().refund(cost),
                None => held.budget().succeeded(),
            }
        }
    }

    /// It is known what became of the last attempt.
    fn ended(&mut self, held: &Held, went_well: bool) {
        if let Some(why) = self.why.take() {
            held.entry.metrics.resent(why, went_well);
        }
    }

    /// How long to pause before the next attempt.
    fn pause(&self, class: Class, hint: Option<Duration>) -> Duration {
        let chance = random::bytes().map_or(1.0, |bytes| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX));
        throttle::pause(class, hint, self.made, chance)
    }

    /// Takes what the next attempt costs from the budget; whether that had it.
    fn pay(&mut self, permit: &Permit<Held>, class: Class, now: u64) -> bool {
        self.taken = permit.grant().candidate().budget().take(class, now);
        self.why = self.taken.is_some().then_some(match class {
            Class::Overloaded => Resend::Overloaded,
            Class::Transient => Resend::Transient,
            _ => Resend::Throttled,
        });
        self.taken.is_some()
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
        let spent = trail.waited();
        let again = self.weigh(&heard, inbound, attempts, spent);
        let whole = inbound.body.repeatable() == Repeatable::Whole;
        let Heard { answer, permit, .. } = heard;
        let Some((pause, body)) = again.and_then(|pause| Some((pause, inbound.body.outgoing(attempts.keep)?))) else {
            return Ok(Follow::Answer(answer, Some(permit)));
        };
        // What still reads of the client's body must be gone before another does.
        let kept = if whole { Some(drained(answer).await) } else { None };
        drop(permit);
        tokio::time::sleep(pause).await;
        let grant = self.grant_anew(inbound)?;
        match (self.admit(grant, inbound, Sending::Again, spent + pause).await, kept) {
            (Ok(permit), _) => {
                trail.readmitted(&permit, pause);
                Ok(Follow::Attempt(permit, body))
            }
            (Err(ProxyError::Gate(_)), Some(answer)) => Ok(Follow::Answer(answer, None)),
            (Err(error), _) => Err(error),
        }
    }

    /// What is left for another attempt after a failure, once its pause is over.
    ///
    /// # Errors
    /// The failure, when no attempt may follow.
    pub(super) async fn recover(
        &self,
        failed: Failed,
        permit: &Permit<Held>,
        inbound: &mut Inbound,
        attempts: &mut Attempts,
    ) -> Result<Remains, ProxyError> {
        attempts.ended(permit.grant().candidate(), false);
        let cause = match &failed.request {
            Some(_) if failed.error.is_passing() => Some(Cause::Unsent),
            None if failed.error.is_unprocessed() => Some(Cause::Unsent),
            None if failed.error.is_break() => Some(Cause::Broken),
            _ => None,
        };
        if !cause.is_some_and(|cause| attempts.may(cause, false)) {
            return Err(failed.error.into());
        }
        let remains = match failed.request {
            Some(request) => Some(Remains::Request(request)),
            None => inbound.body.outgoing(attempts.keep).map(Remains::Body),
        };
        let (Some(remains), true) = (remains, attempts.pay(permit, Class::Transient, self.now())) else {
            return Err(failed.error.into());
        };
        tokio::time::sleep(attempts.pause(Class::Transient, None)).await;
        Ok(remains)
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
        let shut = permit.closed_for();
        let hint = reading.wait.unwrap_or_default();
        // A gate that is closed for the hint holds the request, and spreads those that wait; it has no need of a pause.
        let pause = if shut > hint { Duration::ZERO } else { attempts.pause(reading.class, reading.wait) };
        let patience = heed::patience(permit.grant(), inbound).saturating_sub(spent);
        let outlasts = shut.max(pause) > patience || reading.class == Class::Exhausted;
        let pause = if outlasts && elsewhere { Duration::ZERO } else { pause };
        let may = ready && (!outlasts || elsewhere) && attempts.pay(permit, class, self.now());
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

/// An answer with its body in hand, so that its connection is free while another attempt waits.
async fn drained(answer: Response<UpstreamBody>) -> Response<UpstreamBody> {
    let (parts, body) = answer.into_parts();
    Response::from_parts(parts, body.read_ahead(LARGEST_BODY, DRAIN).await)
}
