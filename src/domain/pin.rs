//! A limit that an operator pinned: obeyed beside what was learnt and what is configured, until it is over or taken back.

use std::fmt;
use std::num::NonZeroU32;

use super::{Rate, ServiceName};

/// To which requests a pinned limit applies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PinnedTo {
    /// Of this service.
    pub service: ServiceName,
    /// Of this limit owner, by its identifier; of all of them together when none.
    pub owner: Option<String>,
    /// Of this bucket, as it is shown; of all of them together when none.
    pub bucket: Option<String>,
}

/// A pinned limit: a rate, a number of places, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// To what it applies; there is one for each.
    pub to: PinnedTo,
    /// How often.
    pub rate: Option<Rate>,
    /// How many may be under way.
    pub concurrency: Option<NonZeroU32>,
    /// From when on it does not count any more, in Unix seconds.
    pub until: Option<i64>,
}

impl Pin {
    /// Whether it counts at `now` (Unix seconds).
    pub fn counts(&self, now: i64) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// As people read it: `100/min, 5 under way`.
impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.rate.map(|rate| rate.to_string());
        let places = self.concurrency.map(|places| format!("{places} under way"));
        f.write_str(&rate.into_iter().chain(places).collect::<Vec<_>>().join(", "))
    }
}
