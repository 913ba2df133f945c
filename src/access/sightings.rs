//! When callers were last seen: noted by every core, collected by the control plane. Not on disk here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::CallerId;

/// The last sightings of all callers; lives as long as the process.
#[derive(Debug, Default)]
pub struct Sightings(Mutex<HashMap<CallerId, Sighting>>);

#[derive(Debug, Default)]
struct Sighting {
    /// Where cores note, in Unix seconds; 0 before the first.
    seen: Arc<AtomicI64>,
    /// What was collected last.
    collected: i64,
}

impl Sightings {
    /// Where sightings of `caller` are noted.
    pub(super) fn of(&self, caller: &CallerId) -> Arc<AtomicI64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&all.entry(caller.clone()).or_default().seen)
    }

    /// Who was seen since the last call, and when last. Forgets callers that no snapshot knows any more.
    pub fn collect(&self) -> Vec<(CallerId, i64)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = Vec::new();
        all.retain(|caller, sighting| {
            let seen = sighting.seen.load(Ordering::Relaxed);
            if seen > sighting.collected {
                sighting.collected = seen;
                fresh.push((caller.clone(), seen));
            }
            Arc::strong_count(&sighting.seen) > 1
        });
        fresh
    }
}
