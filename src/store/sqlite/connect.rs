//! Opening a connection: what it must promise before anything is read or written through it.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::super::StoreError;
use super::schema;

/// How long a write waits for another process's.
const BUSY: Duration = Duration::from_secs(10);
/// How often opening is tried anew meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// Connects and migrates. SQLite does not wait for the lock while a database is first made a WAL one, so this does.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let mut left = BUSY;
    loop {
        let connected = configure(path).and_then(|mut connection| {
            schema::migrate(&mut connection, path)?;
            Ok(connection)
        });
        match (connected, left.checked_sub(PAUSE)) {
            (Err(StoreError::Busy(_)), Some(after)) => left = after,
            (Err(other), _) => return Err(other),
            (Ok(connection), _) => {
                connection.busy_timeout(BUSY)?;
                return Ok(connection);
            }
        }
        thread::sleep(PAUSE);
    }
}

fn configure(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PAUSE)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Freed pages are overwritten, so that a destroyed value does not linger in the file.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}
