//! The seam at which the gates of several nodes can meet: what one node learns the others keep to, one probe goes out for all,
//! and a rate or a number of places holds for all together. Each gate decides by itself first and asks here after; alone, as a
//! single node is, everything is granted and nobody is told.

use std::fmt;
use std::time::Duration;

use crate::domain::Rate;
use crate::throttle::Class;

use super::limiter::Label;

/// A gate that closed on this node, or stays closed for longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shut<'a> {
    /// Which.
    pub gate: &'a Label,
    /// For how long from now on: clocks of nodes differ, so no moment is told.
    pub closed_for: Duration,
    /// Why.
    pub class: Class,
}

/// What the nodes share.
///
/// Everything here is called on the way of requests and mostly under a gate's lock. A method must answer at once from what the
/// node holds already (a lease, a copy) and have the rest done in the background; one that blocks holds up every request of
/// that gate, and one that calls back into the gates locks up. Where the others cannot be reached, it must say what is safe
/// for one node of as many as were last seen: a wrong `true` has the upstream refuse requests, a wrong `false` holds them
/// until their patience ends. What the others tell goes to [`super::Gates::close_from_elsewhere`].
pub trait Shared: Send + Sync + fmt::Debug {
    /// The others should keep to this; of several closures of a gate the longest counts.
    fn shut(&self, shut: Shut<'_>);

    /// An administrator had a gate forgotten here.
    fn forgotten(&self, gate: &Label);

    /// Whether the probe of a closed gate may go out from this node; asked again a quarter of a second later when not.
    fn may_probe(&self, gate: &Label) -> bool;

    /// Uses `cost` of a rate up that holds for all nodes.
    ///
    /// # Errors
    /// When there is not enough: after which time to ask again.
    fn take(&self, gate: &Label, rate: Rate, cost: u32) -> Result<(), Duration>;

    /// Gives back what was taken for a request that was never sent.
    fn give_back(&self, gate: &Label, cost: u32);

    /// Takes one of the places of a gate, of which all nodes together have `places`; whether there was one.
    fn enter(&self, gate: &Label, places: u32) -> bool;

    /// Frees a place.
    fn leave(&self, gate: &Label);
}

/// A single node.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Shared for Alone {
    fn shut(&self, _shut: Shut<'_>) {}

    fn forgotten(&self, _gate: &Label) {}

    fn may_probe(&self, _gate: &Label) -> bool {
        true
    }

    fn take(&self, _gate: &Label, _rate: Rate, _cost: u32) -> Result<(), Duration> {
        Ok(())
    }

    fn give_back(&self, _gate: &Label, _cost: u32) {}

    fn enter(&self, _gate: &Label, _places: u32) -> bool {
        true
    }

    fn leave(&self, _gate: &Label) {}
}

#[cfg(test)]
mod tests;
