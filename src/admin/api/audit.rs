//! The audit log, for administrators: its newest entries, whether it holds, and all of it for other programs.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{Asked, Moment, Named};
use crate::admin::page::limit;
use crate::admin::problem::Problem;
use crate::admin::stream;
use crate::admin::who::Who;
use crate::audit::{self, Filter, Format, Problem as Fault, Record, Report};
use crate::domain::{Code, Name};
use crate::operations::Operations;

use super::Shared;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(list_audit))
        .routes(routes!(show_audit_report))
        .routes(routes!(show_audit_export))
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
        Ok(Filter {
            service: self.service.as_ref().map(|name| name.0.to_string()),
            caller: self.caller.as_ref().map(|name| name.0.to_string()),
            code: self.code.as_deref().map(code).transpose()?,
            since: self.since.as_ref().map(since_epoch),
            until: self.until.as_ref().map(since_epoch),
            before: self.before,
        })
    }
}

fn code(text: &str) -> Result<Code, Problem> {
    let known = Code::ALL.into_iter().find(|code| code.as_str() == text);
    known.ok_or_else(|| Problem::invalid("the query: `code` is one of those in docs/errors.md"))
}

fn since_epoch(at: &Moment) -> Duration {
    Duration::from_secs(u64::try_from(at.0).unwrap_or(0))
}

/// What is to be exported, and how.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Export {
    /// `jsonl`, one JSON object a line with times in microseconds since 1970, or `csv`, a table with a header line and times
    /// in RFC 3339; `jsonl` unless given.
    #[serde(default)]
    #[param(required = false)]
    format: ExportFormat,
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

/// The forms of an export.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ExportFormat {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// A table with a header line.
    Csv,
}

/// From where on the chain is to go through a place.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Anchored {
    /// A hash that was once the head: the chain must still go through it.
    anchor: Option<String>,
}

/// Whether the audit log holds, from its first entry to its head.
#[derive(Serialize, ToSchema)]
struct AuditReport {
    /// Whether nothing was changed, removed or moved.
    ok: bool,
    /// How many sealed entries, acts and notes were read, from the first on.
    entries: u64,
    /// In how many batches.
    batches: u64,
    /// In how many files.
    segments: u64,
    /// The hash after the last seal, in hexadecimal: the anchor to keep elsewhere.
    head: String,
    /// Lines at the very end that no seal covers yet.
    unsealed: u64,
    /// Bytes at the very end that are no whole line.
    torn_bytes: u64,
    /// How many notes about the log itself it holds.
    notes: u64,
    /// The first thing that is not as it must be; what follows it was not read.
    problem: Option<AuditProblem>,
}

/// Something in the audit log that is not as it must be.
#[derive(Serialize, ToSchema)]
struct AuditProblem {
    /// In which of its files.
    file: String,
    /// At which line, from 1.
    line: u64,
    /// What it means.
    meaning: String,
}

impl AuditReport {
    fn of(report: Report) -> Self {
        let named = |file: &Path| file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let problem =
            report.problem.map(|Fault { file, line, meaning }| AuditProblem { file: named(&file), line, meaning });
        let Report { entries, batches, segments, head, unsealed, torn_bytes, notes, .. } = report;
        Self { ok: problem.is_none(), entries, batches, segments, head, unsealed, torn_bytes, notes, problem }
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

/// Verify the audit log
///
/// For administrators. Walks the whole chain, as `sidekey audit verify` does, and says where it does not hold, if anywhere.
#[utoipa::path(get, path = "/audit/verify", tag = "audit", params(Anchored),
    responses((status = 200, description = "What was found, also when it does not hold", body = AuditReport)))]
async fn show_audit_report(admin: Shared, who: Who, Asked(asked): Asked<Anchored>) -> Answer<AuditReport> {
    let turn = admin.long_turn().await?;
    let verify = move |operations: &Operations, actor: &_| operations.verify_audit(actor, asked.anchor.as_deref());
    let (report, _turn) = admin.act_at_length(&who, turn, verify).await?;
    Ok(Shown::found(AuditReport::of(report)))
}

/// Export the audit log
///
/// For administrators. Everything that fits, the oldest first, as `sidekey audit export` writes it. It is sent while it is
/// read; when it cannot be read to its end, the answer breaks off.
#[utoipa::path(get, path = "/audit/export", tag = "audit", params(Export), responses((status = 200,
    description = "The entries", content((String = "application/x-ndjson"), (String = "text/csv")))))]
async fn show_audit_export(admin: Shared, who: Who, Asked(wanted): Asked<Export>) -> Result<Response, Problem> {
    let Export { format, service, caller, code, since, until } = wanted;
    let filter = Filter {
        service: service.map(|name| name.0.to_string()),
        caller: caller.map(|name| name.0.to_string()),
        code: code.as_deref().map(self::code).transpose()?,
        since: since.as_ref().map(since_epoch),
        until: until.as_ref().map(since_epoch),
        before: None,
    };
    let (kind, format) = match format {
        ExportFormat::Jsonl => ("application/x-ndjson", Format::JsonLines),
        ExportFormat::Csv => ("text/csv; charset=utf-8", Format::Csv),
    };
    let turn = admin.long_turn().await?;
    let read = move |operations: &Operations, actor: &_| operations.read_audit(actor, filter);
    let (entries, turn) = admin.act_at_length(&who, turn, read).await?;
    let body = stream::written(move |out| {
        let written = audit::export(entries, format, out);
        drop(turn);
        written.map(drop).map_err(io::Error::other)
    });
    Ok(([(CONTENT_TYPE, kind)], body).into_response())
}
