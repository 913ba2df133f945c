//! What the gates learn from an exchange, and what the client is told of them beside the upstream's own answer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, RETRY_AFTER};
use http::{HeaderValue, Response};

use crate::domain::{Clock, SystemClock};
use crate::gate::{self, Attempt, Course, Patience, Permit, Refused, ShareGate};
use crate::route::Target;
use crate::throttle::{self, Class, LARGEST_BODY, Reading, Sample};
use crate::upstream::{ExchangeError, UpstreamBody};

use super::error::ProxyError;
use super::inbound::Inbound;
use super::judge::{self, Question};
use super::respond;
use super::snapshot::Held;
use super::trail::Trail;
use super::{Grant, Line};

/// Draws the time a request waited from the answer (W3C Server Timing).
pub(super) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// How long a body that is to be looked at may take; what takes longer is passed on unread.
const BODY_PATIENCE: Duration = Duration::from_secs(2);

/// What takes less than this was no wait.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// What counts as a wait of `time`.
pub(super) fn as_wait(time: Duration) -> Duration {
    if time > LEAST_WAIT { time } else { Duration::ZERO }
}

/// Whether a request was sent before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    /// It was not.
    First,
    /// It was, and goes before its caller's others.
    Again,
}

impl Line {
    /// Leads a request that has waited `spent` before through the gates. After a wait the world may have changed: a rotated key takes
    /// effect, a revoked caller or key stops here, and where another key is chosen now, its gates are passed too.
    pub(super) async fn admit(
        &self,
        mut grant: Grant<Held>,
        inbound: &Inbound,
        sending: Sending,
        spent: Duration,
    ) -> Result<Permit<Held>, ProxyError> {
        let mut patience = patience(&grant, inbound).saturating_sub(spent);
        loop {
            if grant.others().len() > 0 {
                return Box::pin(self.admit_of_pool(grant, inbound, sending, patience)).await;
            }
            let permit = pass(grant, inbound, sending, patience).await?;
            if permit.waited().is_zero() {
                return Ok(permit);
            }
            let fresh = self.grant_anew(inbound)?;
            if fresh.candidate().limit_owner() == permit.grant().candidate().limit_owner() {
                return Ok(permit.renewed(fresh));
            }
            patience = patience.saturating_sub(permit.waited());
            grant = fresh;
        }
    }

