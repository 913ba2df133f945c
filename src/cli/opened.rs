//! The configuration and the operations on its store, opened for one command.

use std::sync::Arc;

use crate::app;
use crate::config::{Config, ServiceEntry};
use crate::domain::{Name, SystemClock};
use crate::operations::{Actor, Acts, OperationError, Operations};

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
        let config = Arc::new(session.load()?.config);
        let vault = Arc::new(app::open_vault(&config, &session.environment)?);
        let acts = Acts::of(&config);
        let operations = Operations::new(Arc::clone(&config), vault, acts, Arc::new(SystemClock));
        Ok(Self { config, operations, actor: Actor::operator() })
    }

    /// Opens the store of the configuration; none is made.
    ///
    /// # Errors
    /// As [`Self::or_make`], and when there is no store.
    pub(super) fn existing(session: &Session) -> anyhow::Result<Self> {
        let path = session.load()?.config.store;
        if !path.exists() {
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

/// The service called `name` in a configuration.
///
/// # Errors
/// When there is none, with the one that was probably meant.
pub(super) fn service<'a>(config: &'a Config, name: &Name) -> anyhow::Result<&'a ServiceEntry> {
    config.service(name.as_str()).ok_or_else(|| OperationError::no_service(config, name).into())
}
