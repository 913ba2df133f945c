//! Where the database file stands: made for its owner alone, refused when others can reach it or when locks do not hold.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, MAIN_DB};

use super::super::StoreError;

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
const GROUP_AND_OTHERS: u32 = 0o077;

/// Makes the folder and the file when absent, and checks both, and the files that SQLite keeps beside it. SQLite gives
/// those the permissions of the database itself.
pub(super) fn prepare(path: &Path) -> Result<(), StoreError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Path { path, source }
    };
    DirBuilder::new().recursive(true).mode(FOLDER).create(folder).map_err(failed(folder))?;
    refuse_network(folder)?;
    refuse_loose(folder, FOLDER)?;
    // Made only when absent and never opened otherwise: closing any descriptor of the file would drop the locks that SQLite
    // holds on it for another connection of this process.
    match OpenOptions::new().write(true).create_new(true).mode(FILE).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(path)(error)),
        _ => {}
    }
    for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        refuse_loose(&file, FILE)?;
    }
    Ok(())
}

/// Copies the database into the file `path` by SQLite's own means, as one file that needs no other beside it.
pub(super) fn copy(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Path { path: path.to_owned(), source };
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(FILE).open(path).map_err(failed)?;
    connection.backup(MAIN_DB, path, None::<fn(rusqlite::backup::Progress)>)?;
    let copy = Connection::open(path)?;
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    copy.close().map_err(|(_, error)| error)?;
    file.sync_all().map_err(failed)
}

/// Takes the database at `path` out of use: everything into the one file, and nothing beside it. False while another process
/// has it open.
pub(super) fn settle(path: &Path) -> Result<bool, StoreError> {
    let failed = |source| StoreError::Path { path: path.to_owned(), source };
    let connection = Connection::open(path)?;
    let settled = connection.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get::<_, String>(0));
    match settled.map_err(StoreError::from) {
        Ok(mode) if mode.eq_ignore_ascii_case("delete") => {}
        Ok(_) | Err(StoreError::Busy(_)) => return Ok(false),
        Err(error) => return Err(error),
    }
    connection.close().map_err(|(_, error)| error)?;
    File::open(path).and_then(|file| file.sync_all()).map_err(failed)?;
    Ok(true)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What is absent is not loose.
fn refuse_loose(path: &Path, wanted: u32) -> Result<(), StoreError> {
    let mode = match fs::metadata(path) {
        Ok(found) => found.permissions().mode() & 0o7777,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(StoreError::Path { path: path.to_owned(), source }),
    };
    if mode & GROUP_AND_OTHERS == 0 { Ok(()) } else { Err(StoreError::Loose { path: path.to_owned(), mode, wanted }) }
}

#[cfg(target_os = "linux")]
#[allow(clippy::useless_conversion, reason = "the field's width differs between architectures")]
fn refuse_network(folder: &Path) -> Result<(), StoreError> {
    let found =
        rustix::fs::statfs(folder).map_err(|e| StoreError::Path { path: folder.to_owned(), source: e.into() })?;
    match network(i64::from(found.f_type)) {
        Some(kind) => Err(StoreError::Network { path: folder.to_owned(), kind }),
        None => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps, reason = "the same shape as where it can be told")]
fn refuse_network(_folder: &Path) -> Result<(), StoreError> {
    Ok(())
}

/// The magic numbers of statfs(2) whose filesystems share files between machines.
#[cfg(target_os = "linux")]
pub(in crate::store) fn network(magic: i64) -> Option<&'static str> {
    match magic & 0xffff_ffff {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x6573_5546 => Some("FUSE"),
        0x0102_1997 => Some("9P"),
        0x5346_414f => Some("AFS"),
        0x00c3_6400 => Some("Ceph"),
        _ => None,
    }
}
