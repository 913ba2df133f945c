//! Placing a credential into a request, and taking out what must not go upstream. Pure: no I/O, no clock, no runtime.
//!
//! It decides nothing about who may call what. It keeps three invariants: only this module makes an [`Outbound`]; what the
//! caller put at the credential's place never goes upstream; an [`Upstream`] comes from a [`Plan`], so that a value can only
//! be placed into a request for a host that the service and the credential's pinned variables name.

mod basic;
mod cookie;
mod error;
mod header;
mod outbound;
mod path;
mod pattern;
mod place;
mod plan;
mod query;
mod strip;
mod token;

pub use error::{InjectError, PlanError};
pub use outbound::{Outbound, Upstream};
pub use path::has_dot_segments;
pub use place::{Mount, place, unkeyed};
pub use plan::Plan;
pub use strip::strip_trailers;
pub use token::{mask_token, withhold_token};

#[cfg(test)]
mod tests;
