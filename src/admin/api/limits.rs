//! The limits of services at work: what the gates of the running proxy know.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{Asked, Named, Told};
use crate::admin::page::{Page, PageQuery};
use crate::admin::problem::Problem;
use crate::admin::who::Who;
use crate::domain::{Name, ServiceName};
use crate::operations::{GateShown, Operations};
use crate::pipeline::Entry;

use super::Shared;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(list_limits)).routes(routes!(list_gates)).routes(routes!(reset_gates))
}

/// The limits of one service, and who waits for them.
#[derive(Debug, Serialize, ToSchema)]
struct LimitView {
    /// The service.
    service: ServiceName,
    /// How many requests in each period.
    count: Option<u32>,
    /// The period.
    period_s: Option<u64>,
    /// How many at once after a pause.
    burst: Option<u32>,
    /// How many may be under way.
    concurrency: Option<u32>,
    /// How long a request may wait.
    max_wait_ms: u64,
    /// How many requests wait now.
    waiting: u32,
}

impl LimitView {
    fn of(entry: &Entry) -> Option<Self> {
        let gate = entry.gate.as_ref()?;
        let limits = gate.limits();
        Some(Self {
            service: entry.service.name.clone(),
            count: limits.rate.map(|rate| rate.count.get()),
            period_s: limits.rate.map(|rate| rate.period.as_secs()),
            burst: limits.burst.map(std::num::NonZero::get),
            concurrency: limits.concurrency.map(std::num::NonZero::get),
            max_wait_ms: u64::try_from(limits.max_wait.as_millis()).unwrap_or(u64::MAX),
            waiting: u32::try_from(gate.waiting()).unwrap_or(u32::MAX),
        })
    }
}

/// List the limits at work
///
/// Services without limits are not among them.
#[utoipa::path(get, path = "/limits", tag = "limits", params(PageQuery),
    responses((status = 200, description = "The limits, by service", body = Page<LimitView>)))]
async fn list_limits(admin: Shared, _who: Who, Asked(page): Asked<PageQuery>) -> Answer<Page<LimitView>> {
    let view = admin.line.view();
    let limits = view.routes.services().filter_map(|entry| LimitView::of(entry)).collect();
    Ok(Shown::found(page.cut(limits, |limit| limit.service.to_string())?))
}

/// Whose gates are to forget.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GateResetOrder {
    /// The service.
    #[schema(value_type = Name, example = "github")]
    service: Named,
    /// The limit owner; all of them when none is named.
    #[serde(default)]
    owner: Option<String>,
}

/// List what is known of the limits of services
///
/// For administrators. One for each limit owner and bucket of which something is known: what is left, until when nothing is
/// sent, and who waits. It is noted once a second.
#[utoipa::path(get, path = "/gates", tag = "limits", params(PageQuery),
    responses((status = 200, description = "The gates, by service", body = Page<GateShown>)))]
async fn list_gates(admin: Shared, who: Who, Asked(page): Asked<PageQuery>) -> Answer<Page<GateShown>> {
    let found = admin.act(&who, Operations::gates).await?;
    let key =
        |gate: &GateShown| format!("{} {} {}", gate.service, gate.owner, gate.bucket.as_deref().unwrap_or_default());
    Ok(Shown::found(page.cut(found.gates, key)?))
}

/// Have gates forget
///
/// For administrators. What was learnt of the limits of a service is forgotten within a second, and who waits is let through.
#[utoipa::path(post, path = "/gates/reset", tag = "limits", request_body = GateResetOrder,
    responses((status = 204, description = "It is ordered")))]
async fn reset_gates(admin: Shared, who: Who, Told(order): Told<GateResetOrder>) -> Result<StatusCode, Problem> {
    let reset = move |operations: &Operations, actor: &_| {
        operations.reset_gates(actor, &order.service.0, order.owner.as_deref())
    };
    admin.act(&who, reset).await?;
    Ok(StatusCode::NO_CONTENT)
}
