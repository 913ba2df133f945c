//! The ledger's file: for its owner alone. Its folder is the store's, which the store looks after.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{BUSY, LedgerError};

const FILE_MODE: u32 = 0o600;
const GROUP_AND_OTHERS: u32 = 0o077;

/// Makes the file when it is absent, and checks it.
pub(super) fn prepare(path: &Path) -> Result<(), LedgerError> {
    // Made only when absent and never opened otherwise: closing any descriptor of the file would drop the locks that SQLite
    // holds on it for another connection of this process.
    match OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(LedgerError::Path { path: path.to_owned(), source: error })
        }
        _ => check(path),
    }
}

/// Refuses a file that other users can use. SQLite gives the files beside it the same permissions.
pub(super) fn check(path: &Path) -> Result<(), LedgerError> {
    let found = fs::metadata(path).map_err(|source| LedgerError::Path { path: path.to_owned(), source })?;
    let mode = found.permissions().mode() & 0o7777;
    if mode & GROUP_AND_OTHERS == 0 { Ok(()) } else { Err(LedgerError::Loose { path: path.to_owned(), mode }) }
}

/// Connects. None is made.
pub(super) fn connect(path: &Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}
