//! Walking the whole chain and comparing every byte with what it must be. Finds any change, gap, insertion or reordering
//! in the entries, the seals, the segments' first lines and the head file.
//!
//! What it cannot find alone: whoever may write the folder can compute a whole new chain, or cut the end off and correct
//! the head file. Keep the head's hash from time to time where they cannot reach, and give it back as `anchor`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::chain::{Head, SEAL_START, Seal};
use super::error::AuditError;
use super::record::NoteRecord;
use super::segment::{Lines, Piece, Segment, Snapshot, head_path};
use crate::crypto::digest::{Sha256, hex};

/// How many notes a report lists; all are counted.
const NOTES_LISTED: usize = 100;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many segments were read.
    pub segments: u64,
    /// How many sealed batches.
    pub batches: u64,
    /// How many sealed entries, acts and notes.
    pub entries: u64,
    /// The hash after the last seal, in hexadecimal: the anchor to keep elsewhere.
    pub head: String,
    /// Lines at the very end that no seal covers, because their writer was killed. The next writer seals them.
    pub unsealed: u64,
    /// Bytes at the very end that are no whole line, for the same reason.
    pub torn_bytes: u64,
    /// How many notes about the log itself the chain holds.
    pub notes: u64,
    /// The first of them.
    pub listed: Vec<Noted>,
    /// The first thing that is not as it must be. What follows it was not checked.
    pub problem: Option<Problem>,
}

/// A note and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Noted {
    /// The segment.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// What it says.
    pub note: NoteRecord,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// In which file.
    pub file: PathBuf,
    /// At which line, from 1.
    pub line: u64,
    /// What it means, in a sentence.
    pub meaning: String,
}

/// Walks the chain in `dir` from its first entry to its last. With an `anchor`, a hash that was once the head, also checks
/// that the chain still goes through it.
///
/// # Errors
/// When the files cannot be read. A chain that does not hold is no error: see [`Report::problem`].
pub fn verify(dir: &Path, anchor: Option<&str>) -> Result<Report, AuditError> {
    let snapshot = Snapshot::take(dir)?;
    let mut walk = Walk::new(&snapshot, anchor);
    let outcome = walk.all(dir, &snapshot)?;
    Ok(walk.report(outcome))
}

/// The same for the last segment alone, from what its first line says on, in a time that a segment's size bounds: for who wants
/// to know whether the log can be gone on with. What stands before it is not looked at.
///
/// # Errors
/// As [`verify`].
pub fn verify_end(dir: &Path) -> Result<Report, AuditError> {
    let snapshot = Snapshot::take(dir)?;
    let mut walk = Walk::new(&snapshot, None);
    let outcome = walk.last(dir, &snapshot)?;
    Ok(walk.report(outcome))
}

type Step = Result<(), Problem>;

struct Walk<'a> {
    head: Head,
    batch: Sha256,
    /// Lines since the last seal.
    lines: u64,
    /// Where the head file says that the chain stood, and whether the walk came through there.
    standing: Option<Head>,
    passed_standing: bool,
    anchor: Option<&'a str>,
    report: Report,
}

impl<'a> Walk<'a> {
    fn new(snapshot: &Snapshot, anchor: Option<&'a str>) -> Self {
        let report = Report {
            segments: 0,
            batches: 0,
            entries: 0,
            head: String::new(),
            unsealed: 0,
            torn_bytes: 0,
            notes: 0,
            listed: Vec::new(),
            problem: None,
        };
        let head = Head::GENESIS;
        let mut walk = Self {
            head,
            batch: head.hasher(),
            lines: 0,
            standing: snapshot.head,
            passed_standing: false,
            anchor,
            report,
        };
        walk.pass();
        walk
    }

    fn all(&mut self, dir: &Path, snapshot: &Snapshot) -> Result<Step, AuditError> {
        let last = snapshot.segments.len();
        for (index, segment) in (1_u64..).zip(&snapshot.segments) {
            if segment.number != index {
                let meaning = format!("segment {index} is missing: its file was removed or renamed");
                return Ok(Err(problem(&segment.path, 1, meaning)));
            }
            let is_last = usize::try_from(index).is_ok_and(|index| index == last);
            if let Err(found) = self.segment(segment, is_last)? {
                return Ok(Err(found));
            }
        }
        Ok(self.end(dir))
    }

    fn last(&mut self, dir: &Path, snapshot: &Snapshot) -> Result<Step, AuditError> {
        let Some(segment) = snapshot.segments.last() else { return Ok(self.end(dir)) };
        if let Some(Piece::Line(line)) = Lines::open(segment, 0)?.next()?
            && let Some((_, head)) = Head::from_header(line)
        {
            (self.head, self.batch) = (head, head.hasher());
            self.pass();
        }
        let step = self.segment(segment, true)?;
        Ok(step.and_then(|()| self.end(dir)))
    }

    fn report(self, outcome: Step) -> Report {
        let Head { seals, entries, hash } = self.head;
        Report { problem: outcome.err(), head: hex(&hash), batches: seals, entries, ..self.report }
    }

