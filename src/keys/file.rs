//! The master key in a file, made for its owner alone and refused when others can read it.
//!
//! A key that is made is on disk, whole and under its name, before anything is sealed with it: temporary file, sync, rename
//! that replaces nothing, sync of the folder.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use zeroize::Zeroizing;

use crate::crypto::{digest, random};

use super::{BASE64, KeyBytes, KeyError, MasterKeySource, decode};

const GROUP_AND_OTHERS: u32 = 0o077;
/// More than any key's text needs.
const LONGEST: usize = 1024;

/// Reads the key. A symbolic link is followed, and what it leads to is checked: secrets are often mounted so.
pub(super) fn read(path: &Path) -> Result<KeyBytes, KeyError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => KeyError::Absent { path: path.to_owned() },
        _ => KeyError::File { path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(failed)?;
    // Asked of the open file, so that what is checked is what is read.
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & GROUP_AND_OTHERS != 0 {
        return Err(KeyError::Loose { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new([0_u8; LONGEST]);
    let mut length = 0;
    let mut file = file;
    while let Some(room) = text.get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read(room).map_err(failed)? {
            0 => break,
            read => length += read,
        }
    }
    decode(text.get(..length).unwrap_or_default(), &MasterKeySource::File(path.to_owned()))
}

/// Reads the key, or makes the file with a fresh one when it is absent.
pub(super) fn read_or_create(path: &Path) -> Result<KeyBytes, KeyError> {
    match read(path) {
        Err(KeyError::Absent { .. }) => {}
        other => return other,
    }
    let key = super::fresh()?;
    write(path, &key).map_err(|source| KeyError::File { path: path.to_owned(), source })?;
    // Another process may have been first: its key is the one.
    read(path)
}

/// Writes `key` beside `path`, on disk but not yet in its place: the first half of a rotation. `tag` tells this rotation
/// from any other, so that two at once never take each other's key.
///
/// # Errors
/// When the file cannot be made, or there is one of this tag.
pub fn stage(path: &Path, tag: &str, key: &KeyBytes) -> Result<(), KeyError> {
    let staged = staged(path, tag);
    let write = || {
        DirBuilder::new().recursive(true).mode(0o700).create(folder_of(path))?;
        write_new(&staged, key)?;
        File::open(folder_of(path))?.sync_all()
    };
    write().map_err(|source| KeyError::File { path: staged.clone(), source })
}

/// The key that was staged under `tag`, when there is one.
///
/// # Errors
/// When it cannot be read, or others can.
pub fn read_staged(path: &Path, tag: &str) -> Result<Option<KeyBytes>, KeyError> {
    match read(&staged(path, tag)) {
        Ok(key) => Ok(Some(key)),
        Err(KeyError::Absent { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Puts the key that was staged under `tag` in its place: the second half of a rotation. Does nothing when another process
/// did it.
///
/// # Errors
/// When the file cannot be renamed.
pub fn place_staged(path: &Path, tag: &str) -> Result<(), KeyError> {
    let place = || match fs::rename(staged(path, tag), target(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => File::open(folder_of(path))?.sync_all(),
    };
    place().map_err(|source| KeyError::File { path: path.to_owned(), source })
}

/// Removes a staged key that nothing was sealed with.
pub fn drop_staged(path: &Path, tag: &str) {
    // A leftover is a key that opens nothing; it is in nobody's way.
    let _ = fs::remove_file(staged(path, tag));
}

fn staged(path: &Path, tag: &str) -> PathBuf {
    let mut name = target(path).into_os_string();
    name.push(format!(".{tag}.next"));
    name.into()
}

/// Where a symbolic link leads, so that the link stays one.
fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn folder_of(path: &Path) -> PathBuf {
    match target(path).parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn write(path: &Path, key: &KeyBytes) -> io::Result<()> {
    let folder = folder_of(path);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let temporary = temporary(path)?;
    let written = write_new(&temporary, key).and_then(|()| place(&temporary, path));
    if written.is_err() {
        // Whatever went wrong is told; that the leftover stays is less.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    File::open(folder)?.sync_all()
}

fn temporary(path: &Path) -> io::Result<PathBuf> {
    let random = random::bytes::<8>().map_err(|error| io::Error::other(error.to_string()))?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", digest::hex(&random)));
    Ok(name.into())
}

fn write_new(path: &Path, key: &KeyBytes) -> io::Result<()> {
    let mut text = Zeroizing::new(BASE64.encode(key.as_slice()));
    text.reserve_exact(1);
    text.push('\n');
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Gives the file its name unless there is one of that name: two processes that start at once must end with one key.
fn place(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        // A filesystem without hard links: the smallest window that is left.
        Err(_) if !path.exists() => fs::rename(temporary, path),
        // Named, or there was one already.
        _ => fs::remove_file(temporary),
    }
}
