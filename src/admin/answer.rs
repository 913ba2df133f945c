//! What handlers answer with: JSON that is made in one place, with the status that fits.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::problem::Problem;

/// An answer or a problem.
pub(super) type Answer<T> = Result<Shown<T>, Problem>;

/// JSON with a status.
pub(super) struct Shown<T> {
    status: StatusCode,
    body: T,
    location: Option<String>,
}

impl<T> Shown<T> {
    /// What was asked for.
    pub(super) fn found(body: T) -> Self {
        Self { status: StatusCode::OK, body, location: None }
    }

    /// What was made, and where it is.
    pub(super) fn made(body: T, location: impl Into<Option<String>>) -> Self {
        Self { status: StatusCode::CREATED, body, location: location.into() }
    }
}

impl<T: Serialize> IntoResponse for Shown<T> {
    fn into_response(self) -> Response {
        let text = match serde_json::to_vec(&self.body) {
            Ok(text) => text,
            Err(error) => return Problem::internal(&error).into_response(),
        };
        let mut answer = (self.status, text).into_response();
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(location) = self.location.and_then(|path| HeaderValue::from_str(&path).ok()) {
            answer.headers_mut().insert(LOCATION, location);
        }
        answer
    }
}
