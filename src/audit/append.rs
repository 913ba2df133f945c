//! Appending to the chain: the lock between processes, finding the end again when another process has appended, sealing
//! what a crash left unsealed, and beginning new segments. Not the queue in front of it (see `log`).
//!
//! A batch is in the file whole, with its seal, or not at all: what a failed write left is cut off again while the lock is
//! held. What cannot even be cut off is found as an unsealed tail by the next append, and sealed with a note.

use std::fs::{File, TryLockError};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::chain::Head;
use super::entry::micros;
use super::error::AuditError;
use super::line::Line;
use super::segment;
use crate::crypto::digest::hex;
use crate::domain::{Clock, SystemClock};

/// How often and how far apart the lock is tried: five seconds together, far longer than any append.
const LOCK_ATTEMPTS: u32 = 2500;
const LOCK_PAUSE: Duration = Duration::from_millis(2);
/// The most bytes of a torn line that its note quotes.
const FRAGMENT_LIMIT: usize = 1024;

/// A place in the chain's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The number of a segment.
    pub segment: u64,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// The end of the chain, and the right to add to it.
#[derive(Debug)]
pub(super) struct Chain {
    dir: PathBuf,
    /// The head file; its lock is held during each append.
    standing: File,
    segment_size: u64,
    number: u64,
    path: PathBuf,
    file: File,
    len: u64,
    head: Head,
    /// Whether something was appended that a power cut could take.
    unsynced: bool,
}

impl Chain {
    /// Opens the log in `dir`, creating it when absent, and seals what a crash left unsealed. A new segment is begun
    /// when the current one has reached `segment_size` bytes.
    pub(super) fn open(dir: &Path, segment_size: u64) -> Result<Self, AuditError> {
        segment::create_dir(dir)?;
        let standing = segment::open_head(&segment::head_path(dir))?;
        let path = segment::path(dir, 1);
        // Stands in until the lock is held and the true last segment is known; `locate` opens that one.
        let file = standing.try_clone().map_err(AuditError::io("open", &path))?;
        let mut chain = Self {
            dir: dir.to_path_buf(),
            standing,
            segment_size,
            number: 0,
            path,
            file,
            len: 0,
            head: Head::GENESIS,
            unsynced: false,
        };
        chain.locked(Self::locate)?;
        Ok(chain)
    }

    /// Appends a batch of `entries` lines, given as `parts`, and its seal.
    pub(super) fn append(&mut self, parts: &[&[u8]], entries: u64) -> Result<(), AuditError> {
        self.locked(|chain| {
            chain.refresh()?;
            if chain.len >= chain.segment_size {
                chain.roll()?;
            }
            chain.write_batch(parts, entries)
        })
    }

    /// Where the chain ends, as far as this process knows: nothing that is appended from now on stands before it.
    pub(super) fn end(&self) -> Place {
        Place { segment: self.number, offset: self.len }
    }

    /// Appends those of `lines` whose act is not in the chain yet. None of them stands before `from`. The lock is held from the
    /// looking to the end, so that of several processes with one act exactly one writes it.
    pub(super) fn append_missing(&mut self, lines: &[(&str, Vec<u8>)], from: Place) -> Result<(), AuditError> {
        self.locked(|chain| {
            chain.refresh()?;
            let there = segment::acts_since(&chain.dir, from)?;
            let missing = lines.iter().filter(|(id, _)| !there.contains(*id));
            let parts: Vec<&[u8]> = missing.map(|(_, line)| line.as_slice()).collect();
            if parts.is_empty() {
                return Ok(());
            }
            if chain.len >= chain.segment_size {
                chain.roll()?;
            }
            let entries = u64::try_from(parts.len()).unwrap_or(0);
            chain.write_batch(&parts, entries)
        })
    }

    /// Makes everything appended so far survive a power cut.
    pub(super) fn sync(&mut self) -> Result<(), AuditError> {
        self.file.sync_data().map_err(AuditError::io("sync", &self.path))?;
        self.unsynced = false;
        Ok(())
    }

