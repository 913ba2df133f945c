//! The line that every request walks: who → where → may they → now → with what → once. Short and straight; what a step
//! decides stands in the step's own module. Nothing is dialled before admission, and every request leaves one audit entry.

mod again;
mod error;
pub mod explain;
mod fallback;
mod heed;
mod inbound;
pub mod judge;
mod outlet;
mod reply;
mod respond;
mod send;
mod snapshot;
mod trail;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;

use crate::access::{Grant, Known};
use crate::domain::{Clock, Host, Origin, Scheme, Timeouts};
use crate::inject;
use crate::route::{Routed, Target};
use crate::upstream::{Destination, ExchangeError, Reach, Stream, Upstream};
use crate::vault::Vault;

pub use crate::metrics::Handshake;
pub use error::{CallerFault, OurFault, ProxyError};
pub use inbound::{Inbound, Peer, Signs, Upload};
pub use outlet::Outlet;
pub use reply::{Joined, Reply, ReplyBody};
pub use respond::{Problem, answer};
pub use snapshot::{Amends, Bounded, Entry, Held, Snapshot, Sources, Unmatched, Unusable};
pub use trail::{Core, Trail};

use heed::Sending;
use judge::no_service;

/// The parts of the line that outlive a snapshot.
pub struct Line {
    view: ArcSwap<Snapshot>,
    vault: Arc<Vault>,
    upstream: Upstream,
    clock: Arc<dyn Clock>,
    unready: ArcSwapOption<String>,
}

impl Line {
    /// The line on its first snapshot.
    pub fn new(view: Snapshot, vault: Arc<Vault>, upstream: Upstream, clock: Arc<dyn Clock>) -> Self {
        let view = ArcSwap::from_pointee(view);
        Self { view, vault, upstream, clock, unready: ArcSwapOption::empty() }
    }

    /// Swaps a new snapshot in; requests under way finish with the one they have.
    pub fn swap(&self, view: Snapshot) {
        self.view.store(Arc::new(view));
    }

    /// The current snapshot.
    pub fn view(&self) -> Arc<Snapshot> {
        self.view.load_full()
    }

    /// Looks at the current snapshot without keeping it.
    pub fn peek<T>(&self, look: impl FnOnce(&Snapshot) -> T) -> T {
        look(&self.view.load())
    }

    /// Whether requests can be served now; the reason when not.
    ///
    /// # Errors
    /// What stands in the way, in words.
    pub fn readiness(&self) -> Result<(), String> {
        match &*self.unready.load() {
            Some(why) => Err(why.to_string()),
            None => Ok(()),
        }
    }

    /// Notes what stands in the way of serving, or that nothing does any more.
    pub fn set_unready(&self, why: Option<String>) {
        self.unready.store(why.map(Arc::new));
    }

    /// Who the caller is, as sidekey sees it.
    ///
    /// # Errors
    /// When the proof is missing or wrong.
    pub fn introduce(&self, inbound: &Inbound, trail: &mut Trail) -> Result<serde_json::Value, ProxyError> {
        let view = self.view();
        let known = identify(&view, inbound, trail)?;
        Ok(serde_json::json!({
            "caller": known.caller.name.as_str(),
            "owner": known.owner.name.as_str(),
            "environment": known.caller.environment.as_ref().map(crate::domain::Name::as_str),
            "address": inbound.peer.text(),
        }))
    }

    /// Carries one request from its door to its answer. Never fails: a fault becomes the answer.
    pub async fn carry(&self, inbound: Box<Inbound>, mut trail: Trail) -> Response<ReplyBody> {
        match self.walk(inbound, &mut trail).await {
            Ok(reply) => reply.finish(trail),
            Err(fault) => refuse(&fault, trail),
        }
    }

