//! The tables that the proxy would work with, built from the same configuration and store. Connections need more than this;
//! nothing is dialled here.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;

use crate::access::{Known, Sightings};
use crate::app::{self, Beside};
use crate::cli::failure::wrong_use;
use crate::cli::opened::Opened;
use crate::config::{CallersMode, Config, DeclaredCredential, Environment};
use crate::domain::{
    Clock as _, Credential, CredentialId, Name, Sealed, Source, SourceKind, SystemClock, Timeouts, UpstreamOptions,
};
use crate::gate::Gates;
use crate::metrics::Metrics;
use crate::pipeline::Snapshot;
use crate::upstream::{Approach, TlsConfigs};

/// Why keys have no value, by their identifier.
pub(super) type Dry = HashMap<CredentialId, String>;

/// Builds the tables, and says which declared keys yield no value.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn build(opened: &Opened, environment: &Environment) -> anyhow::Result<(Snapshot, Dry)> {
    let config = &opened.config;
    let inventory = opened.operations.vault().inventory().context("the store cannot be read")?;
    let mut dry = Dry::new();
    let declared = config.credentials.iter().map(|key| declared(key, environment, &mut dry)).collect();
    // Nothing is dialled, so nothing needs to be trusted and no file of authorities to be read.
    let nobody = TlsConfigs::trusting(rustls::RootCertStore::empty());
    let approach = Approach::new(&UpstreamOptions::default(), Timeouts::default().connect, &nobody)?;
    let (gates, sightings, metrics) = (Gates::default(), Sightings::default(), Metrics::new(1, SystemClock.wall()));
    // What a proxy knows of limits is known here as it noted that.
    app::resume(&gates, opened.operations.vault()).context("the store cannot be read")?;
    let beside = Beside { gates: &gates, sightings: &sightings, metrics: &metrics };
    let (view, _unusable) = app::tables(config, inventory, declared, |_| Ok(approach.clone()), &beside)?;
    Ok((view, dry))
}

/// A declared key. Files are looked at. What the proxy has in its environment is not to be seen from here, and a command is
/// not run for a look: both count as being there.
fn declared(declared: &DeclaredCredential, environment: &Environment, dry: &mut Dry) -> Credential {
    let credential = declared.credential(1);
    if let Err(error) = app::look_at_declared(declared, environment, &[SourceKind::File]) {
        let source = Source::Declared { dry: Some(error.kind) };
        dry.insert(credential.id.clone(), format!("{:#}", anyhow::Error::new(error)));
        return Credential { source, ..credential };
    }
    let there = Sealed { master: 0, wrapped_key: Box::default(), fields: Box::default() };
    Credential { sealed: Some(Arc::new(there)), ..credential }
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
