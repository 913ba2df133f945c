//! Backups on their way out of a running proxy, and back into it: made and unpacked in the data folder, restored without a
//! stop. What a restore replaces is the store; the audit log goes on, and tells of it.
//!
//! Invariant: the store holds all that it held or all that the backup held, whenever the process ends.

use std::cell::Cell;
use std::fs::File;
use std::path::PathBuf;

use crate::config::Config;
use crate::store::{Sqlite, Takeover};
use crate::vault::Vault;

use super::archive::{self, STORE};
use super::folder::{self, Folder};
use super::restore::unused;
use super::{BackupError, BackupView, Checked, MasterKeyIn, Restored, check};
use crate::operations::{Actor, Look, OperationError, Operations};

/// A backup that can be read once: its file has no name any more and goes when this does.
#[derive(Debug)]
pub struct BackupFile {
    /// What it is to be called.
    pub name: String,
    /// Its bytes, from the first on.
    pub file: File,
    /// What it holds.
    pub view: BackupView,
}

/// A backup that comes in, in a folder that goes when this does.
#[derive(Debug)]
pub struct Received {
    folder: Folder,
}

impl Received {
    /// The file to write it into, which is empty.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self) -> Result<File, OperationError> {
        Ok(folder::create(&self.folder.path(RECEIVED))?)
    }
}

const RECEIVED: &str = "received.tar";

impl Operations {
    /// Makes a backup to be sent away, without the master key. `look` looks where the master key is kept.
    ///
    /// # Errors
    /// As [`Self::back_up`].
    pub fn back_up_to_send(&self, actor: &Actor, look: &Look) -> Result<BackupFile, OperationError> {
        actor.must_administer()?;
        let source = self.place_here(look)?;
        let folder = Folder::inside(&self.config.load().data)?;
        let at = crate::operations::view::moment(self.now()).to_string().replace(':', "");
        let name = format!("sidekey-{at}.tar");
        let path = folder.path(&name);
        let view = self.back_up(actor, &path, &source, MasterKeyIn::No)?;
        let file = File::open(&path).map_err(BackupError::file(&path))?;
        Ok(BackupFile { name, file, view })
    }

    /// A place for a backup that comes in.
    ///
    /// # Errors
    /// When `actor` does not administer, or there is no room for it.
    pub fn receive_backup(&self, actor: &Actor) -> Result<Received, OperationError> {
        actor.must_administer()?;
        Ok(Received { folder: Folder::inside(&self.config.load().data)? })
    }

    /// Puts the store of a backup in the place of the present one, which is kept in a file. Whoever uses the store follows;
    /// the audit log goes on and tells of it. `look` looks where the master key is kept, which must open the backup.
    ///
    /// # Errors
    /// When `actor` does not administer, the backup is not whole or not of this master key, or the change cannot be kept or
    /// recorded. But for the last, nothing has changed then.
    pub fn restore_here(&self, actor: &Actor, received: &Received, look: &Look) -> Result<Restored, OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        let (config, source) = (self.config.load_full(), self.place_here(look)?);
        let work = Folder::inside(&config.data)?;
        let from = received.folder.path(RECEIVED);
        let manifest = archive::read(&from, &work)?;
        let Checked { values, unopenable, report } = check(&work, &source, &from)?;
        if !Sqlite::settle(&work.path(STORE))? {
            return Err(BackupError::InUse(work.path(STORE)).into());
        }
        let former = Former::inside(&config, self.clock.wall().as_secs())?;
        let called = format!("backup of {}", manifest.made_at());
        let takeover = Takeover { from: work.path(STORE), former: former.folder.join(STORE), called };
        let kept = former.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let details = [("former", kept.as_str()), ("audit_head", report.head.as_str())];
        let replaced = Cell::new(false);
        let replace = |vault: &Vault| {
            let receipt = vault.store().take_over(&takeover, self.now())?;
            replaced.set(true);
            Ok::<_, OperationError>(receipt)
        };
        let recorded = pen.act("backup.restore", &details, replace);
        if !replaced.get() {
            former.take_back();
        }
        recorded?;
        self.vault.refresh_master(&source)?;
        // A backup of before there were any has none.
        self.ensure_authority(&Actor::proxy())?;
        let former = Some(former.folder);
        Ok(Restored { made_at: manifest.made_at().to_owned(), values, unopenable, former })
    }
}

/// The folder for the store that is replaced.
struct Former {
    folder: PathBuf,
}

impl Former {
    fn inside(config: &Config, stamp: u64) -> Result<Self, BackupError> {
        let folder = unused(&config.data, stamp);
        folder::private(&folder)?;
        folder::sync(&config.data)?;
        Ok(Self { folder })
    }

    /// Nothing was replaced.
    fn take_back(&self) {
        // What cannot be removed is a copy of what is there.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