    /// The same for a key of a pool: the first of them, unless it would not be admitted in time and another is. What is found out
    /// while it waits may turn it to another still.
    async fn admit_of_pool(
        &self,
        mut grant: Grant<Held>,
        inbound: &Inbound,
        sending: Sending,
        mut patience: Duration,
    ) -> Result<Permit<Held>, ProxyError> {
        let mut turns = grant.others().len();
        loop {
            let turned = self.turned(grant, inbound, patience)?;
            let (key, began) = (turned.candidate().credential.id.clone(), self.clock.now());
            let passed = pass(turned, inbound, sending, patience).await;
            let waited = self.clock.now().saturating_duration_since(began);
            patience = patience.saturating_sub(waited);
            match passed {
                Ok(permit) if permit.waited().is_zero() => return Ok(permit),
                Ok(permit) => {
                    let fresh = self.grant_anew(inbound)?.of(&key);
                    if fresh.candidate().limit_owner() == permit.grant().candidate().limit_owner() {
                        return Ok(permit.renewed(fresh));
                    }
                    grant = fresh;
                }
                // Its gate closed for longer while it waited there: another key may do now.
                Err(ProxyError::Gate(Refused::Limit { .. })) if turns > 0 && waited > LEAST_WAIT => {
                    turns -= 1;
                    grant = self.grant_anew(inbound)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The grant for the first key of its pool that would be admitted in time; when none would, for the one that is the first to
    /// be worth another try. Keys of one limit owner do not stand in for each other: the service counts them as one.
    fn turned(&self, mut grant: Grant<Held>, inbound: &Inbound, patience: Duration) -> Result<Grant<Held>, ProxyError> {
        let foretold = |grant: &Grant<Held>| foretold(grant, inbound, patience);
        let Some(shut) = foretold(&grant)? else { return Ok(grant) };
        let now = i64::try_from(self.clock.wall().as_secs()).unwrap_or(i64::MAX);
        let first = Arc::clone(grant.candidate());
        if turn(&mut grant, shut, &inbound.question(now), foretold)? {
            first.stood_in(grant.candidate(), now);
        }
        Ok(grant)
    }
}

/// Turns `grant`, which is held up for `shut`, as [`Line::turned`] says; whether another key is found that would be admitted in
/// time. `foretold` says after which time a key is worth a try that would not.
pub(super) fn turn(
    grant: &mut Grant<Held>,
    shut: Duration,
    question: &Question<'_>,
    foretold: impl Fn(&Grant<Held>) -> Result<Option<Duration>, ProxyError>,
) -> Result<bool, ProxyError> {
    let (mut tried, mut best) = (vec![Arc::clone(grant.candidate())], (shut, None));
    let others = grant.others().len();
    for other in 0..others {
        grant.turn_to(other);
        let held = Arc::clone(grant.candidate());
        let stands_in = tried.iter().all(|other| other.limit_owner() != held.limit_owner())
            && judge::check_rules(grant, question).is_ok();
        let shut = if stands_in { Some(foretold(grant)?) } else { None };
        match shut {
            Some(None) => return Ok(true),
            Some(Some(wait)) if wait < best.0 => best = (wait, Some(other)),
            _ => {}
        }
        tried.push(held);
        grant.turn_to(other);
    }
    if let Some(other) = best.1 {
        grant.turn_to(other);
    }
    Ok(false)
}

/// Looks how many tokens the answer may have, where the service counts these when it lets a request in and has few left.
pub(super) async fn look_ahead(grant: &Grant<Held>, inbound: &mut Inbound) {
    let held = grant.candidate();
    if held.entry.family.counts_most_tokens() && held.owner().is_some_and(|owner| owner.has_few_tokens()) {
        Box::pin(inbound.look_ahead(held.entry.service.retry.max_body)).await;
    }
}

/// How long a request may wait: as its client and its service will, and no longer than anybody's.
pub(super) fn patience(grant: &Grant<Held>, inbound: &Inbound) -> Duration {
    whole_patience(grant.candidate(), inbound).may
}

fn whole_patience(held: &Held, inbound: &Inbound) -> Patience {
    let most = held.entry.service.limits.max_wait;
    Patience { may: inbound.patience().map_or(most, |patience| patience.min(most)), most }
}

async fn pass(
    grant: Grant<Held>,
    inbound: &Inbound,
    sending: Sending,
    patience: Duration,
) -> Result<Permit<Held>, ProxyError> {
    let held = Arc::clone(grant.candidate());
    let share = grant.bounded().and_then(|bounded| bounded.gate.clone());
    let path = gated_path(&held, &inbound.target, inbound.parts.uri.path())?;
    let course = course_of(&held, share.as_ref(), inbound, &path, patience);
    let admitted = gate::admit(&Course { is_resend: sending == Sending::Again, ..course }, grant).await;
    Ok(admitted.map_err(|refused| refused.of_patience(whole_patience(&held, inbound)))?)
}

/// After which time it is worth a try to be admitted with the key of `grant`, when it would not be in time.
fn foretold(grant: &Grant<Held>, inbound: &Inbound, patience: Duration) -> Result<Option<Duration>, ProxyError> {
    let held = grant.candidate();
    let path = gated_path(held, &inbound.target, inbound.parts.uri.path())?;
    Ok(worth_a_try(gate::foretell(&course_of(held, None, inbound, &path, patience), grant)))
}

/// After which time it is worth a try, when it is refused now.
pub(super) fn worth_a_try(refused: Option<Refused>) -> Option<Duration> {
    refused.map(|refused| ProxyError::from(refused).retry_after().unwrap_or_default())
}

/// The path that gates look at, of a request to `target` whose client sent `path`.
pub(super) fn gated_path<'a>(held: &'a Held, target: &Target, path: &'a str) -> Result<Cow<'a, str>, ProxyError> {
    if held.entry.looks_at_paths { judge::ruled_path(held, target, path) } else { Ok(target.within(path).into()) }
}

fn course_of<'a>(
    held: &'a Held,
    share: Option<&'a Arc<ShareGate>>,
    inbound: &'a Inbound,
    path: &'a str,
    patience: Duration,
) -> Course<'a> {
    let entry = &held.entry;
    Course {
        tokens: if entry.family.counts_tokens() { inbound.tokens() } else { 0 },
        most_tokens: inbound.most_tokens.unwrap_or(0),
        is_repeatable: inbound.is_repeatable(entry.service.retry.max_body),
        ..course(held, share, (inbound.parts.method.as_str(), path), patience)
    }
}

/// The gates on the way of a request of which no more is known than this.
pub(super) fn course<'a>(
    held: &'a Held,
    share: Option<&'a Arc<ShareGate>>,
    (method, path): (&'a str, &'a str),
    patience: Duration,
) -> Course<'a> {
    let entry = &held.entry;
    Course {
        gates: &entry.gates,
        share,
        levels: entry.levels.as_ref(),
        owner: held.owner(),
        owner_name: held.limit_owner(),
        pins: &entry.pins,
        quotas: held.quotas(),
        service: entry.gate.as_ref(),
        family: &entry.family,
        method,
        path,
        cost: entry.service.gating.cost(method, path),
        tokens: 0,
        most_tokens: 0,
        is_repeatable: true,
        patience,
        is_resend: false,
    }
}

