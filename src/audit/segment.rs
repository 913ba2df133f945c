//! The files of the log: their names, who may read them, what is in the folder now, and reading one line by line.
//! It knows where lines end, not what they mean (see `chain`) nor how they are appended (see `append`).
//!
//! ```text
//! audit/                    0700
//!   head                    0600  where the chain stands; its advisory lock guards every append
//!   audit-00000001.jsonl    0600  header, then batches, each followed by its seal
//! ```

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Take};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use super::append::Place;
use super::chain::{HEAD_FILE_LEN, Head, SEAL_START};
use super::error::AuditError;

/// A line longer than this was not written by us.
const LINE_LIMIT: u64 = 1 << 20;

/// One segment as it was when the folder was looked at.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) len: u64,
    pub(super) modified: Option<SystemTime>,
}

/// The folder at one moment at which nobody was appending.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// In the order of their numbers.
    pub(super) segments: Vec<Segment>,
    /// The head file; none when it is missing, torn or changed.
    pub(super) head: Option<Head>,
}

impl Snapshot {
    /// Looks at the folder while holding the shared lock, so that no half-written batch is in sight. A copy of the
    /// folder without its head file can be read too.
    pub(super) fn take(dir: &Path) -> Result<Self, AuditError> {
        let path = head_path(dir);
        let lock = match File::open(&path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(AuditError::io("open", &path)(error)),
        };
        let Some(mut file) = lock else {
            return Ok(Self { segments: list(dir)?, head: None });
        };
        file.lock_shared().map_err(AuditError::io("lock", &path))?;
        let mut bytes = Vec::with_capacity(HEAD_FILE_LEN);
        file.read_to_end(&mut bytes).map_err(AuditError::io("read", &path))?;
        Ok(Self { segments: list(dir)?, head: Head::from_file(&bytes) })
    }
}

/// The head file's path; its lock guards the folder.
pub(super) fn head_path(dir: &Path) -> PathBuf {
    dir.join("head")
}

/// The path of segment `number`.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("audit-{number:08}.jsonl"))
}

/// The segments in `dir`, in the order of their numbers.
pub(super) fn list(dir: &Path) -> Result<Vec<Segment>, AuditError> {
    let mut segments = Vec::new();
    for item in fs::read_dir(dir).map_err(AuditError::io("list", dir))? {
        let item = item.map_err(AuditError::io("list", dir))?;
        let Some(number) = number_of(&item.file_name().to_string_lossy()) else { continue };
        let path = item.path();
        let meta = item.metadata().map_err(AuditError::io("look at", &path))?;
        segments.push(Segment { number, path, len: meta.len(), modified: meta.modified().ok() });
    }
    segments.sort_by_key(|segment| segment.number);
    Ok(segments)
}

fn number_of(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_prefix("audit-")?.strip_suffix(".jsonl")?;
    (digits.len() >= 8 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Creates the folder for its owner alone, and closes one that others could enter.
pub(super) fn create_dir(dir: &Path) -> Result<(), AuditError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(AuditError::io("create", dir))?;
    let mode = fs::metadata(dir).map_err(AuditError::io("look at", dir))?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(AuditError::io("protect", dir))?;
    }
    Ok(())
}

/// Opens a file of the log for reading and appending, or only creating it when it is absent.
pub(super) fn open_append(path: &Path) -> Result<File, AuditError> {
    let options = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
    options.map_err(AuditError::io("open", path))
}

/// Opens the head file, which is written in place.
pub(super) fn open_head(path: &Path) -> Result<File, AuditError> {
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    options.map_err(AuditError::io("open", path))
}

/// Makes the creation of a file in `dir` survive a power cut.
pub(super) fn sync_dir(dir: &Path) -> Result<(), AuditError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(AuditError::io("sync", dir))
}

/// A piece of a segment.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// A line with its newline.
    Line(&'a [u8]),
    /// Bytes at the end that have no newline, or a line that is too long to be ours.
    Torn(&'a [u8]),
}

/// Reads a segment line by line, up to the length that it had in the snapshot.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    reader: BufReader<Take<File>>,
    buffer: Vec<u8>,
    /// The bytes read so far, from the segment's beginning.
    pub(super) offset: u64,
}

