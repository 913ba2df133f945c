//! What a service counts by the address that requests come from, whoever they are of: Discord shuts an address out for too many
//! requests that it calls invalid. So it is counted over all limit owners of the service, and all of them stop together.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use crate::domain::Name;
use crate::throttle::{Class, Invalid, Reading, Scope};

use super::limiter::{Gate, now};

/// This process, as one service sees it.
#[derive(Debug)]
pub(super) struct Address {
    invalid: Invalid,
    began: Instant,
    /// The gate of each limit owner that there is.
    gates: Mutex<Vec<Weak<Gate>>>,
}

impl Address {
    pub(super) fn new() -> Self {
        Self { invalid: Invalid::default(), began: now(), gates: Mutex::default() }
    }

    /// One more limit owner sends from here.
    pub(super) fn join(&self, gate: &Arc<Gate>) {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|gate| gate.strong_count() > 0);
        gates.push(Arc::downgrade(gate));
    }

    /// One more invalid request, by this credential: the gates close before the service shuts the address out.
    pub(super) fn count(&self, credential: &Name) {
        let Some(rest) = self.invalid.count(now().saturating_duration_since(self.began).as_secs()) else { return };
        let shut = Reading { wait: Some(rest), scope: Scope::Owner, trusted: true, ..Reading::plain(Class::Exhausted) };
        let known = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gates: Vec<Arc<Gate>> = known.iter().filter_map(Weak::upgrade).collect();
        drop(known);
        for gate in gates {
            gate.overhear(&shut, credential, false);
        }
    }
}
