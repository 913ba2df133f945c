//! From a backup to a store in its place. Everything is unpacked, checked and synced in a folder beside the store; then a file
//! that says what is to be moved is written, and from that moment on the restore counts: whoever opens the store next finishes
//! the moves. Before it, nothing of the present store was touched.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::audit::{Act, Log};
use crate::config::Config;
use crate::domain::Clock;
use crate::keys::MasterKeySource;
use crate::operations::{Actor, OperationError, audit_folder};
use crate::store::{Sqlite, StoreError};

use super::archive::{self, AUDIT, MASTER, STORE};
use super::folder::{self, Folder, PENDING};
use super::{BackupError, Checked, check};

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// When the backup was made, in UTC.
    pub made_at: String,
    /// Sealed values that open.
    pub values: usize,
    /// Sealed values that do not open with the master key.
    pub unopenable: Vec<String>,
    /// Where the former store and audit log are now; none when there were none.
    pub former: Option<PathBuf>,
}

/// What becomes of a store that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// It stays, and nothing is restored.
    Stays,
    /// It is moved into a folder beside it.
    Moves,
}

/// What is to be moved where.
#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    /// The folder that holds what is new.
    fresh: PathBuf,
    /// The folder for what was there.
    former: PathBuf,
}

/// Puts the backup `from` in the place of the store and the audit log of `config`. `source` is where the master key comes
/// from; a key that the backup holds is put into its file when there is none.
///
/// # Errors
/// When the backup is not whole or not of this master key, or there is a store that stays or is in use. Nothing was changed
/// then.
pub fn restore(
    config: &Config,
    actor: &Actor,
    clock: &dyn Clock,
    from: &Path,
    source: &MasterKeySource,
    present: Present,
) -> Result<Restored, OperationError> {
    actor.must_administer()?;
    finish_restore(config)?;
    folder::make(&config.data)?;
    if config.store.exists() && present == Present::Stays {
        return Err(BackupError::LivingStore(config.store.clone()).into());
    }
    let work = Folder::inside(&config.data)?;
    let manifest = archive::read(from, &work)?;
    let (source, key) = key(&work, source);
    let Checked { values, unopenable, .. } = check(&work, &source, from)?;
    record(&work, actor, clock, from)?;
    if !Sqlite::settle(&work.path(STORE))? {
        return Err(BackupError::InUse(work.path(STORE)).into());
    }
    refuse_in_use(config)?;
    if let Some(place) = key {
        folder::name(&work.path(MASTER), &place)?;
    }
    let former = unused(&config.data, clock.wall().as_secs());
    announce(config, &work, &former)?;
    let locked = work.keep().map_err(BackupError::file(&config.data))?;
    finish_restore(config)?;
    drop(locked);
    let former = former.exists().then_some(former);
    Ok(Restored { made_at: manifest.made_at().to_owned(), values, unopenable, former })
}

/// A name that no folder of a former store has.
pub(super) fn unused(data: &Path, stamp: u64) -> PathBuf {
    let mut name = data.join(format!("before-restore-{stamp}"));
    let mut number = 1_u32;
    while name.exists() {
        number = number.saturating_add(1);
        name = data.join(format!("before-restore-{stamp}-{number}"));
    }
    name
}

/// Where the master key comes from, and the place that the backup's own is to be put into, when it holds one and none is there.
fn key(work: &Folder, source: &MasterKeySource) -> (MasterKeySource, Option<PathBuf>) {
    match source {
        MasterKeySource::File(place) if !place.exists() && work.path(MASTER).exists() => {
            (MasterKeySource::File(work.path(MASTER)), Some(place.clone()))
        }
        other => (other.clone(), None),
    }
}

/// Writes the act into the log that is about to count, so that it is there from the same moment on.
fn record(work: &Folder, actor: &Actor, clock: &dyn Clock, from: &Path) -> Result<(), OperationError> {
    let log = Log::open(&work.path(AUDIT)).map_err(OperationError::Unwritable)?;
    let file = from.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let act = Act {
        id: None,
        time: clock.wall(),
        actor: &actor.label(),
        act: "backup.restore",
        object: &file,
        object_id: None,
        details: &[],
    };
    log.append_act(&act).and_then(|()| log.close()).map_err(OperationError::Unwritable)
}

/// Refuses to move a store away under the hands of a process that uses it. A damaged one is used by nobody.
fn refuse_in_use(config: &Config) -> Result<(), OperationError> {
    if !config.store.exists() {
        return Ok(());
    }
    match Sqlite::settle(&config.store) {
        Ok(true) | Err(StoreError::Corrupt(_)) => Ok(()),
        Ok(false) => Err(BackupError::InUse(config.store.clone()).into()),
        Err(error) => Err(error.into()),
    }
}

/// From here on the restore counts.
fn announce(config: &Config, work: &Folder, former: &Path) -> Result<(), BackupError> {
    let pending = Pending { fresh: work.root().to_owned(), former: former.to_owned() };
    let draft = work.path(PENDING);
    let file = folder::create(&draft)?;
    let written = serde_json::to_writer(&file, &pending).map_err(io::Error::from).and_then(|()| file.sync_all());
    written.map_err(BackupError::file(&draft))?;
    folder::sync(work.root())?;
    fs::rename(&draft, config.data.join(PENDING)).map_err(BackupError::file(&draft))?;
    folder::sync(&config.data)
}

/// Whether a restore was cut off after it counted, and is still to be finished.
pub fn is_restore_pending(config: &Config) -> bool {
    config.data.join(PENDING).exists()
}

/// Finishes a restore that was cut off after it counted. Costs one look at the folder when there is none.
///
/// # Errors
/// When something cannot be moved: the next who opens the store tries again.
pub fn finish_restore(config: &Config) -> Result<(), OperationError> {
    let path = config.data.join(PENDING);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(BackupError::file(&path))?,
    };
    file.lock().map_err(BackupError::file(&path))?;
    if !path.exists() {
        // Another process held the lock and has finished it.
        return Ok(());
    }
    let pending: Pending = serde_json::from_reader(&file)
        .map_err(|error| BackupError::damaged(&path, format!("it does not say what to move: {error}")))?;
    let store = &config.store;
    exchange(&pending, STORE, store, &[(beside(store, "-wal"), "-wal"), (beside(store, "-shm"), "-shm")])?;
    exchange(&pending, AUDIT, &audit_folder(config), &[])?;
    folder::sync(&config.data)?;
    fs::remove_file(&path).map_err(BackupError::file(&path))?;
    folder::sync(&config.data)?;
    // What is left there is nothing that anybody needs.
    let _ = fs::remove_dir_all(&pending.fresh);
    Ok(())
}

/// Moves what stands at `place`, and what belongs to it, away, and what is new into its place. Can be cut off anywhere and
/// done again.
fn exchange(pending: &Pending, name: &str, place: &Path, with: &[(PathBuf, &str)]) -> Result<(), BackupError> {
    let fresh = pending.fresh.join(name);
    if !fresh.exists() {
        return Ok(());
    }
    let beside = with.iter().map(|(path, suffix)| (path.as_path(), format!("{name}{suffix}")));
    for (old, called) in beside.chain([(place, name.to_owned())]) {
        if old.exists() {
            folder::make(&pending.former)?;
            fs::rename(old, pending.former.join(called)).map_err(BackupError::file(old))?;
            folder::sync(&pending.former)?;
        }
    }
    fs::rename(&fresh, place).map_err(BackupError::file(place))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
