//! Upstream connections: which addresses may be dialled, TLS trust, dialling directly or through a parent proxy, the pool
//! of connections, one exchange. It knows origins and requests that are ready to go, not services, callers or credentials.
//!
//! Invariants: no address is connected to that the guard has not let pass after resolution; every pool and wait has a bound.

mod ahead;
mod destination;
mod dial;
mod error;
mod exchange;
mod guard;
mod h1;
mod h2;
mod outgoing;
mod parent;
mod patience;
mod pieces;
mod pool;
mod replay;
mod stream;
mod tls;

pub use ahead::Ahead;
pub use destination::{Approach, Destination};
pub use dial::{Dialed, Dialer, Forward, Layer, Protocol, Reach};
pub use error::{DialError, Stage};
pub use exchange::{ExchangeError, Failed, Switched, Upstream, UpstreamBody};
pub use guard::{AddressRefused, Guard, Permission};
pub use outgoing::Outgoing;
pub use parent::{Parent, ParentError, ParentSettings, goes_around};
pub use pieces::Pieces;
pub use pool::{GAUGES, PoolGauges, seconds, sweep};
pub use replay::Replay;
pub use stream::{SMALL, Stream, as_one};
pub use tls::{TlsConfigs, TlsFault, TlsSetupError, TrustReport, system_authorities};

#[cfg(test)]
mod tests;
