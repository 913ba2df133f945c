//! The API itself: whether it is alive, who asks, what it offers.

use std::sync::{Arc, LazyLock};

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::describe;
use crate::admin::who::Who;
use crate::domain::{Name, Role};
use crate::operations::{Actor, PassView};

use super::Shared;

pub(super) fn open() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(show_health)).routes(routes!(show_description))
}

pub(super) fn guarded() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(show_whoami))
}

/// Whether the proxy serves.
#[derive(Serialize, ToSchema)]
struct Health {
    /// Whether requests are taken.
    ready: bool,
    /// Why not.
    why: Option<String>,
    /// The version of sidekey.
    version: &'static str,
}

/// Show whether the proxy serves
#[utoipa::path(get, path = "/health", tag = "own", responses((status = 200, description = "Its state", body = Health)))]
async fn show_health(admin: Shared) -> Answer<Health> {
    let why = admin.line.readiness().err();
    Ok(Shown::found(Health { ready: why.is_none(), why, version: env!("CARGO_PKG_VERSION") }))
}

/// Show this description
///
/// OpenAPI 3.1. It is the same for everybody and needs no token.
#[utoipa::path(get, path = "/openapi.json", tag = "own",
    responses((status = 200, description = "The description", body = serde_json::Value)))]
async fn show_description() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(describe::document);
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// Who asks, as the API sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Who)]
struct WhoView {
    /// The user.
    user: Option<Name>,
    /// `admin` or `member`.
    role: &'static str,
    /// `token` or `session`.
    by: &'static str,
    /// The token or session itself, without its text.
    pass: PassView,
}

/// Show who asks
#[utoipa::path(get, path = "/whoami", tag = "own", responses((status = 200, description = "Who asks", body = WhoView)))]
async fn show_whoami(who: Who) -> Answer<WhoView> {
    let role = if matches!(who.actor, Actor::Member(_)) { Role::Member } else { Role::Admin };
    let user = who.actor.user().map(|user| user.name.clone());
    Ok(Shown::found(WhoView { user, role: role.as_str(), by: who.kind.as_str(), pass: who.pass }))
}
