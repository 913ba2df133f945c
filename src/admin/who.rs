//! Who asks: a token in `Authorization: Bearer`, or the session in a browser's cookie. A session proves with what it changes
//! that a page of this origin sent it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;
use http::{HeaderMap, Method};
use zeroize::Zeroizing;

use crate::operations::{Actor, PassKind, PassView};

use super::Admin;
use super::origin::{self, Source};
use super::problem::Problem;

/// The name of the session's cookie.
pub(super) const SESSION: &str = "sidekey_session";

const HOW: &str = "send a token of `sidekey token add NAME` as `Authorization: Bearer ska_…`, or open a session with a code \
                   of `sidekey login`";

/// Whoever asks.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) actor: Actor,
    /// What was shown.
    pub(super) kind: PassKind,
    pub(super) pass: PassView,
}

/// Lets nobody through who is not known.
pub(super) async fn admit(
    State(admin): State<Arc<Admin>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (kind, text) = shown(request.headers())?;
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    if kind == PassKind::Session && !is_reading && origin::source(request.headers()) != Source::Own {
        let text = "a session changes things for pages of this origin alone, and nothing says that one sent this: no \
                    Origin or Sec-Fetch-Site; programs use a token";
        return Err(origin::refusal(text));
    }
    let found = admin.work(move |operations| operations.actor_showing(kind, text.as_bytes())).await?;
    let (actor, pass) = found.ok_or_else(|| {
        let what = if kind == PassKind::Session { "session" } else { "token" };
        Problem::unauthenticated(format!("the {what} is not valid: it was ended, has expired or was mistyped; {HOW}"))
    })?;
    request.extensions_mut().insert(Who { actor, kind, pass });
    Ok(next.run(request).await)
}

/// What was shown, and as what.
fn shown(headers: &HeaderMap) -> Result<(PassKind, Zeroizing<String>), Problem> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let text = value.to_str().ok().and_then(|text| text.split_once(' '));
        let token = text.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        let token =
            token.ok_or_else(|| Problem::unauthenticated(format!("Authorization is not `Bearer TOKEN`; {HOW}")))?;
        return Ok((PassKind::Token, Zeroizing::new(token.to_owned())));
    }
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let session = pairs.find(|(name, _)| *name == SESSION).map(|(_, value)| Zeroizing::new(value.to_owned()));
    session
        .map(|session| (PassKind::Session, session))
        .ok_or_else(|| Problem::unauthenticated(format!("this API asks who you are: {HOW}")))
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        // Set by `admit`, which stands before every handler that asks for it.
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Problem::unauthenticated(HOW))
    }
}
