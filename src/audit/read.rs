//! Reading the log: all of it, its last lines, what comes next. Looks at the folder when nobody is appending and reads no
//! further than it was then, so a running writer is never disturbed and no half-written batch is seen. It checks nothing
//! (see `verify`).

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::chain::{Head, SEAL_START, SEGMENT_START};
use super::error::AuditError;
use super::record::{Filter, Record};
use super::segment::{Lines, Piece, Segment, Snapshot, damaged};

/// How much older than its newest entry a segment's date may be, for clocks that are coarse.
const DATE_SLACK: Duration = Duration::from_secs(60);

/// Reads everything in `dir` that fits `filter`, oldest first.
///
/// # Errors
/// When the folder cannot be read.
pub fn read(dir: &Path, filter: Filter) -> Result<Reader, AuditError> {
    let mut segments = Snapshot::take(dir)?.segments;
    if let Some(since) = filter.since {
        segments.retain(|segment| may_reach(segment, since));
    }
    Ok(Reader { segments: segments.into(), current: None, filter })
}

/// Whether a segment may hold an entry of `since` or later. It was last written after its last entry was made.
fn may_reach(segment: &Segment, since: Duration) -> bool {
    let written = segment.modified.and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
    written.is_none_or(|written| written + DATE_SLACK >= since)
}

/// The records of a log, oldest first. Made by [`read`].
#[derive(Debug)]
pub struct Reader {
    segments: VecDeque<Segment>,
    current: Option<Entries>,
    filter: Filter,
}

impl Iterator for Reader {
    type Item = Result<Record, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(entries) = &mut self.current else {
                match Entries::open(&self.segments.pop_front()?) {
                    Ok(entries) => self.current = Some(entries),
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            match entries.next_record() {
                Ok(Some(record)) if self.filter.admits(&record) => return Some(Ok(record)),
                Ok(Some(_)) => {}
                Ok(None) => self.current = None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The last `count` records in `dir` that fit `filter`, oldest first, and the means to see what comes after them.
///
/// # Errors
/// When the folder cannot be read or holds lines that are no entries.
pub fn tail(dir: &Path, count: usize, filter: Filter) -> Result<(Vec<Record>, Follow), AuditError> {
    let segments = Snapshot::take(dir)?.segments;
    let mut found = VecDeque::new();
    let mut end = None;
    for segment in segments.iter().rev() {
        if end.is_some() && (found.len() >= count || filter.since.is_some_and(|since| !may_reach(segment, since))) {
            break;
        }
        let mut entries = Entries::open(segment)?;
        let last = entries.last(count - found.len(), &filter)?;
        end.get_or_insert_with(|| entries.position());
        for record in last.into_iter().rev() {
            found.push_front(record);
        }
    }
    let at = end.unwrap_or_default();
    Ok((found.into(), Follow { dir: dir.to_path_buf(), filter, at }))
}

/// Where a reader is: everything before it was seen.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    segment: u64,
    offset: u64,
    line: u64,
    entries: u64,
}

/// Sees what is appended after it was made. It does not wait: ask again after a pause.
#[derive(Debug)]
pub struct Follow {
    dir: PathBuf,
    filter: Filter,
    at: Position,
}

impl Follow {
    /// What was appended since the last time.
    ///
    /// # Errors
    /// When the folder cannot be read or holds lines that are no entries.
    pub fn more(&mut self) -> Result<Vec<Record>, AuditError> {
        let mut found = Vec::new();
        for segment in Snapshot::take(&self.dir)?.segments {
            if segment.number < self.at.segment {
                continue;
            }
            let mut entries = if segment.number > self.at.segment || self.at.offset == 0 {
                Entries::open(&segment)?
            } else if segment.len > self.at.offset {
                Entries::resume(&segment, self.at)?
            } else {
                continue;
            };
            while let Some(record) = entries.next_record()? {
                if self.filter.admits(&record) {
                    found.push(record);
                }
            }
            self.at = entries.position();
        }
        Ok(found)
    }
}

/// The entries of one segment.
#[derive(Debug)]
struct Entries {
    number: u64,
    path: PathBuf,
    lines: Lines,
    /// The number of the entry that was read last.
    seq: u64,
    /// Where the last whole line ended: a torn one is read again when it is whole.
    end: u64,
    /// Which line that was.
    line: u64,
}

impl Entries {
    fn open(segment: &Segment) -> Result<Self, AuditError> {
        let mut lines = Lines::open(segment, 0)?;
        let (seq, line) = match lines.next()? {
            Some(Piece::Line(line)) if line.starts_with(SEGMENT_START) => {
                let (_, head) =
                    Head::from_header(line).ok_or_else(|| damaged(&segment.path, "its first line cannot be read"))?;
                (head.entries, 1)
            }
            // Begun by a writer that died at once; the next one begins it again.
            None | Some(Piece::Torn(_)) => (0, 0),
            Some(Piece::Line(_)) => return Err(damaged(&segment.path, "its first line is no segment's")),
        };
        let end = if line == 0 { 0 } else { lines.offset };
        Ok(Self { number: segment.number, path: segment.path.clone(), lines, seq, end, line })
    }

    fn resume(segment: &Segment, at: Position) -> Result<Self, AuditError> {
        let lines = Lines::open(segment, at.offset)?;
        let (path, number) = (segment.path.clone(), segment.number);
        Ok(Self { number, path, lines, seq: at.entries, end: at.offset, line: at.line })
    }

    fn position(&self) -> Position {
        Position { segment: self.number, offset: self.end, line: self.line, entries: self.seq }
    }

    /// Goes to the next entry; false at the end. Seals are passed over.
    fn advance(&mut self) -> Result<bool, AuditError> {
        loop {
            match self.lines.next()? {
                None | Some(Piece::Torn(_)) => return Ok(false),
                Some(Piece::Line(line)) => {
                    self.line += 1;
                    self.end += u64::try_from(line.len()).unwrap_or(0);
                    if !line.starts_with(SEAL_START) {
                        self.seq += 1;
                        return Ok(true);
                    }
                }
            }
        }
    }

    fn next_record(&mut self) -> Result<Option<Record>, AuditError> {
        if !self.advance()? {
            return Ok(None);
        }
        Record::parse(self.seq, self.lines.current(), &self.path, self.line).map(Some)
    }

    /// The last `count` entries that fit. Lines are parsed only when the filter has to look into them.
    fn last(&mut self, count: usize, filter: &Filter) -> Result<Vec<Record>, AuditError> {
        if filter.is_open() {
            let mut lines = VecDeque::new();
            while self.advance()? {
                lines.push_back((self.seq, self.line, self.lines.current().to_vec()));
                if lines.len() > count {
                    lines.pop_front();
                }
            }
            return lines.into_iter().map(|(seq, at, line)| Record::parse(seq, &line, &self.path, at)).collect();
        }
        let mut records = VecDeque::new();
        while let Some(record) = self.next_record()? {
            if filter.admits(&record) {
                records.push_back(record);
                if records.len() > count {
                    records.pop_front();
                }
            }
        }
        Ok(records.into())
    }
}
