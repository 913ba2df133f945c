//! Numbers that every core counts for itself and a reader adds up. Plain atomics, relaxed: a sum may be a few counts behind,
//! never wrong for good. Any thread may use any core's number; it is only faster when each core keeps to its own.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// Aligned so that two cores never write to one cache line (adjacent lines are fetched in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);

/// One `T` per core.
#[derive(Debug)]
pub(super) struct PerCore<T>(Box<[Padded<T>]>);

impl<T: Default> PerCore<T> {
    /// At least one.
    pub(super) fn new(cores: usize) -> Self {
        Self((0..cores.max(1)).map(|_| Padded::default()).collect())
    }

    /// The one of `core`; a number that is out of range shares the last.
    #[inline]
    pub(super) fn of(&self, core: usize) -> Option<&T> {
        self.0.get(core).or_else(|| self.0.last()).map(|padded| &padded.0)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|padded| &padded.0)
    }
}

/// How many there are of something that comes and goes.
#[derive(Debug)]
pub struct Gauge(PerCore<AtomicI64>);

impl Gauge {
    pub(super) fn new(cores: usize) -> Self {
        Self(PerCore::new(cores))
    }

    /// One more.
    #[inline]
    pub fn up(&self, core: usize) {
        self.add(core, 1);
    }

    /// One less. It may be counted on another core than the one on which it was counted up.
    #[inline]
    pub fn down(&self, core: usize) {
        self.add(core, -1);
    }

    /// There are `value` now; for what is counted elsewhere and told before an exposition.
    pub fn set(&self, value: i64) {
        self.add(0, value - self.value());
    }

    /// How many there are now.
    pub fn value(&self) -> i64 {
        self.0.iter().map(|count| count.load(Relaxed)).sum()
    }

    #[inline]
    fn add(&self, core: usize, change: i64) {
        if let Some(count) = self.0.of(core) {
            count.fetch_add(change, Relaxed);
        }
    }
}
