//! The limits of services at work: what the gates of the running proxy know.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::Asked;
use crate::admin::page::{Page, PageQuery};
use crate::admin::who::Who;
use crate::domain::ServiceName;
use crate::pipeline::Entry;

use super::Shared;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new().routes(routes!(list_limits))
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
            waiting: gate.waiting(),
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
