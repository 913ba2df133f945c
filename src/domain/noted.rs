//! A gate of the running proxy as the store keeps it: for commands, which are other processes, and for the next start.

use super::ServiceName;

/// One gate as it was noted last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedGate {
    /// The service.
    pub service: ServiceName,
    /// Whose it is: the identifier of the limit owner.
    pub owner: String,
    /// Which of the owner's limits; empty: all of its requests.
    pub bucket: String,
    /// Until when it is closed, in Unix seconds; none when it is not.
    pub until: Option<i64>,
    /// For how many seconds it was closed.
    pub wait: i64,
    /// What else there is to show, as JSON.
    pub shown: String,
}

/// Gates to be forgotten by the running proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateReset {
    /// Of this service.
    pub service: ServiceName,
    /// Of this limit owner; all of them when none.
    pub owner: Option<String>,
    /// Of this bucket, as it is shown; all of them when none.
    pub bucket: Option<String>,
}
