//! Callers: the workflows that may ask.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{Asked, At, Named, Network, Told, given};
use crate::admin::page::{Page, PageQuery};
use crate::admin::problem::Problem;
use crate::admin::who::Who;
use crate::domain::{Name, Perimeter, Weight};
use crate::operations::{Actor, CallerEdit, CallerView, NewCaller, Operations, TokenShown};

use super::Shared;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(list_callers, add_caller))
        .routes(routes!(show_caller, edit_caller, delete_caller))
        .routes(routes!(rotate_caller))
}

/// Where a caller's connections must come from; with both empty, anywhere.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Perimeter)]
struct PerimeterTold {
    /// Networks, for connections by TCP.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false, example = json!(["10.1.0.0/16"]))]
    from: Vec<Network>,
    /// Users of the machine, for connections by a Unix socket.
    #[serde(default)]
    #[schema(required = false)]
    peer_uids: Vec<u32>,
}

impl From<PerimeterTold> for Perimeter {
    fn from(told: PerimeterTold) -> Self {
        Self { networks: told.from.into_iter().map(|network| network.0).collect(), uids: told.peer_uids }
    }
}

/// A caller to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCaller)]
struct CallerTold {
    /// What to call it.
    #[schema(value_type = Name, example = "etl")]
    name: Named,
    /// The user it belongs to; the asking one unless given.
    #[schema(value_type = Option<Name>)]
    owner: Option<Named>,
    /// It sees only keys of this environment, or of none.
    #[schema(value_type = Option<Name>)]
    environment: Option<Named>,
    /// Where its connections must come from.
    perimeter: Option<PerimeterTold>,
    /// How many turns it has where requests wait and others have one; 1 unless given. More is for administrators to give.
    #[schema(value_type = Option<u8>, minimum = 1, maximum = 10)]
    weight: Option<Turns>,
}

/// What is to be another about a caller; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CallerEdit)]
#[allow(clippy::option_option, reason = "absent, null and there are three things")]
struct EditTold {
    /// Its environment; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Name>)]
    environment: Option<Option<Named>>,
    /// Its perimeter, as a whole.
    perimeter: Option<PerimeterTold>,
    /// How many turns it has where requests wait and others have one. For administrators.
    #[schema(value_type = Option<u8>, minimum = 1, maximum = 10)]
    weight: Option<Turns>,
}

/// A number of turns.
#[derive(Deserialize)]
#[serde(try_from = "u8")]
struct Turns(Weight);

impl TryFrom<u8> for Turns {
    type Error = String;

    fn try_from(turns: u8) -> Result<Self, String> {
        let weight = Weight::new(turns).map(Self);
        weight.ok_or_else(|| format!("expected a number of turns from 1 to {}", Weight::MOST))
    }
}

/// How a token is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CallerRotation {
    /// For how many seconds the former token goes on; not at all unless given.
    #[schema(maximum = 31_536_000, example = 3600)]
    overlap_s: Option<u32>,
}

/// A caller with its token, in the one moment in which that is shown.
#[derive(Serialize, ToSchema)]
struct FreshCaller {
    #[serde(flatten)]
    caller: CallerView,
    /// The token; it is kept as its digest and not shown again.
    #[schema(example = "skc_…", read_only)]
    token: String,
}

impl From<TokenShown> for FreshCaller {
    fn from(shown: TokenShown) -> Self {
        Self { token: shown.token.reveal().to_owned(), caller: shown.caller }
    }
}

/// List the callers
///
/// A member sees its own.
#[utoipa::path(get, path = "/callers", tag = "callers", params(PageQuery),
    responses((status = 200, description = "The callers, by name", body = Page<CallerView>)))]
async fn list_callers(admin: Shared, who: Who, Asked(page): Asked<PageQuery>) -> Answer<Page<CallerView>> {
    let callers = admin.act(&who, Operations::callers).await?;
    Ok(Shown::found(page.cut(callers, |caller| caller.name.to_string())?))
}

/// Add a caller
#[utoipa::path(post, path = "/callers", tag = "callers", request_body = CallerTold,
    responses((status = 201, description = "The caller, and its token this once", body = FreshCaller)))]
async fn add_caller(admin: Shared, who: Who, Told(told): Told<CallerTold>) -> Answer<FreshCaller> {
    let new = NewCaller {
        name: told.name.0,
        owner: told.owner.map(|owner| owner.0),
        environment: told.environment.map(|environment| environment.0),
        perimeter: told.perimeter.map(Into::into).unwrap_or_default(),
        weight: told.weight.map(|turns| turns.0).unwrap_or_default(),
    };
    let shown = admin.act(&who, move |operations, actor| operations.add_caller(actor, &new)).await?;
    let location = format!("/api/v1/callers/{}", shown.caller.name);
    Ok(Shown::made(shown.into(), location))
}

/// Show a caller
#[utoipa::path(get, path = "/callers/{caller}", tag = "callers",
    params(("caller" = Name, Path, description = "Its name")),
    responses((status = 200, description = "The caller", body = CallerView)))]
async fn show_caller(admin: Shared, who: Who, At(caller): At<Named>) -> Answer<CallerView> {
    let caller = admin.act(&who, move |operations, actor| operations.caller(actor, &caller.0)).await?;
    Ok(Shown::found(caller))
}

/// Edit a caller
///
/// Its token stays.
#[utoipa::path(patch, path = "/callers/{caller}", tag = "callers",
    params(("caller" = Name, Path, description = "Its name")), request_body = EditTold,
    responses((status = 200, description = "The caller", body = CallerView)))]
async fn edit_caller(admin: Shared, who: Who, At(caller): At<Named>, Told(told): Told<EditTold>) -> Answer<CallerView> {
    let edit = CallerEdit {
        environment: told.environment.map(|environment| environment.map(|name| name.0)),
        perimeter: told.perimeter.map(Into::into),
        weight: told.weight.map(|turns| turns.0),
    };
    let caller = admin.act(&who, move |operations, actor| operations.edit_caller(actor, &caller.0, &edit)).await?;
    Ok(Shown::found(caller))
}

/// Give a caller another token
#[utoipa::path(post, path = "/callers/{caller}/rotate", tag = "callers",
    params(("caller" = Name, Path, description = "Its name")), request_body = CallerRotation,
    responses((status = 200, description = "The caller, and its token this once", body = FreshCaller)))]
async fn rotate_caller(
    admin: Shared,
    who: Who,
    At(caller): At<Named>,
    Told(rotation): Told<CallerRotation>,
) -> Answer<FreshCaller> {
    let overlap = rotation.overlap_s.map(|seconds| Duration::from_secs(seconds.into()));
    if overlap.is_some_and(|overlap| overlap > Duration::from_secs(31_536_000)) {
        return Err(Problem::invalid("`overlap_s`: a former token goes on for a year at most"));
    }
    let rotate = move |operations: &Operations, actor: &Actor| operations.rotate_caller(actor, &caller.0, overlap);
    Ok(Shown::found(admin.act(&who, rotate).await?.into()))
}

/// Delete a caller
///
/// Its token and what was shared with it alone end with it.
#[utoipa::path(delete, path = "/callers/{caller}", tag = "callers",
    params(("caller" = Name, Path, description = "Its name")), responses((status = 204, description = "It is gone")))]
async fn delete_caller(admin: Shared, who: Who, At(caller): At<Named>) -> Result<StatusCode, Problem> {
    admin.act(&who, move |operations, actor| operations.delete_caller(actor, &caller.0)).await?;
    Ok(StatusCode::NO_CONTENT)
}
