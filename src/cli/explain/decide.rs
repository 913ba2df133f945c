//! The decision, step by step in the proxy's own order: service, key, rule, place, destination. What it finds is facts; how
//! they are shown is next door.

use std::sync::Arc;

use crate::access::{self, Candidate as _, Known, Request, Selection, Step, Verdict};
use crate::domain::{Code, Origin, Scheme};
use crate::inject::{self, Mount};
use crate::pipeline::{Entry, Held, Snapshot, Unmatched};
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
    fn refused(code: Code, why: impl Into<String>) -> Self {
        Self::Refused { code, why: why.into() }
    }
}

/// Decides.
pub(super) fn decide(view: &Snapshot, known: &Known, asked: &Asked, named: Option<&str>, now: i64) -> Finding {
    let mut finding =
        Finding { service: None, candidates: Vec::new(), chosen: None, sent: None, outcome: no_service(view, asked) };
    let Some(routed) = view.routes.find(&asked.target, &asked.path) else { return finding };
    let service = routed.service.service.name.clone();
    let request = Request { known, service: &service, named, host: routed.host, now };
    let candidates = view.credentials.candidates(&request).into_iter();
    finding.candidates = candidates.map(|(step, held, verdict)| (step, Arc::clone(held), verdict)).collect();
    finding.service = Some(Arc::clone(routed.service));
    match view.credentials.select(&request) {
        Selection::Chosen(held, step) => {
            finding.chosen = Some((Arc::clone(held), step));
            match rule_and_place(held, asked) {
                Ok(sent) => (finding.sent, finding.outcome) = (Some(sent), Outcome::Sent),
                Err(outcome) => finding.outcome = outcome,
            }
        }
        Selection::Missing => {
            let why = format!("this caller has no key for `{service}`; add one: sidekey key add {service}");
            finding.outcome = Outcome::refused(Code::CredentialMissing, why);
        }
        Selection::NoSuchNamed => {
            let why = format!("no key of that name may be used by this caller on `{service}`");
            finding.outcome = Outcome::refused(Code::NotAllowed, why);
        }
        Selection::Ambiguous(step, held) => {
            let mut equals: Vec<&str> = held.iter().map(|held| held.credential().name.as_str()).collect();
            equals.sort_unstable();
            let why = format!(
                "{} stand on the same step ({}); the caller names one with the header Sidekey-Credential, or the \
                 environments of caller and key tell them apart",
                equals.join(" and "),
                step.describe()
            );
            finding.outcome = Outcome::refused(Code::CredentialAmbiguous, why);
        }
    }
    finding
}

fn no_service(view: &Snapshot, asked: &Asked) -> Outcome {
    match &asked.target {
        Target::Named { name, .. } => {
            let why = format!("there is no service `{name}`; `sidekey service search` finds the built-in ones");
            Outcome::refused(Code::ServiceUnknown, why)
        }
        Target::Hosted { .. } if view.unmatched == Unmatched::Tunnel => Outcome::Passed,
        Target::Hosted { host, .. } => {
            let why = format!("`{host}` belongs to no service; add a [service.NAME] with this host to proxy.toml");
            Outcome::refused(Code::ServiceUnknown, why)
        }
    }
}

/// Where the request would go and its path there, when the rules and the key's own bounds admit it.
fn rule_and_place(held: &Held, asked: &Asked) -> Result<(Origin, String), Outcome> {
    let (service, plan) = (&held.entry.service, &held.outlet.plan);
    let origin = match &asked.target {
        Target::Named { .. } => plan.upstream().origin().clone(),
        Target::Hosted { host, port, .. } => {
            let base = plan.upstream().origin();
            let port = port.filter(|port| !matches!(port, 80 | 443)).unwrap_or(base.port);
            Origin { scheme: base.scheme, host: host.clone(), port }
        }
    };
    let upstream = plan.upstream_at(&origin).ok_or_else(|| {
        Outcome::refused(Code::ServiceUnknown, format!("this key must not go to {}", origin.authority()))
    })?;
    let rules = service.allow.as_deref();
    if (rules.is_some() || plan.fixes_path()) && inject::has_dot_segments(&asked.path) {
        let why = "the path has a `.` or `..` segment where rules or a base path apply; send the resolved path";
        return Err(Outcome::refused(Code::BadRequest, why));
    }
    let mount = match &asked.target {
        Target::Named { rest, .. } => Mount::Base { skip: *rest },
        Target::Hosted { .. } => Mount::Origin(&upstream),
    };
    let path = plan.ruled_path(&asked.path, &mount);
    let path = path.map_err(|error| Outcome::refused(Code::BadRequest, error.to_string()))?.into_owned();
    if !access::rules_admit(rules, asked.method.as_str(), &path) {
        let why = format!("the `allow` rules of `{}` do not admit {} {path}", service.name, asked.method);
        return Err(Outcome::refused(Code::NotAllowed, why));
    }
    if origin.scheme == Scheme::Http && !held.entry.may_carry_key_to(&origin) {
        let why = format!("a key does not go over plain HTTP to {}; see allow_plaintext", origin.authority());
        return Err(Outcome::refused(Code::NotAllowed, why));
    }
    Ok((origin, path))
}