    /// Whether there is something to sync.
    pub(super) fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    fn locked<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, AuditError>) -> Result<T, AuditError> {
        self.lock()?;
        let result = act(self);
        let unlocked = self.standing.unlock().map_err(AuditError::io("unlock", &segment::head_path(&self.dir)));
        let value = result?;
        unlocked.map(|()| value)
    }

    fn lock(&self) -> Result<(), AuditError> {
        let path = segment::head_path(&self.dir);
        for _ in 0..LOCK_ATTEMPTS {
            match self.standing.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(AuditError::io("lock", &path)(error)),
            }
        }
        Err(AuditError::Locked { path })
    }

    /// Makes sure that the end is where we remember it. A few cheap questions to the system, because this is asked before
    /// every batch: were the files removed or moved, did another process begin a segment, did it append to this one?
    fn refresh(&mut self) -> Result<(), AuditError> {
        let head_path = segment::head_path(&self.dir);
        if !is_at(&self.standing, &head_path)? {
            segment::create_dir(&self.dir)?;
            self.standing = segment::open_head(&head_path)?;
            self.lock()?;
        }
        let same = is_at(&self.file, &self.path)?
            && self.file.metadata().map_err(AuditError::io("look at", &self.path))?.len() == self.len
            && !segment::path(&self.dir, self.number + 1).exists();
        if same { Ok(()) } else { self.locate() }
    }

    /// Finds the last segment and its end; begins one when there is none. A segment that we wrote and that is gone is not
    /// written again: the next number is taken, so that the gap shows.
    fn locate(&mut self) -> Result<(), AuditError> {
        let number = segment::list(&self.dir)?.last().map_or(self.number + 1, |last| last.number);
        let path = segment::path(&self.dir, number);
        let file = segment::open_append(&path)?;
        let len = file.metadata().map_err(AuditError::io("look at", &path))?.len();
        let ending = segment::ending(&path, &file, len)?;
        let (head, sealed) = match ending {
            Some(ending) => (ending.head, ending.sealed),
            None => self.begin(number, &path, &file)?,
        };
        let known = self.known_head()?;
        (self.number, self.path, self.file, self.len, self.head) = (number, path, file, sealed, head);
        if sealed < len {
            self.recover(len)?;
        }
        if let Err(error) = self.compare(known, head) {
            // No file has this length: the next append comes here again and says it then.
            self.len = 0;
            return Err(error);
        }
        self.write_head();
        Ok(())
    }

    /// Writes the first line of a segment that is new, or that a crash left without one.
    fn begin(&self, number: u64, path: &Path, mut file: &File) -> Result<(Head, u64), AuditError> {
        let head = match number.checked_sub(1).filter(|previous| *previous > 0) {
            None => Head::GENESIS,
            Some(previous) => self.head_of(previous)?.unwrap_or(self.head),
        };
        let header = head.header(number);
        file.set_len(0).and_then(|()| file.write_all(&header)).map_err(AuditError::io("write", path))?;
        segment::sync_dir(&self.dir)?;
        Ok((head, u64::try_from(header.len()).unwrap_or(0)))
    }

    fn head_of(&self, number: u64) -> Result<Option<Head>, AuditError> {
        let path = segment::path(&self.dir, number);
        let Ok(file) = File::open(&path) else { return Ok(None) };
        let len = file.metadata().map_err(AuditError::io("look at", &path))?.len();
        Ok(segment::ending(&path, &file, len)?.map(|ending| ending.head))
    }

    /// Ends the current segment and begins the next.
    fn roll(&mut self) -> Result<(), AuditError> {
        self.sync()?;
        let number = self.number + 1;
        let path = segment::path(&self.dir, number);
        let file = segment::open_append(&path)?;
        let (head, len) = self.begin(number, &path, &file)?;
        (self.number, self.path, self.file, self.len, self.head) = (number, path, file, len, head);
        Ok(())
    }

    fn write_batch(&mut self, parts: &[&[u8]], entries: u64) -> Result<(), AuditError> {
        let mut hasher = self.head.hasher();
        for part in parts {
            hasher.update(part);
        }
        self.write_sealed(parts, entries, hasher.finish())
    }

    /// Writes `parts` and a seal with `hash`, or nothing.
    fn write_sealed(&mut self, parts: &[&[u8]], entries: u64, hash: [u8; 32]) -> Result<(), AuditError> {
        let (next, seal) = self.head.seal(entries, hash);
        let mut slices: Vec<IoSlice<'_>> = parts.iter().copied().chain([seal.as_slice()]).map(IoSlice::new).collect();
        let written: usize = slices.iter().map(|slice| slice.len()).sum();
        if let Err(error) = write_all(&self.file, &mut slices) {
            // If even this fails, the length differs at the next append, which then finds and seals the tail.
            let _ = self.file.set_len(self.len);
            return Err(AuditError::io("write", &self.path)(error));
        }
        self.len += u64::try_from(written).unwrap_or(0);
        self.head = next;
        self.unsynced = true;
        self.write_head();
        Ok(())
    }

    /// Seals the lines that follow the last seal up to `len`: their writer died before it sealed them. A torn last line
    /// is taken out and quoted in the note that is sealed with them.
    fn recover(&mut self, len: u64) -> Result<(), AuditError> {
        let tail = segment::read_range(&self.path, &self.file, self.len, len)?;
        let whole = tail.iter().rposition(|b| *b == b'\n').map_or(0, |newline| newline + 1);
        let (lines, fragment) = tail.split_at_checked(whole).unwrap_or_default();
        let count = u64::try_from(lines.split_inclusive(|b| *b == b'\n').count()).unwrap_or(0);
        let mut note = Vec::new();
        let mut line = Line::begin(&mut note, "note", "recovered");
        line.number("time", micros(SystemClock.wall()));
        line.number("entries", count);
        if !fragment.is_empty() {
            let quoted = fragment.get(..FRAGMENT_LIMIT.min(fragment.len())).unwrap_or_default();
            line.text("fragment", &String::from_utf8_lossy(quoted));
            line.number("fragment_bytes", u64::try_from(fragment.len()).unwrap_or(0));
        }
        line.end();
        let mut hasher = self.head.hasher();
        hasher.update(lines);
        hasher.update(&note);
        let sealed = self.len;
        self.len += u64::try_from(whole).unwrap_or(0);
        self.file.set_len(self.len).map_err(AuditError::io("write", &self.path))?;
        let result = self.write_sealed(&[&note], count + 1, hasher.finish());
        if result.is_err() {
            // The lines stay unsealed; remembering where the seals end makes the next append come here again.
            self.len = sealed;
        }
        result
    }

    /// Where the chain should stand: by the head file, or by our own memory when that knows more.
    fn known_head(&self) -> Result<Known, AuditError> {
        let path = segment::head_path(&self.dir);
        let bytes = segment::read_range(&path, &self.standing, 0, u64::MAX)?;
        Ok(match Head::from_file(&bytes) {
            Some(head) if head.seals >= self.head.seals => Known::At(head),
            _ if self.head.seals > 0 => Known::At(self.head),
            Some(head) => Known::At(head),
            None => Known::Lost,
        })
    }

    /// Notes in the chain itself that its end is not what it should be: entries were cut off, by hand or by a power cut.
    fn compare(&mut self, known: Known, found: Head) -> Result<(), AuditError> {
        let mut note = Vec::new();
        match known {
            Known::At(head) if head.seals > found.seals || (head.seals == found.seals && head != found) => {
                let mut line = Line::begin(&mut note, "note", "cut_off");
                line.number("time", micros(SystemClock.wall()));
                line.number("entries", head.entries.saturating_sub(found.entries));
                line.number("known_seals", head.seals);
                line.text("known_hash", &hex(&head.hash));
                line.end();
            }
            Known::Lost if found.seals > 0 => {
                let mut line = Line::begin(&mut note, "note", "head_lost");
                line.number("time", micros(SystemClock.wall()));
                line.end();
            }
            Known::At(_) | Known::Lost => return Ok(()),
        }
        self.write_batch(&[&note], 1)
    }

    /// Replaces the head file's bytes. A head file that is behind the chain is harmless, so a failure is not the batch's.
    fn write_head(&self) {
        let _ = self.standing.write_all_at(&self.head.to_file(), 0);
    }
}

/// Writes all of it, in one call to the system when it takes so much at once.
fn write_all(mut file: &File, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !slices.is_empty() {
        match file.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether the file that we have open is still the one at `path`.
fn is_at(file: &File, path: &Path) -> Result<bool, AuditError> {
    let ours = file.metadata().map_err(AuditError::io("look at", path))?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(AuditError::io("look at", path)(error)),
    }
}

/// Where the chain should stand.
#[derive(Debug, Clone, Copy)]
enum Known {
    At(Head),
    Lost,
}
