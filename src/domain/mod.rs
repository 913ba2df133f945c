//! The nouns of sidekey: who asks, where a request goes, which credential it needs, and why it may be refused.
//! Plain values only: no I/O, no serde, no clock, no runtime. Every other floor speaks in these words.

mod allowed;
mod bounds;
mod caller;
mod clock;
mod code;
mod credential;
mod event;
mod host;
mod ids;
mod limits;
mod noted;
mod numbers;
mod peer;
mod pin;
mod placement;
mod quota;
mod request_id;
mod rule;
mod secret;
mod service;
mod shape;
mod signals;
mod slot;
mod table;
mod template;

pub use allowed::Allowed;
pub use bounds::Bounds;
pub use caller::{Caller, Environment, FormerToken, Role, Team, User, Weight};
pub use clock::{Clock, SystemClock};
pub use code::Code;
pub use credential::{Credential, Share, Shared, Source, SourceKind};
pub use event::EventKind;
pub use host::{Host, HostError, HostPattern, HostRange, OWN_HOST};
pub use ids::{CallerId, CredentialId, Name, NameError, ServiceName, TeamId, UserId};
pub use limits::{GateMode, Gating, Level, Limits, Rate, Retry, Timeouts};
pub use noted::{GateReset, NotedGate};
pub use numbers::GateNumbers;
pub use peer::{Peer, Perimeter, PerimeterError};
pub use pin::{Pin, PinnedTo};
pub use placement::Placement;
pub use quota::{OwnerQuotaUse, Period, Quota, QuotaUse, Quotas};
pub use request_id::RequestId;
pub use rule::{Rule, RuleError};
pub use secret::{Fields, Sealed, Secret};
pub use service::{BaseUrl, ConnectTo, Http2, Origin, Scheme, Service, UpstreamOptions, Variable, Verify};
pub use shape::write_shape;
pub use signals::{BodyRule, HeaderFamily, OwnHeaders, ResetUnit, RouteBucket, Signals, Verdict};
pub use slot::{KeyPlace, SlotKind};
pub use table::Table;
pub use template::{Part, Template, TemplateError};

#[cfg(test)]
mod tests;