    async fn walk(&self, mut inbound: Box<Inbound>, trail: &mut Trail) -> Result<Reply, ProxyError> {
        Trail::check_room()?;
        let Some(grant) = self.grant(&inbound, trail)? else {
            return Box::pin(self.pass_unmatched(inbound, trail)).await;
        };
        let entry = Arc::clone(&grant.candidate().entry);
        heed::look_ahead(&grant, &mut inbound).await;
        let permit = self.admit(grant, &inbound, Sending::First, Duration::ZERO).await?;
        trail.admitted(&permit);
        let (answer, permit, upgrade) = self.send(permit, inbound, trail).await?;
        Ok(Reply::new(answer, permit, upgrade, entry.service.timeouts.idle))
    }

    /// Who, where, may they, and with which credential; none for a host of no service.
    fn grant(&self, inbound: &Inbound, trail: &mut Trail) -> Result<Option<Grant<Held>>, ProxyError> {
        let view = self.view.load();
        let known = identify(&view, inbound, trail)?;
        let Some(routed) = view.routes.find(&inbound.target, inbound.path()) else { return Ok(None) };
        trail.service(routed.service, &inbound.target);
        authorize(&view, known, &routed, inbound, trail.began()).map(Some)
    }

    /// What this caller may use now, for a request that was looked at before.
    fn grant_anew(&self, inbound: &Inbound) -> Result<Grant<Held>, ProxyError> {
        let view = self.view.load();
        let unknown = |why| CallerFault::Unknown { why, door: inbound.door };
        let now = i64::try_from(self.clock.wall().as_secs()).unwrap_or(i64::MAX);
        let known = view.callers.identify(&inbound.proof, &inbound.peer, now).map_err(unknown)?;
        let routed = view.routes.find(&inbound.target, inbound.path()).ok_or_else(|| no_service(&inbound.target))?;
        authorize(&view, known, &routed, inbound, now)
    }

    /// A host of no service: refused, or passed on without any key, as `[unmatched]` says.
    async fn pass_unmatched(&self, inbound: Box<Inbound>, trail: &mut Trail) -> Result<Reply, ProxyError> {
        let Target::Hosted { host, port, scheme } = &inbound.target else {
            return Err(no_service(&inbound.target).into());
        };
        if self.peek(|view| view.unmatched) == Unmatched::Deny {
            return Err(no_service(&inbound.target).into());
        }
        let origin = Origin { scheme: *scheme, host: host.clone(), port: port.unwrap_or(scheme.default_port()) };
        let destination = self.plain(origin)?;
        let Inbound { mut parts, mut body, .. } = *inbound;
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let body = send::sifted(body.outgoing(None).unwrap_or_default(), parts.version, None);
        let outbound = inject::unkeyed(parts, destination.origin()).map_err(ProxyError::from)?;
        let body = trail.count_upload(body);
        let request = Box::new(Request::from_parts(outbound.into_parts(), body));
        let timeouts = Timeouts::default();
        trail.attempt();
        let sent = self.upstream.exchange(&destination, &timeouts, request).await;
        let answer = sent.map_err(|failed| ProxyError::from(failed.error))?;
        Ok(Reply::new(answer, None, upgrade, timeouts.idle))
    }

    /// A destination of no service, reached with the system's roots and never on private addresses.
    fn plain(&self, origin: Origin) -> Result<Arc<Destination>, ProxyError> {
        let host = origin.host.to_string();
        let destination =
            Destination::new(origin, self.upstream.strangers()).map_err(|_| CallerFault::NoServiceForHost(host))?;
        Ok(Arc::new(destination))
    }

