//! A copy of the whole log at one moment, while others append to it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::error::AuditError;
use super::segment::{Snapshot, create_dir, head_path, path, sync_dir};

/// Copies the log in `dir` into the folder `into`, which is made; what is there already is not overwritten. The copy verifies
/// as the log itself does, and its files are for their owner alone.
///
/// # Errors
/// When the log cannot be read, or the copy not be written.
pub fn copy(dir: &Path, into: &Path) -> Result<(), AuditError> {
    let snapshot = Snapshot::take(dir)?;
    create_dir(into)?;
    for segment in &snapshot.segments {
        // Segments only grow: what they had when the folder was looked at is there still.
        let from = File::open(&segment.path).map_err(AuditError::io("open", &segment.path))?;
        let to = path(into, segment.number);
        write_new(&to, &mut from.take(segment.len)).map_err(AuditError::io("write", &to))?;
    }
    if let Some(head) = snapshot.head {
        let to = head_path(into);
        write_new(&to, &mut head.to_file().as_slice()).map_err(AuditError::io("write", &to))?;
    }
    sync_dir(into)
}

fn write_new(path: &Path, from: &mut impl io::Read) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(from, &mut file)?;
    file.flush()?;
    file.sync_all()
}
