//! Who calls what, counted: each core counts into a tally of its own, which is taken every few seconds and kept as rollups by
//! minute, hour and day beside the endpoints that were called; and what of it an operator should look at. It serves no
//! request and decides about none, and the store's change counter does not move when it writes.
//!
//! Nothing here can hold a secret: names, identifiers, numbers, and the shapes of paths, never a query.

mod call;
mod counts;
pub mod detect;
mod handover;
mod hash;
mod latency;
pub mod ledger;
mod tally;

pub use call::Call;
pub use counts::{CLASSES, Counts};
pub use handover::{Activity, Taken, Tallies, Who, count, sweep};
pub use latency::Latency;
pub use tally::MOST_SHAPES;

#[cfg(test)]
mod tests;
