//! The doors: accepting connections, telling forward, CONNECT, path and host doors apart, opening tunnels, and handing each request to the
//! line as an `Inbound`. Doors decide nothing about callers, services or keys.

mod accept;
mod browser;
mod carry;
mod connection;
mod doors;
mod extended;
mod framing;
mod guarded;
mod inherited;
mod opened;
mod own;
mod proof;
mod rewound;
mod served;
mod tunnel;
mod unparsable;
mod upgrade;

pub use accept::{Bound, bind, run};
pub use browser::is_local_authority;
pub use connection::Shared;
pub use guarded::{Latecomers, clients, drain, sweep};
#[cfg(test)]
pub(crate) use guarded::{Phase, watched};
pub use inherited::Inherited;

#[cfg(test)]
mod tests;
