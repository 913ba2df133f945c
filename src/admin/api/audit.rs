//! The audit log's end, for administrators: the newest entries first.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{Asked, Moment, Named};
use crate::admin::page::limit;
use crate::admin::problem::Problem;
use crate::admin::who::Who;
use crate::audit::{Filter, Record};
use crate::domain::{Code, Name};

use super::Shared;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(list_audit))
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// How many entries, 1 to 500; 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u16>,
    /// Only entries with lower numbers: `next` of the page before.
    before: Option<u64>,
    /// Requests for this service, and acts about it.
    #[param(value_type = Option<Name>)]
    service: Option<Named>,
    /// Requests of this caller, and acts on it.
    #[param(value_type = Option<Name>)]
    caller: Option<Named>,
    /// Requests that sidekey answered with this code.
    #[param(example = "rate_limited")]
    code: Option<String>,
    /// From this moment on.
    #[param(value_type = Option<jiff::Timestamp>)]
    since: Option<Moment>,
    /// Before this moment.
    #[param(value_type = Option<jiff::Timestamp>)]
    until: Option<Moment>,
}

/// Entries of the audit log.
#[derive(Serialize, ToSchema)]
struct AuditPage {
    /// The entries, the newest first.
    #[schema(value_type = Vec<AuditEntry>)]
    items: Vec<Record>,
    /// For `before`, to get older ones; null at the beginning.
    next: Option<u64>,
}

/// An entry: a request (`request` is there), an act (`act`) or a note about the log itself (`note`).
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what `audit::Record` writes")]
struct AuditEntry {
    /// Its number in the chain.
    seq: u64,
    /// When, in microseconds since the Unix epoch.
    time: u64,
    /// A request's identifier.
    request: Option<String>,
    /// The request's caller.
    caller: Option<String>,
    /// The request's service.
    service: Option<String>,
    /// The name of the key that it was sent with.
    credential: Option<String>,
    /// The request's method.
    method: Option<String>,
    /// The request's host.
    host: Option<String>,
    /// The request's path, without its query.
    path: Option<String>,
    /// The status that it was answered with.
    status: Option<u16>,
    /// The code of sidekey's own answer.
    code: Option<String>,
    /// What was done, such as `key.add`.
    act: Option<String>,
    /// Tells an act that changed the store from every other.
    id: Option<String>,
    /// Who did it.
    actor: Option<String>,
    /// The name of what it was done to.
    object: Option<String>,
    /// What happened to the log.
    note: Option<String>,
}

impl Wanted {
    fn filter(&self) -> Result<Filter, Problem> {
        if self.before.is_some_and(|before| i64::try_from(before).is_err()) {
            return Err(Problem::invalid("the query: `before` is `next` of the page before"));
        }
        let code = |text: &String| Code::ALL.iter().find(|code| code.as_str() == text).copied();
        let unknown = || Problem::invalid("the query: `code` is one of those in docs/errors.md");
        let since = |at: &Moment| Duration::from_secs(u64::try_from(at.0).unwrap_or(0));
        Ok(Filter {
            service: self.service.as_ref().map(|name| name.0.to_string()),
            caller: self.caller.as_ref().map(|name| name.0.to_string()),
            code: self.code.as_ref().map(|text| code(text).ok_or_else(unknown)).transpose()?,
            since: self.since.as_ref().map(since),
            until: self.until.as_ref().map(since),
            before: self.before,
        })
    }
}

/// List the audit log
///
/// For administrators. The newest entries come first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(Wanted),
    responses((status = 200, description = "The entries", body = AuditPage)))]
async fn list_audit(admin: Shared, who: Who, Asked(wanted): Asked<Wanted>) -> Answer<AuditPage> {
    let (most, filter) = (limit(wanted.limit)?, wanted.filter()?);
    let mut items = admin.act(&who, move |operations, actor| operations.audit(actor, most + 1, filter)).await?;
    let has_more = items.len() > most;
    items.truncate(most);
    let next = items.last().filter(|_| has_more).map(|record| record.seq);
    Ok(Shown::found(AuditPage { items, next }))
}
