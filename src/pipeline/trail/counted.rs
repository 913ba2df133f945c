//! A request that is over, as usage counts it.

use std::time::Duration;

use super::Record;
use crate::route::Door;
use crate::usage::{self, Call};

impl Record {
    /// Counts it, unless it was for a page of our own, as probes would hide the calls, or opened a tunnel for calls to come. `path` is without its query and without a
    /// caller's token.
    pub(super) fn count(&self, path: &str, uploaded: u64, total: Duration) {
        if self.door == Door::Own || self.handshake.is_some() {
            return;
        }
        usage::count(&Call {
            at: self.wall + total,
            credential: self.held.as_ref().map(|held| (&held.credential.id, &held.credential.name)),
            caller: self.known.as_ref().map(|known| (&known.caller.id, &known.caller.name)),
            service: self.entry.as_ref().map(|entry| &entry.service.name),
            method: &self.method,
            path,
            status: self.status,
            code: self.code,
            attempts: self.attempts,
            turned_down: self.turned_down,
            bytes_in: uploaded,
            bytes_out: self.downloaded,
            wait: self.waited,
            took: total,
        });
    }
}
