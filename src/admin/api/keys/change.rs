//! Changing a key that is there: its value, what people see of it, with whom it is shared; and taking back its end.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{Asked, At, Moment, Named, PartyTold, Told, given};
use crate::admin::problem::Problem;
use crate::admin::who::Who;
use crate::domain::{Allowed, Bounds, Name, Rule};
use crate::operations::{Actor, KeyEdit, KeyView, OperationError, Operations, Party, Verification};
use crate::record::{quota, rate};

use super::super::Shared;
use super::told::{RotationTold, Try};
use super::{Tried, Whose, not_verified, not_working, which};

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(edit_key))
        .routes(routes!(rotate_key))
        .routes(routes!(roll_back_key))
        .routes(routes!(restore_key))
        .routes(routes!(verify_key))
        .routes(routes!(share_key))
        .routes(routes!(unshare_key))
}

/// What is to be another about a key; what is absent stays, null takes away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyEdit)]
#[allow(clippy::option_option, reason = "absent, null and there are three things")]
struct EditTold {
    /// What to call it.
    #[schema(value_type = Option<Name>)]
    name: Option<Named>,
    /// Its environment.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Name>)]
    environment: Option<Option<Named>>,
    /// From when on it is not used.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<jiff::Timestamp>)]
    expires_at: Option<Option<Moment>>,
    /// After how many seconds its owner is reminded of a new value.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    rotate_every_s: Option<Option<NonZeroU32>>,
    /// After how many seconds a running proxy tries it at its service again.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    verify_every_s: Option<Option<NonZeroU32>>,
    /// Whom the service counts when it is used; keys of one limit owner share what is learnt of its limits.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Name>)]
    limit_owner: Option<Option<Named>>,
    /// The keys that stand in for each other; null takes it out of them.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Name>)]
    pool: Option<Option<Named>>,
}

/// With whom a key is to be shared, and what for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Sharing {
    /// `user:NAME`, `team:NAME`, `caller:NAME` or `everyone`.
    #[schema(value_type = Vec<String>, example = json!(["team:data"]))]
    with: Vec<PartyTold>,
    /// Only requests that one of these rules admits, as in a service's `allow`; all unless given.
    #[schema(example = json!(["GET /v1/charges/**"]))]
    allow: Option<Vec<String>>,
    /// Only GET, HEAD and OPTIONS.
    #[serde(default)]
    #[schema(required = false)]
    read_only: bool,
    /// At most so often, on top of the service's own limit.
    #[schema(example = "10/s")]
    rate: Option<String>,
    /// How much in a day or a month.
    #[schema(example = "1000/day")]
    quota: Option<String>,
}

impl Sharing {
    /// What for.
    fn bounds(&self) -> Result<Bounds, Problem> {
        let invalid = |field: &str, error: &dyn std::fmt::Display| Problem::invalid(format!("`{field}`: {error}"));
        let rule = |text: &String| Rule::parse(text).map_err(|error| invalid("allow", &error));
        let allow =
            self.allow.as_ref().map(|rules| rules.iter().map(rule).collect::<Result<Vec<_>, _>>()).transpose()?;
        if allow.as_ref().is_some_and(Vec::is_empty) {
            return Err(invalid("allow", &"give a rule, or leave it out"));
        }
        let rate = self.rate.as_deref().map(rate).transpose().map_err(|error| invalid("rate", &error))?;
        let quota = self.quota.as_deref().map(quota).transpose().map_err(|error| invalid("quota", &error))?;
        Ok(Bounds { allowed: Allowed { rules: allow, read_only: self.read_only }, rate, quota })
    }
}

/// Edit a key
///
/// Its value stays.
#[utoipa::path(patch, path = "/keys/{key}", tag = "keys",
    params(("key" = String, Path, description = "Its identifier or its name"), Whose), request_body = EditTold,
    responses((status = 200, description = "The key, without its value", body = KeyView)))]
async fn edit_key(
    admin: Shared,
    who: Who,
    At(key): At<String>,
    Asked(whose): Asked<Whose>,
    Told(told): Told<EditTold>,
) -> Answer<KeyView> {
    let which = which(&key, whose.owner)?;
    let edit = KeyEdit {
        name: told.name.map(|name| name.0),
        environment: told.environment.map(|environment| environment.map(|name| name.0)),
        expires: told.expires_at.map(|at| at.map(|at| at.0)),
        rotate_every: told.rotate_every_s.map(|every| every.map(span)),
        verify_every: told.verify_every_s.map(|every| every.map(span)),
        limit_owner: told.limit_owner.map(|owner| owner.map(|name| name.0)),
        pool: told.pool.map(|pool| pool.map(|name| name.0)),
    };
    Ok(Shown::found(admin.act(&who, move |operations, actor| operations.edit_key(actor, &which, edit)).await?))
}

fn span(seconds: NonZeroU32) -> Duration {
    Duration::from_secs(seconds.get().into())
}

