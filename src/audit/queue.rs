//! What waits between the cores and the writer: a buffer per core, and the full ones. Bounded: admission stops at half of
//! the bound, so that what was admitted before still finds room. What does not fit is counted, never dropped silently.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A core's buffer is handed over when it holds this much.
pub(super) const CHUNK: usize = 64 << 10;
/// Room beyond `CHUNK` for the entry that fills it, so that a buffer never grows.
const SLACK: usize = 8 << 10;
/// How many emptied buffers are kept for the next.
const SPARES: usize = 64;

/// Whole lines.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    pub(super) entries: u64,
}

/// One core's buffer. Its lock is taken by that core for each entry and by the writer once a tick, so it is all but never
/// waited for; aligned so that two cores' slots never share a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Slot(Mutex<Buffer>);

/// Everything that the cores and the writer share.
#[derive(Debug)]
pub(super) struct Queue {
    bound: u64,
    /// Bytes handed over and not yet in the file.
    held: AtomicU64,
    /// Whether the last write failed, or the log was closed.
    pub(super) failing: AtomicBool,
    /// Entries for which there was no room and that are not yet noted in the chain.
    unnoted: AtomicU64,
    /// Entries for which there was no room since the start.
    lost: AtomicU64,
    /// Whether the writer sleeps without a tick, because nothing waits.
    asleep: AtomicBool,
    slots: Mutex<Vec<Arc<Slot>>>,
    full: Mutex<Vec<Buffer>>,
    spare: Mutex<Vec<Vec<u8>>>,
    call: Mutex<Call>,
    wake: Condvar,
}

/// What the writer is called for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Nothing yet.
    #[default]
    None,
    /// Something waits; write it at the next tick.
    Soon,
    /// Much waits.
    Now,
    /// Write everything and end.
    End,
}

