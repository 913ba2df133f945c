//! The tables that requests are decided on, from a configuration and what the store holds. The proxy and `explain` have
//! them from here, so that they cannot differ; what each brings along are the declared keys and how upstreams are approached.

use crate::access::{Callers, Sightings};
use crate::config::{CallersMode, Config, Unmatched};
use crate::crypto::digest;
use crate::domain::{CallerId, Credential, Service};
use crate::gate::Gates;
use crate::metrics::Metrics;
use crate::pipeline::{self, Snapshot, Sources, Unusable};
use crate::store::{Inventory, LOCAL};
use crate::upstream::Approach;

/// What lives on from one set of tables to the next.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// The gates.
    pub gates: &'a Gates,
    /// When callers were last seen.
    pub sightings: &'a Sightings,
    /// The counters.
    pub metrics: &'a Metrics,
}

/// Builds the tables. A key that cannot be used is left out and told.
///
/// # Errors
/// When `approach` fails for a service.
pub fn tables(
    config: &Config,
    inventory: Inventory,
    declared: Vec<Credential>,
    approach: impl Fn(&Service) -> anyhow::Result<Approach>,
    beside: &Beside<'_>,
) -> anyhow::Result<(Snapshot, Vec<Unusable>)> {
    let services = config.services.iter().map(|entry| Ok((entry.service.clone(), approach(&entry.service)?)));
    let mut services = services.collect::<anyhow::Result<Vec<_>>>()?;
    services.sort_by_key(|(service, _)| service.precedence());
    let unproven = (config.callers == CallersMode::Open).then(|| CallerId::new(LOCAL));
    let mut credentials = inventory.credentials;
    credentials.extend(declared);
    Ok(Snapshot::build(Sources {
        services,
        callers: Callers::new(inventory.users, inventory.callers, unproven.as_ref(), digest::sha256, beside.sightings),
        credentials,
        formers: inventory.formers,
        unmatched: match config.unmatched {
            Unmatched::Deny => pipeline::Unmatched::Deny,
            Unmatched::Tunnel => pipeline::Unmatched::Tunnel,
        },
        browser_origins: config.listen.browser_origins.clone(),
        gates: beside.gates,
        metrics: beside.metrics,
    }))
}
