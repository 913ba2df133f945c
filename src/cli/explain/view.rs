//! The tables that the proxy would work with, built from the same configuration and store. Connections need more than this;
//! nothing is dialled here.

use std::sync::Arc;

use anyhow::Context as _;

use crate::access::{Callers, Known};
use crate::cli::failure::wrong_use;
use crate::cli::opened::Opened;
use crate::config::{CallersMode, Config, DeclaredCredential, Unmatched};
use crate::crypto::digest;
use crate::domain::{CallerId, Clock as _, Credential, Name, Sealed, SystemClock, Timeouts, UpstreamOptions};
use crate::gate::Gates;
use crate::metrics::Metrics;
use crate::pipeline::{self, Snapshot, Sources};
use crate::store::LOCAL;
use crate::upstream::{Approach, TlsConfigs};

/// Builds the tables.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn build(opened: &Opened) -> anyhow::Result<Snapshot> {
    let config = &opened.config;
    let inventory = opened.vault.inventory().context("the store cannot be read")?;
    let mut credentials = inventory.credentials;
    credentials.extend(config.credentials.iter().map(declared));
    let unproven = (config.callers == CallersMode::Open).then(|| CallerId::new(LOCAL));
    // What the operator declared wins a host over the catalogue, as in the proxy.
    // Nothing is dialled, so nothing needs to be trusted and no file of authorities to be read.
    let nobody = TlsConfigs::trusting(rustls::RootCertStore::empty());
    let approach = Approach::new(&UpstreamOptions::default(), Timeouts::default().connect, &nobody)?;
    let mut services: Vec<_> = config.services.iter().map(|entry| (entry.service.clone(), approach.clone())).collect();
    services.sort_by_key(|(service, _)| !service.declared);
    let (snapshot, _unusable) = Snapshot::build(Sources {
        services,
        callers: Callers::new(inventory.users, inventory.callers, unproven.as_ref(), digest::sha256),
        credentials,
        unmatched: match config.unmatched {
            Unmatched::Deny => pipeline::Unmatched::Deny,
            Unmatched::Tunnel => pipeline::Unmatched::Tunnel,
        },
        browser_origins: Vec::new(),
        gates: &Gates::default(),
        metrics: &Metrics::new(1, SystemClock.wall()),
    });
    Ok(snapshot)
}

/// A declared key. Its value is not read, which might run a command: it counts as being there.
fn declared(declared: &DeclaredCredential) -> Credential {
    let there = Sealed { master: 0, wrapped_key: Box::default(), fields: Box::default() };
    Credential { sealed: Some(Arc::new(there)), ..declared.credential(1) }
}

/// Who is taken to ask.
///
/// # Errors
/// When there is no such caller, or none is named and proof is demanded.
pub(super) fn caller(view: &Snapshot, config: &Config, name: Option<&Name>) -> anyhow::Result<Arc<Known>> {
    let found = match name {
        Some(name) => view.callers.named(name.as_str()),
        None => view.callers.unproven(),
    };
    found.map(Arc::clone).ok_or_else(|| match name {
        Some(name) => wrong_use(format!("there is no caller `{name}`; `sidekey caller list` shows them")),
        None if config.callers == CallersMode::Token => wrong_use(
            "callers must prove who they are here, so a request without proof is refused (caller_unknown); say as whom to \
             ask with --as CALLER",
        ),
        None => wrong_use("the store has no caller `local`; say as whom to ask with --as CALLER"),
    })
}
