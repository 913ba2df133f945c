//! What can be asked for, one file a noun. Every handler reads its request, hands it to an operation, and shows what came of
//! it. `describe` makes the document of them.

mod audit;
mod authorities;
mod backup;
mod callers;
mod explain;
mod keys;
mod limits;
mod master;
mod own;
mod passes;
mod services;
mod teams;
mod usage;
mod users;

use std::sync::Arc;

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;

use super::Admin;

/// The state, as handlers take it.
type Shared = State<Arc<Admin>>;

/// What anybody may ask for.
pub(super) fn open() -> OpenApiRouter<Arc<Admin>> {
    own::open().merge(passes::open())
}

/// What is for who is known.
pub(super) fn guarded() -> OpenApiRouter<Arc<Admin>> {
    own::guarded()
        .merge(passes::guarded())
        .merge(users::routes())
        .merge(teams::routes())
        .merge(callers::routes())
        .merge(keys::routes())
        .merge(services::routes())
        .merge(explain::routes())
        .merge(limits::routes())
        .merge(master::routes())
        .merge(usage::routes())
        .merge(audit::routes())
        .merge(authorities::routes())
        .merge(backup::routes())
}