/// Whether a rule of the service asks for the body of this answer.
pub(super) fn looks_inside(permit: &Permit<Held>, answer: &Response<UpstreamBody>, inbound: &Inbound) -> bool {
    let family = &permit.grant().candidate().entry.family;
    let method = inbound.parts.method.as_str();
    family.has_body_rules() && family.wants_body(answer.status(), answer.headers(), method, inbound.path())
}

/// An answer with its body at hand, if that is small and comes at once.
pub(super) async fn looked_into(answer: Response<UpstreamBody>) -> Response<UpstreamBody> {
    let (parts, body) = answer.into_parts();
    Response::from_parts(parts, body.read_ahead(LARGEST_BODY, BODY_PATIENCE).await)
}

/// An answer came: the gates and the circuit learn from it.
pub(super) fn answered(
    permit: &mut Permit<Held>,
    attempt: Option<Attempt>,
    answer: &Response<UpstreamBody>,
) -> Reading {
    let whole = answer.body().read_whole();
    let (status, headers, body) = (answer.status(), answer.headers(), whole.as_deref());
    let sample = Sample { status, headers, now: SystemClock.wall(), body };
    let reading = permit.grant().candidate().entry.family.read(&sample);
    permit.complete(&reading);
    // A service that is reached says with a 4xx what is wrong with the request, or with others at the moment, and not that it
    // fails; gRPC says that it does in a head that HTTP calls fine.
    let failed = reading.class == Class::Transient && !status.is_client_error();
    match attempt {
        Some(attempt) if failed => attempt.failed(),
        Some(attempt) => attempt.answered(),
        None => {}
    }
    reading
}

/// No answer came.
pub(super) fn failed(attempt: Option<Attempt>, error: &ExchangeError) {
    if let Some(attempt) = attempt.filter(|_| error.is_of_upstream()) {
        attempt.failed();
    }
}

/// What the client is told of the gates, which are `shut` for so long; none where nothing is learnt. A refusal is passed on
/// with its body and headers, and `Retry-After` is raised to what is known; and who waited sees for how long.
pub(super) fn tell(answer: &mut Response<UpstreamBody>, reading: &Reading, shut: Option<Duration>, trail: &Trail) {
    let status = answer.status();
    // What went well for HTTP is no refusal to those who read its headers, whatever its body says.
    let is_refusal = (reading.class.closes() || reading.class == Class::Transient) && !status.is_success();
    if let Some(shut) = shut.filter(|_| is_refusal) {
        let own = throttle::retry_after(answer.headers(), SystemClock.wall());
        let wait = own.max(reading.wait).unwrap_or_default().max(shut);
        if own.is_some() || !wait.is_zero() {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(respond::seconds(wait)));
        }
        if let Some(value) = respond::received(status, trail.attempts()) {
            answer.extensions_mut().insert(value);
        }
    }
    if let Some(value) = trail.timing() {
        answer.headers_mut().append(SERVER_TIMING, value);
    }
}

/// `queue;dur=…, upstream;dur=…`, in milliseconds.
pub(super) fn timing(queued: Duration, upstream: Option<Duration>) -> Option<HeaderValue> {
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    let upstream = upstream.map(|time| format!(", upstream;dur={:.1}", millis(time))).unwrap_or_default();
    HeaderValue::try_from(format!("queue;dur={:.1}{upstream}", millis(queued))).ok()
}