    /// CONNECT: who, and may they. The tunnel itself is the door's. `admits` tells whether there may be a certificate for a
    /// host; none when there is no authority that could sign one.
    ///
    /// # Errors
    /// When the caller is unknown, the policy is to deny, or no tunnel can be opened now.
    pub fn screen(
        &self,
        inbound: &Inbound,
        trail: &mut Trail,
        admits: impl FnOnce(&Host) -> Option<bool>,
    ) -> Result<Passage, ProxyError> {
        Trail::check_room()?;
        let view = self.view();
        identify(&view, inbound, trail)?;
        let Target::Hosted { host, port, .. } = &inbound.target else {
            return Err(no_service(&inbound.target).into());
        };
        let is_claimed = view.routes.claims(host, *port);
        let is_own = !is_claimed && host.is_own() && *port == Some(443);
        if is_claimed || is_own {
            let is_admitted = admits(host).ok_or(OurFault::Authority)?;
            if is_own {
                return Ok(Passage::Own(host.clone()));
            }
            if is_admitted {
                return Ok(Passage::Opened(host.clone(), port.unwrap_or(443)));
            }
        }
        if view.unmatched == Unmatched::Deny {
            let sealed = || CallerFault::NotOpened(host.to_string());
            return Err(if is_claimed { sealed() } else { no_service(&inbound.target) }.into());
        }
        let origin = Origin { scheme: Scheme::Https, host: host.clone(), port: port.unwrap_or(443) };
        Ok(Passage::Blind(Reach::tunnel(origin, Timeouts::default().connect)))
    }

    /// Dials the far end of a tunnel.
    ///
    /// # Errors
    /// When it cannot be reached or its address is refused.
    pub async fn dial_tunnel(&self, reach: &Reach) -> Result<Stream, ProxyError> {
        let dialed = self.upstream.dialer().dial(reach).await;
        dialed.map(|dialed| dialed.stream).map_err(|error| ExchangeError::Dial(error).into())
    }
}

/// What becomes of a tunnel.
#[derive(Debug)]
pub enum Passage {
    /// Its host and port belong to a service: it is opened.
    Opened(Host, u16),
    /// It leads to sidekey's own pages ([`OWN_HOST`](crate::domain::OWN_HOST)).
    Own(Host),
    /// It carries bytes unseen.
    Blind(Reach),
}

/// The answer to a request that is not carried.
pub fn refuse(fault: &ProxyError, mut trail: Trail) -> Response<ReplyBody> {
    let answer = told(&Problem::of(fault), fault, &mut trail);
    let (parts, bytes) = answer.into_parts();
    Response::from_parts(parts, ReplyBody::own(bytes, trail))
}

/// The answer to a head that was no request, with a status of its own.
pub fn refuse_unread(status: StatusCode, why: &'static str, mut trail: Trail) -> Response<Bytes> {
    let fault = CallerFault::Malformed(why).into();
    let answer = told(&Problem { status, ..Problem::of(&fault) }, &fault, &mut trail);
    trail.sent_down(answer.body().len());
    answer
}

fn told(problem: &Problem, fault: &ProxyError, trail: &mut Trail) -> Response<Bytes> {
    trail.refused(problem.code, fault);
    trail.status(problem.status);
    let mut answer = respond::answer(problem, trail.id());
    if let Some(value) = trail.timing() {
        answer.headers_mut().insert(heed::SERVER_TIMING, value);
    }
    answer
}

fn identify<'a>(view: &'a Snapshot, inbound: &Inbound, trail: &mut Trail) -> Result<&'a Arc<Known>, CallerFault> {
    match view.callers.identify(&inbound.proof, &inbound.peer, trail.began()) {
        Ok(known) => {
            trail.caller(known);
            Ok(known)
        }
        Err(why) => {
            trail.unidentified(why, view.callers.suspect(&inbound.proof, why));
            Err(CallerFault::Unknown { why, door: inbound.door })
        }
    }
}

/// May they, and with which credential. `now` is in Unix seconds.
fn authorize(
    view: &Snapshot,
    known: &Arc<Known>,
    routed: &Routed<'_, Entry>,
    inbound: &Inbound,
    now: i64,
) -> Result<Grant<Held>, ProxyError> {
    let question = inbound.question(now);
    let mut grant = judge::choose(view, known, routed, &question)?;
    judge::check_rules(&mut grant, &question)?;
    Ok(grant)
}

#[cfg(test)]
mod tests;
