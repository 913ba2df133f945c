//! Usage: who calls what with which key, how it went, and what somebody should look at.

use std::sync::Arc;

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{Asked, Moment, Named};
use crate::admin::who::Who;
use crate::domain::Name;
use crate::operations::{UsageBy, UsageQuery, UsageReport};

use super::Shared;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(show_usage))
}

const DAY: i64 = 24 * 60 * 60;

/// What is summed up together.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = UsageBy)]
enum ByTold {
    /// By service.
    #[default]
    Service,
    /// By key.
    Key,
    /// By caller.
    Caller,
    /// By endpoint, with its key and its caller.
    Endpoint,
    /// By hour.
    Hour,
    /// By day of UTC.
    Day,
}

impl From<ByTold> for UsageBy {
    fn from(told: ByTold) -> Self {
        match told {
            ByTold::Service => Self::Service,
            ByTold::Key => Self::Key,
            ByTold::Caller => Self::Caller,
            ByTold::Endpoint => Self::Endpoint,
            ByTold::Hour => Self::Hour,
            ByTold::Day => Self::Day,
        }
    }
}

/// Which calls, and by what they are summed up.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Calls of this service.
    #[param(value_type = Option<Name>)]
    service: Option<Named>,
    /// Calls with keys of this name.
    #[param(value_type = Option<Name>)]
    key: Option<Named>,
    /// Calls of this caller.
    #[param(value_type = Option<Name>)]
    caller: Option<Named>,
    /// Since when, at most 730 days ago, by hour 90; the last 24 hours unless given, the last 30 days by day. It may begin a
    /// little earlier, since whole minutes, hours or days are counted.
    #[param(value_type = Option<jiff::Timestamp>)]
    since: Option<Moment>,
    /// By what the calls are summed up; `service` unless given.
    #[serde(default)]
    #[param(inline, required = false)]
    by: ByTold,
}

/// Show who calls what
///
/// A member sees the calls with its own keys and of its own callers. Events, which are what somebody should look at, are in it.
#[utoipa::path(get, path = "/usage", tag = "usage", params(Wanted),
    responses((status = 200, description = "The calls, summed up", body = UsageReport)))]
async fn show_usage(admin: Shared, who: Who, Asked(wanted): Asked<Wanted>) -> Answer<UsageReport> {
    let by = UsageBy::from(wanted.by);
    let usual = if by == UsageBy::Day { 30 * DAY } else { DAY };
    let now = admin.now();
    let since = wanted.since.map_or(now - usual, |at| at.0);
    let query = UsageQuery {
        service: wanted.service.map(|name| name.0),
        key: wanted.key.map(|name| name.0),
        caller: wanted.caller.map(|name| name.0),
        since,
        by,
    };
    Ok(Shown::found(admin.act(&who, move |operations, actor| operations.usage(actor, &query)).await?))
}
