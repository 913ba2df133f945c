//! Why the store did not do what was asked. A failed operation has changed nothing.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why the store did not do what was asked, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder cannot be made or looked at.
    #[error("the store's `{path}` cannot be made or read; check the path and its permissions")]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others than its owner may use a file or folder.
    #[error(
        "`{path}` is open to other users of this machine (mode {mode:04o}); run: chmod {wanted:o} '{path}', or name a \
         place of its own for the store"
    )]
    Loose {
        /// Which.
        path: PathBuf,
        /// What it has.
        mode: u32,
        /// What it must not exceed.
        wanted: u32,
    },
    /// SQLite's locks do not hold there.
    #[error("`{path}` is on a network filesystem ({kind}), where SQLite can lose data; put the store on a local disk")]
    Network {
        /// Where.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// Not a database of ours.
    #[error("`{path}` is not a sidekey store; name another file, or move this one away")]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// Made by a newer sidekey.
    #[error(
        "`{path}` was made by a newer sidekey (store version {found}, this one knows {known}); use that one or a newer"
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The SQLite library can corrupt stores.
    #[error("this program was built with SQLite {found}, which can damage stores; build it with the bundled one")]
    OldSqlite {
        /// Its version.
        found: &'static str,
    },
    /// Two of the same name among the living.
    #[error("there is already a {what} called `{name}`; choose another name, or delete that one first")]
    NameTaken {
        /// `credential`, `caller`, `user` or `team`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// No such thing.
    #[error("there is no {what} `{which}`")]
    Unknown {
        /// `credential`, `caller`, `user`, `team`, `member` or `share`.
        what: &'static str,
        /// Its name or identifier.
        which: String,
    },
    /// What every store has and keeps.
    #[error("`{0}` is part of every store and stays")]
    Fixed(String),
    /// A user cannot go while something belongs to it.
    #[error(
        "`{user}` still owns {}; delete that first, or say who gets it with --give-to",
        [("the key", keys), ("the caller", callers)].iter()
            .flat_map(|(what, names)| names.iter().map(move |name| format!("{what} `{name}`")))
            .collect::<Vec<_>>().join(", ")
    )]
    StillOwns {
        /// The user.
        user: String,
        /// The names of its keys.
        keys: Vec<String>,
        /// The names of its callers.
        callers: Vec<String>,
    },
    /// A service that living keys are for.
    #[error("the service `{service}` is in use by {}; delete those keys first", .keys.join(", "))]
    InUse {
        /// The service.
        service: String,
        /// The names of the keys.
        keys: Vec<String>,
    },
    /// No version to go back to.
    #[error("`{name}` has no version before version {version} to go back to")]
    NothingBefore {
        /// The credential.
        name: String,
        /// Its current version.
        version: u32,
    },
    /// The value is gone for good.
    #[error("the value of `{0}` was destroyed and cannot come back; add the credential anew")]
    Destroyed(String),
    /// Somebody else changed the same thing in between.
    #[error("`{0}` was changed by somebody else at the same moment; try again")]
    Moved(String),
    /// A credential without ciphertext cannot be stored.
    #[error("`{0}` has no sealed value to store")]
    Unsealed(String),
    /// Another process keeps the store locked.
    #[error("another process keeps the store locked; try again, and see whether one hangs")]
    Busy(#[source] rusqlite::Error),
    /// No space left.
    #[error("no space is left for the store; nothing was changed. Free some space and try again")]
    Full(#[source] rusqlite::Error),
    /// It can be read only.
    #[error("the store cannot be written to; nothing was changed. Check its permissions and its filesystem")]
    ReadOnly(#[source] rusqlite::Error),
    /// The file is damaged.
    #[error("the store is damaged ({0}); stop sidekey, keep a copy of the file, and restore a backup")]
    Corrupt(String),
    /// Anything else that SQLite reports.
    #[error("the store failed")]
    Sqlite(#[source] rusqlite::Error),
    /// The store's thread is gone.
    #[error("the store has stopped; restart sidekey")]
    Stopped,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(error),
            Some(ErrorCode::DiskFull) => Self::Full(error),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error.to_string()),
            _ => Self::Sqlite(error),
        }
    }
}
