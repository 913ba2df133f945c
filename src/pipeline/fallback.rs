//! The former version of a key helps out: after a rotation with an overlap, a request that the service refuses with the new
//! value is sent once more with the one before. It costs nothing where there is no overlap, and it decides nothing about who
//! may call what: the request is the same, and so are its grant, its permit and its host.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use http::{Response, StatusCode};
use http_body::Body as _;

use crate::gate::Permit;
use crate::store;
use crate::upstream::{Outgoing, UpstreamBody};
use crate::vault::KeptOpener;

use super::Line;
use super::inbound::{Inbound, KeepHead};
use super::outlet::Outlet;
use super::send::{self, Ready};
use super::snapshot::{Entry, Held};
use super::trail::Trail;

/// What a credential was before its last rotation.
#[derive(Debug)]
pub struct Former {
    /// The same credential with the version before.
    pub held: Arc<Held>,
    /// Until when it may be used, in Unix seconds.
    until: i64,
    /// Whether the log was told; once a snapshot is enough.
    told: AtomicBool,
}

impl Former {
    /// The former version goes where the current one goes.
    pub(super) fn new(former: store::Former, entry: &Arc<Entry>, outlet: &Arc<Outlet>) -> Self {
        let store::Former { credential, until } = former;
        let (entry, outlet) = (Arc::clone(entry), Arc::clone(outlet));
        let (opener, bounded) = (KeptOpener::default(), Box::default());
        let (counted, failed_over) = (OnceLock::new(), AtomicI64::new(0));
        let held = Arc::new(Held { credential, entry, outlet, opener, bounded, counted, failed_over, former: None });
        Self { held, until, told: AtomicBool::new(false) }
    }

    fn tell(&self, held: &Held) {
        if !self.told.swap(true, Ordering::Relaxed) {
            let (credential, service) = (&held.credential.name, &held.credential.service);
            let (version, former) = (held.credential.version, self.held.credential.version);
            tracing::warn!(%credential, %service, version, former, "the service refuses the new value: the former is used");
        }
    }
}

/// Whether a request may be sent once more after `status`. A 401 says that it was not carried out for want of credentials
/// that are accepted (RFC 9110 §15.5.2), so that repeating it with others is safe for every method; but a body is gone once
/// it was sent.
pub(super) fn may_resend(status: StatusCode, has_body: HasBody) -> bool {
    status == StatusCode::UNAUTHORIZED && has_body == HasBody::No
}

/// Whether a request had a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HasBody {
    /// It had none.
    No,
    /// It had one, or may have had.
    Yes,
}

impl HasBody {
    fn of(body: &Outgoing) -> Self {
        if body.is_end_stream() { Self::No } else { Self::Yes }
    }
}

/// Whether the former version may be needed for a request with this body. `now` is in Unix seconds.
pub(super) fn is_at_hand(permit: &Permit<Held>, body: &Outgoing, now: i64) -> bool {
    let former = permit.grant().candidate().former.as_ref();
    former.is_some_and(|former| former.until > now && may_resend(StatusCode::UNAUTHORIZED, HasBody::of(body)))
}

impl Line {
    /// Sends the request once more with the former version. When that fails or is refused too, the first answer stands.
    pub(super) async fn fall_back(
        &self,
        refused: Response<UpstreamBody>,
        permit: &Permit<Held>,
        inbound: &mut Inbound,
        trail: &mut Trail,
    ) -> Response<UpstreamBody> {
        let held = permit.grant().candidate();
        let Some(former) = &held.former else { return refused };
        let Ok(fields) = self.vault.unlock_former(permit) else { return refused };
        // It may be turned down for a limit, and then both go out once more.
        let made = send::make(&former.held, &fields, inbound, Outgoing::default(), KeepHead::Yes, trail);
        drop(fields);
        let Ok(Ready { destination, request, .. }) = made else { return refused };
        trail.attempt();
        match self.upstream.exchange(&destination, &held.entry.service.timeouts, request).await {
            Ok(answer) if answer.status() != StatusCode::UNAUTHORIZED => {
                trail.fell_back(&former.held);
                former.tell(held);
                answer
            }
            _ => refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_401_to_a_request_without_a_body_is_sent_again() {
        for (status, has_body, again) in [
            (401, HasBody::No, true),
            (401, HasBody::Yes, false),
            (403, HasBody::No, false),
            (407, HasBody::No, false),
            (200, HasBody::No, false),
            (500, HasBody::No, false),
        ] {
            assert_eq!(may_resend(StatusCode::from_u16(status).unwrap(), has_body), again, "{status} {has_body:?}");
        }
    }
}
