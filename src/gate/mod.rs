//! Admission: every request passes here between its grant and its secret. Holds the configured limits of a service
//! (rate, burst, concurrency) and those of a share, and lets a request wait its turn, in order of arrival, no longer than it
//! may. Without limits it costs one branch. Only this module makes a `Permit`.

mod limiter;
mod permit;
mod share;

pub use limiter::{Gate, Gates, LimitOf, Refused};
pub use permit::{Permit, admit};
pub use share::{ShareGate, ShareGates};

#[cfg(test)]
mod tests;
