//! Keys. Their values come in the bodies of requests, are sealed and wiped, and are in no answer.

mod change;
mod told;

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{Asked, At, Named, PartyTold, Told};
use crate::admin::page::{Page, PageQuery};
use crate::admin::problem::Problem;
use crate::admin::who::Who;
use crate::domain::{CredentialId, Name};
use crate::operations::{
    Actor, KeyDetail, KeyFilter, KeyRef, KeyUse, KeyView, OperationError, Operations, Verdict, Verification,
};

use super::Shared;
use told::{KeyTold, Try};

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(list_keys, add_key))
        .routes(routes!(show_key, delete_key))
        .routes(routes!(list_key_uses))
        .merge(change::routes())
}

/// Days of the audit log that count for who uses a key.
const USED_WITHIN: i64 = 30 * 24 * 60 * 60;

/// Which keys, and which page of them.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// How many items, 1 to 500; 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u16>,
    /// `next` of the page before.
    after: Option<String>,
    /// For this service.
    #[param(value_type = Option<Name>)]
    service: Option<Named>,
    /// Of this user.
    #[param(value_type = Option<Name>)]
    owner: Option<Named>,
    /// Of this environment; those of none are not in it.
    #[param(value_type = Option<Name>)]
    environment: Option<Named>,
    /// Shared with exactly this one: `user:NAME`, `team:NAME`, `caller:NAME` or `everyone`.
    #[param(value_type = Option<String>, example = "everyone")]
    shared_with: Option<PartyTold>,
    /// The deleted ones that can be restored, instead of the living.
    #[serde(default)]
    #[param(required = false)]
    deleted: bool,
}

/// Whose key is meant, where several users have one of the name.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// The key's owner; needed only with a name that several users' keys have.
    #[param(value_type = Option<Name>)]
    owner: Option<Named>,
}

/// Which key is to be deleted, and whether it matters who uses it.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Deletion {
    /// The key's owner; needed only with a name that several users' keys have.
    #[param(value_type = Option<Name>)]
    owner: Option<Named>,
    /// Delete it although callers used it in the last 30 days.
    #[serde(default)]
    #[param(required = false)]
    even_if_used: bool,
}

/// The key that a path means: by its identifier, or by its name.
///
/// # Errors
/// When it is neither.
pub(super) fn which(text: &str, owner: Option<Named>) -> Result<KeyRef, Problem> {
    if text.len() == 36 && uuid::Uuid::try_parse(text).is_ok() {
        return Ok(KeyRef::Id(CredentialId::new(text)));
    }
    let name = Name::new(text).map_err(|_| Problem::not_found("there is no key of this name"))?;
    Ok(KeyRef::Named { name, owner: owner.map(|owner| owner.0) })
}

/// What was done, or why the value that was to be tried first was not taken.
type Tried<T> = Result<T, Box<Verification>>;

/// A try that did not work.
fn not_working(verification: Verification) -> Option<Box<Verification>> {
    (verification.verdict != Verdict::Works).then(|| Box::new(verification))
}

fn not_verified(verification: &Verification) -> Problem {
    let text = "the value does not work at the service, as `verification` says; nothing was changed";
    match serde_json::to_value(verification) {
        Ok(told) => Problem::new(StatusCode::CONFLICT, "not_verified", text).with("verification", told),
        Err(error) => Problem::internal(&error),
    }
}

/// List the keys
///
/// A member sees its own and those that it may use. Keys that proxy.toml declares are among them.
#[utoipa::path(get, path = "/keys", tag = "keys", params(Wanted),
    responses((status = 200, description = "The keys, by name", body = Page<KeyView>)))]
async fn list_keys(admin: Shared, who: Who, Asked(wanted): Asked<Wanted>) -> Answer<Page<KeyView>> {
    let page = PageQuery { limit: wanted.limit, after: wanted.after };
    let filter = KeyFilter {
        service: wanted.service.map(|name| name.0),
        owner: wanted.owner.map(|name| name.0),
        environment: wanted.environment.map(|name| name.0),
        shared_with: wanted.shared_with.map(|party| party.0),
    };
    let (limit, after) = page.bounds()?;
    let list = move |operations: &Operations, actor: &Actor| {
        if wanted.deleted {
            operations.deleted_keys(actor, &filter)
        } else {
            // One more than the page has, to know whether there is a next one.
            operations.keys_after(actor, &filter, after.as_deref(), limit + 1)
        }
    };
    let keys = admin.act(&who, list).await?;
    Ok(Shown::found(page.cut(keys, KeyView::place)?))
}

