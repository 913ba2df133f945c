//! Which service a target belongs to: by name at the path and host doors, by host at the proxy doors. Found by hash,
//! never by scan or pattern search. Knows nothing of callers or credentials; rules are checked elsewhere.

mod table;
mod target;

pub use table::{Routed, Routes, RoutesBuilder};
pub use target::{Door, Target};

#[cfg(test)]
mod tests;
