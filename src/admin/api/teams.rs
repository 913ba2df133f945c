//! Teams and their members.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{Asked, At, Named, Told, names};
use crate::admin::page::{Page, PageQuery};
use crate::admin::problem::Problem;
use crate::admin::who::Who;
use crate::domain::Name;
use crate::operations::{Actor, Operations, TeamView};

use super::Shared;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(list_teams, add_team))
        .routes(routes!(show_team, delete_team))
        .routes(routes!(add_members))
        .routes(routes!(remove_member))
}

/// A team to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTeam {
    /// What to call it.
    #[schema(value_type = Name, example = "data")]
    name: Named,
    /// Its first members.
    #[serde(default)]
    #[schema(value_type = Vec<Name>, required = false)]
    members: Vec<Named>,
}

/// Users who become members.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMembers {
    /// Their names.
    #[schema(value_type = Vec<Name>)]
    members: Vec<Named>,
}

/// List the teams
#[utoipa::path(get, path = "/teams", tag = "teams", params(PageQuery),
    responses((status = 200, description = "The teams, by name", body = Page<TeamView>)))]
async fn list_teams(admin: Shared, who: Who, Asked(page): Asked<PageQuery>) -> Answer<Page<TeamView>> {
    let (limit, after) = page.bounds()?;
    // One more than the page has, to know whether there is a next one.
    let list = move |operations: &Operations, _: &Actor| operations.teams_after(after.as_deref(), limit + 1);
    let teams = admin.act(&who, list).await?;
    Ok(Shown::found(page.cut(teams, |team| team.name.to_string())?))
}

/// Add a team
///
/// For administrators.
#[utoipa::path(post, path = "/teams", tag = "teams", request_body = NewTeam,
    responses((status = 201, description = "The team", body = TeamView)))]
async fn add_team(admin: Shared, who: Who, Told(new): Told<NewTeam>) -> Answer<TeamView> {
    let members = names(new.members);
    let team = admin.act(&who, move |operations, actor| operations.add_team(actor, &new.name.0, &members)).await?;
    let location = format!("/api/v1/teams/{}", team.name);
    Ok(Shown::made(team, location))
}

/// Show a team
#[utoipa::path(get, path = "/teams/{team}", tag = "teams", params(("team" = Name, Path, description = "Its name")),
    responses((status = 200, description = "The team", body = TeamView)))]
async fn show_team(admin: Shared, who: Who, At(team): At<Named>) -> Answer<TeamView> {
    let team = admin.act(&who, move |operations, actor| operations.team(actor, &team.0)).await?;
    Ok(Shown::found(team))
}

/// Delete a team
///
/// For administrators. What was shared with it ends with it.
#[utoipa::path(delete, path = "/teams/{team}", tag = "teams", params(("team" = Name, Path, description = "Its name")),
    responses((status = 204, description = "It is gone")))]
async fn delete_team(admin: Shared, who: Who, At(team): At<Named>) -> Result<StatusCode, Problem> {
    admin.act(&who, move |operations, actor| operations.delete_team(actor, &team.0)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make users members
///
/// For administrators. Who is a member already stays one.
#[utoipa::path(post, path = "/teams/{team}/members", tag = "teams",
    params(("team" = Name, Path, description = "Its name")), request_body = NewMembers,
    responses((status = 200, description = "The team", body = TeamView)))]
async fn add_members(admin: Shared, who: Who, At(team): At<Named>, Told(new): Told<NewMembers>) -> Answer<TeamView> {
    let members = names(new.members);
    let team = admin.act(&who, move |operations, actor| operations.add_members(actor, &team.0, &members)).await?;
    Ok(Shown::found(team))
}

/// End a membership
///
/// For administrators.
#[utoipa::path(delete, path = "/teams/{team}/members/{user}", tag = "teams",
    params(("team" = Name, Path, description = "The team's name"), ("user" = Name, Path, description = "The user's")),
    responses((status = 200, description = "The team", body = TeamView)))]
async fn remove_member(admin: Shared, who: Who, At((team, user)): At<(Named, Named)>) -> Answer<TeamView> {
    let members = [user.0];
    let team = admin.act(&who, move |operations, actor| operations.remove_members(actor, &team.0, &members)).await?;
    Ok(Shown::found(team))
}
