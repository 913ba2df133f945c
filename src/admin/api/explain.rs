//! What would become of a request: service, rule, key, and why. Nothing is sent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Known;
use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{self, Named};
use crate::admin::problem::Problem;
use crate::admin::who::Who;
use crate::domain::{Credential, Environment, Name, ServiceName};
use crate::operations::{Actor, GateShown, Operations};
use crate::pipeline::Snapshot;
use crate::pipeline::explain::{self, Asked, Considering, Finding, Met, Told};

use super::Shared;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(explain_request))
}

const LONGEST_METHOD: usize = 32;
const LONGEST_URL: usize = 8192;

/// A request to explain.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Question {
    /// Its method.
    #[schema(example = "GET", max_length = 32)]
    method: String,
    /// Its URL, or its path at the proxy.
    #[schema(example = "https://api.stripe.com/v1/charges", max_length = 8192)]
    url: String,
    /// The caller that would send it; the one without proof unless given, which is for administrators.
    #[schema(value_type = Option<Name>)]
    caller: Option<Named>,
    /// The key that it would name by the header `Sidekey-Credential`.
    #[schema(value_type = Option<Name>)]
    credential: Option<Named>,
}

/// What would become of it.
#[derive(Serialize, ToSchema)]
struct Explanation {
    /// `sent`, `passed` (to a host of no service, without a key) or `refused`.
    outcome: &'static str,
    /// The code of the refusal.
    code: Option<&'static str>,
    /// Why, and what to do.
    why: Option<String>,
    /// For how many seconds it would wait before it is sent, when it is `sent`; after how many another try makes sense, where
    /// that is known, when it is `refused`. As far as it can be told beforehand, for a client that waits as long as it may.
    wait_s: Option<u64>,
    /// At which door it would arrive.
    door: &'static str,
    /// The caller.
    caller: Name,
    /// Its owner.
    owner: Name,
    /// Its environment.
    environment: Option<Environment>,
    /// The service.
    service: Option<ServiceName>,
    /// The key that would be used.
    key: Option<Name>,
    /// On which step of the selection it stands.
    step: Option<&'static str>,
    /// The keys of its pool that stand in when its limit is used up, in their order.
    stand_ins: Vec<Name>,
    /// The first key of its pool, when the limit of that holds it up, so that this one stands in.
    stands_in_for: Option<Name>,
    /// The keys that are open to the caller, in the order of the selection.
    candidates: Vec<CandidateView>,
    /// Where it would be sent.
    upstream: Option<String>,
    /// What is known of the limits that it would meet, and whether its upstream fails: as it was noted, once a second. Null for
    /// who does not administer, as `/gates` is.
    gates: Option<Vec<GateShown>>,
}

/// A key that is open to the caller.
#[derive(Serialize, ToSchema)]
#[schema(as = Candidate)]
struct CandidateView {
    /// Its name.
    key: Name,
    /// The step of the selection.
    step: &'static str,
    /// `eligible`, or what keeps it from being used.
    verdict: &'static str,
}

/// Explain a request
///
/// Decides as the proxy would and sends nothing. It looks at what the running proxy has taken up, which is everything that
/// was changed up to a second ago.
#[utoipa::path(post, path = "/explain", tag = "explain", request_body = Question,
    responses((status = 200, description = "What would become of it", body = Explanation)))]
async fn explain_request(admin: Shared, who: Who, ask::Told(question): ask::Told<Question>) -> Answer<Explanation> {
    if question.method.len() > LONGEST_METHOD || question.url.len() > LONGEST_URL {
        let text = format!("`method` has at most {LONGEST_METHOD} characters and `url` {LONGEST_URL}");
        return Err(Problem::invalid(text));
    }
    let asked = explain::read(&question.method.to_ascii_uppercase(), &question.url).map_err(Problem::invalid)?;
    let caller = question.caller.map(|caller| caller.0);
    if let Some(name) = caller.clone() {
        admin.act(&who, move |operations, actor| operations.caller(actor, &name)).await?;
    }
    let view = admin.line.view();
    let known = known(&view, &who.actor, caller.as_ref())?;
    let named = question.credential.as_ref().map(|name| name.0.as_str());
    let mut finding = explain::decide(&view, &known, &asked, named, admin.now());
    let gates = gates_met(&admin, &who, &known, finding.met.take()).await?;
    Ok(Shown::found(shown(&asked, &known, finding, gates)))
}

/// What is known of the limits on its way, for who may see that.
async fn gates_met(
    admin: &Arc<Admin>,
    who: &Who,
    known: &Arc<Known>,
    met: Option<Met>,
) -> Result<Option<Vec<GateShown>>, Problem> {
    if matches!(who.actor, Actor::Member(_)) {
        return Ok(None);
    }
    let Some(met) = met else { return Ok(Some(Vec::new())) };
    let known = Arc::clone(known);
    let found = move |operations: &Operations, actor: &Actor| {
        let keys: Vec<&Credential> = met.keys().collect();
        let may_meet =
            |gate: &GateShown| met.may_meet(gate.is_of_route(), gate.exact_bucket.as_deref(), gate.bucket.as_deref());
        operations.gates_met(actor, &known, &keys, met.origin.as_ref(), may_meet)
    };
    Ok(Some(admin.act(who, found).await?.gates))
}

/// Who is taken to ask.
fn known(view: &Snapshot, actor: &Actor, caller: Option<&Name>) -> Result<Arc<Known>, Problem> {
    let found = match (caller, actor) {
        (Some(name), _) => view.callers.named(name.as_str()),
        (None, Actor::Member(_)) => None,
        (None, _) => view.callers.unproven(),
    };
    found.map(Arc::clone).ok_or_else(|| match caller {
        Some(name) => Problem::not_found(format!("the running proxy knows no caller `{name}`")),
        None => Problem::invalid("`caller`: say which of your callers would send it"),
    })
}

fn shown(asked: &Asked, known: &Known, finding: Finding, gates: Option<Vec<GateShown>>) -> Explanation {
    let Told { outcome, code, why, wait_s } = finding.outcome.told();
    // What is not open to the caller is as if it did not exist: its owner, who may ask here, may know nothing of it.
    let candidate = |found: &Considering| {
        let (key, (verdict, _)) = (found.held.credential.name.clone(), found.fate.told());
        Some(CandidateView { key, step: found.step?.describe(), verdict })
    };
    Explanation {
        outcome,
        code,
        why,
        wait_s,
        door: asked.door.as_str(),
        caller: known.caller.name.clone(),
        owner: known.owner.name.clone(),
        environment: known.caller.environment.clone(),
        service: finding.service.as_ref().map(|entry| entry.service.name.clone()),
        key: finding.chosen.as_ref().map(|grant| grant.candidate().credential.name.clone()),
        step: finding.chosen.as_ref().map(|grant| grant.step().describe()),
        stand_ins: finding.stand_ins().cloned().collect(),
        stands_in_for: finding.stands_in_for.clone(),
        candidates: finding.candidates.iter().filter_map(candidate).collect(),
        upstream: finding.sent.map(|(origin, path)| format!("{origin}{path}")),
        gates,
    }
}
