//! What the limits on its way would make of the request at this moment, asked of the very functions that the line asks; and
//! which of those that are known of it would meet.

use std::sync::Arc;
use std::time::Duration;

use crate::access::Grant;
use crate::domain::{Credential, Origin};
use crate::gate::{self, Patience, Refused};
use crate::pipeline::heed;
use crate::pipeline::judge::{Question, Way};
use crate::pipeline::{Held, ProxyError};

/// What of a request tells which limits it meets.
#[derive(Debug)]
pub struct Met {
    /// The key that would be used, and those that stand in for it.
    keys: Vec<Arc<Held>>,
    method: String,
    /// As gates look at it.
    path: String,
    /// Where it would go.
    pub origin: Option<Origin>,
}

/// Turns the grant for a key of a pool as the line does: another that would be admitted in time stands in for one that would
/// not.
pub(super) fn turn(grant: &mut Grant<Held>, question: &Question<'_>) -> Result<(), ProxyError> {
    if grant.others().len() == 0 {
        return Ok(());
    }
    let foretold = |grant: &Grant<Held>| {
        let held = grant.candidate();
        let path = heed::gated_path(held, question.target, question.path)?;
        let course = heed::course(held, None, (question.method, &path), patience(held));
        Ok(heed::worth_a_try(gate::foretell(&course, grant)))
    };
    match foretold(grant)? {
        Some(shut) => heed::turn(grant, shut, question, foretold).map(drop),
        None => Ok(()),
    }
}

/// How long it would wait.
///
/// # Errors
/// When it would be refused.
pub(super) fn outlook(grant: &Grant<Held>, question: &Question<'_>, way: &Way) -> Result<Duration, ProxyError> {
    let held = grant.candidate();
    let share = grant.bounded().and_then(|bounded| bounded.gate.clone());
    let path = heed::gated_path(held, question.target, question.path)?;
    let course = heed::course(held, share.as_ref(), (question.method, &path), patience(held));
    let whole = Patience { may: course.patience, most: course.patience };
    let wait = gate::outlook(&course, grant).map_err(|refused| refused.of_patience(whole))?;
    let open_for = way.breaker.as_ref().and_then(|breaker| breaker.open_for());
    open_for.map_or(Ok(()), |open_for| behind_circuit(wait, open_for))?;
    Ok(wait)
}

/// Refuses what comes to an open circuit after this wait.
pub(super) fn behind_circuit(wait: Duration, open_for: Duration) -> Result<(), Refused> {
    if open_for > wait { Err(Refused::Circuit(open_for.max(Duration::from_secs(1)))) } else { Ok(()) }
}

/// How long it may wait: its client is taken to wait as long as the service has it.
fn patience(held: &Held) -> Duration {
    held.entry.service.limits.max_wait
}

impl Met {
    pub(super) fn of(grant: &Grant<Held>, question: &Question<'_>, origin: Option<Origin>) -> Self {
        let held = grant.candidate();
        let keys = std::iter::once(held).chain(grant.others()).map(Arc::clone).collect();
        let path = heed::gated_path(held, question.target, question.path).unwrap_or_default().into_owned();
        Self { keys, method: question.method.to_owned(), path, origin }
    }

    /// The keys that may be used.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Credential> {
        self.keys.iter().map(|held| &held.credential)
    }

    /// Whether the request may meet a limit of this bucket; none: of all requests. Of a limit that the configuration has for
    /// certain requests, the bucket is its rule. `exact` is the bucket itself, where that is known beside how it is shown.
    pub fn may_meet(&self, is_rule: bool, exact: Option<&str>, shown: Option<&str>) -> bool {
        let (Some(shown), Some(held)) = (shown, self.keys.first()) else { return true };
        if is_rule {
            let mut rules = held.entry.service.gating.per_route.iter().map(|(rule, _)| rule);
            let own = rules.find(|rule| rule.admits(&self.method, &self.path));
            return own.is_some_and(|rule| rule.to_string() == exact.unwrap_or(shown));
        }
        gate::may_belong(&held.entry.family, (&self.method, &self.path), exact, shown)
    }

    /// Whether it is certain to which bucket it belongs; else only the process knows that heard the answers.
    pub fn is_certain(&self) -> bool {
        self.keys.first().is_none_or(|held| gate::is_declared(&held.entry.family, &self.method, &self.path))
    }
}