    fn segment(&mut self, segment: &Segment, is_last: bool) -> Result<Step, AuditError> {
        self.report.segments += 1;
        let mut lines = Lines::open(segment, 0)?;
        let mut at = 0;
        while let Some(piece) = lines.next()? {
            at += 1;
            let step = match piece {
                Piece::Line(line) if at == 1 => self.header(line, segment),
                Piece::Line(line) if line.starts_with(SEAL_START) => self.seal(line, segment, at),
                Piece::Line(line) => {
                    self.entry(line, segment, at);
                    Ok(())
                }
                Piece::Torn(bytes) if is_last => {
                    self.report.torn_bytes += u64::try_from(bytes.len()).unwrap_or(0);
                    Ok(())
                }
                Piece::Torn(_) => Err(problem(&segment.path, at, "the end of this segment is cut off")),
            };
            if step.is_err() {
                return Ok(step);
            }
        }
        if at == 0 && !is_last {
            return Ok(Err(problem(&segment.path, 1, "this segment is empty")));
        }
        if self.lines > 0 && !is_last {
            return Ok(Err(problem(&segment.path, at, "the last seal of this segment is missing: its end is cut off")));
        }
        self.report.unsealed = self.lines;
        Ok(Ok(()))
    }

    fn header(&self, line: &[u8], segment: &Segment) -> Step {
        if line == self.head.header(segment.number) {
            return Ok(());
        }
        let meaning = match Head::from_header(line) {
            None => "the segment's first line was changed or removed",
            Some((number, _)) if number != segment.number => "this file is another segment's copy, or was renamed",
            Some((_, head)) if head.seals > self.head.seals => "the end of the segment before this one is cut off",
            Some(_) => "this segment does not continue the one before it: either was exchanged or changed",
        };
        Err(problem(&segment.path, 1, meaning))
    }

    fn entry(&mut self, line: &[u8], segment: &Segment, at: u64) {
        self.batch.update(line);
        self.lines += 1;
        if line.starts_with(b"{\"note\":") {
            self.report.notes += 1;
            let note = serde_json::from_slice(line).ok().filter(|_| self.report.listed.len() < NOTES_LISTED);
            self.report.listed.extend(note.map(|note| Noted { file: segment.path.clone(), line: at, note }));
        }
    }

    fn seal(&mut self, line: &[u8], segment: &Segment, at: u64) -> Step {
        let hash = std::mem::take(&mut self.batch).finish();
        let (next, expected) = self.head.seal(self.lines, hash);
        if line != expected {
            return Err(problem(&segment.path, at, self.difference(line, at)));
        }
        self.head = next;
        self.batch = next.hasher();
        self.lines = 0;
        self.pass();
        Ok(())
    }

    /// Why a seal is not what it must be, as precisely as can be told.
    fn difference(&self, line: &[u8], at: u64) -> String {
        let Ok(seal) = serde_json::from_slice::<Seal>(line) else {
            return "this seal was changed: it cannot be read".to_owned();
        };
        let (from, to) = (at - self.lines, at - 1);
        let next = self.head.seals + 1;
        if seal.number > next {
            return format!("seal {} stands where seal {next} must be: batches between them are missing", seal.number);
        }
        if seal.number < next {
            return format!("seal {} stands where seal {next} must be: a batch was inserted or moved", seal.number);
        }
        if seal.entries != self.lines {
            let (has, says) = (self.lines, seal.entries);
            return format!("{has} lines stand before this seal and it covers {says}: lines were removed or inserted");
        }
        if seal.prev != hex(&self.head.hash) {
            return "this seal does not continue the one before it: either was exchanged or changed".to_owned();
        }
        if self.lines == 0 {
            return "this seal was changed".to_owned();
        }
        format!(
            "the lines {from} to {to} are not the ones that this seal covers: one was changed or moved, or the seal was"
        )
    }

    /// Notes which known places of the chain the walk comes through.
    fn pass(&mut self) {
        if self.standing == Some(self.head) {
            self.passed_standing = true;
        }
        if self.anchor.is_some_and(|anchor| anchor.eq_ignore_ascii_case(&hex(&self.head.hash))) {
            self.anchor = None;
        }
    }

    fn end(&self, dir: &Path) -> Step {
        let file = head_path(dir);
        match self.standing {
            None if self.report.segments == 0 => {}
            None => {
                let meaning =
                    "the head file is missing or was changed, so nothing tells whether the chain's end was cut off";
                return Err(problem(&file, 1, meaning));
            }
            Some(standing) if standing.seals > self.head.seals => {
                let (known, now) = (standing.seals, self.head.seals);
                let meaning = format!("the chain once had {known} seals and ends at seal {now}: its end is cut off");
                return Err(problem(&file, 1, meaning));
            }
            Some(_) if !self.passed_standing => {
                let meaning = "the chain does not go through the place that the head file names: either was exchanged";
                return Err(problem(&file, 1, meaning));
            }
            Some(_) => {}
        }
        match self.anchor {
            None => Ok(()),
            Some(anchor) => {
                let meaning = format!("the chain does not go through {anchor}: it was replaced, or cut off before it");
                Err(problem(dir, 1, meaning))
            }
        }
    }
}

fn problem(file: &Path, line: u64, meaning: impl Into<String>) -> Problem {
    Problem { file: file.to_path_buf(), line, meaning: meaning.into() }
}
