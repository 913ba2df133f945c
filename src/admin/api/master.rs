//! The master key and its slots, for administrators. Where keys are kept is told and never taken from here: what a slot names
//! is read or run on the machine, and slots are therefore made at its command line.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{At, Named, Told};
use crate::admin::problem::Problem;
use crate::admin::who::Who;
use crate::domain::Name;
use crate::operations::{MasterRotated, Operations, SlotView};
use crate::vault::OutOfReach;

use super::Shared;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(list_slots)).routes(routes!(remove_slot)).routes(routes!(rotate_master))
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
