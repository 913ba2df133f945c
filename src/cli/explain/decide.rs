//! The decision, step by step in the proxy's own order: service, key, rule, place, destination. What it finds is facts; how
//! they are shown is next door.

use std::sync::Arc;

use crate::access::{Known, Step, Verdict};
use crate::domain::{Code, Origin};
use crate::pipeline::judge::{self, Question};
use crate::pipeline::{Entry, Held, Problem, ProxyError, Snapshot, Unmatched};
use crate::route::Target;

use super::target::Asked;

/// What was found.
pub(super) struct Finding {
    /// The service, when the target belongs to one.
    pub(super) service: Option<Arc<Entry>>,
    /// Every key that is open to the caller, in selection order.
    pub(super) candidates: Vec<(Step, Arc<Held>, Verdict)>,
    /// The key that would be used.
    pub(super) chosen: Option<(Arc<Held>, Step)>,
    /// Where the request would go, and the path without the key's own segments.
    pub(super) sent: Option<(Origin, String)>,
    /// What would come of it.
    pub(super) outcome: Outcome,
}

/// What would come of the request.
pub(super) enum Outcome {
    /// It would be sent.
    Sent,
    /// It would be passed on without a key.
    Passed,
    /// sidekey itself would answer.
    Refused {
        /// With which code.
        code: Code,
        /// Why, and what to do.
        why: String,
    },
}

impl Outcome {
    /// In the proxy's own words.
    fn refused(fault: impl Into<ProxyError>) -> Self {
        let problem = Problem::of(&fault.into());
        Self::Refused { code: problem.code, why: problem.detail }
    }
}

/// Decides.
pub(super) fn decide(view: &Snapshot, known: &Arc<Known>, asked: &Asked, named: Option<&str>, now: i64) -> Finding {
    let target = &asked.target;
    let question = Question { target, method: asked.method.as_str(), path: &asked.path, named, now };
    let mut finding =
        Finding { service: None, candidates: Vec::new(), chosen: None, sent: None, outcome: unmatched(view, target) };
    let Some(routed) = view.routes.find(target, target.within(&asked.path)) else { return finding };
    let candidates = view.credentials.candidates(&question.selection(known, &routed)).into_iter();
    finding.candidates = candidates.map(|(step, held, verdict)| (step, Arc::clone(held), verdict)).collect();
    finding.service = Some(Arc::clone(routed.service));
    let grant = match judge::choose(view, known, &routed, &question) {
        Ok(grant) => grant,
        Err(fault) => {
            finding.outcome = Outcome::refused(fault);
            return finding;
        }
    };
    match sent(grant.candidate(), &question) {
        Ok(sent) => (finding.sent, finding.outcome) = (Some(sent), Outcome::Sent),
        Err(fault) => finding.outcome = Outcome::refused(fault),
    }
    finding.chosen = Some((Arc::clone(grant.candidate()), grant.step()));
    finding
}

fn unmatched(view: &Snapshot, target: &Target) -> Outcome {
    if view.unmatched == Unmatched::Tunnel && matches!(target, Target::Hosted { .. }) {
        return Outcome::Passed;
    }
    Outcome::refused(judge::no_service(target))
}

/// Where the request would go and its path there, when the rules and the key's own bounds admit it.
fn sent(held: &Held, question: &Question<'_>) -> Result<(Origin, String), ProxyError> {
    judge::check_rules(held, question)?;
    let way = judge::way(held, question.target)?;
    let path = held.outlet.plan.ruled_path(question.path, &way.mount(held, question.target))?.into_owned();
    Ok((way.destination.origin().clone(), path))
}
