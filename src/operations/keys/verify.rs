//! Trying a key: one harmless call that the service's record names, with the key placed as the proxy places it, over the same
//! connections with the same guard. Blocks for as long as the call takes, on a thread of its own.
//!
//! Invariant: what comes back is read for its status and one member of its JSON, and is never shown: a service may repeat a key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::DeclaredCredential;
use crate::domain::{Credential, Fields, Name, Service, Timeouts, Verify};
use crate::inject::{self, Mount, Plan};
use crate::operations::{Actor, OperationError, Operations};
use crate::store::{Act, CredentialFilter, ListedCredential, Verified};
use crate::upstream::{Approach, Destination, Outgoing, TlsConfigs, Upstream, UpstreamBody};

use super::{KeyDraft, KeyRef};

/// How long the service may take to answer, and again to send its answer's body.
pub(super) const PATIENCE: Duration = Duration::from_secs(9);
/// The most of an answer that is read.
const MOST: usize = 256 * 1024;
/// Some services refuse requests that do not say who asks.
pub(super) const WHO: &str = concat!("sidekey/", env!("CARGO_PKG_VERSION"));

/// The way to the services: the project's own upstream connections, with their guard and trust.
#[derive(Debug)]
pub struct Probe {
    upstream: Upstream,
    tls: TlsConfigs,
}

/// What a call said of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The service takes it.
    Works,
    /// The service does not take it.
    Refused,
    /// The service answers nobody so often: nothing is known of the key.
    Limited,
    /// The answer is none that the record explains: nothing is known of the key.
    Unclear,
    /// There was no answer.
    Unreachable,
}

impl Verdict {
    /// Its text in the audit and the store, which never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Unclear => "unclear",
            Self::Unreachable => "unreachable",
        }
    }
}

/// A call and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Verification {
    /// What it means.
    pub verdict: Verdict,
    /// What was called: method and URL, without the key.
    pub call: String,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub why: Option<String>,
    /// Where a person gets a new key.
    pub key_url: Option<String>,
}

impl Probe {
    /// Goes these ways.
    pub fn new(upstream: Upstream, tls: TlsConfigs) -> Self {
        Self { upstream, tls }
    }

    /// Calls `service` with the key `fields`.
    fn call(
        &self,
        service: &Service,
        variables: &BTreeMap<Name, String>,
        fields: &Fields,
    ) -> Result<Verification, OperationError> {
        let verify = service.verify.as_ref().ok_or_else(|| OperationError::NoVerification(service.name.clone()))?;
        let unplaceable = |source| OperationError::Unplaceable { service: service.name.clone(), source };
        let plan = Plan::compile(service, variables).map_err(unplaceable)?;
        let origin = plan.upstream().origin();
        if !service.may_carry_key_to(origin) {
            let host = &origin.host;
            return Err(OperationError::Invalid(format!(
                "the key would go to {host} over plain HTTP; `allow_plaintext = true` in [service.{}] allows it",
                service.name
            )));
        }
        let parts = request(service, verify, variables)?;
        let call = format!("{} {}://{}{}", parts.method, origin.scheme.as_str(), origin.authority(), parts.uri);
        let placed = inject::place(parts, Mount::Origin(plan.upstream()), &plan, fields);
        let outbound = placed.map_err(|error| OperationError::Invalid(error.to_string()))?;
        let body = verify.body.as_ref().map(|text| Bytes::copy_from_slice(text.as_bytes())).unwrap_or_default();
        let request = Box::new(Request::from_parts(outbound.into_parts(), Outgoing::own(body)));
        let destination = self.destination(service, &plan)?;
        let told = |verdict, status: Option<StatusCode>, why| Verification {
            verdict,
            call,
            status: status.map(|status| status.as_u16()),
            why,
            key_url: service.key_url.clone(),
        };
        Ok(match self.exchange(&destination, service, verify, request)? {
            Ok((status, verdict)) => told(verdict, Some(status), None),
            Err(why) => told(Verdict::Unreachable, None, Some(why)),
        })
    }

    /// The connections.
    pub(super) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Where requests of `service` go.
    pub(super) fn destination(&self, service: &Service, plan: &Plan) -> Result<Arc<Destination>, OperationError> {
        let unusable = |why: String| OperationError::Invalid(format!("service `{}`: {why}", service.name));
        let approach = Approach::new(&service.upstream, service.timeouts.connect, &self.tls)
            .map_err(|error| unusable(error.to_string()))?;
        let origin = plan.upstream().origin().clone();
        Destination::new(origin, &approach).map(Arc::new).map_err(|error| unusable(error.to_string()))
    }

    /// Sends on a thread and a runtime of its own, so that whoever waits here may have a runtime or none. The inner error
    /// says why there was no answer.
    fn exchange(
        &self,
        destination: &Arc<Destination>,
        service: &Service,
        verify: &Verify,
        request: Box<Request<Outgoing>>,
    ) -> Result<Result<(StatusCode, Verdict), String>, OperationError> {
        let timeouts = Timeouts { connect: service.timeouts.connect, first_byte: PATIENCE, idle: PATIENCE };
        let exchange = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(async {
                let answer = self.upstream.exchange(destination, &timeouts, request).await;
                let answer = answer.map_err(|failed| with_causes(&failed.error))?;
                Ok((answer.status(), judge(answer, verify).await))
            }))
        };
        let outcome = std::thread::scope(|scope| scope.spawn(exchange).join());
        let outcome: Result<_, std::io::Error> =
            outcome.unwrap_or_else(|_| Err(std::io::Error::other("the thread ended")));
        outcome.map_err(OperationError::NoThread)
    }
}

