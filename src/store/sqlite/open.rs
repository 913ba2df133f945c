//! Opening a store, and taking it out of use.

use std::path::Path;
use std::sync::Arc;

use super::super::StoreError;
use super::worker::Worker;
use super::{Sqlite, connect, place};

/// Earlier versions can corrupt a WAL database that several connections use.
const OLDEST_SQLITE: i32 = 3_051_003;

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
        let worker = Worker::start(connect::connect(path)?)
            .map_err(|source| StoreError::Path { path: path.to_owned(), source })?;
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
