//! Why a request was not admitted, and what there is to tell of it.

use std::time::Duration;

use crate::domain::{Quota, Rate};

use super::limiter::Label;

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
        /// What else is known of it.
        met: Box<Obstacle>,
    },
    /// Too many wait, or are under way, already.
    #[error("{} are there already: {most}", crowd.as_str())]
    Full {
        /// Which of them.
        crowd: Crowd,
        /// How many there may be.
        most: u32,
        /// After which time it is worth another try.
        wait: Duration,
    },
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

/// A limit that stood in the way of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Which.
    pub label: Label,
    /// What of it.
    pub cause: Cause,
    /// Whether the request waited there for as long as it may, and not that it would have to.
    pub is_late: bool,
    /// How long the request may wait, where that is known.
    pub patience: Option<Patience>,
}

/// What of a limit stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The rate.
    Rate(Rate),
    /// So many places, none of which is free.
    Places(u32),
    /// The gate is closed.
    Closed {
        /// Whether the upstream itself said for how long.
        is_told: bool,
    },
    /// Those ahead, at the pace that the upstream takes.
    Pace,
    /// A quota of which less is left than the request counts for.
    Quota {
        /// Which.
        quota: Quota,
        /// How much is left.
        left: u32,
        /// For how much the request counts.
        cost: u32,
    },
}

/// How long a request may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// As its client and its service will.
    pub may: Duration,
    /// As its service lets the most patient client.
    pub most: Duration,
}

/// Which requests there are too many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowd {
    /// Those that wait in front of one gate.
    Gate,
    /// Those of one caller that wait there.
    Caller,
    /// Those that wait in the process.
    Process,
    /// Those that are under way in the process.
    UnderWay,
}

impl Crowd {
    /// As it is told.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "as many requests as may wait for one limit",
            Self::Caller => "as many requests as one caller may have wait for one limit",
            Self::Process => "as many requests as may wait in this process",
            Self::UnderWay => "as many requests as may be under way in this process",
        }
    }
}

impl Refused {
    /// After which time it is worth another try, as far as that is known.
    pub const fn wait(&self) -> Option<Duration> {
        match self {
            Self::Limit { wait, .. } | Self::Full { wait, .. } | Self::Circuit(wait) => Some(*wait),
            Self::HeldBack | Self::Closing => None,
        }
    }

    /// The one of two that holds for longer.
    pub(super) fn longer(self, other: Self) -> Self {
        if other.wait() > self.wait() { other } else { self }
    }

    /// The same, of a request that may wait for so long.
    #[must_use]
    pub fn of_patience(mut self, patience: Patience) -> Self {
        if let Self::Limit { met, .. } = &mut self {
            met.patience = Some(patience);
        }
        self
    }

    /// The same, of a request that waited for as long as it may.
    pub(super) fn late(mut self) -> Self {
        if let Self::Limit { met, .. } = &mut self {
            met.is_late = true;
        }
        self
    }
}
