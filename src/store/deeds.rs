//! Acts between the store, which keeps them with the change, and the audit log, where they belong. Plain values, and never a
//! secret.

use std::time::Duration;

/// An act as the audit is to tell of it, before it is done: what the change itself knows is added by whoever makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Tells it from every other act.
    pub id: String,
    /// When, since the Unix epoch; kept in microseconds.
    pub time: Duration,
    /// Who does it.
    pub actor: String,
    /// What, such as `key.rotate`.
    pub act: &'static str,
    /// What else a reader needs. Never a value that is secret.
    pub details: Vec<(String, String)>,
    /// Where the audit log ended before it: it is not recorded before this place.
    pub log_end: LogEnd,
}

/// A place in the audit log; what it means is the log's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    /// The number of a segment.
    pub segment: u64,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// An act that was done, for as long as the audit log may not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrecorded {
    /// Tells it from every other act.
    pub id: String,
    /// When, since the Unix epoch.
    pub time: Duration,
    /// Who did it.
    pub actor: String,
    /// What.
    pub act: String,
    /// The name of what it was done to.
    pub object: String,
    /// Its identifier.
    pub object_id: String,
    /// What else a reader needs.
    pub details: Vec<(String, String)>,
    /// Where the audit log ended before it.
    pub log_end: LogEnd,
}
