//! The decision on a request without the request: step by step in the line's own order, service, key, rule, place,
//! destination, limits. What it finds is facts; how they are shown is for whoever asked. Nothing is admitted, opened or sent.

mod asked;
mod candidates;
mod met;

use std::sync::Arc;
use std::time::Duration;

use crate::access::{Grant, Known, Unauthorized};
use crate::domain::{Code, Name, Origin};
use crate::route::Target;

use super::judge::{self, Question, Way};
use super::{CallerFault, Entry, Held, Problem, ProxyError, Snapshot, Unmatched};

use candidates::consider;

pub use asked::{Asked, read};
pub use candidates::{Considering, Fate};
pub use met::Met;

/// What was found.
#[derive(Debug)]
pub struct Finding {
    /// The service, when the target belongs to one.
    pub service: Option<Arc<Entry>>,
    /// Every key of the service: those that are open to the caller in selection order, then the others.
    pub candidates: Vec<Considering>,
    /// The key that would be used, and through which shares.
    pub chosen: Option<Grant<Held>>,
    /// The first key of its pool, when its limit has another stand in for it.
    pub stands_in_for: Option<Name>,
    /// By what it is known which limits it meets; none when there is no key.
    pub met: Option<Met>,
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
    Sent {
        /// After so long, as far as it can be told.
        wait: Duration,
    },
    /// It would be passed on without a key.
    Passed,
    /// sidekey itself would answer.
    Refused {
        /// With which code.
        code: Code,
        /// Why, and what to do.
        why: String,
        /// After which time another try makes sense, where that is known.
        wait: Option<Duration>,
    },
}

/// An outcome for programs.
#[derive(Debug)]
pub struct Told {
    /// `sent`, `passed` or `refused`.
    pub outcome: &'static str,
    /// The code of the refusal.
    pub code: Option<&'static str>,
    /// Why, and what to do.
    pub why: Option<String>,
    /// For how many seconds it would wait before it is sent, or after how many another try makes sense.
    pub wait_s: Option<u64>,
}

impl Outcome {
    /// In the proxy's own words.
    fn refused(fault: impl Into<ProxyError>) -> Self {
        let problem = Problem::of(&fault.into());
        Self::Refused { code: problem.code, why: problem.detail, wait: problem.retry_after }
    }

    /// For programs.
    pub fn told(&self) -> Told {
        let (outcome, code, why, wait) = match self {
            Self::Sent { wait } => ("sent", None, None, Some(*wait)),
            Self::Passed => ("passed", None, None, None),
            Self::Refused { code, why, wait } => ("refused", Some(code.as_str()), Some(why.clone()), *wait),
        };
        Told { outcome, code, why, wait_s: wait.map(in_seconds) }
    }
}

/// Rounded up, so that who comes back then does not come too early.
pub const fn in_seconds(wait: Duration) -> u64 {
    wait.as_secs() + if wait.subsec_nanos() > 0 { 1 } else { 0 }
}

impl Finding {
    /// The keys of the pool that stand in when the limit of the key is used up, in their order.
    pub fn stand_ins(&self) -> impl Iterator<Item = &Name> {
        let others = self.chosen.iter().flat_map(Grant::others).map(|held| &held.credential.name);
        others.filter(|name| self.stands_in_for.as_ref() != Some(name))
    }

    /// The circuit in front of where it would go is open for so long: said by who knows of it from another process.
    pub fn circuit_is_open(&mut self, open_for: Duration) {
        if let Outcome::Sent { wait } = self.outcome
            && let Err(refused) = met::behind_circuit(wait, open_for)
        {
            self.outcome = Outcome::refused(refused);
        }
    }

    /// Another key of the pool stands in for the first, whose limit holds it up for longer.
    fn turned(&mut self, first: &Arc<Held>, to: &Arc<Held>) {
        self.stands_in_for = Some(first.credential.name.clone());
        for one in &mut self.candidates {
            one.fate = match one.fate {
                Fate::Chosen => Fate::HeldUp,
                Fate::StandsIn if Arc::ptr_eq(&one.held, to) => Fate::Chosen,
                other => other,
            };
        }
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
        stands_in_for: None,
        met: None,
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
    let outcome = ruled.and_then(|()| outcome(&mut finding, &mut grant, &question));
    finding.outcome = outcome.map_or_else(Outcome::refused, |wait| Outcome::Sent { wait });
    let origin = finding.sent.as_ref().map(|(origin, _)| origin.clone());
    finding.met = Some(Met::of(&grant, &question, origin));
    finding.chosen = Some(grant);
    finding
}

/// After which time it would be sent, and where to.
fn outcome(finding: &mut Finding, grant: &mut Grant<Held>, question: &Question<'_>) -> Result<Duration, ProxyError> {
    let first = Arc::clone(grant.candidate());
    met::turn(grant, question)?;
    if !Arc::ptr_eq(&first, grant.candidate()) {
        finding.turned(&first, grant.candidate());
    }
    let (way, sent) = sent(grant.candidate(), question)?;
    finding.sent = Some(sent);
    met::outlook(grant, question, &way)
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

/// The way of the request, with where it leads and the path there, when the key may go there.
fn sent(held: &Held, question: &Question<'_>) -> Result<(Way, (Origin, String)), ProxyError> {
    let way = judge::way(held, question.target)?;
    let path = held.outlet.plan.ruled_path(question.path, &way.mount(held, question.target))?.into_owned();
    let origin = way.destination.origin().clone();
    Ok((way, (origin, path)))
}