/// Add a key
///
/// Its value is sealed and never shown. `GET /services/{service}` says which fields and variables a key for it has. With
/// `verify`, a value that does not work at the service is answered with 409 `not_verified`, and nothing is added.
#[utoipa::path(post, path = "/keys", tag = "keys", request_body = KeyTold,
    responses((status = 201, description = "The key, without its value", body = KeyView)))]
async fn add_key(admin: Shared, who: Who, Told(told): Told<KeyTold>) -> Answer<KeyView> {
    let (limit_owner, pool) = (told.limit_owner(), told.pool());
    let (new, variables, value, every, first) = told.split();
    let probe = Arc::clone(&admin.probe);
    let add = move |operations: &Operations, actor: &Actor| -> Result<Tried<KeyView>, OperationError> {
        let mut draft = operations.draft_key(actor, new)?;
        draft.pin(told::variables(variables)?)?;
        if let Some(every) = every {
            draft.remind_after(every);
        }
        if let Some(owner) = limit_owner {
            draft.belong_to(owner);
        }
        if let Some(pool) = pool {
            draft.join(pool);
        }
        let fields = value.fields(draft.service())?;
        if first == Try::First
            && let Some(failed) = not_working(operations.try_draft(&draft, &fields, &probe)?)
        {
            return Ok(Err(failed));
        }
        operations.add_key(actor, draft, &fields).map(Ok)
    };
    let key = admin.act(&who, add).await?.map_err(|failed| not_verified(&failed))?;
    let location = key.id.as_ref().map(|id| format!("/api/v1/keys/{id}"));
    Ok(Shown::made(key, location))
}

/// Show a key with its versions
#[utoipa::path(get, path = "/keys/{key}", tag = "keys",
    params(("key" = String, Path, description = "Its identifier or its name"), Whose),
    responses((status = 200, description = "The key, without its values", body = KeyDetail)))]
async fn show_key(admin: Shared, who: Who, At(key): At<String>, Asked(whose): Asked<Whose>) -> Answer<KeyDetail> {
    let which = which(&key, whose.owner)?;
    Ok(Shown::found(admin.act(&who, move |operations, actor| operations.key(actor, &which)).await?))
}

/// List who uses a key
///
/// The callers whose requests went upstream with it in the last 30 days, the most frequent first.
#[utoipa::path(get, path = "/keys/{key}/uses", tag = "keys",
    params(("key" = String, Path, description = "Its identifier or its name"), Whose),
    responses((status = 200, description = "Its users", body = Vec<KeyUse>)))]
async fn list_key_uses(
    admin: Shared,
    who: Who,
    At(key): At<String>,
    Asked(whose): Asked<Whose>,
) -> Answer<Vec<KeyUse>> {
    let (which, since) = (which(&key, whose.owner)?, admin.now() - USED_WITHIN);
    Ok(Shown::found(admin.act(&who, move |operations, actor| operations.key_uses(actor, &which, since)).await?))
}

/// Delete a key
///
/// A key that callers used in the last 30 days is deleted with `even_if_used=true` only: without, the answer is 409 `in_use`
/// and says who. Its value is kept for seven days, in which it can be restored.
#[utoipa::path(delete, path = "/keys/{key}", tag = "keys",
    params(("key" = String, Path, description = "Its identifier or its name"), Deletion),
    responses((status = 200, description = "The key as it was; its identifier restores it", body = KeyView)))]
async fn delete_key(admin: Shared, who: Who, At(key): At<String>, Asked(how): Asked<Deletion>) -> Answer<KeyView> {
    let (which, since) = (which(&key, how.owner)?, admin.now() - USED_WITHIN);
    let delete = move |operations: &Operations, actor: &Actor| {
        let key = operations.changeable_key(actor, &which)?;
        let uses = if how.even_if_used { Vec::new() } else { operations.key_uses(actor, &which, since)? };
        if uses.is_empty() {
            operations.delete_key(actor, &key.reference())?;
        }
        Ok((key, uses))
    };
    let (key, uses) = admin.act(&who, delete).await?;
    if uses.is_empty() {
        return Ok(Shown::found(key));
    }
    let text =
        "callers used this key in the last 30 days, as `used_by` says; with even_if_used=true it is deleted anyway";
    let used_by = serde_json::to_value(&uses).map_err(|error| Problem::internal(&error))?;
    Err(Problem::new(StatusCode::CONFLICT, "in_use", text).with("used_by", used_by))
}
