//! What can go wrong with the audit log. Names files, lines and what to do; holds no entry and no secret.

use std::io;
use std::path::{Path, PathBuf};

/// Why the audit log could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The operating system refused. While a write fails, the proxy refuses requests.
    #[error("cannot {action} {}: check the disk's free space and that this user may write there", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another process held the lock for longer than an append can take.
    #[error("the lock on {} is held by another process: end that process, or resume it if it is stopped", path.display())]
    Locked {
        /// The locked file.
        path: PathBuf,
    },
    /// The end of the chain cannot be read, so nothing can be chained to it.
    #[error(
        "{} is damaged ({why}): run `sidekey audit verify`, then move the whole folder away to begin a new chain",
        path.display()
    )]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// What was found.
        why: &'static str,
    },
    /// A line that is no entry, met while reading.
    #[error("{}, line {line}: this is no audit entry; run `sidekey audit verify`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// An export could not be written to where it was asked to go.
    #[error("cannot write the export")]
    Export {
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The log was closed while the disk did not take what was waiting.
    #[error("{entries} audit entries could not be written before the end: free some disk space")]
    Unwritten {
        /// How many.
        entries: u64,
    },
    /// The writer's thread ended by a fault of ours; what waited for it was not written.
    #[error("the audit writer stopped by a fault of its own: the last entries were not written; report this")]
    WriterDied,
}

impl AuditError {
    /// Wraps the system's error with what was tried on which file.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}
