//! Why a request was not admitted.

use std::time::Duration;

/// Whose limits a gate keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LimitOf {
    /// A service's, for all who call it.
    Service,
    /// A share's, for those who use a key through it.
    Share,
    /// A caller's at a service.
    Caller,
    /// A team's at a service.
    Team,
    /// A credential's.
    Credential,
    /// That of certain requests of a limit owner.
    Route,
    /// A limit owner's, as it is configured.
    Owner,
    /// A limit owner's at a service, in a day or a month.
    Quota,
    /// One that an administrator pinned.
    Pin,
    /// What the upstream allows, as its answers told.
    Upstream,
}

impl LimitOf {
    /// As it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Share => "share",
            Self::Caller => "caller",
            Self::Team => "team",
            Self::Credential => "credential",
            Self::Route => "route",
            Self::Owner => "owner",
            Self::Quota => "quota",
            Self::Pin => "pin",
            Self::Upstream => "upstream",
        }
    }
}

/// Why a request was not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The limit would make it wait longer than it may.
    #[error("the limit `{policy}` would make this request wait {} s, longer than it may", wait.as_secs_f32().ceil())]
    Limit {
        /// The limit in words, such as `100/1s` or `concurrency 25`.
        policy: String,
        /// After which time it is worth another try.
        wait: Duration,
        /// Whose limit it is.
        of: LimitOf,
    },
    /// Too many wait already.
    #[error("too many requests wait for this service already")]
    Full,
    /// The upstream failed so often that nothing is sent to it for a while.
    #[error("the upstream failed again and again: nothing is sent to it for {} s", .0.as_secs_f32().ceil())]
    Circuit(Duration),
    /// The upstream fails more than half of the requests, so it is spared this one.
    #[error("the upstream fails more than half of the requests, so it is spared some: this is one of them")]
    HeldBack,
    /// The proxy is being stopped.
    #[error("sidekey is being stopped")]
    Closing,
}