/// Give a key a new value
///
/// The next request uses it; those under way finish with the former. With `verify`, a value that does not work at the service
/// is answered with 409 `not_verified`, and nothing is changed.
#[utoipa::path(post, path = "/keys/{key}/rotate", tag = "keys",
    params(("key" = String, Path, description = "Its identifier or its name"), Whose), request_body = RotationTold,
    responses((status = 200, description = "The key, without its value", body = KeyView)))]
async fn rotate_key(
    admin: Shared,
    who: Who,
    At(key): At<String>,
    Asked(whose): Asked<Whose>,
    Told(rotation): Told<RotationTold>,
) -> Answer<KeyView> {
    let (which, probe) = (which(&key, whose.owner)?, Arc::clone(&admin.probe));
    let (value, overlap, first) = rotation.split();
    let rotate = move |operations: &Operations, actor: &Actor| -> Result<Tried<KeyView>, OperationError> {
        let key = operations.changeable_key(actor, &which)?;
        let fields = value.fields(&operations.service(&key.service)?)?;
        if first == Try::First
            && let Some(failed) = not_working(operations.try_value(actor, &key.reference(), &fields, &probe)?)
        {
            return Ok(Err(failed));
        }
        operations.rotate_key(actor, &key.reference(), &fields, overlap).map(Ok)
    };
    Ok(Shown::found(admin.act(&who, rotate).await?.map_err(|failed| not_verified(&failed))?))
}

/// Give a key its former value back
#[utoipa::path(post, path = "/keys/{key}/rollback", tag = "keys",
    params(("key" = String, Path, description = "Its identifier or its name"), Whose),
    responses((status = 200, description = "The key, without its value", body = KeyView)))]
async fn roll_back_key(admin: Shared, who: Who, At(key): At<String>, Asked(whose): Asked<Whose>) -> Answer<KeyView> {
    let which = which(&key, whose.owner)?;
    Ok(Shown::found(admin.act(&who, move |operations, actor| operations.roll_back_key(actor, &which)).await?))
}

/// Restore a deleted key
///
/// Within seven days of its deletion, as long as its name is free.
#[utoipa::path(post, path = "/keys/{key}/restore", tag = "keys",
    params(("key" = String, Path, description = "Its identifier, or its name for the one that was deleted last"), Whose),
    responses((status = 200, description = "The key, without its value", body = KeyView)))]
async fn restore_key(admin: Shared, who: Who, At(key): At<String>, Asked(whose): Asked<Whose>) -> Answer<KeyView> {
    let which = which(&key, whose.owner)?;
    Ok(Shown::found(admin.act(&who, move |operations, actor| operations.restore_key(actor, &which)).await?))
}

/// Try a key at its service
///
/// One harmless call that the service's record names. Its answer is read for what it says of the key and not shown.
#[utoipa::path(post, path = "/keys/{key}/verify", tag = "keys",
    params(("key" = String, Path, description = "Its identifier or its name"), Whose),
    responses((status = 200, description = "What came of it", body = Verification)))]
async fn verify_key(admin: Shared, who: Who, At(key): At<String>, Asked(whose): Asked<Whose>) -> Answer<Verification> {
    let (which, probe) = (which(&key, whose.owner)?, Arc::clone(&admin.probe));
    Ok(Shown::found(admin.act(&who, move |operations, actor| operations.verify_key(actor, &which, &probe)).await?))
}

/// Share a key
///
/// Those may use it and never see it. Sharing again replaces what the share may be used for.
#[utoipa::path(post, path = "/keys/{key}/shares", tag = "keys",
    params(("key" = String, Path, description = "Its identifier or its name"), Whose), request_body = Sharing,
    responses((status = 200, description = "The key, without its value", body = KeyView)))]
async fn share_key(
    admin: Shared,
    who: Who,
    At(key): At<String>,
    Asked(whose): Asked<Whose>,
    Told(sharing): Told<Sharing>,
) -> Answer<KeyView> {
    let (which, bounds) = (which(&key, whose.owner)?, sharing.bounds()?);
    let parties: Vec<Party> = sharing.with.into_iter().map(|party| party.0).collect();
    let share = move |operations: &Operations, actor: &Actor| operations.share_key(actor, &which, &parties, &bounds);
    Ok(Shown::found(admin.act(&who, share).await?))
}

/// End a share of a key
#[utoipa::path(delete, path = "/keys/{key}/shares/{party}", tag = "keys",
    params(("key" = String, Path, description = "Its identifier or its name"),
        ("party" = String, Path, description = "`user:NAME`, `team:NAME`, `caller:NAME` or `everyone`"), Whose),
    responses((status = 200, description = "The key, without its value", body = KeyView)))]
async fn unshare_key(
    admin: Shared,
    who: Who,
    At((key, party)): At<(String, String)>,
    Asked(whose): Asked<Whose>,
) -> Answer<KeyView> {
    let which = which(&key, whose.owner)?;
    let party: Party = party.parse().map_err(|_| Problem::not_found("the key is shared with nobody of this form"))?;
    let unshare = move |operations: &Operations, actor: &Actor| operations.unshare_key(actor, &which, &[party]);
    Ok(Shown::found(admin.act(&who, unshare).await?))
}
