//! Users and their roles.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{Asked, At, Named, Told};
use crate::admin::page::{Page, PageQuery};
use crate::admin::problem::Problem;
use crate::admin::who::Who;
use crate::domain::{Name, Role};
use crate::operations::{Actor, Operations, UserView};

use super::Shared;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(list_users, add_user)).routes(routes!(show_user, edit_user, delete_user))
}

/// What a user may do.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[schema(as = Role)]
#[serde(rename_all = "lowercase")]
enum RoleTold {
    /// Everything but seeing values.
    Admin,
    /// Use and keep its own.
    Member,
}

impl From<RoleTold> for Role {
    fn from(told: RoleTold) -> Self {
        match told {
            RoleTold::Admin => Self::Admin,
            RoleTold::Member => Self::Member,
        }
    }
}

/// A user to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// What to call it.
    #[schema(value_type = Name, example = "ada")]
    name: Named,
    /// What it may do; `member` unless given.
    #[schema(value_type = Option<RoleTold>)]
    role: Option<RoleTold>,
}

/// What is to be another about a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserEdit {
    /// What it may do.
    #[schema(value_type = RoleTold)]
    role: RoleTold,
}

/// List the users
#[utoipa::path(get, path = "/users", tag = "users", params(PageQuery),
    responses((status = 200, description = "The users, by name", body = Page<UserView>)))]
async fn list_users(admin: Shared, who: Who, Asked(page): Asked<PageQuery>) -> Answer<Page<UserView>> {
    let (limit, after) = page.bounds()?;
    // One more than the page has, to know whether there is a next one.
    let list = move |operations: &Operations, actor: &Actor| operations.users_after(actor, after.as_deref(), limit + 1);
    let users = admin.act(&who, list).await?;
    Ok(Shown::found(page.cut(users, |user| user.name.to_string())?))
}

/// Add a user
///
/// For administrators.
#[utoipa::path(post, path = "/users", tag = "users", request_body = NewUser,
    responses((status = 201, description = "The user", body = UserView)))]
async fn add_user(admin: Shared, who: Who, Told(new): Told<NewUser>) -> Answer<UserView> {
    let role = new.role.unwrap_or(RoleTold::Member).into();
    let user = admin.act(&who, move |operations, actor| operations.add_user(actor, &new.name.0, role)).await?;
    let location = format!("/api/v1/users/{}", user.name);
    Ok(Shown::made(user, location))
}

/// Show a user
#[utoipa::path(get, path = "/users/{user}", tag = "users", params(("user" = Name, Path, description = "Its name")),
    responses((status = 200, description = "The user", body = UserView)))]
async fn show_user(admin: Shared, who: Who, At(user): At<Named>) -> Answer<UserView> {
    let user = admin.act(&who, move |operations, actor| operations.user_view(actor, &user.0)).await?;
    Ok(Shown::found(user))
}

/// Give a user another role
///
/// For administrators, and not for oneself.
#[utoipa::path(patch, path = "/users/{user}", tag = "users", params(("user" = Name, Path, description = "Its name")),
    request_body = UserEdit, responses((status = 200, description = "The user", body = UserView)))]
async fn edit_user(admin: Shared, who: Who, At(user): At<Named>, Told(edit): Told<UserEdit>) -> Answer<UserView> {
    let role = edit.role.into();
    let user = admin.act(&who, move |operations, actor| operations.set_role(actor, &user.0, role)).await?;
    Ok(Shown::found(user))
}

/// Who gets what a user leaves.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Leaving {
    /// The user who gets its keys and callers; without one it must own nothing.
    #[param(value_type = Option<Name>)]
    heir: Option<Named>,
}

/// Delete a user
///
/// For administrators. Its memberships, its tokens, its sessions and what was shared with it alone end with it.
#[utoipa::path(delete, path = "/users/{user}", tag = "users",
    params(("user" = Name, Path, description = "Its name"), Leaving),
    responses((status = 204, description = "It is gone")))]
async fn delete_user(
    admin: Shared,
    who: Who,
    At(user): At<Named>,
    Asked(leaving): Asked<Leaving>,
) -> Result<StatusCode, Problem> {
    let heir = leaving.heir.map(|heir| heir.0);
    admin.act(&who, move |operations, actor| operations.delete_user(actor, &user.0, heir.as_ref())).await?;
    Ok(StatusCode::NO_CONTENT)
}
