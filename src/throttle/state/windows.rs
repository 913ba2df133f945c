//! The counts of an upstream's windows: what it said was left, less what was sent since and is not answered yet.

use std::time::{Duration, Instant};

use super::super::reading::{Dimension, DimensionName, Reading, Unit};
use super::Load;

/// Of so many limits of one gate the counts are kept.
const MOST: usize = 8;
/// Resets that lie closer together than this are the same.
const SAME: Duration = Duration::from_millis(1500);
/// Below this part of the limit requests are spaced.
const SCARCE: u64 = 5;
/// Below this many they are spaced whatever the limit is.
const FEW: u64 = 2;
/// A queue is let go within this, however little is left: half of the usual patience.
const DRAIN: Duration = Duration::from_secs(15);

/// Whether the counts leave room for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Now.
    Free,
    /// Then: little is left.
    At(Instant),
    /// When an answer has come: all that is left is under way.
    Answer,
    /// Nothing is left until then.
    None(Instant),
}

/// One limit.
#[derive(Debug, Clone, Copy)]
struct Window {
    name: DimensionName,
    limit: Option<u64>,
    left: u64,
    reset: Instant,
    /// From 0.9 to 1.1: two processes that share a limit do not send at the same moments.
    swing: f64,
}

/// What answers told of.
#[derive(Debug, Default)]
pub(super) struct Windows {
    list: Vec<Window>,
    /// When one was let through that was spaced.
    last: Option<Instant>,
}

impl Windows {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (DimensionName, Option<u64>, u64, Instant)> {
        self.list.iter().map(|window| (window.name, window.limit, window.left, window.reset))
    }

    /// The first that has nothing left.
    pub(super) fn empty_one(&self) -> Option<DimensionName> {
        self.list.iter().find(|window| window.left == 0).map(|window| window.name)
    }

    /// Whether a window is under way of which something is left, and none of which nothing is.
    pub(super) fn tells(&self, now: Instant) -> bool {
        let mut running = self.list.iter().filter(|window| window.reset > now).peekable();
        running.peek().is_some() && running.all(|window| window.left > 0)
    }

    /// Takes over what an answer says. Within a window the lowest count stands; a later reset begins another.
    pub(super) fn note(&mut self, now: Instant, reading: &Reading, chance: f64) {
        let counts = |d: &&Dimension| d.unit == Unit::Requests && !d.leaky;
        let mut told = false;
        for dimension in reading.dimensions.iter().filter(counts) {
            let (Some(left), Some(reset)) = (dimension.remaining, dimension.reset) else { continue };
            told = true;
            let fresh = Window {
                name: dimension.name,
                limit: dimension.limit,
                left,
                reset: now + reset.min(reading.cap()),
                swing: 0.9 + 0.2 * chance.clamp(0.0, 1.0),
            };
            self.put(fresh);
        }
        if !told {
            self.spend();
        }
        self.list.retain(|window| window.reset > now);
    }

    fn put(&mut self, fresh: Window) {
        let has_room = self.list.len() < MOST;
        match self.list.iter_mut().find(|window| window.name == fresh.name) {
            Some(known) if fresh.reset <= known.reset + SAME => {
                known.left = known.left.min(fresh.left);
                known.limit = fresh.limit.or(known.limit);
            }
            Some(known) => *known = fresh,
            None if has_room => self.list.push(fresh),
            None => {}
        }
    }

    /// One was sent of which no count came back.
    pub(super) fn spend(&mut self) {
        for window in &mut self.list {
            window.left = window.left.saturating_sub(1);
        }
    }

    /// Whether one more may be sent.
    pub(super) fn room(&mut self, now: Instant, load: Load) -> Room {
        self.list.retain(|window| window.reset > now);
        let mut at = None;
        for window in &self.list {
            if window.left == 0 {
                return Room::None(window.reset);
            }
            let free = window.left.saturating_sub(u64::from(load.unanswered));
            if free == 0 {
                return Room::Answer;
            }
            if free <= FEW.max(window.limit.unwrap_or(0) / SCARCE) {
                at = at.max(self.last.map(|last| last + spacing(window, free, now, load)));
            }
        }
        match at {
            Some(at) if at > now && at <= now + load.patience => Room::At(at),
            _ => {
                self.last = (!self.list.is_empty()).then_some(now);
                Room::Free
            }
        }
    }
}

/// What is left, spread over the time that is left; but no wider than a queue may wait.
fn spacing(window: &Window, free: u64, now: Instant, load: Load) -> Duration {
    let free = u32::try_from(free).unwrap_or(u32::MAX).max(1);
    let even = window.reset.saturating_duration_since(now) / free;
    even.mul_f64(window.swing).min(DRAIN / load.waiting.saturating_add(1))
}
