//! Folders to work in, and files that get their name only when they are whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::crypto::{digest, random};

use super::BackupError;

/// The file whose presence means that a restore counts and may have to be finished.
pub(super) const PENDING: &str = "restore.pending";

/// A folder for its owner alone, removed with all that is in it when it is dropped. It is locked for as long as it is in use,
/// before anything is in it, so that what a killed process left behind is told from it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The folder itself, open. The lock ends with it.
    lock: File,
    stays: bool,
}

impl Folder {
    /// Makes one beside `path`, on the same filesystem.
    pub(super) fn beside(path: &Path) -> Result<Self, BackupError> {
        Self::inside(&parent(path))
    }

    /// Makes one inside `folder`, and removes those there that killed processes left.
    pub(super) fn inside(folder: &Path) -> Result<Self, BackupError> {
        sweep(folder);
        let random = random::bytes::<8>().map_err(|error| io::Error::other(error.to_string()));
        let random = random.map_err(BackupError::file(folder))?;
        let path = folder.join(format!(".sidekey-{}.tmp", digest::hex(&random)));
        DirBuilder::new().mode(0o700).create(&path).map_err(BackupError::file(&path))?;
        let lock = File::open(&path).map_err(BackupError::file(&path))?;
        // Whoever sweeps has it for a moment at most. Where it cannot be locked at all, it cannot be swept either.
        let _ = lock.lock();
        Ok(Self { path, lock, stays: false })
    }

    /// A path in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        &self.path
    }

    /// Lets it stay: somebody else removes it. What is returned keeps it locked.
    pub(super) fn keep(mut self) -> io::Result<File> {
        self.stays = true;
        self.lock.try_clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.stays {
            // What is left of it is in nobody's way, and the next who makes one removes it.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes from `folder` what killed processes left in it: folders of ours that nobody has locked. One that is empty may be
/// about to be locked, and one that a restore is to be finished from stays.
pub(super) fn sweep(folder: &Path) {
    let items = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let middle = name.strip_prefix(".sidekey-").and_then(|rest| rest.strip_suffix(".tmp"));
        middle.is_some_and(|middle| middle.len() == 16 && middle.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    for path in items.map(|item| item.path()).filter(ours) {
        let Ok(open) = File::open(&path) else { continue };
        let is_empty = || fs::read_dir(&path).map_or(true, |mut items| items.next().is_none());
        // Whoever restores has the lock from before it counts until it is done: looked at in this order, nothing is missed.
        if open.try_lock().is_ok() && !is_empty() && !folder.join(PENDING).exists() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// The folder that `path` stands in.
pub(super) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A new folder for its owner alone.
pub(super) fn private(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new().mode(0o700).create(path).map_err(BackupError::file(path))
}

/// A folder for its owner alone, made when there is none.
pub(super) fn make(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(BackupError::file(path))
}

/// A new file for its owner alone.
pub(super) fn create(path: &Path) -> Result<File, BackupError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(BackupError::file(path))
}

/// Copies a file to where none is, onto the disk.
pub(super) fn copy_new(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut source = File::open(from).map_err(BackupError::file(from))?;
    let mut file = create(to)?;
    io::copy(&mut source, &mut file).and_then(|_| file.sync_all()).map_err(BackupError::file(to))
}

/// Gives the whole file `made` the name `to`, which nothing has.
pub(super) fn name(made: &Path, to: &Path) -> Result<(), BackupError> {
    match fs::hard_link(made, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(BackupError::Exists(to.to_owned())),
        // A filesystem without hard links: the smallest window that is left.
        Err(_) if !to.exists() => fs::rename(made, to).map_err(BackupError::file(to))?,
        Err(error) => return Err(BackupError::file(to)(error)),
        Ok(()) => {}
    }
    sync(&parent(to))
}

/// Makes names in `folder` survive a power cut.
pub(super) fn sync(folder: &Path) -> Result<(), BackupError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(BackupError::file(folder))
}
