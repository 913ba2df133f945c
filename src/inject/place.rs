//! From what the caller sent to what goes upstream: strip, place, add the fixed headers, set the host. The order matters:
//! a caller's `Connection` can nominate only its own fields, never ours.

use http::request::Parts;

use super::outbound::{Outbound, Upstream};
use super::{InjectError, Plan, PlanError, cookie, path, strip};
use crate::domain::{Fields, Origin};

/// How the caller's path relates to the upstream's.
#[derive(Debug, Clone, Copy)]
pub enum Mount<'a> {
    /// The caller wrote the upstream's own URL (forward and intercept doors): nothing is added to the path. The upstream is
    /// [`Plan::upstream`], or another host of the service by [`Plan::upstream_at`].
    Origin(&'a Upstream),
    /// The caller wrote sidekey's URL (path and host doors): the first `skip` bytes of the path are the door's own
    /// (`/stripe`, or none), and the base URL's path is added.
    Base {
        /// How many bytes of the path belong to the door; the rest is empty or starts with `/`.
        skip: usize,
    },
}

/// Makes the request that goes upstream. `parts` are the caller's, with their extensions (hyper keeps the spelling of
/// header names there); take `OnUpgrade` out of them first.
///
/// # Errors
/// See [`InjectError`]; never with a value in it.
pub fn place(mut parts: Parts, mount: Mount<'_>, plan: &Plan, fields: &Fields) -> Result<Outbound, InjectError> {
    let upgrade = strip::strip(&mut parts.headers, parts.version, &plan.shadowed)?;
    let target = path::target(&parts.uri, &mount, plan, fields)?;
    for slot in &plan.headers {
        let value = slot.fill(fields)?;
        // `insert` replaces every line of that name, in its place.
        parts.headers.insert(&slot.name, value);
    }
    cookie::place(&mut parts.headers, &plan.cookies, fields)?;
    for (name, value) in &plan.fixed {
        if !parts.headers.contains_key(name) {
            parts.headers.insert(name, value.clone());
        }
    }
    let upstream = match mount {
        Mount::Origin(upstream) => upstream,
        Mount::Base { .. } => &plan.upstream,
    };
    Ok(Outbound::new(parts, target, upstream.clone(), upgrade))
}

/// Makes a request to a host that belongs to no service (`[unmatched] policy = "tunnel"`): stripped, with the caller's own
/// path and query bytes. Safe without a plan because no value can reach it: it takes no [`Fields`], and the caller's proof
/// (`Proxy-*`, `Sidekey-*`) is stripped like everywhere.
///
/// # Errors
/// [`InjectError::TransferCoding`], or [`InjectError::Target`] when `origin` cannot be written as an authority.
pub fn unkeyed(mut parts: Parts, origin: &Origin) -> Result<Outbound, InjectError> {
    let upgrade = strip::strip(&mut parts.headers, parts.version, &[])?;
    let upstream = Upstream::new(origin.clone()).map_err(|_: PlanError| InjectError::Target)?;
    let target = parts.uri.path_and_query().cloned().ok_or(InjectError::Target)?;
    Ok(Outbound::new(parts, target, upstream, upgrade))
}
