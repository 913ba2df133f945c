//! The master key and its slots, for administrators. A slot for a passphrase is made with what the request gives. Files and
//! commands are told and never taken from here: they are read and run on the machine, and slots for them are made there.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{At, Named, PassphraseText, Told};
use crate::admin::problem::Problem;
use crate::admin::who::Who;
use crate::domain::Name;
use crate::operations::{MasterRotated, Operations, SlotView};
use crate::vault::OutOfReach;

use super::Shared;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(list_slots, add_slot))
        .routes(routes!(remove_slot))
        .routes(routes!(rotate_master))
}

/// How the master key is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MasterRotation {
    /// Give up the slots whose keys cannot be reached from the running process.
    #[serde(default)]
    #[schema(required = false)]
    drop_slots: bool,
}

/// A slot for a passphrase.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSlot {
    /// What it is called; `passphrase` unless given.
    #[schema(value_type = Option<Name>)]
    name: Option<Named>,
    /// The environment variable in which whoever opens the store by it has the passphrase.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z_][A-Za-z0-9_]*$", example = "SIDEKEY_PASSPHRASE")]
    variable: String,
    /// The passphrase, of 12 characters or more. It is not kept.
    #[schema(value_type = String, min_length = 12)]
    passphrase: PassphraseText,
}

/// What a rotation of the master key did.
#[derive(Serialize, ToSchema)]
#[schema(as = MasterRotated)]
struct RotatedTold {
    /// The number of the master key, from 1.
    number: u32,
    /// The slots that ended.
    slots_ended: Vec<Name>,
}

/// List the slots of the master key
///
/// The places that a key to the master key is kept at; for administrators.
#[utoipa::path(get, path = "/master/slots", tag = "master",
    responses((status = 200, description = "The slots, by name", body = Vec<SlotView>)))]
async fn list_slots(admin: Shared, who: Who) -> Answer<Vec<SlotView>> {
    Ok(Shown::found(admin.act(&who, Operations::slots).await?))
}

/// Add a slot for a passphrase
///
/// The master key is wrapped by a key that is derived from the passphrase (Argon2id). From then on the store opens where
/// `[master_key]` says `passphrase_env` and that variable holds the passphrase. A rotation of the master key must reach it,
/// or gives the slot up. Slots for files, commands and other variables are made by `sidekey master slot add`.
#[utoipa::path(post, path = "/master/slots", tag = "master", request_body = NewSlot,
    responses((status = 201, description = "The slot", body = SlotView)))]
async fn add_slot(admin: Shared, who: Who, Told(told): Told<NewSlot>) -> Answer<SlotView> {
    let look = Arc::clone(&admin.look);
    let NewSlot { name, variable, passphrase } = told;
    let add = move |operations: &Operations, actor: &_| {
        let name = operations.add_passphrase_slot(actor, &*look, name.map(|name| name.0), variable, passphrase.0)?;
        operations.slots(actor).map(|slots| slots.into_iter().find(|slot| slot.name.as_str() == name))
    };
    let gone = || Problem::not_found("the slot was made, and removed by somebody else at once");
    let slot = admin.act(&who, add).await?.ok_or_else(gone)?;
    Ok(Shown::made(slot, None))
}

/// Remove a slot of the master key
///
/// The last one stays, and so does the one that the running process was opened by.
#[utoipa::path(delete, path = "/master/slots/{slot}", tag = "master",
    params(("slot" = Name, Path, description = "Its name")), responses((status = 204, description = "It opens nothing now")))]
async fn remove_slot(admin: Shared, who: Who, At(slot): At<Named>) -> Result<StatusCode, Problem> {
    let look = Arc::clone(&admin.look);
    admin.act(&who, move |operations, actor| operations.remove_slot_here(actor, &*look, &slot.0)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put everything under another master key
///
/// A fresh key takes the place of the present one in the file that `[master_key]` names; where it names no file, the answer is
/// 422 and the command line does it. Every other slot gets the new master key; when the key of one cannot be reached, the
/// answer is 409 and nothing was changed, unless `drop_slots` gives it up.
#[utoipa::path(post, path = "/master/rotate", tag = "master", request_body = MasterRotation,
    responses((status = 200, description = "It was done", body = RotatedTold)))]
async fn rotate_master(admin: Shared, who: Who, Told(told): Told<MasterRotation>) -> Answer<RotatedTold> {
    let look = Arc::clone(&admin.look);
    let out_of_reach = if told.drop_slots { OutOfReach::Drop } else { OutOfReach::Refuse };
    let rotate = move |operations: &Operations, actor: &_| operations.rotate_master_here(actor, &*look, out_of_reach);
    let MasterRotated { number, ended } = admin.act(&who, rotate).await?;
    Ok(Shown::found(RotatedTold { number, slots_ended: ended }))
}
