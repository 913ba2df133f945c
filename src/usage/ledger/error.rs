//! Why the ledger could not be used. It holds nothing that cannot be done without: who meets one of these goes on.

use std::path::PathBuf;

/// Why the ledger could not be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be made or looked at.
    #[error("the usage ledger `{path}` cannot be made or read; check the path and its permissions")]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others than its owner may use the file.
    #[error("`{path}` is open to other users of this machine (mode {mode:04o}); run: chmod 600 '{path}'")]
    Loose {
        /// Which.
        path: PathBuf,
        /// What it has.
        mode: u32,
    },
    /// It is another program's database, or the store itself.
    #[error("`{path}` is no usage ledger; name another place for the store, or move that file away")]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// A newer sidekey made it.
    #[error(
        "`{path}` was made by a newer sidekey (shape {found}, this one knows {known}); use that one, or move the file away"
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its shape.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// What stands in it does not read as what it must be.
    #[error("the usage ledger is damaged ({0}); move usage.db away, and a new one is begun")]
    Damaged(&'static str),
    /// SQLite failed.
    #[error("the usage ledger cannot be used")]
    Database(#[from] rusqlite::Error),
}