impl Queue {
    /// A queue that never holds more than about `bound` bytes.
    pub(super) fn new(bound: u64) -> Self {
        Self {
            bound,
            held: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            unnoted: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            asleep: AtomicBool::new(false),
            slots: Mutex::default(),
            full: Mutex::default(),
            spare: Mutex::default(),
            call: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    /// A buffer for one more core.
    pub(super) fn add_slot(&self) -> Arc<Slot> {
        let slot = Arc::new(Slot::default());
        locked(&self.slots).push(Arc::clone(&slot));
        slot
    }

    /// Whether a request may be admitted.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        !self.failing.load(Relaxed) && self.held.load(Relaxed) < self.bound / 2
    }

    pub(super) fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// How many lost entries no note in the chain tells of yet.
    pub(super) fn take_unnoted(&self) -> u64 {
        self.unnoted.swap(0, Relaxed)
    }

    /// Has `write` append one line to the core's buffer.
    #[inline]
    pub(super) fn put(&self, slot: &Slot, write: impl FnOnce(&mut Vec<u8>)) {
        let mut buffer = locked(&slot.0);
        if buffer.bytes.len() >= CHUNK && !self.hand_over(&mut buffer) {
            self.lost.fetch_add(1, Relaxed);
            self.unnoted.fetch_add(1, Relaxed);
            return;
        }
        let was_empty = buffer.bytes.is_empty();
        write(&mut buffer.bytes);
        buffer.entries += 1;
        if buffer.bytes.len() >= CHUNK {
            self.hand_over(&mut buffer);
        }
        drop(buffer);
        // The writer sets `asleep` before it looks into the slots for the last time. Either it saw this line there, or
        // its look came before ours took the lock, and then this load sees `asleep`.
        if was_empty && self.asleep.load(Relaxed) {
            self.call(Call::Soon);
        }
    }

    /// Moves a core's full buffer to the writer; not when the bound is reached.
    #[cold]
    fn hand_over(&self, buffer: &mut Buffer) -> bool {
        if self.held.load(Relaxed) >= self.bound {
            return false;
        }
        let taken = std::mem::replace(buffer, self.empty_buffer());
        let held = self.held.fetch_add(len(&taken), Relaxed) + len(&taken);
        locked(&self.full).push(taken);
        // A turn of the writer costs as much as a hundred entries, so a full buffer can wait for the tick; many cannot.
        self.call(if held > self.bound / 8 { Call::Now } else { Call::Soon });
        true
    }

    fn empty_buffer(&self) -> Buffer {
        let bytes = locked(&self.spare).pop().unwrap_or_else(|| Vec::with_capacity(CHUNK + SLACK));
        Buffer { bytes, entries: 0 }
    }

    /// Takes what waits, in an order in which no core's later lines come before its earlier ones. What the cores still
    /// hold stays with them while the bound is reached, except at the end.
    pub(super) fn take(&self, call: Call, into: &mut VecDeque<Buffer>) {
        if call == Call::End || self.held.load(Relaxed) < self.bound {
            // The slots first, though they are the younger: what fills up meanwhile is younger still, and stays behind.
            let fresh = self.take_slots();
            into.extend(std::mem::take(&mut *locked(&self.full)));
            into.extend(fresh);
        } else {
            into.extend(std::mem::take(&mut *locked(&self.full)));
        }
    }

    fn take_slots(&self) -> Vec<Buffer> {
        let mut fresh = Vec::new();
        let mut slots = locked(&self.slots);
        slots.retain(|slot| {
            let mut buffer = locked(&slot.0);
            if !buffer.bytes.is_empty() {
                let taken = std::mem::replace(&mut *buffer, self.empty_buffer());
                self.held.fetch_add(len(&taken), Relaxed);
                fresh.push(taken);
            }
            drop(buffer);
            Arc::strong_count(slot) > 1
        });
        fresh
    }

    /// Counts a buffer that came not through a slot.
    pub(super) fn hold(&self, buffer: &Buffer) {
        self.held.fetch_add(len(buffer), Relaxed);
    }

    /// Gives back a buffer whose lines are in the file.
    pub(super) fn written(&self, buffer: Buffer) {
        self.held.fetch_sub(len(&buffer), Relaxed);
        self.joined(buffer);
    }

    /// Gives back a buffer whose lines were added to another one that waits.
    pub(super) fn joined(&self, mut buffer: Buffer) {
        buffer.bytes.clear();
        let mut spare = locked(&self.spare);
        if spare.len() < SPARES && buffer.bytes.capacity() >= CHUNK {
            spare.push(buffer.bytes);
        }
    }

    /// Calls the writer. A stronger call is never replaced by a weaker one.
    pub(super) fn call(&self, call: Call) {
        let mut current = locked(&self.call);
        if rank(call) > rank(*current) {
            *current = call;
            // A writer that waits for its tick need not hear of `Soon`. One that falls asleep sets `asleep` before it
            // takes this lock, and then either looks at the call or is seen here.
            if call != Call::Soon || self.asleep.load(Relaxed) {
                self.wake.notify_one();
            }
        }
    }

    /// Waits until `tick` has passed or the writer is called for more than `Soon`. Returns the call.
    pub(super) fn wait_tick(&self, tick: Duration) -> Call {
        let current = locked(&self.call);
        let waited = self.wake.wait_timeout_while(current, tick, |call| rank(*call) <= rank(Call::Soon));
        let (mut current, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let call = *current;
        if call != Call::End {
            *current = Call::None;
        }
        call
    }

    /// Waits until the writer is called, when nothing waits to be written. No tick runs meanwhile.
    pub(super) fn wait_call(&self) {
        self.asleep.store(true, Relaxed);
        let anything = locked(&self.slots).iter().any(|slot| !locked(&slot.0).bytes.is_empty());
        if !anything {
            let current = locked(&self.call);
            drop(self.wake.wait_while(current, |call| *call == Call::None).unwrap_or_else(PoisonError::into_inner));
        }
        self.asleep.store(false, Relaxed);
    }
}

const fn rank(call: Call) -> u8 {
    match call {
        Call::None => 0,
        Call::Soon => 1,
        Call::Now => 2,
        Call::End => 3,
    }
}

fn len(buffer: &Buffer) -> u64 {
    u64::try_from(buffer.bytes.len()).unwrap_or(0)
}

/// A lock whose holder panicked is taken all the same: what it guards is whole lines at every moment.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
