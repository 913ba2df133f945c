//! Admission: every request passes here between its grant and its secret. What is configured (rates, places, quotas) and what
//! upstreams were found to allow stand in one queue per gate, in which callers take turns and nobody waits longer than it
//! may. The gates belong to the process and not to a core. Only this module makes a `Permit`.

mod address;
mod allowance;
mod breaker;
mod dice;
mod fine;
mod hall;
mod levels;
mod limiter;
mod outlook;
mod owner;
mod pass;
mod passes;
mod permit;
mod pins;
mod queue;
mod quota;
mod refused;
mod registry;
mod share;
mod shared;
mod view;
mod waiting;

pub use breaker::{Attempt, Breaker};
pub use hall::{Happened, News, Rejection};
pub use levels::Levels;
pub use limiter::{Gate, Label};
pub use outlook::{is_declared, may_belong, outlook};
pub use owner::{Owner, mode_of};
pub use permit::{Course, LONGEST_WAIT, Permit, admit, foretell};
pub use pins::Pins;
pub use quota::{OwnerQuotas, QuotaBook};
pub use refused::{Cause, Crowd, LimitOf, Obstacle, Patience, Refused};
pub use registry::{Gates, LeftClosed};
pub use share::{ShareGate, ShareGates};
pub use shared::{Alone, Shared, Shut};
pub use view::{CircuitView, GateView, WindowView};

#[cfg(test)]
mod tests;
