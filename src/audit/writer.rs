//! The writer's thread: takes what waits at each tick, appends it in batches, syncs once a second. A batch that the disk
//! does not take stays in memory and is tried again; the log says so meanwhile, and the proxy admits no request.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::append::Chain;
use super::entry::micros;
use super::error::AuditError;
use super::line::Line;
use super::log::State;
use super::queue::{Buffer, CHUNK, Call, locked};
use crate::domain::{Clock, SystemClock};

/// How long an entry may wait in memory: what a killed process loses at most.
pub(super) const TICK: Duration = Duration::from_millis(50);
/// How long a batch may wait for its sync: what a power cut loses at most, besides a tick.
pub(super) const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How long the writer waits before it tries a failed write again.
const RETRY: Duration = Duration::from_millis(500);
/// A batch is sealed when it has this many bytes, so that recovery never has to read much.
const BATCH: usize = 1 << 20;

/// Runs until the log is closed. Returns how many entries the disk did not take.
pub(super) fn run(state: &Arc<State>, chain: &Arc<Mutex<Chain>>) -> u64 {
    // However the writer ends, nothing is written after it, so no request may pass.
    let _ends = Ends(state);
    let mut writer = Writer { state, chain, waiting: VecDeque::new(), synced: SystemClock.now() };
    loop {
        let failing = state.queue.failing.load(Relaxed);
        let call = state.queue.wait_tick(if failing { RETRY } else { TICK });
        let idle = writer.turn(call);
        if call == Call::End {
            let waiting: u64 = writer.waiting.iter().map(|buffer| buffer.entries).sum();
            return waiting + state.queue.take_unnoted();
        }
        if idle {
            state.queue.wait_call();
        }
    }
}

struct Ends<'a>(&'a State);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.queue.failing.store(true, Relaxed);
    }
}

struct Writer<'a> {
    state: &'a State,
    chain: &'a Mutex<Chain>,
    /// Taken from the queue and not yet in the file.
    waiting: VecDeque<Buffer>,
    synced: Instant,
}

impl Writer<'_> {
    /// Writes what waits. Returns whether nothing is left to do until the next entry.
    fn turn(&mut self, call: Call) -> bool {
        self.take(call);
        let result = self.write().and_then(|()| self.note_lost()).and_then(|()| self.sync(call));
        match result {
            Ok(synced) => {
                self.state.works();
                synced && self.waiting.is_empty()
            }
            Err(error) => {
                self.state.fails(error);
                false
            }
        }
    }

    /// Takes over what the cores have. Small buffers are joined while older ones still wait, so that a disk that is full
    /// for hours costs no more memory than the lines are long.
    fn take(&mut self, call: Call) {
        let mut fresh = VecDeque::new();
        self.state.queue.take(call, &mut fresh);
        for buffer in fresh {
            match self.waiting.back_mut().filter(|last| last.bytes.len() + buffer.bytes.len() <= CHUNK) {
                Some(last) => {
                    last.bytes.extend_from_slice(&buffer.bytes);
                    last.entries += buffer.entries;
                    self.state.queue.joined(buffer);
                }
                None => self.waiting.push_back(buffer),
            }
        }
    }

    fn write(&mut self) -> Result<(), AuditError> {
        while !self.waiting.is_empty() {
            let mut size = 0;
            let begins_within = |buffer: &&Buffer| {
                let within = size < BATCH;
                size += buffer.bytes.len();
                within
            };
            let batch: Vec<&Buffer> = self.waiting.iter().take_while(begins_within).collect();
            let parts: Vec<&[u8]> = batch.iter().map(|buffer| buffer.bytes.as_slice()).collect();
            let entries = batch.iter().map(|buffer| buffer.entries).sum();
            locked(self.chain).append(&parts, entries)?;
            let count = parts.len();
            for buffer in self.waiting.drain(..count) {
                self.state.queue.written(buffer);
            }
        }
        Ok(())
    }

    /// Says in the chain how many entries found no room, as soon as the disk takes lines again.
    fn note_lost(&mut self) -> Result<(), AuditError> {
        let lost = self.state.queue.take_unnoted();
        if lost == 0 {
            return Ok(());
        }
        let mut note = Buffer { bytes: Vec::new(), entries: 1 };
        let mut line = Line::begin(&mut note.bytes, "note", "lost");
        line.number("time", micros(SystemClock.wall()));
        line.number("entries", lost);
        line.end();
        self.state.queue.hold(&note);
        self.waiting.push_back(note);
        self.write()
    }

    /// Syncs once a second, and at the end. Returns whether everything is synced.
    fn sync(&mut self, call: Call) -> Result<bool, AuditError> {
        let mut chain = locked(self.chain);
        if !chain.is_unsynced() {
            return Ok(true);
        }
        let now = SystemClock.now();
        if call != Call::End && now.duration_since(self.synced) < SYNC_EVERY {
            return Ok(false);
        }
        self.synced = now;
        chain.sync().map(|()| true)
    }
}

impl State {
    fn works(&self) {
        if self.queue.failing.swap(false, Relaxed) {
            *locked(&self.reason) = None;
            tracing::info!("the audit log can be written again; requests are admitted");
        }
    }

    fn fails(&self, error: AuditError) {
        self.failures.fetch_add(1, Relaxed);
        if !self.queue.failing.swap(true, Relaxed) {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::error!(cause, "{error}; requests are refused until it works");
        }
        *locked(&self.reason) = Some(error);
    }
}
