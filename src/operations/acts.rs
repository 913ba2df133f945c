//! Administrative acts and the audit: what was done is written there, durably, before the person is told that it is done. The
//! log is opened before anything is changed, so that a log that cannot be written stops the act and not its record.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::audit::{self, Act, Filter, Log, Place, Reader, Record, Report};
use crate::config::Config;
use crate::store::{Deed, LogEnd, Receipt, Sqlite, Store, Unrecorded};
use crate::vault::Vault;

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

    /// Whether the audit log holds, from its first entry to its last, and goes through `anchor`. Reads all of it, a line at a
    /// time.
    ///
    /// # Errors
    /// When `actor` does not administer, or the log cannot be read.
    pub fn verify_audit(&self, actor: &Actor, anchor: Option<&str>) -> Result<Report, OperationError> {
        actor.must_administer()?;
        self.complete_log();
        Ok(audit::verify(self.acts.folder(), anchor)?)
    }

    /// The entries of the audit log that fit, the oldest first, to be read one after the other.
    ///
    /// # Errors
    /// When `actor` does not administer, or the log cannot be read.
    pub fn read_audit(&self, actor: &Actor, filter: Filter) -> Result<Reader, OperationError> {
        actor.must_administer()?;
        self.complete_log();
        Ok(audit::read(self.acts.folder(), filter)?)
    }

    /// Records what is left to record, before somebody reads.
    fn complete_log(&self) {
        if let Err(error) = self.record_left() {
            tracing::warn!(%error, "what was done last is missing in the audit log");
        }
    }

    /// Opens the log for an act of `actor`. To be called before something is changed.
    pub(super) fn pen<'a>(&'a self, actor: &'a Actor) -> Result<Pen<'a>, OperationError> {
        Ok(Pen { log: self.acts.open()?, actor, operations: self })
    }

    /// Records what was done and is not in the audit log yet, because a process was killed or a disk was full in between.
    /// Costs one look into the store when there is nothing.
    ///
    /// # Errors
    /// When the store fails, or the log cannot be written; it is tried again by whoever acts next.
    pub fn record_left(&self) -> Result<(), OperationError> {
        let left = self.vault.store().unrecorded()?;
        if left.is_empty() {
            return Ok(());
        }
        record(self.vault.store(), self.acts.open()?, &left)
    }
}

/// As [`Operations::record_left`], for who only reads the log of `config` and has no master key.
///
/// # Errors
/// As there.
pub fn record_left(config: &Config) -> Result<(), OperationError> {
    if !config.store.exists() {
        return Ok(());
    }
    let store = Sqlite::open(&config.store)?;
    let left = store.unrecorded()?;
    if left.is_empty() {
        return Ok(());
    }
    let log = Log::open(&audit_folder(config)).map_err(OperationError::Unwritable)?;
    record(&store, &log, &left)
}

/// Brings `left` into the log and forgets it. Several processes may do this with the same acts: the log takes each once.
fn record(store: &dyn Store, log: &Log, left: &[Unrecorded]) -> Result<(), OperationError> {
    let Some(last) = left.last() else { return Ok(()) };
    let details: Vec<Vec<_>> = left.iter().map(|act| borrowed(&act.details)).collect();
    let acts: Vec<_> = left.iter().zip(&details).map(|(act, details)| written(act, details)).collect();
    let from = left.iter().map(|act| place(act.log_end)).min().unwrap_or(log.end());
    log.append_missing(&acts, from).map_err(|source| OperationError::Unrecorded {
        object: last.object.clone(),
        act: last.act.clone(),
        source,
    })?;
    let ids: Vec<_> = left.iter().map(|act| act.id.clone()).collect();
    Ok(store.forget_recorded(&ids)?)
}

fn borrowed(details: &[(String, String)]) -> Vec<(&str, &str)> {
    details.iter().map(|(what, text)| (what.as_str(), text.as_str())).collect()
}

fn written<'a>(act: &'a Unrecorded, details: &'a [(&'a str, &'a str)]) -> Act<'a> {
    Act {
        id: Some(&act.id),
        time: act.time,
        actor: &act.actor,
        act: &act.act,
        object: &act.object,
        object_id: Some(&act.object_id),
        details,
    }
}

fn place(end: LogEnd) -> Place {
    Place { segment: end.segment, offset: end.offset }
}

impl Pen<'_> {
    /// Makes one change and writes down that it was made: `act` is such as `key.add`, `details` what else a reader needs, never
    /// a value. The act is in the store from the same moment on as the change, so a process that ends before it is in the
    /// log too leaves it to the next. When this returns, it is in the log and on disk.
    pub(super) fn act<T, E>(
        &self,
        act: &'static str,
        details: &[(&str, &str)],
        change: impl FnOnce(&Vault) -> Result<T, E>,
    ) -> Result<T, OperationError>
    where
        OperationError: From<E>,
    {
        let Place { segment, offset } = self.log.end();
        let vault = &self.operations.vault;
        let deed = Deed {
            id: vault.fresh_id()?,
            time: self.operations.clock.wall(),
            actor: self.actor.label(),
            act,
            details: details.iter().map(|(what, text)| ((*what).to_owned(), (*text).to_owned())).collect(),
            log_end: LogEnd { segment, offset },
        };
        let done = change(&vault.acting(deed))?;
        record(vault.store(), self.log, &vault.store().unrecorded()?)?;
        Ok(done)
    }

    /// Writes down what changed nothing in the store. When this returns, it is on disk.
    pub(super) fn note(
        &self,
        act: &'static str,
        receipt: &Receipt,
        details: &[(&str, &str)],
    ) -> Result<(), OperationError> {
        let version = receipt.version.map(|version| version.to_string());
        let mut details = details.to_vec();
        details.extend(version.as_deref().map(|version| ("version", version)));
        let label = self.actor.label();
        let written = Act {
            id: None,
            time: self.operations.clock.wall(),
            actor: &label,
            act,
            object: &receipt.name,
            object_id: Some(&receipt.id),
            details: &details,
        };
        let act = act.to_owned();
        let unrecorded = |source| OperationError::Unrecorded { object: receipt.name.clone(), act, source };
        self.log.append_act(&written).map_err(unrecorded)
    }
}
