//! From an admitted request to its answer's head: the key opened and placed, sent, and sent again where that is safe. Each
//! attempt looks up anew what the caller may use, so that a key that was rotated or revoked meanwhile is not sent.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;

use crate::access::Proof;
use crate::domain::Fields;
use crate::gate::Permit;
use crate::inject::{self, Outbound};
use crate::route::Target;
use crate::upstream::{Destination, Failed, Outgoing, UpstreamBody};

use super::error::{OurFault, ProxyError};
use super::inbound::{Inbound, KeepHead};
use super::snapshot::{Entry, Held, Outlet};
use super::trail::Trail;
use super::{Line, fallback, judge};

/// The first pause before a request is sent again; it doubles with each attempt.
const PAUSE: Duration = Duration::from_millis(50);

/// An answer's head with its body to come, for which admission it was had, and the client's side of a switch of protocols.
type Sent = (Response<UpstreamBody>, Permit<Held>, Option<OnUpgrade>);

/// A request that is ready to be sent.
pub(super) struct Ready {
    pub(super) destination: Arc<Destination>,
    pub(super) request: Box<Request<Outgoing>>,
}

/// How often a request may be sent, and of how large a body a copy is kept for that.
#[derive(Clone, Copy)]
struct Attempts {
    most: u32,
    /// None for a request that must not be sent a second time once something of it was.
    keep: Option<u64>,
    /// Whether the former version of the key may help out.
    spare: bool,
}

impl Attempts {
    fn of(entry: &Entry, inbound: &Inbound, upgrade: Option<&OnUpgrade>) -> Self {
        let retry = entry.service.retry;
        let most = if inbound.wants_no_resend() { 1 } else { retry.attempts };
        let keeps = most > 1 && upgrade.is_none() && inbound.is_idempotent();
        Self { most, keep: keeps.then_some(retry.max_body), spare: false }
    }

    fn head(self) -> KeepHead {
        if self.keep.is_some() || self.spare { KeepHead::Yes } else { KeepHead::No }
    }
}

impl Line {
    /// Sends, and sends again while nothing was sent, or what was sent broke before an answer and is safe to repeat.
    pub(super) async fn send(
        &self,
        mut permit: Permit<Held>,
        mut inbound: Box<Inbound>,
        trail: &mut Trail,
    ) -> Result<Sent, ProxyError> {
        let entry = Arc::clone(&permit.grant().candidate().entry);
        let upgrade = inbound.parts.extensions.remove::<OnUpgrade>();
        let mut attempts = Attempts::of(&entry, &inbound, upgrade.as_ref());
        let body = inbound.body.outgoing(attempts.keep).unwrap_or_default();
        attempts.spare = fallback::is_at_hand(&permit, &body, trail.began());
        let Ready { mut destination, mut request } = self.make(&permit, &mut inbound, body, attempts, trail)?;
        let mut attempt = 1;
        loop {
            trail.attempt(attempt);
            let failed = match self.upstream.exchange(&destination, &entry.service.timeouts, request).await {
                Ok(refused) if attempts.spare && refused.status() == StatusCode::UNAUTHORIZED => {
                    let answer = Box::pin(self.fall_back(refused, &permit, &mut inbound, trail)).await;
                    return Ok((answer, permit, upgrade));
                }
                Ok(answer) => return Ok((answer, permit, upgrade)),
                Err(failed) => failed,
            };
            if attempt >= attempts.most || !may_follow(&failed, attempts) {
                return Err(failed.error.into());
            }
            Box::pin(tokio::time::sleep(PAUSE * 2_u32.pow(attempt - 1))).await;
            attempt += 1;
            if let Some(unsent) = failed.request {
                request = unsent;
                continue;
            }
            let Some(body) = inbound.body.outgoing(attempts.keep) else { return Err(failed.error.into()) };
            permit = self.renew(permit, &inbound)?;
            Ready { destination, request } = self.make(&permit, &mut inbound, body, attempts, trail)?;
        }
    }

    /// Opens the key and makes the request that goes upstream. The key lives in it alone from then on.
    fn make(
        &self,
        permit: &Permit<Held>,
        inbound: &mut Inbound,
        body: Outgoing,
        attempts: Attempts,
        trail: &mut Trail,
    ) -> Result<Ready, ProxyError> {
        let fields = self.vault.unlock(permit).map_err(OurFault::Vault)?;
        make(permit.grant().candidate(), &fields, inbound, body, attempts.head(), trail)
    }
}

/// Makes the request that goes upstream with these fields of this key.
pub(super) fn make(
    held: &Held,
    fields: &Fields,
    inbound: &mut Inbound,
    body: Outgoing,
    keep: KeepHead,
    trail: &mut Trail,
) -> Result<Ready, ProxyError> {
    let unsized_http2 = inbound.parts.version == Version::HTTP_2 && body.is_unsized();
    let mut parts = inbound.take_head(keep);
    if !inbound.door.is_proxy() && matches!(inbound.proof, Proof::Token { .. }) {
        inject::withhold_token(&mut parts, &held.outlet.plan).map_err(ProxyError::from)?;
    }
    let body = sifted(body, parts.version, Some(&held.outlet));
    let (mut outbound, destination) = outbound(held, &inbound.target, parts, fields)?;
    if unsized_http2 {
        // HTTP/1 needs to be told of a body without a length, which HTTP/2 frames show.
        outbound.declare_chunked();
    }
    let destination = if outbound.wants_upgrade() { destination.http1_only() } else { destination };
    let request = Box::new(Request::from_parts(outbound.into_parts(), trail.count_upload(body)));
    Ok(Ready { destination, request })
}

/// Whether another attempt may follow this failure: for any request when nothing of it was sent and the same may go better
/// a moment later; for one that may be repeated also when its connection broke before an answer.
fn may_follow(failed: &Failed, attempts: Attempts) -> bool {
    match &failed.request {
        Some(_) => failed.error.is_passing(),
        None => attempts.keep.is_some() && failed.error.is_break(),
    }
}

/// The caller's body; what its trailers may not carry, least of all a key in our place, is taken out of them.
pub(super) fn sifted(mut body: Outgoing, version: http::Version, outlet: Option<&Arc<Outlet>>) -> Outgoing {
    if body.may_have_trailers(version) {
        let outlet = outlet.map(Arc::clone);
        body.sift_trailers(move |trailers| {
            inject::strip_trailers(trailers, outlet.as_ref().map(|outlet| &outlet.plan));
        });
    }
    body
}

/// Makes the request that goes upstream, and says where it goes.
fn outbound(
    held: &Held,
    target: &Target,
    parts: Parts,
    fields: &Fields,
) -> Result<(Outbound, Arc<Destination>), ProxyError> {
    let way = judge::way(held, target)?;
    let placed = inject::place(parts, way.mount(held, target), &held.outlet.plan, fields).map_err(ProxyError::from)?;
    Ok((placed, way.destination))
}
