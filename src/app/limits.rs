//! Tells, once, that the configured limits of a service are other than they were: an act in the audit with both in words,
//! whether proxy.toml or the store had them changed. What is pinned is recorded where it is pinned.

use crate::audit;
use crate::pipeline::Snapshot;

use super::gates::record;

/// Compares the services of `former` with those that take their place.
pub(super) fn tell(former: &Snapshot, now: &Snapshot, audit: &audit::Log) {
    for entry in now.routes.services() {
        let service = entry.service.name.as_str();
        let Some(before) = former.routes.named(service) else { continue };
        let (old, new) = (before.service.limits_in_words(), entry.service.limits_in_words());
        if old != new {
            let words = |limits: &str| if limits.is_empty() { "none".to_owned() } else { limits.to_owned() };
            let (old, new) = (words(&old), words(&new));
            tracing::info!(service, old, new, "the limits of a service were changed");
            record(audit, "limit.change", service, &[("old", &old), ("new", &new)]);
        }
    }
}
