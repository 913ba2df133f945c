//! What is decided of a request before it waits, is opened or is sent: with which key, may they, and where to. Pure, so that
//! `explain` asks the very functions that the line asks, in the same order. Only the line goes further than this.

use std::borrow::Cow;
use std::sync::Arc;

use crate::access::{self, Grant, Known, Unauthorized};
use crate::domain::{Host, Origin};
use crate::gate::Breaker;
use crate::inject::{self, Mount, Upstream};
use crate::route::{Routed, Target};
use crate::upstream::Destination;

use super::error::{CallerFault, ProxyError};
use super::outlet::Outlet;
use super::snapshot::{Entry, Held, Snapshot};

/// The parts of a request on which the decision rests.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Where it wants to go.
    pub target: &'a Target,
    /// The method.
    pub method: &'a str,
    /// The path as the client sent it, without the query.
    pub path: &'a str,
    /// The credential that the caller named.
    pub named: Option<&'a str>,
    /// Unix seconds.
    pub now: i64,
}

impl<'a> Question<'a> {
    /// What the selection of a key for the service that was found needs of it.
    pub fn selection<'b>(&self, known: &'b Known, routed: &'b Routed<'b, Entry>) -> access::Request<'b>
    where
        'a: 'b,
    {
        let service = &routed.service.service.name;
        access::Request { known, service, named: self.named, host: routed.host, now: self.now }
    }
}

/// No service has this name or host.
pub fn no_service(target: &Target) -> CallerFault {
    match target {
        Target::Named { name, .. } => CallerFault::NoSuchService(name.chars().take(64).collect()),
        Target::Hosted { host, .. } => CallerFault::NoServiceForHost(host.to_string()),
    }
}

/// With which key.
///
/// # Errors
/// When there is none, or several on one step.
pub fn choose(
    view: &Snapshot,
    known: &Arc<Known>,
    routed: &Routed<'_, Entry>,
    question: &Question<'_>,
) -> Result<Grant<Held>, CallerFault> {
    Ok(access::grant(&view.credentials, known, &question.selection(known, routed))?)
}

const DOT_SEGMENTS: CallerFault = CallerFault::Malformed(
    "The path has a `.` or `..` segment, plain or encoded, where rules or a base path apply: what is checked must be what is sent. Send the resolved path.",
);

/// The rules of the service and of the share see the very bytes that will be sent; a path that a server may read differently
/// is refused. Of several shares, the grant is held to the first that admits the request.
///
/// # Errors
/// When the rules do not admit the request, or its path is such a one.
pub fn check_rules(grant: &mut Grant<Held>, question: &Question<'_>) -> Result<(), ProxyError> {
    let held = grant.candidate();
    let service = &held.entry.service;
    let plan = &held.outlet.plan;
    let is_bounded = grant.has_rules();
    if service.allowed.is_everything() && !plan.fixes_path() && !is_bounded {
        return Ok(());
    }
    if inject::has_dot_segments(question.target.within(question.path)) {
        return Err(DOT_SEGMENTS.into());
    }
    let path = ruled_path(held, question.target, question.path)?;
    if !service.allowed.admits(question.method, &path) {
        let reads = service.allowed.admits_method(question.method);
        let service = service.name.clone();
        let why = if reads { Unauthorized::Rules { service } } else { Unauthorized::ReadOnly { service } };
        return Err(CallerFault::from(why).into());
    }
    if is_bounded {
        let share = grant.share_for(question.method, &path).map_err(CallerFault::from)?;
        grant.hold_to(share);
    }
    Ok(())
}

/// The path as it is sent, without the query: what rules see.
///
/// # Errors
/// When it does not fit a request.
pub fn ruled_path<'a>(held: &'a Held, target: &Target, path: &'a str) -> Result<Cow<'a, str>, ProxyError> {
    let plan = &held.outlet.plan;
    plan.ruled_path(path, &mount(target, plan.upstream())).map_err(ProxyError::from)
}

/// Where a request goes.
#[derive(Debug)]
pub struct Way {
    /// Another host or port of the service than the base URL's.
    other: Option<Upstream>,
    /// What is dialled.
    pub destination: Arc<Destination>,
    /// The circuit in front of it.
    pub breaker: Option<Arc<Breaker>>,
}

impl Way {
    /// How the request's path relates to the upstream's.
    pub fn mount<'a>(&'a self, held: &'a Held, target: &Target) -> Mount<'a> {
        mount(target, self.other.as_ref().unwrap_or(held.outlet.plan.upstream()))
    }
}

/// Where to: the base URL, or another host of the service that the client named, when the key may go there.
///
/// # Errors
/// When the key must not go to that host, or not over plain HTTP.
pub fn way(held: &Held, target: &Target) -> Result<Way, CallerFault> {
    let (entry, outlet) = (&held.entry, &held.outlet);
    let other = match target {
        Target::Named { .. } => None,
        Target::Hosted { host, port, .. } => elsewhere(outlet, host, *port),
    };
    let (way, carries_key) = match other {
        None => {
            let (destination, breaker) = (Arc::clone(&outlet.destination), outlet.breaker.clone());
            (Way { other: None, destination, breaker }, outlet.carries_key)
        }
        Some(origin) => {
            let upstream = outlet.plan.upstream_at(&origin).ok_or_else(|| no_service(target))?;
            let destination = entry.destination(&origin).ok_or_else(|| no_service(target))?;
            let breaker = entry.breaker(&origin);
            (Way { other: Some(upstream), destination, breaker }, entry.service.may_carry_key_to(&origin))
        }
    };
    if carries_key { Ok(way) } else { Err(CallerFault::Plaintext(entry.service.name.to_string())) }
}

fn mount<'a>(target: &Target, upstream: &'a Upstream) -> Mount<'a> {
    match target {
        Target::Named { rest, .. } => Mount::Base { skip: *rest },
        Target::Hosted { .. } => Mount::Origin(upstream),
    }
}

/// The origin when the client named another host or port of the service than the base URL's.
fn elsewhere(outlet: &Outlet, host: &Host, port: Option<u16>) -> Option<Origin> {
    let base = outlet.destination.origin();
    let port = port.filter(|port| !matches!(port, 80 | 443)).unwrap_or(base.port);
    (base.host != *host || base.port != port).then(|| Origin { scheme: base.scheme, host: host.clone(), port })
}
