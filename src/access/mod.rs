//! Who asks, and with which credential: identify → select → authorize. Pure: works on the snapshot's tables alone.
//! Only this module makes a `Grant`, so nothing is admitted, opened or sent for a caller who may not.

mod authorize;
mod identify;
mod select;
mod sightings;

pub use authorize::{Grant, Unauthorized, grant};
pub use identify::{Callers, Known, Proof, Unidentified};
pub use select::{Candidate, Choice, Considered, Credentials, Request, Selection, Step, Verdict};
pub use sightings::Sightings;

#[cfg(test)]
mod tests;
