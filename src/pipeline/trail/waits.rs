//! How long a request waited, as its client is told.

use http::HeaderValue;

use crate::domain::{Clock, SystemClock};
use crate::gate::Refused;

use super::super::error::ProxyError;
use super::super::heed;
use super::{Record, Trail};

impl Trail {
    /// For `Server-Timing`, when the request waited: in queues and pauses, and at the upstream.
    pub(in super::super) fn timing(&self) -> Option<HeaderValue> {
        let record = &self.0;
        let upstream = || record.sent.map(|_| record.upstream_until(SystemClock.now()));
        (!record.waited.is_zero()).then(|| heed::timing(record.waited, upstream()))?
    }
}

impl Record {
    /// A gate sent it away: until then it waited there.
    pub(super) fn turned_away(&mut self, fault: &ProxyError) {
        let by_gate =
            matches!(fault, ProxyError::Gate(Refused::Limit { .. } | Refused::Full { .. } | Refused::Closing));
        if by_gate && self.sent.is_none() {
            let waited = SystemClock.now().saturating_duration_since(self.started);
            self.waited = self.waited.max(heed::as_wait(waited));
        }
    }
}
