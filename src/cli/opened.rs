//! The configuration and the operations on its store, opened for one command.

use std::sync::Arc;

use crate::app;
use crate::config::{Config, LeftOut, ServiceEntry};
use crate::domain::{Name, SystemClock};
use crate::operations::{Actor, Acts, FORGED, OperationError, Operations, finish_restore};

use super::session::Session;

/// What commands on keys, callers and people work with.
pub(super) struct Opened {
    /// The configuration.
    pub(super) config: Arc<Config>,
    /// What can be done.
    pub(super) operations: Operations,
    /// Who does it.
    pub(super) actor: Actor,
}

impl Opened {
    /// Opens the store of the configuration; makes it, and the master key, when there is none.
    ///
    /// # Errors
    /// When the configuration is wrong, or the store or its master key cannot be had.
    pub(super) fn or_make(session: &Session) -> anyhow::Result<Self> {
        let config = session.load()?.config;
        let vault = Arc::new(app::open_vault(&config, &session.environment)?);
        let services = vault.services()?;
        let (config, _) = config.with_stored(&services.genuine, &services.forged);
        let config = Arc::new(config);
        let acts = Acts::of(&config);
        let operations = Operations::new(Arc::clone(&config), vault, acts, Arc::new(SystemClock));
        // What fails here fails again, and loudly, where this command has an act of its own to record.
        let _ = operations.record_left();
        Ok(Self { config, operations, actor: Actor::operator() })
    }

    /// Opens the store of the configuration; none is made.
    ///
    /// # Errors
    /// As [`Self::or_make`], and when there is no store.
    pub(super) fn existing(session: &Session) -> anyhow::Result<Self> {
        let config = session.load()?.config;
        if !has_store(&config)? {
            let path = &config.store;
            anyhow::bail!(
                "there is no store at {} yet: `sidekey up` or `sidekey key add` makes one; name another configuration \
                 with --config",
                path.display()
            );
        }
        Self::or_make(session)
    }

    /// The same, for a command that changes something: what cannot be recorded is found out before anybody is asked.
    ///
    /// # Errors
    /// When the audit log cannot be written.
    pub(super) fn ready(self) -> anyhow::Result<Self> {
        self.operations.ready()?;
        Ok(self)
    }
}

/// The configuration with the services of the store, when there is one. What the store has and cannot be used is noted
/// beside the results.
///
/// # Errors
/// When the configuration is wrong, or the store or its master key cannot be had.
pub(super) fn with_stored(session: &mut Session) -> anyhow::Result<Config> {
    let config = session.load()?.config;
    if !has_store(&config)? {
        return Ok(config);
    }
    let services = app::open_vault(&config, &session.environment)?.services()?;
    for name in &services.forged {
        session.screen.note(format!("The service `{name}` of the store is left out: {FORGED}."))?;
    }
    let (config, left_out) = config.with_stored(&services.genuine, &services.forged);
    for LeftOut { name, why } in left_out {
        session.screen.note(format!("The service `{name}` of the store is left out: {why}."))?;
    }
    Ok(config)
}

/// Whether there is a store. A restore that was cut off is finished first: in its middle there may be none.
///
/// # Errors
/// When it cannot be finished.
pub(super) fn has_store(config: &Config) -> anyhow::Result<bool> {
    finish_restore(config)?;
    Ok(config.store.exists())
}

/// The service called `name` in a configuration.
///
/// # Errors
/// When there is none, with the one that was probably meant.
pub(super) fn service<'a>(config: &'a Config, name: &Name) -> anyhow::Result<&'a ServiceEntry> {
    config.service(name.as_str()).ok_or_else(|| OperationError::no_service(config, name).into())
}
