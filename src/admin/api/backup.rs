//! Backups, for administrators: everything in one file down, and a store in the place of the present one up. The master key
//! travels in neither direction.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::problem::Problem;
use crate::admin::stream;
use crate::admin::who::Who;
use crate::operations::{BackupFile, Operations, Restored};

use super::Shared;

/// The type of a backup's file, and what may be said of any file.
const TAR: &str = "application/x-tar";
const BYTES: &str = "application/octet-stream";
/// The largest backup that is taken, in bytes: 16 GiB. What is larger is restored at the command line.
const LARGEST: u64 = 16 << 30;

const VALUES: HeaderName = HeaderName::from_static("sidekey-values");
const UNOPENABLE: HeaderName = HeaderName::from_static("sidekey-unopenable");
const AUDIT_ENTRIES: HeaderName = HeaderName::from_static("sidekey-audit-entries");
const AUDIT_HEAD: HeaderName = HeaderName::from_static("sidekey-audit-head");

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(make_backup)).routes(routes!(restore_backup))
}

/// The file of a backup.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "describes what comes and goes as a stream")]
struct BackupBytes(Vec<u8>);

/// What was restored.
#[derive(Serialize, ToSchema)]
#[schema(as = Restored)]
struct RestoredView {
    /// When the backup was made, in UTC.
    made_at: String,
    /// Sealed values that open.
    values: usize,
    /// Sealed values that do not open with the master key.
    unopenable: Vec<String>,
    /// The folder in the data folder where the store is that was there before.
    former: Option<String>,
}

/// Download a backup
///
/// For administrators. The store and the audit log in one file, as `sidekey backup` makes it: it was read back, every sealed
/// value opened once, and the audit log verified. What was found is in the headers. The master key is not in it.
#[utoipa::path(post, path = "/backup", tag = "backup", responses((status = 200,
    description = "The backup", content_type = "application/x-tar", body = BackupBytes,
    headers(
        ("Content-Disposition" = String, description = "What the file is to be called"),
        ("Sidekey-Values" = u64, description = "Sealed values that opened"),
        ("Sidekey-Unopenable" = u64, description = "Sealed values that do not open, and are in it as they are"),
        ("Sidekey-Audit-Entries" = u64, description = "Sealed entries of the audit log"),
        ("Sidekey-Audit-Head" = String, description = "The hash that the audit log ends with: an anchor to keep elsewhere"),
    ))))]
async fn make_backup(admin: Shared, who: Who) -> Result<Response, Problem> {
    let turn = admin.long_turn().await?;
    let look = Arc::clone(&admin.look);
    let make = move |operations: &Operations, actor: &_| operations.back_up_to_send(actor, &*look);
    let (BackupFile { name, mut file, view }, turn) = admin.act_at_length(&who, turn, make).await?;
    if !view.unopenable.is_empty() {
        tracing::warn!(values = ?view.unopenable, "these are in the backup and do not open");
    }
    let body = stream::written(move |out| {
        let sent = io::copy(&mut file, out).map(drop);
        drop(turn);
        sent
    });
    let mut answer = (StatusCode::OK, body).into_response();
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(TAR));
    headers.insert(CONTENT_LENGTH, view.bytes.into());
    headers.insert(VALUES, view.values.into());
    headers.insert(UNOPENABLE, view.unopenable.len().into());
    headers.insert(AUDIT_ENTRIES, view.audit_entries.into());
    let named = format!("attachment; filename=\"{name}\"");
    let texts = [(CONTENT_DISPOSITION, named), (AUDIT_HEAD, view.audit_head)];
    headers.extend(texts.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?))));
    Ok(answer)
}

/// Restore a backup
///
/// For administrators. The body is a backup's file, of at most 16 GiB. It is checked as `sidekey restore` does, with the
/// master key of the running process; then its store takes the place of the present one, at once and as a whole, while the
/// proxy serves. The present store is kept in a folder of the data folder. The audit log goes on: that of the backup is
/// checked and left out. Users, callers, keys, services, tokens and sessions are those of the backup from then on, so the
/// token that asked may be none any more.
#[utoipa::path(post, path = "/restore", tag = "backup",
    request_body(content((BackupBytes = "application/x-tar"), (BackupBytes = "application/octet-stream")),
        description = "The file of a backup"),
    responses((status = 200, description = "It was done", body = RestoredView)))]
async fn restore_backup(admin: Shared, who: Who, request: Request) -> Answer<RestoredView> {
    if !is_tar(request.headers()) {
        let text = "send the backup's file, with `Content-Type: application/x-tar`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", text));
    }
    let turn = admin.long_turn().await?;
    let place = admin.act(&who, |operations, actor| {
        let received = operations.receive_backup(actor)?;
        let file = received.create()?;
        Ok((received, file))
    });
    let (received, file) = place.await?;
    let body: Body = request.into_body();
    stream::into_file(body, file, LARGEST).await?;
    let look = Arc::clone(&admin.look);
    let restore = move |operations: &Operations, actor: &_| operations.restore_here(actor, &received, &*look);
    let (Restored { made_at, values, unopenable, former }, _turn) = admin.act_at_length(&who, turn, restore).await?;
    let former = former.as_deref().and_then(std::path::Path::file_name).map(|name| name.to_string_lossy().into_owned());
    Ok(Shown::found(RestoredView { made_at, values, unopenable, former }))
}

fn is_tar(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| [TAR, BYTES].iter().any(|known| kind.trim().eq_ignore_ascii_case(known)))
}
