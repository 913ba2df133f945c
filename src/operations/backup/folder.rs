//! Folders to work in, and files that get their name only when they are whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::crypto::{digest, random};

use super::BackupError;

/// A folder for its owner alone, removed with all that is in it when it is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes one beside `path`, on the same filesystem.
    pub(super) fn beside(path: &Path) -> Result<Self, BackupError> {
        Self::inside(&parent(path))
    }

    /// Makes one inside `folder`.
    pub(super) fn inside(folder: &Path) -> Result<Self, BackupError> {
        let random = random::bytes::<8>().map_err(|error| io::Error::other(error.to_string()));
        let random = random.map_err(BackupError::file(folder))?;
        let path = folder.join(format!(".sidekey-{}.tmp", digest::hex(&random)));
        DirBuilder::new().mode(0o700).create(&path).map_err(BackupError::file(&path))?;
        Ok(Self(path))
    }

    /// A path in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    /// Lets it stay: somebody else removes it.
    pub(super) fn keep(mut self) {
        self.0 = PathBuf::new();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // What is left of it is in nobody's way, and holds nothing that is not sealed.
            let _ = fs::remove_dir_all(&self.0);
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
