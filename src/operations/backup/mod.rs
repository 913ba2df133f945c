//! Backups: everything that must survive in one file, made while a proxy runs and checked before it counts; and the way back.
//!
//! Invariants: what is sealed stays sealed; a backup has its name only when it is whole and was read back; a restore is done
//! whole or not at all, whenever the process ends.

mod archive;
mod folder;
mod online;
mod restore;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::audit;
use crate::config::Config;
use crate::domain::SystemClock;
use crate::keys::MasterKeySource;
use crate::store::{Act, Receipt, Sqlite, StoreError};
use crate::vault::{Vault, VaultError};

use super::{Actor, OperationError, Operations};
use archive::{AUDIT, MASTER, Manifest, STORE};
use folder::Folder;

pub use online::{BackupFile, Received};
pub use restore::{Present, Restored, finish_restore, is_restore_pending, restore};

/// Why there is no backup, or why it was not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("`{path}` cannot be read or written")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is a file of that name.
    #[error("`{0}` exists: name another file, or move that one away")]
    Exists(PathBuf),
    /// It is no backup, or not a whole one.
    #[error("`{path}` is no whole backup of sidekey: {why}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The master key cannot be put into the backup.
    #[error("only a master key in a file can be put into a backup, and this one comes from {0}; keep it as you do now")]
    KeyElsewhere(String),
    /// There is a store where the restored one would be.
    #[error(
        "there is a store at `{0}`: with --replace it is moved into a folder beside it, together with its audit log, before \
         the backup takes its place"
    )]
    LivingStore(PathBuf),
    /// The master key is not the one that the backup was made with.
    #[error("the master key of this place does not open the backup: it takes one of the backup's own time")]
    OtherMaster(#[source] Box<VaultError>),
    /// The present store is used.
    #[error("the store at `{0}` is in use: stop the proxy that serves from it, then restore")]
    InUse(PathBuf),
}

impl BackupError {
    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    fn damaged(path: &Path, why: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.into() }
    }
}

/// Whether the master key goes into the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterKeyIn {
    /// It does not: who finds the backup can read no key.
    No,
    /// It does: who finds the backup can read every key.
    Yes,
}

/// What a backup holds; every part of it was read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupView {
    /// Sealed values that opened.
    pub values: usize,
    /// Sealed values that do not open with the present master key, and are in the backup as they are.
    pub unopenable: Vec<String>,
    /// Sealed entries of the audit log.
    pub audit_entries: u64,
    /// The hash that the copied audit log ends with: the anchor to keep elsewhere.
    pub audit_head: String,
    /// Whether the master key is in it.
    pub holds_master_key: bool,
    /// How long the file is.
    pub bytes: u64,
}

/// Removes what backups and restores of killed processes left in the data folder. Nothing that is in use is touched.
pub fn sweep_left(config: &Config) {
    folder::sweep(&config.data);
}

impl Operations {
    /// Writes everything into the new file `to`, as it is at one moment, and reads it back before the file gets its name.
    /// `source` is where the master key comes from. Requests go on meanwhile.
    ///
    /// # Errors
    /// When `actor` does not administer, the file exists or cannot be written, what was written does not check, or the act
    /// cannot be recorded. But for the last, there is no file then.
    pub fn back_up(
        &self,
        actor: &Actor,
        to: &Path,
        source: &MasterKeySource,
        master: MasterKeyIn,
    ) -> Result<BackupView, OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        if to.exists() {
            return Err(BackupError::Exists(to.to_owned()).into());
        }
        let key = match (master, source) {
            (MasterKeyIn::No, _) => None,
            (MasterKeyIn::Yes, MasterKeySource::File(path)) => Some(path.as_path()),
            (MasterKeyIn::Yes, other) => return Err(BackupError::KeyElsewhere(other.to_string()).into()),
        };
        let work = Folder::beside(to)?;
        self.gather(&work, key)?;
        let made = work.path("backup.tar");
        archive::write(&work, &made, &self.manifest(key.is_some()))?;
        let again = Folder::beside(to)?;
        archive::read(&made, &again)?;
        let Checked { values, unopenable, report } = check(&again, source, &made)?;
        let bytes = std::fs::metadata(&made).map_err(BackupError::file(&made))?.len();
        let (audit_entries, audit_head) = (report.entries, report.head);
        let view = BackupView { values, unopenable, audit_entries, audit_head, holds_master_key: key.is_some(), bytes };
        folder::name(&made, to)?;
        let file = to.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let master = if view.holds_master_key { "included" } else { "not included" };
        let details = [("master_key", master), ("audit_head", view.audit_head.as_str())];
        pen.note("backup.make", &receipt(Act::BackedUp, file, self.now()), &details)?;
        Ok(view)
    }

    /// The store first: what it holds is in the log that is copied after it.
    fn gather(&self, work: &Folder, key: Option<&Path>) -> Result<(), OperationError> {
        self.vault.store().copy_to(&work.path(STORE))?;
        audit::copy(self.acts.folder(), &work.path(AUDIT))?;
        if let Some(key) = key {
            let to = work.path(MASTER);
            folder::copy_new(key, &to)?;
        }
        Ok(())
    }

    fn manifest(&self, holds_master_key: bool) -> Manifest {
        Manifest::new(super::view::moment(self.now()).to_string(), holds_master_key)
    }
}

/// What looking through an unpacked backup found.
struct Checked {
    values: usize,
    unopenable: Vec<String>,
    report: audit::Report,
}

/// Looks whether the store in `work` is sound, which values open with the key from `source`, and whether the audit holds.
fn check(work: &Folder, source: &MasterKeySource, archive: &Path) -> Result<Checked, OperationError> {
    let unsound = |error: StoreError| BackupError::damaged(archive, format!("its store is not sound: {error}"));
    let store = Sqlite::open(&work.path(STORE)).map_err(unsound)?;
    let closed = |error| match error {
        VaultError::WrongMaster { .. } | VaultError::OutOfReach { .. } => {
            OperationError::Backup(BackupError::OtherMaster(Box::new(error)))
        }
        other => other.into(),
    };
    let vault = Vault::open(Arc::new(store), source, Arc::new(SystemClock)).map_err(closed)?;
    vault.store().check_integrity().map_err(unsound)?;
    let (values, unopenable) = vault.unopenable()?;
    let report = audit::verify(&work.path(AUDIT), None)?;
    if let Some(problem) = &report.problem {
        let why =
            format!("its audit log does not hold: {} ({}:{})", problem.meaning, problem.file.display(), problem.line);
        return Err(BackupError::damaged(archive, why).into());
    }
    Ok(Checked { values: values.saturating_sub(unopenable.len()), unopenable, report })
}

fn receipt(act: Act, name: String, at: i64) -> Receipt {
    Receipt { act, id: name.clone(), name, owner: None, version: None, with: None, details: Vec::new(), at }
}
