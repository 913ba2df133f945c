//! The words in which a gate's state is spoken of.

use std::time::{Duration, Instant};

use super::super::reading::{Class, DimensionName};

/// Where a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Requests pass.
    Open,
    /// None passes before that.
    Closed {
        /// Until when.
        until: Instant,
    },
    /// One is under way, and its answer decides.
    Probing,
    /// A few at once, and more with each round that goes well.
    SlowStart,
}

impl Phase {
    /// As it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed { .. } => "closed",
            Self::Probing => "probing",
            Self::SlowStart => "slow_start",
        }
    }
}

/// What a request is told that wants to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Now.
    Go(Ticket),
    /// Not before this.
    At(Instant),
    /// When an answer that is under way has come.
    Hold,
    /// The same, but at the latest then.
    HoldUntil(Instant),
}

/// What a request that passed must show when its answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ticket {
    /// In which episode it passed.
    pub(super) episode: u32,
    /// Whether the gate waits for its answer.
    pub(super) probe: bool,
}

impl Ticket {
    /// For a request that passed an open gate of which only the episode was looked at.
    pub const fn of_episode(episode: u32) -> Self {
        Self { episode, probe: false }
    }

    /// Whether the gate waits for its answer.
    pub const fn is_probe(self) -> bool {
        self.probe
    }
}

/// What happens around a gate, as far as its state must know.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    /// Requests that passed and have no answer yet.
    pub unanswered: u32,
    /// Requests that wait.
    pub waiting: u32,
    /// How long the one that asks may wait still. Spacing what is left is a courtesy: nobody is refused for it.
    pub patience: Duration,
    /// How many tokens the one that asks is taken for, where the upstream counts those; 0 when that is unknown.
    pub tokens: u32,
    /// How many its answer may have, where the upstream counts that when it lets a request in; 0 when that is unknown.
    pub most_tokens: u32,
}

/// What an answer changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// It closed.
    Closed(Closure),
    /// It stays closed for longer.
    Extended,
    /// It lets requests pass again.
    Reopened,
}

/// Why and for how long a gate closed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Closure {
    /// For how long.
    pub wait: Duration,
    /// What the answer was, or exhausted when a count said so.
    pub class: Class,
    /// The limit that was met, when it has a name.
    pub met: Option<DimensionName>,
}
