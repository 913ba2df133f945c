//! The limits of services at work: what the gates of the running proxy know.

use std::num::NonZeroU32;
use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::{Asked, Moment, Named, Told};
use crate::admin::page::{Page, PageQuery};
use crate::admin::problem::Problem;
use crate::admin::who::Who;
use crate::domain::{GateReset, Name, ServiceName};
use crate::operations::{GateShown, Operations, PinOrder, PinShown, PinTarget};
use crate::pipeline::Entry;
use crate::record::rate;

use super::Shared;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(list_limits))
        .routes(routes!(list_gates))
        .routes(routes!(reset_gates))
        .routes(routes!(pin_limit))
        .routes(routes!(unpin_limit))
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
    /// How much each limit owner may in a calendar period: `10000/day`, `200000/month`.
    quotas: Vec<String>,
    /// In which time zone these begin.
    quota_timezone: Option<String>,
}

impl LimitView {
    fn of(entry: &Entry) -> Option<Self> {
        let (limits, quotas) = (&entry.service.limits, &entry.service.gating.quotas);
        let gate = entry.gate.as_ref();
        if gate.is_none() && quotas.each.is_empty() {
            return None;
        }
        Some(Self {
            service: entry.service.name.clone(),
            count: limits.rate.map(|rate| rate.count.get()),
            period_s: limits.rate.map(|rate| rate.period.as_secs()),
            burst: limits.burst.map(std::num::NonZero::get),
            concurrency: limits.concurrency.map(std::num::NonZero::get),
            max_wait_ms: u64::try_from(limits.max_wait.as_millis()).unwrap_or(u64::MAX),
            waiting: u32::try_from(gate.map_or(0, |gate| gate.waiting())).unwrap_or(u32::MAX),
            quotas: quotas.each.iter().map(ToString::to_string).collect(),
            quota_timezone: quotas.zone.iana_name().filter(|_| !quotas.each.is_empty()).map(str::to_owned),
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
    /// The bucket, as the gates show it; all of them when none is named.
    #[serde(default)]
    bucket: Option<String>,
}

/// To what a limit is pinned.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PinTargetTold {
    /// The service.
    #[schema(value_type = Name, example = "github")]
    service: Named,
    /// For this limit owner alone; all of them together when none is named.
    #[serde(default)]
    owner: Option<String>,
    /// For the limit owner of this key alone.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    key: Option<Named>,
    /// For this bucket alone, as the gates show it.
    #[serde(default)]
    bucket: Option<String>,
}

/// A limit to be pinned: a rate, a number of requests under way, or both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PinTold {
    /// The service.
    #[schema(value_type = Name, example = "github")]
    service: Named,
    /// For this limit owner alone; all of them together when none is named.
    #[serde(default)]
    owner: Option<String>,
    /// For the limit owner of this key alone.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    key: Option<Named>,
    /// For this bucket alone, as the gates show it.
    #[serde(default)]
    bucket: Option<String>,
    /// How often.
    #[serde(default)]
    #[schema(example = "100/min")]
    rate: Option<String>,
    /// How many may be under way.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1)]
    concurrency: Option<NonZeroU32>,
    /// Until when; until it is taken back unless given.
    #[serde(default)]
    #[schema(value_type = Option<jiff::Timestamp>)]
    until: Option<Moment>,
}

impl From<PinTargetTold> for PinTarget {
    fn from(told: PinTargetTold) -> Self {
        let PinTargetTold { service, owner, key, bucket } = told;
        Self { service: service.0, owner, key: key.map(|key| key.0), bucket }
    }
}

/// Pin a limit
///
/// For administrators. It counts within a second, beside what is configured and what was learnt: the stricter governs. Pinned
/// again, the new one takes the place of the former.
#[utoipa::path(post, path = "/gates/pin", tag = "limits", request_body = PinTold,
    responses((status = 200, description = "It is pinned", body = PinShown)))]
async fn pin_limit(admin: Shared, who: Who, Told(told): Told<PinTold>) -> Answer<PinShown> {
    let rate = told.rate.as_deref().map(rate).transpose();
    let rate = rate.map_err(|error| Problem::invalid(format!("`rate`: {error}")))?;
    let (concurrency, until) = (told.concurrency, told.until.map(|until| until.0));
    let PinTold { service, owner, key, bucket, .. } = told;
    let order = PinOrder { target: PinTargetTold { service, owner, key, bucket }.into(), rate, concurrency, until };
    Ok(Shown::found(admin.act(&who, move |operations, actor| operations.pin_limit(actor, order)).await?))
}

/// Take a pinned limit back
///
/// For administrators. It counts no more within a second, and who waits for it is let through.
#[utoipa::path(post, path = "/gates/unpin", tag = "limits", request_body = PinTargetTold,
    responses((status = 204, description = "It is taken back")))]
async fn unpin_limit(admin: Shared, who: Who, Told(told): Told<PinTargetTold>) -> Result<StatusCode, Problem> {
    admin.act(&who, move |operations, actor| operations.unpin_limit(actor, told.into())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List what is known of the limits of services
///
/// For administrators. One for each limit owner and bucket of which something is known: what is left, until when nothing is
/// sent, what is pinned and used of quotas, and who waits; one for each limit of the configuration for which somebody waits;
/// and the circuits that are open or hold something back. It is noted once a second.
#[utoipa::path(get, path = "/gates", tag = "limits", params(PageQuery),
    responses((status = 200, description = "The gates, by service", body = Page<GateShown>)))]
async fn list_gates(admin: Shared, who: Who, Asked(page): Asked<PageQuery>) -> Answer<Page<GateShown>> {
    let found = admin.act(&who, Operations::gates).await?;
    let key = |gate: &GateShown| {
        let (bucket, key) = (gate.bucket.as_deref().unwrap_or_default(), gate.key.as_deref().unwrap_or_default());
        format!("{} {} {bucket} {} {key}", gate.service, gate.owner, gate.of)
    };
    Ok(Shown::found(page.cut(found.gates, key)?))
}

/// Have gates forget
///
/// For administrators. What was learnt of the limits of a service is forgotten within a second, and who waits is let through.
/// A limit owner or bucket of which nothing is known is answered with 404.
#[utoipa::path(post, path = "/gates/reset", tag = "limits", request_body = GateResetOrder,
    responses((status = 204, description = "It is ordered")))]
async fn reset_gates(admin: Shared, who: Who, Told(order): Told<GateResetOrder>) -> Result<StatusCode, Problem> {
    let GateResetOrder { service, owner, bucket } = order;
    let reset = GateReset { service: service.0, owner, bucket };
    admin.act(&who, move |operations, actor| operations.reset_gates(actor, &reset).map(drop)).await?;
    Ok(StatusCode::NO_CONTENT)
}
