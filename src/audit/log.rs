//! The audit log as the rest of the house sees it: a recorder per core, acts, and whether the log can be written.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::append::{Chain, Place};
use super::entry::{Act, Entry};
use super::error::AuditError;
use super::queue::{Call, Queue, Slot, locked};
use super::writer;

/// How large a segment grows and how much may wait in memory.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes after which a new segment is begun.
    pub segment: u64,
    /// Bytes that may wait for the disk. Requests are refused from half of it on; the other half is for those admitted
    /// before and for the refusals themselves.
    pub waiting: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { segment: 64 << 20, waiting: 32 << 20 }
    }
}

/// The log, open for writing. Closing it, or dropping it, writes what waits.
#[derive(Debug)]
pub struct Log {
    state: Arc<State>,
    chain: Arc<Mutex<Chain>>,
    thread: Mutex<Option<JoinHandle<u64>>>,
}

/// What the log and its writer share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) queue: Queue,
    pub(super) failures: AtomicU64,
    pub(super) reason: Mutex<Option<AuditError>>,
}

/// How the log fares, for metrics and `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Bytes that wait for the disk.
    pub waiting_bytes: u64,
    /// Writes and syncs that failed since the start.
    pub failures: u64,
    /// Entries for which there was no room since the start. The chain says so too, in a note.
    pub lost: u64,
    /// Why the log cannot be written at the moment, when it cannot.
    pub reason: Option<String>,
}

impl Log {
    /// Opens the log in `dir` (created 0700 when absent), seals what a crash left unsealed, and starts the writer.
    ///
    /// # Errors
    /// When the folder cannot be created, locked, read or written, or the chain's end is damaged.
    pub fn open(dir: &Path) -> Result<Self, AuditError> {
        Self::open_bounded(dir, Bounds::default())
    }

    /// As [`Log::open`], with other bounds.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_bounded(dir: &Path, bounds: Bounds) -> Result<Self, AuditError> {
        let chain = Arc::new(Mutex::new(Chain::open(dir, bounds.segment)?));
        let state = Arc::new(State {
            queue: Queue::new(bounds.waiting),
            failures: AtomicU64::new(0),
            reason: Mutex::new(None),
        });
        let (for_writer, end) = (Arc::clone(&state), Arc::clone(&chain));
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let thread = thread.spawn(move || writer::run(&for_writer, &end));
        let thread = thread.map_err(AuditError::io("start the writer for", dir))?;
        Ok(Self { state, chain, thread: Mutex::new(Some(thread)) })
    }

    /// A recorder for one core.
    pub fn recorder(&self) -> Recorder {
        Recorder { slot: self.state.queue.add_slot(), state: Arc::clone(&self.state) }
    }

    /// Records an administrative act. When this returns, the act is on the disk: acknowledge it then, not before. Blocks
    /// for one write and one sync, so call it from a thread that may block.
    ///
    /// # Errors
    /// When the act could not be written or synced: then it must not be acknowledged.
    pub fn append_act(&self, act: &Act<'_>) -> Result<(), AuditError> {
        let mut line = Vec::with_capacity(512);
        act.write(&mut line);
        let mut chain = locked(&self.chain);
        chain.append(&[&line], 1)?;
        chain.sync()
    }

    /// Where the log ends, as far as this process knows: what is recorded from now on does not stand before it.
    pub fn end(&self) -> Place {
        locked(&self.chain).end()
    }

    /// Records those of `acts` that are not in the log yet, which none is before `from`, however many processes try the same.
    /// Acts without an identifier are none for this. Blocks as [`Log::append_act`] does.
    ///
    /// # Errors
    /// When they could not be written or synced: some may stand in the log then, and the next try finds them.
    pub fn append_missing(&self, acts: &[Act<'_>], from: Place) -> Result<(), AuditError> {
        let line = |act: &Act<'_>| {
            let mut line = Vec::with_capacity(512);
            act.write(&mut line);
            line
        };
        let lines: Vec<_> = acts.iter().filter_map(|act| Some((act.id?, line(act)))).collect();
        let mut chain = locked(&self.chain);
        chain.append_missing(&lines, from)?;
        chain.sync()
    }

    /// Whether the disk does not take what was recorded. Turns back when it does again.
    pub fn failed(&self) -> bool {
        self.state.queue.failing.load(Relaxed)
    }

    /// How the log fares.
    pub fn health(&self) -> Health {
        let reason = locked(&self.state.reason).as_ref().map(|error| match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        });
        Health {
            waiting_bytes: self.state.queue.held(),
            failures: self.state.failures.load(Relaxed),
            lost: self.state.queue.lost(),
            reason,
        }
    }

    /// Writes and syncs what waits and ends the writer. Recorders may be dropped before or after; what they record after
    /// is not written, and they say that there is no room.
    ///
    /// # Errors
    /// When the disk did not take everything.
    pub fn close(&self) -> Result<(), AuditError> {
        let Some(thread) = locked(&self.thread).take() else { return Ok(()) };
        self.state.queue.call(Call::End);
        match thread.join() {
            Ok(0) => Ok(()),
            Ok(entries) => Err(AuditError::Unwritten { entries }),
            Err(_) => Err(AuditError::WriterDied),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!("{error}");
        }
    }
}

/// One core's way into the log. Recording takes no channel and wakes nobody: the line is formatted into this core's own
/// buffer, which the writer takes at its tick.
#[derive(Debug)]
pub struct Recorder {
    slot: Arc<Slot>,
    state: Arc<State>,
}

impl Recorder {
    /// Whether a request may be admitted: the log can be written and half of what may wait is free. Ask this before a
    /// request is admitted, and refuse it with `store_unavailable` when the answer is no.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.state.queue.has_room()
    }

    /// Records one request. Never blocks on the disk. When even the last room is used up, the entry is counted as lost and
    /// the chain gets a note with the number as soon as it can be written.
    pub fn record(&self, entry: &Entry<'_>) {
        self.state.queue.put(&self.slot, |out| entry.write(out));
    }
}
