//! The certificate authorities with which tunnels are opened: what clients are to trust, and another one in time.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::Admin;
use crate::admin::answer::{Answer, Shown};
use crate::admin::ask::Told;
use crate::admin::problem::Problem;
use crate::admin::who::Who;
use crate::operations::{AuthorityState, AuthorityView, OperationError, Operations, Overlap};

use super::Shared;

/// How long clients have to learn to trust a new one, unless somebody says otherwise: 30 days, in seconds.
const USUAL_OVERLAP: u32 = 30 * 24 * 60 * 60;
/// The longest overlap: a year, in seconds.
const LONGEST_OVERLAP: u32 = 365 * 24 * 60 * 60;

pub(super) fn routes() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::new()
        .routes(routes!(list_authorities))
        .routes(routes!(show_authorities))
        .routes(routes!(rotate_authority))
}

/// When a new authority takes over.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AuthorityRotation {
    /// Seconds that clients have to learn to trust it, 0 to 31,536,000; 30 days unless given.
    #[schema(minimum = 0, maximum = 31_536_000, example = 604_800)]
    overlap_s: Option<u32>,
    /// Have it sign at once; also ends an overlap that is under way.
    #[serde(default)]
    #[schema(required = false)]
    now: bool,
}

/// Those that clients have to trust: the one that signs, and the one that will.
fn trusted(operations: &Operations) -> Result<Vec<AuthorityView>, OperationError> {
    let mut authorities = operations.authorities()?;
    authorities.retain(|authority| authority.state != AuthorityState::Replaced);
    Ok(authorities)
}

/// List the certificate authorities
///
/// The one that signs, and during a rotation the one that will: what clients have to trust. The private keys never come out.
#[utoipa::path(get, path = "/ca", tag = "ca",
    responses((status = 200, description = "The authorities, the oldest first", body = Vec<AuthorityView>)))]
async fn list_authorities(admin: Shared, who: Who) -> Answer<Vec<AuthorityView>> {
    Ok(Shown::found(admin.act(&who, |operations, _| trusted(operations)).await?))
}

/// Show the certificates as PEM
///
/// What `sidekey ca export` prints, and the proxy serves at `/-/ca.pem`.
#[utoipa::path(get, path = "/ca.pem", tag = "ca", responses((status = 200,
    description = "The certificates, the oldest first", content_type = "application/pem-certificate-chain", body = String)))]
async fn show_authorities(admin: Shared, who: Who) -> Result<Response, Problem> {
    let found = admin.act(&who, |operations, _| trusted(operations)).await?;
    let text: String = found.into_iter().map(|authority| authority.certificate).collect();
    Ok(([(CONTENT_TYPE, "application/pem-certificate-chain")], text).into_response())
}

/// Make another certificate authority
///
/// For administrators. It is handed out at once beside the present one, and takes over the signing when the overlap is over;
/// the former is then destroyed with its key. With `now` there is no overlap, and clients that do not trust it yet are cut
/// off. While an overlap is under way, the answer is 422 unless `now` ends it.
#[utoipa::path(post, path = "/ca/rotate", tag = "ca", request_body = AuthorityRotation,
    responses((status = 200, description = "The authorities as they are now", body = Vec<AuthorityView>)))]
async fn rotate_authority(admin: Shared, who: Who, Told(told): Told<AuthorityRotation>) -> Answer<Vec<AuthorityView>> {
    let overlap = match (told.now, told.overlap_s) {
        (true, None) => Overlap::None,
        (true, Some(_)) => return Err(Problem::invalid("`now` leaves no overlap: give `overlap_s` or `now`")),
        (false, seconds) => match seconds.unwrap_or(USUAL_OVERLAP) {
            seconds if seconds > LONGEST_OVERLAP => {
                return Err(Problem::invalid(format!("`overlap_s` is at most {LONGEST_OVERLAP}: a year")));
            }
            seconds => Overlap::Seconds(seconds.into()),
        },
    };
    let rotate = move |operations: &Operations, actor: &_| {
        operations.rotate_authority(actor, overlap)?;
        trusted(operations)
    };
    Ok(Shown::found(admin.act(&who, rotate).await?))
}
