//! Tokens for programs and sessions of browsers.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{Asked, At, Moment, Named, SecretText, Told};
use crate::admin::page::{Page, PageQuery};
use crate::admin::problem::Problem;
use crate::admin::who::{SESSION, Who};
use crate::operations::{Actor, Operations, PassKind, PassView, SESSION_LIFE};

use super::Shared;

pub(super) fn open() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(open_session))
}

pub(super) fn guarded() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(end_own_session))
        .routes(routes!(list_sessions))
        .routes(routes!(end_session))
        .routes(routes!(list_tokens, add_token))
        .routes(routes!(revoke_token))
}

/// A code to open a session with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    /// The one-time code of `sidekey up` or `sidekey login`.
    #[schema(value_type = String, example = "sko_…", write_only)]
    code: SecretText,
}

/// Open a session
///
/// The code works once. The session is a cookie for this address alone, unseen by scripts, for twelve hours.
#[utoipa::path(post, path = "/session", tag = "sessions", request_body = Login,
    responses((status = 201, description = "The session, with its cookie", body = PassView)))]
async fn open_session(admin: Shared, Told(login): Told<Login>) -> Result<Response, Problem> {
    let opened = admin.work(move |operations| operations.open_session(&login.code.0)).await;
    let shown = opened.map_err(|problem| match problem.status {
        StatusCode::FORBIDDEN => Problem::unauthenticated(problem.detail),
        _ => problem,
    })?;
    let cookie =
        format!("{SESSION}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={SESSION_LIFE}", shown.token.reveal());
    let mut answer = Shown::made(shown.pass, None).into_response();
    let mut cookie = HeaderValue::from_str(&cookie).map_err(|error| Problem::internal(&error))?;
    cookie.set_sensitive(true);
    answer.headers_mut().insert(SET_COOKIE, cookie);
    Ok(answer)
}

/// End the session that asks
#[utoipa::path(delete, path = "/session", tag = "sessions", responses((status = 204, description = "It is ended")))]
async fn end_own_session(admin: Shared, who: Who) -> Result<Response, Problem> {
    if who.kind != PassKind::Session {
        let text = "a token asks, and no session; end one of them under /tokens or /sessions";
        return Err(Problem::new(StatusCode::CONFLICT, "conflict", text));
    }
    let id = who.pass.id.clone();
    admin.act(&who, move |operations, actor| operations.end_pass(actor, PassKind::Session, &id)).await?;
    let gone = format!("{SESSION}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, gone)]).into_response())
}

/// List the open sessions
///
/// A member sees its own.
#[utoipa::path(get, path = "/sessions", tag = "sessions", params(PageQuery),
    responses((status = 200, description = "The sessions, in the order of their opening", body = Page<PassView>)))]
async fn list_sessions(admin: Shared, who: Who, Asked(page): Asked<PageQuery>) -> Answer<Page<PassView>> {
    list(&admin, &who, PassKind::Session, &page).await
}

/// End a session
#[utoipa::path(delete, path = "/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "Its identifier")),
    responses((status = 204, description = "It is ended")))]
async fn end_session(admin: Shared, who: Who, At(id): At<String>) -> Result<StatusCode, Problem> {
    admin.act(&who, move |operations, actor| operations.end_pass(actor, PassKind::Session, &id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// What to call it.
    #[schema(value_type = crate::domain::Name, example = "deploy")]
    name: Named,
    /// The user whose role it has; the asking one unless given.
    #[schema(value_type = Option<crate::domain::Name>)]
    user: Option<Named>,
    /// From when on it is worth nothing.
    #[schema(value_type = Option<jiff::Timestamp>)]
    expires_at: Option<Moment>,
}

/// A token in the one moment in which it is shown.
#[derive(Serialize, ToSchema)]
struct FreshToken {
    #[serde(flatten)]
    pass: PassView,
    /// The token; it is kept as its digest and not shown again.
    #[schema(example = "ska_…", read_only)]
    token: String,
}

/// List the tokens
///
/// A member sees its own.
#[utoipa::path(get, path = "/tokens", tag = "tokens", params(PageQuery),
    responses((status = 200, description = "The tokens, in the order of their making", body = Page<PassView>)))]
async fn list_tokens(admin: Shared, who: Who, Asked(page): Asked<PageQuery>) -> Answer<Page<PassView>> {
    list(&admin, &who, PassKind::Token, &page).await
}

/// Make a token
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = NewToken,
    responses((status = 201, description = "The token, shown this once", body = FreshToken)))]
async fn add_token(admin: Shared, who: Who, Told(new): Told<NewToken>) -> Answer<FreshToken> {
    let add = move |operations: &Operations, actor: &Actor| {
        let (user, expires) = (new.user.map(|user| user.0), new.expires_at.map(|at| at.0));
        operations.add_token(actor, &new.name.0, user.as_ref(), expires)
    };
    let shown = admin.act(&who, add).await?;
    let location = format!("/api/v1/tokens/{}", shown.pass.id);
    Ok(Shown::made(FreshToken { token: shown.token.reveal().to_owned(), pass: shown.pass }, location))
}

/// Revoke a token
#[utoipa::path(delete, path = "/tokens/{token}", tag = "tokens",
    params(("token" = String, Path, description = "Its identifier or its name")),
    responses((status = 204, description = "It is worth nothing from the next request on")))]
async fn revoke_token(admin: Shared, who: Who, At(token): At<String>) -> Result<StatusCode, Problem> {
    admin.act(&who, move |operations, actor| operations.end_pass(actor, PassKind::Token, &token)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list(admin: &Arc<Admin>, who: &Who, kind: PassKind, page: &PageQuery) -> Answer<Page<PassView>> {
    let passes = admin.act(who, move |operations, actor| operations.passes(actor, kind)).await?;
    Ok(Shown::found(page.cut(passes, |pass| pass.id.clone())?))
}
