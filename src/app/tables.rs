//! The tables that requests are decided on, from a configuration and what the store holds. The proxy and `explain` have
//! them from here, so that they cannot differ; what each brings along are the declared keys and how upstreams are approached.

use crate::access::{Callers, Sightings};
use crate::config::{CallersMode, Config, Unmatched};
use crate::crypto::digest;
use crate::domain::{Caller, CallerId, Credential, Service, User};
use crate::gate::Gates;
use crate::metrics::Metrics;
use crate::pipeline::{self, Amends, Snapshot, Sources, Unusable};
use crate::store::{Changes, Inventory, LOCAL, RunToken};
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

/// The tables `view` as they are after `changes`, of the same services and declared keys.
pub(super) fn amended(
    view: &Snapshot,
    config: &Config,
    changes: Changes,
    beside: &Beside<'_>,
) -> (Snapshot, Vec<Unusable>) {
    let Changes { inventory, touched } = changes;
    let Inventory { users, callers, runs, credentials, formers, .. } = inventory;
    let callers = self::callers(config, users, callers, runs, beside.sightings);
    view.amended(Amends { callers, touched, credentials, formers }, beside.gates)
}

fn callers(
    config: &Config,
    users: Vec<User>,
    callers: Vec<Caller>,
    runs: Vec<RunToken>,
    sightings: &Sightings,
) -> Callers {
    let unproven = (config.callers == CallersMode::Open).then(|| CallerId::new(LOCAL));
    let runs = runs.into_iter().map(|run| (run.caller, run.digest, run.expires_at));
    Callers::new(users, callers, unproven.as_ref(), digest::sha256, sightings).with_runs(runs)
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
    let mut credentials = inventory.credentials;
    credentials.extend(declared);
    Ok(Snapshot::build(Sources {
        services,
        callers: callers(config, inventory.users, inventory.callers, inventory.runs, beside.sightings),
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