impl Lines {
    /// Begins at `offset`.
    pub(super) fn open(segment: &Segment, offset: u64) -> Result<Self, AuditError> {
        let path = segment.path.clone();
        let mut file = File::open(&path).map_err(AuditError::io("open", &path))?;
        file.seek(SeekFrom::Start(offset)).map_err(AuditError::io("read", &path))?;
        let reader = BufReader::with_capacity(1 << 16, file.take(segment.len.saturating_sub(offset)));
        Ok(Self { path, reader, buffer: Vec::new(), offset })
    }

    /// The line that was read last.
    pub(super) fn current(&self) -> &[u8] {
        &self.buffer
    }

    /// The next piece; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Piece<'_>>, AuditError> {
        self.buffer.clear();
        let read = (&mut self.reader).take(LINE_LIMIT).read_until(b'\n', &mut self.buffer);
        let read = read.map_err(AuditError::io("read", &self.path))?;
        if read == 0 {
            return Ok(None);
        }
        self.offset += u64::try_from(read).unwrap_or(0);
        let whole = self.buffer.ends_with(b"\n");
        Ok(Some(if whole { Piece::Line(&self.buffer) } else { Piece::Torn(&self.buffer) }))
    }
}

/// The identifiers of the acts that stand after `from`, which may lie in the middle of a line.
pub(super) fn acts_since(dir: &Path, from: Place) -> Result<HashSet<String>, AuditError> {
    #[derive(Deserialize)]
    struct Act {
        id: Option<String>,
    }
    let mut found = HashSet::new();
    for segment in list(dir)?.into_iter().filter(|segment| segment.number >= from.segment) {
        let offset = if segment.number == from.segment { from.offset } else { 0 };
        let mut lines = Lines::open(&segment, offset)?;
        while let Some(Piece::Line(line)) = lines.next()? {
            if line.starts_with(b"{\"act\":") {
                let act: Option<Act> = serde_json::from_slice(line).ok();
                found.extend(act.and_then(|act| act.id));
            }
        }
    }
    Ok(found)
}

/// What a segment begins with and where its last seal ends.
#[derive(Debug)]
pub(super) struct Ending {
    /// After the last seal, or as the header says when there is none.
    pub(super) head: Head,
    /// Where the last seal, or the header, ends: what follows is not sealed.
    pub(super) sealed: u64,
}

/// Reads the end of a segment of `len` bytes. None when not even its first line is complete.
pub(super) fn ending(path: &Path, file: &File, len: u64) -> Result<Option<Ending>, AuditError> {
    let mut span = 1 << 16;
    loop {
        let start = len.saturating_sub(span);
        let bytes = read_range(path, file, start, len)?;
        if let Some(at) = last_seal(&bytes, start == 0) {
            let line =
                bytes.get(at..).and_then(|rest| rest.split_inclusive(|b| *b == b'\n').next()).unwrap_or_default();
            let head = Head::from_seal(line).ok_or_else(|| damaged(path, "its last seal cannot be read"))?;
            return Ok(Some(Ending { head, sealed: start + u64::try_from(at + line.len()).unwrap_or(0) }));
        }
        if start == 0 {
            return header_ending(path, &bytes);
        }
        span = span.saturating_mul(4);
    }
}

fn header_ending(path: &Path, bytes: &[u8]) -> Result<Option<Ending>, AuditError> {
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else { return Ok(None) };
    let line = bytes.get(..=end).unwrap_or_default();
    let (_, head) = Head::from_header(line).ok_or_else(|| damaged(path, "its first line cannot be read"))?;
    Ok(Some(Ending { head, sealed: u64::try_from(line.len()).unwrap_or(0) }))
}

/// Where the last complete line that begins like a seal begins.
fn last_seal(bytes: &[u8], from_beginning: bool) -> Option<usize> {
    let mut end = bytes.iter().rposition(|b| *b == b'\n')?;
    loop {
        let begin = bytes.get(..end)?.iter().rposition(|b| *b == b'\n');
        let at = begin.map_or(0, |newline| newline + 1);
        if (begin.is_some() || from_beginning) && bytes.get(at..)?.starts_with(SEAL_START) {
            return Some(at);
        }
        end = begin?;
    }
}

/// The bytes of `file` from `start` to `end`.
pub(super) fn read_range(path: &Path, mut file: &File, start: u64, end: u64) -> Result<Vec<u8>, AuditError> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start)).map_err(AuditError::io("read", path))?;
    file.take(end.saturating_sub(start)).read_to_end(&mut bytes).map_err(AuditError::io("read", path))?;
    Ok(bytes)
}

pub(super) fn damaged(path: &Path, why: &'static str) -> AuditError {
    AuditError::Damaged { path: path.to_path_buf(), why }
}
