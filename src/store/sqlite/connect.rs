//! Opening the store and its connection: what both must promise before anything is read or written.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::super::StoreError;
use super::worker::Worker;
use super::{Sqlite, place, schema};

/// Earlier versions can corrupt a WAL database that several connections use.
const OLDEST_SQLITE: i32 = 3_051_003;
/// How long a write waits for another process's.
const BUSY: Duration = Duration::from_secs(10);
/// How often opening is tried anew meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

impl Sqlite {
    /// Opens the store at `path`, making it, its folder (0700) and its file (0600) when absent, and brings it to the newest
    /// shape.
    ///
    /// # Errors
    /// When the folder or file is open to other users, lies on a network filesystem, cannot be made, is not ours, was made
    /// by a newer sidekey, or is damaged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            return Err(StoreError::OldSqlite { found: rusqlite::version() });
        }
        place::prepare(path)?;
        let worker =
            Worker::start(connect(path)?).map_err(|source| StoreError::Path { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), worker: Arc::new(worker), deed: None })
    }

    /// Takes the store at `path` out of use, for whoever is about to move it away: afterwards it is one file. False when it
    /// cannot be, because another process has it open.
    ///
    /// # Errors
    /// When it is no store that can be opened.
    pub fn settle(path: &Path) -> Result<bool, StoreError> {
        place::settle(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the file grow to so many pages, as a disk that fills up would.
    #[cfg(test)]
    pub(in crate::store) fn limit_pages(&self, pages: i64) {
        self.read(move |c| Ok(c.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?)).unwrap();
    }
}

/// Connects and migrates. SQLite does not wait for the lock while a database is first made a WAL one, so this does.
fn connect(path: &Path) -> Result<Connection, StoreError> {
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
