//! The decision on a request without the request: step by step in the line's own order, service, key, rule, place,
//! destination. What it finds is facts; how they are shown is for whoever asked. Nothing is admitted, opened or sent.

mod asked;
mod candidates;

use std::sync::Arc;

use crate::access::{Grant, Known, Unauthorized};
use crate::domain::{Code, Origin};
use crate::route::Target;

use super::judge::{self, Question};
use super::{CallerFault, Entry, Held, Problem, ProxyError, Snapshot, Unmatched};

use candidates::consider;

pub use asked::{Asked, read};
pub use candidates::{Considering, Fate};

/// What was found.
#[derive(Debug)]
pub struct Finding {
    /// The service, when the target belongs to one.
    pub service: Option<Arc<Entry>>,
    /// Every key of the service: those that are open to the caller in selection order, then the others.
    pub candidates: Vec<Considering>,
    /// The key that would be used, and through which shares.
    pub chosen: Option<Grant<Held>>,
    /// Whether the service's rules admit the request; none when they were not asked.
    pub rules_admit: Option<bool>,
    /// Where the request would go, and the path without the key's own segments.
    pub sent: Option<(Origin, String)>,
    /// What would come of it.
    pub outcome: Outcome,
}

/// What would come of the request.
#[derive(Debug)]
pub enum Outcome {
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
pub fn decide(view: &Snapshot, known: &Arc<Known>, asked: &Asked, named: Option<&str>, now: i64) -> Finding {
    let target = &asked.target;
    let question = Question { target, method: asked.method.as_str(), path: &asked.path, named, now };
    let mut finding = Finding {
        service: None,
        candidates: Vec::new(),
        chosen: None,
        rules_admit: None,
        sent: None,
        outcome: unmatched(view, target),
    };
    let Some(routed) = view.routes.find(target, target.within(&asked.path)) else { return finding };
    finding.candidates = consider(view, &question.selection(known, &routed));
    finding.service = Some(Arc::clone(routed.service));
    let mut grant = match judge::choose(view, known, &routed, &question) {
        Ok(grant) => grant,
        Err(fault) => {
            finding.outcome = Outcome::refused(fault);
            return finding;
        }
    };
    let ruled = judge::check_rules(&mut grant, &question);
    finding.rules_admit = admitted(&ruled);
    match ruled.and_then(|()| sent(grant.candidate(), &question)) {
        Ok(sent) => (finding.sent, finding.outcome) = (Some(sent), Outcome::Sent),
        Err(fault) => finding.outcome = Outcome::refused(fault),
    }
    finding.chosen = Some(grant);
    finding
}

fn unmatched(view: &Snapshot, target: &Target) -> Outcome {
    if view.unmatched == Unmatched::Tunnel && matches!(target, Target::Hosted { .. }) {
        return Outcome::Passed;
    }
    Outcome::refused(judge::no_service(target))
}

/// What the service's own rules said; none when something else stood in the way before.
fn admitted(ruled: &Result<(), ProxyError>) -> Option<bool> {
    match ruled {
        Ok(()) | Err(ProxyError::Caller(CallerFault::Unauthorized(Unauthorized::ShareRules { .. }))) => Some(true),
        Err(ProxyError::Caller(CallerFault::Unauthorized(
            Unauthorized::Rules { .. } | Unauthorized::ReadOnly { .. },
        ))) => Some(false),
        Err(_) => None,
    }
}

/// Where the request would go and its path there, when the key may go there.
fn sent(held: &Held, question: &Question<'_>) -> Result<(Origin, String), ProxyError> {
    let way = judge::way(held, question.target)?;
    let path = held.outlet.plan.ruled_path(question.path, &way.mount(held, question.target))?.into_owned();
    Ok((way.destination.origin().clone(), path))
}
