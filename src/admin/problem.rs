//! What went wrong, as a problem document (RFC 9457): a status, a code that never changes, and a sentence for the person who
//! must act. It is written with the request's identifier when the answer leaves (`finish`).

use std::error::Error;
use std::fmt::Write as _;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::operations::{ErrorCode, OperationError};

/// A problem on its way to whoever asked.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    /// The status of the answer.
    pub(super) status: StatusCode,
    /// What it is, for programs.
    pub(super) code: &'static str,
    /// What, why and what to do, for people.
    pub(super) detail: String,
    /// What more the code's cases carry: a name and a value.
    pub(super) more: Option<(&'static str, Value)>,
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemView {
    /// `about:blank`: the code tells the kind.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What, why and what to do, for the person who must act.
    detail: String,
    /// What it is, for programs; the text of a code never changes.
    #[schema(example = "not_found")]
    code: String,
    /// The request's identifier, as in the header `X-Request-Id`.
    request_id: String,
    /// With `in_use`: who used the key, and how often.
    #[schema(value_type = Option<Vec<crate::operations::KeyUse>>)]
    used_by: Option<Value>,
    /// With `not_verified`: what the service said of the value.
    #[schema(value_type = Option<crate::operations::Verification>)]
    verification: Option<Value>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), more: None }
    }

    /// What was asked cannot be; the text says why and what can.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    /// There is no such thing.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// Nobody was told apart.
    pub(super) fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    /// Too much is under way.
    pub(super) fn busy() -> Self {
        let text = "too many requests are under way; try again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text)
    }

    /// We failed; why is for the log.
    pub(super) fn internal(error: &dyn Error) -> Self {
        tracing::error!(error = chain(error), "an admin request failed");
        let text = "sidekey failed to do this; its log has the reason under this request's time";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", text)
    }

    /// The problem of an operation.
    pub(super) fn of(error: &OperationError) -> Self {
        let code = error.code();
        let status = match code {
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::NameTaken | ErrorCode::Ambiguous | ErrorCode::Conflict => StatusCode::CONFLICT,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Internal => return Self::internal(error),
        };
        Self::new(status, code.as_str(), chain(error))
    }

    pub(super) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.more = Some((name, value));
        self
    }

    /// The document, for the request called `id`.
    pub(super) fn document(&self, id: &str) -> Value {
        let mut document = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Problem"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "request_id": id,
        });
        if let (Some((name, value)), Some(document)) = (&self.more, document.as_object_mut()) {
            document.insert((*name).to_owned(), value.clone());
        }
        document
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut answer = self.status.into_response();
        answer.extensions_mut().insert(self);
        answer
    }
}

/// An error with its causes; one that only repeats its cause stands once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let (mut last, mut next) = (text.clone(), error.source());
    while let Some(cause) = next {
        let said = cause.to_string();
        if said != last {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {said}");
        }
        (last, next) = (said, cause.source());
    }
    text
}