impl Operations {
    /// Tries a key at its service.
    ///
    /// # Errors
    /// When there is no such key, `actor` may not change it, its service has no call for it, its value does not open, or the
    /// act cannot be recorded. That the service refuses it is none.
    pub fn verify_key(&self, actor: &Actor, which: &KeyRef, probe: &Probe) -> Result<Verification, OperationError> {
        self.ready()?;
        let credential = self.changeable(actor, which)?;
        let fields = self.vault.open_to_try(&credential)?;
        let verification = self.try_and_record(actor, &credential, &fields, probe, "current")?;
        let verdict = verification.verdict.as_str().to_owned();
        let verified = Verified { at: self.now(), version: credential.version, verdict };
        self.vault.store().note_verified(&credential.id, &verified)?;
        Ok(verification)
    }

    /// The keys that are to be tried by themselves and were not for so long.
    ///
    /// # Errors
    /// When the store fails.
    pub fn due_to_verify(&self) -> Result<Vec<KeyRef>, OperationError> {
        let now = self.now();
        let is_due = |listed: &ListedCredential| {
            let last = listed.verified.as_ref().map(|last| last.at);
            listed.verify_every.is_some_and(|every| last.is_none_or(|last| last.saturating_add(every) <= now))
        };
        let listed = self.vault.list(&CredentialFilter::default())?.into_iter().filter(is_due);
        Ok(listed.map(|listed| KeyRef::Id(listed.credential.id)).collect())
    }

    /// Tries `fields` as the new value of a key, which stays as it is.
    ///
    /// # Errors
    /// As [`Self::verify_key`].
    pub fn try_value(
        &self,
        actor: &Actor,
        which: &KeyRef,
        fields: &Fields,
        probe: &Probe,
    ) -> Result<Verification, OperationError> {
        self.ready()?;
        let credential = self.changeable(actor, which)?;
        self.try_and_record(actor, &credential, fields, probe, "new")
    }

    /// Tries `fields` as the value of a key that is not there yet. Nothing is recorded, since there is nothing yet to speak of.
    ///
    /// # Errors
    /// When the service has no call for it.
    pub fn try_draft(&self, draft: &KeyDraft, fields: &Fields, probe: &Probe) -> Result<Verification, OperationError> {
        probe.call(draft.service(), draft.variables(), fields)
    }

    /// Tries a key that proxy.toml declares, with the value that its place yields.
    ///
    /// # Errors
    /// As [`Self::verify_key`].
    pub fn verify_declared(
        &self,
        actor: &Actor,
        declared: &DeclaredCredential,
        fields: &Fields,
        probe: &Probe,
    ) -> Result<Verification, OperationError> {
        actor.must_administer()?;
        self.ready()?;
        self.try_and_record(actor, &declared.credential(1), fields, probe, "declared")
    }

    fn try_and_record(
        &self,
        actor: &Actor,
        credential: &Credential,
        fields: &Fields,
        probe: &Probe,
        value: &'static str,
    ) -> Result<Verification, OperationError> {
        let pen = self.pen(actor)?;
        let service = self.service(&credential.service)?;
        let verification = probe.call(&service, &credential.variables, fields)?;
        let status = verification.status.map(|status| status.to_string());
        let mut details =
            vec![("service", service.name.as_str()), ("value", value), ("verdict", verification.verdict.as_str())];
        details.extend(status.as_deref().map(|status| ("status", status)));
        pen.note("key.verify", &self.receipt(Act::CredentialVerified, credential), &details)?;
        Ok(verification)
    }
}

/// The request as a caller at the forward door would send it, without the key.
fn request(service: &Service, verify: &Verify, variables: &BTreeMap<Name, String>) -> Result<Parts, OperationError> {
    let default = |name: &Name| service.variables.iter().find(|v| v.name == *name).and_then(|v| v.default.as_deref());
    let path = verify.path.fill(|name| variables.get(name).map(String::as_str).or_else(|| default(name)));
    let unfit = || OperationError::Invalid(format!("the path of `verify` of `{}` makes no URL", service.name));
    let mut request = Request::builder().method(verify.method.clone()).uri(path.ok_or_else(unfit)?);
    request = request.header(USER_AGENT, WHO).header(ACCEPT, "application/json, */*;q=0.5");
    request = request.header(ACCEPT_ENCODING, "identity");
    if verify.body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request.body(()).map(|request| request.into_parts().0).map_err(|_| unfit())
}

/// What an answer means.
async fn judge(answer: Response<UpstreamBody>, verify: &Verify) -> Verdict {
    let (parts, body) = answer.into_parts();
    let verdict = of_status(parts.status, verify);
    let Some(member) = verify.expect_true.as_ref().filter(|_| verdict == Verdict::Works) else { return verdict };
    let Ok(Ok(whole)) = tokio::time::timeout(PATIENCE, Limited::new(body, MOST).collect()).await else {
        return Verdict::Unclear;
    };
    of_body(&whole.to_bytes(), member)
}

fn of_status(status: StatusCode, verify: &Verify) -> Verdict {
    if verify.expect.contains(&status.as_u16()) {
        return Verdict::Works;
    }
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Verdict::Refused,
        StatusCode::TOO_MANY_REQUESTS => Verdict::Limited,
        _ => Verdict::Unclear,
    }
}

/// A body that has to say so itself, as Slack's does: `{"ok": false}` comes with 200.
fn of_body(body: &[u8], member: &str) -> Verdict {
    let read: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    match read.as_ref().and_then(|value| value.get(member)).and_then(serde_json::Value::as_bool) {
        Some(true) => Verdict::Works,
        Some(false) => Verdict::Refused,
        None => Verdict::Unclear,
    }
}

pub(super) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
