//! From an admitted request to its answer's head: the key opened and placed, sent, and sent again where that is safe. Each
//! attempt looks up anew what the caller may use, so that a key that was rotated or revoked meanwhile is not sent.

use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;

use crate::access::Proof;
use crate::domain::Fields;
use crate::gate::{Attempt, Breaker, Permit};
use crate::inject::{self, Outbound};
use crate::route::Target;
use crate::throttle::{Class, Reading};
use crate::upstream::{Destination, Outgoing, UpstreamBody};

use super::again::{Attempts, Follow, Heard, Next};
use super::error::{OurFault, ProxyError};
use super::inbound::{Inbound, KeepHead};
use super::outlet::Outlet;
use super::snapshot::Held;
use super::trail::Trail;
use super::{Line, again, fallback, heed, judge};

/// An answer's head with its body to come, for which admission it was had if that is still held, and the client's side of a
/// switch of protocols.
type Sent = (Response<UpstreamBody>, Option<Permit<Held>>, Option<OnUpgrade>);

/// A request that is ready to be sent.
pub(super) struct Ready {
    pub(super) destination: Arc<Destination>,
    pub(super) breaker: Option<Arc<Breaker>>,
    pub(super) request: Box<Request<Outgoing>>,
}

impl Line {
    /// Sends, and sends again where that is safe: what did not go out, what broke off before an answer, and what the service
    /// turned down for now.
    pub(super) async fn send(
        &self,
        mut permit: Permit<Held>,
        mut inbound: Box<Inbound>,
        trail: &mut Trail,
    ) -> Result<Sent, ProxyError> {
        let upgrade = inbound.parts.extensions.remove::<OnUpgrade>();
        let held = Arc::clone(permit.grant().candidate());
        let mut attempts = Attempts::of(&held.entry, &mut inbound, upgrade.as_ref());
        let body = inbound.body.outgoing(attempts.keep).unwrap_or_default();
        attempts.spare = fallback::is_at_hand(&permit, &body, trail.began());
        held.budget().begun(trail.began().unsigned_abs());
        let mut ready = self.make(&permit, &mut inbound, body, &attempts, trail)?;
        let mut behind = ready.breaker.as_ref().map(Breaker::pass).transpose()?;
        loop {
            match self.attempt(ready, behind, permit, &mut inbound, &mut attempts, trail).await? {
                Follow::Answer(answer, permit) => return Ok((answer, permit, upgrade)),
                Follow::Attempt(Next { permit: admitted, behind: passed, body }) => {
                    (permit, behind) = (admitted, passed);
                    ready = self.make(&permit, &mut inbound, body, &attempts, trail)?;
                }
            }
        }
    }

    /// Sends once, and says what follows.
    async fn attempt(
        &self,
        ready: Ready,
        behind: Option<Attempt>,
        mut permit: Permit<Held>,
        inbound: &mut Inbound,
        attempts: &mut Attempts,
        trail: &mut Trail,
    ) -> Result<Follow, ProxyError> {
        attempts.begin();
        trail.attempt();
        permit.sent();
        let timeouts = permit.grant().candidate().entry.service.timeouts;
        match self.upstream.exchange(&ready.destination, &timeouts, ready.request).await {
            Ok(answer) => {
                let (mut answer, reading) = self.hear(answer, behind, &mut permit, inbound, attempts, trail).await;
                attempts.answered(permit.grant().candidate(), reading.class);
                if !reading.class.is_passing() && !again::may_go_elsewhere(&permit, &reading) {
                    again::tell(&mut answer, &reading, &permit, trail);
                    return Ok(Follow::Answer(answer, Some(permit)));
                }
                Box::pin(self.follow(Heard { answer, reading, permit }, inbound, attempts, trail)).await
            }
            Err(failed) => {
                heed::failed(behind, &failed.error);
                if failed.error.is_unsent() {
                    permit.unsent();
                }
                Box::pin(self.recover(failed, permit, inbound, attempts, trail)).await
            }
        }
    }

    /// An answer came: the former version of the key may help out, and the gates and the circuit learn from it.
    async fn hear(
        &self,
        mut answer: Response<UpstreamBody>,
        behind: Option<Attempt>,
        permit: &mut Permit<Held>,
        inbound: &mut Inbound,
        attempts: &Attempts,
        trail: &mut Trail,
    ) -> (Response<UpstreamBody>, Reading) {
        if attempts.spare && answer.status() == StatusCode::UNAUTHORIZED {
            answer = Box::pin(self.fall_back(answer, permit, inbound, trail)).await;
        }
        if heed::looks_inside(permit, &answer, inbound) {
            answer = Box::pin(heed::looked_into(answer)).await;
        }
        let reading = heed::answered(permit, behind, &answer);
        if matches!(reading.class, Class::Throttled | Class::Exhausted) {
            trail.turned_down(answer.status(), &reading);
        }
        (answer, reading)
    }

    /// Opens the key and makes the request that goes upstream. The key lives in it alone from then on.
    fn make(
        &self,
        permit: &Permit<Held>,
        inbound: &mut Inbound,
        body: Outgoing,
        attempts: &Attempts,
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
    let (mut outbound, destination, breaker) = outbound(held, &inbound.target, parts, fields)?;
    if unsized_http2 {
        // HTTP/1 needs to be told of a body without a length, which HTTP/2 frames show.
        outbound.declare_chunked();
    }
    let destination = if outbound.wants_upgrade() { destination.http1_only() } else { destination };
    let request = Box::new(Request::from_parts(outbound.into_parts(), trail.count_upload(body)));
    Ok(Ready { destination, breaker, request })
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

/// What goes upstream, where to, and the circuit in front of that.
type Addressed = (Outbound, Arc<Destination>, Option<Arc<Breaker>>);

/// Makes the request that goes upstream, and says where it goes.
fn outbound(held: &Held, target: &Target, parts: Parts, fields: &Fields) -> Result<Addressed, ProxyError> {
    let way = judge::way(held, target)?;
    let placed = inject::place(parts, way.mount(held, target), &held.outlet.plan, fields).map_err(ProxyError::from)?;
    Ok((placed, way.destination, way.breaker))
}
