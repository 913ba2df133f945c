//! Administrative acts and the audit: what was done is written there, durably, before the person is told that it is done. The
//! log is opened before anything is changed, so that a log that cannot be written stops the act and not its record.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::audit::{self, Act, Filter, Log, Record};
use crate::config::Config;
use crate::store::Receipt;

use super::{Actor, OperationError, Operations};

/// Where the audit log of `config` is.
pub fn audit_folder(config: &Config) -> PathBuf {
    config.data.join("audit")
}

/// The audit log, for acts. Opened when the first act comes: who only reads writes nothing.
#[derive(Debug)]
pub struct Acts {
    folder: PathBuf,
    log: OnceLock<Arc<Log>>,
}

impl Acts {
    /// The log of `config`, made by the first act when there is none.
    pub fn of(config: &Config) -> Self {
        Self { folder: audit_folder(config), log: OnceLock::new() }
    }

    /// The log that this process has open already.
    pub fn sharing(config: &Config, log: Arc<Log>) -> Self {
        Self { folder: audit_folder(config), log: OnceLock::from(log) }
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &PathBuf {
        &self.folder
    }

    pub(super) fn open(&self) -> Result<&Log, OperationError> {
        if let Some(log) = self.log.get() {
            return Ok(log);
        }
        let log = Log::open(&self.folder).map_err(OperationError::Unwritable)?;
        Ok(self.log.get_or_init(|| Arc::new(log)))
    }
}

/// The log in the hand of somebody who is about to act.
pub(super) struct Pen<'a> {
    log: &'a Log,
    actor: &'a Actor,
    operations: &'a Operations,
}

impl Operations {
    /// The newest `most` entries of the audit log that fit, the newest first.
    ///
    /// # Errors
    /// When `actor` does not administer, or the log cannot be read.
    pub fn audit(&self, actor: &Actor, most: usize, filter: Filter) -> Result<Vec<Record>, OperationError> {
        actor.must_administer()?;
        let folder = self.acts.folder();
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let (mut records, _) = audit::tail(folder, most, filter)?;
        records.reverse();
        Ok(records)
    }

    /// Opens the log for an act of `actor`. To be called before something is changed.
    pub(super) fn pen<'a>(&'a self, actor: &'a Actor) -> Result<Pen<'a>, OperationError> {
        Ok(Pen { log: self.acts.open()?, actor, operations: self })
    }
}

impl Pen<'_> {
    /// Writes down what was done: `act` is such as `key.add`, `details` what else a reader needs, never a value. When this
    /// returns, it is on disk.
    pub(super) fn record(
        &self,
        act: &'static str,
        receipt: &Receipt,
        details: &[(&'static str, &str)],
    ) -> Result<(), OperationError> {
        let version = receipt.version.map(|version| version.to_string());
        let mut details = details.to_vec();
        details.extend(version.as_deref().map(|version| ("version", version)));
        let label = self.actor.label();
        let written = Act {
            time: self.operations.clock.wall(),
            actor: &label,
            act,
            object: &receipt.name,
            object_id: Some(&receipt.id),
            details: &details,
        };
        let unrecorded = |source| OperationError::Unrecorded { object: receipt.name.clone(), act, source };
        self.log.append_act(&written).map_err(unrecorded)
    }
}
