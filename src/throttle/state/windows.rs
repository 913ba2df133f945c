//! The limits of one upstream that its answers tell of, together: whether all of them leave room for one more request.

use std::time::{Duration, Instant};

use super::super::reading::{DimensionName, Reading};
use super::Load;
use super::window::{Left, Window};

/// Of so many limits of one gate the counts are kept.
const MOST: usize = 8;

/// Whether the counts leave room for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Now.
    Free,
    /// Then: little is left.
    At(Instant),
    /// When an answer has come, at the latest then: all that is left is under way.
    Answer(Instant),
    /// Nothing is left of some.
    None,
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

    /// Of those that have nothing left, the one that begins anew last, and when.
    pub(super) fn empty(&self, now: Instant) -> Option<(DimensionName, Instant)> {
        let empty = self.list.iter().filter(|window| window.is_empty() && window.reset > now);
        empty.max_by_key(|window| window.reset).map(|window| (window.name, window.reset))
    }

    /// Whether a window is under way of which something is left, and none of which nothing is.
    pub(super) fn tells(&self, now: Instant) -> bool {
        let mut running = self.list.iter().filter(|window| window.reset > now).peekable();
        running.peek().is_some() && running.all(|window| window.left > 0)
    }

    /// Whether few tokens are left of any.
    pub(super) fn has_few_tokens(&self) -> bool {
        self.list.iter().any(Window::has_few_tokens)
    }

    /// Takes over what an answer says.
    pub(super) fn note(&mut self, now: Instant, reading: &Reading, chance: f64) {
        // What is over is no count that a fresh one could belong to.
        self.list.retain(|window| window.reset > now);
        let mut told = false;
        for dimension in reading.dimensions.iter() {
            if let Some(fresh) = Window::told(dimension, now, reading.cap_of_counts(), chance) {
                told = true;
                self.put(fresh.within(reading.asked(), now));
            }
        }
        if !told {
            self.spend();
        }
        self.list.retain(|window| window.reset > now);
    }

    fn put(&mut self, fresh: Window) {
        let has_room = self.list.len() < MOST;
        match self.list.iter_mut().find(|window| window.name == fresh.name) {
            Some(known) => known.follow(fresh),
            None if has_room => self.list.push(fresh),
            None => {}
        }
    }

    /// One was sent of which no count came back.
    pub(super) fn spend(&mut self) {
        self.list.iter_mut().for_each(Window::spend);
    }

    /// Whether one more may be sent.
    pub(super) fn room(&mut self, now: Instant, load: Load) -> Room {
        self.list.retain(|window| window.reset > now);
        let (mut at, mut answer, mut is_empty) = (None, None, false);
        for window in &self.list {
            match window.room(now, load) {
                Left::Enough => {}
                Left::Every(spacing) => at = at.max(self.last.map(|last| last + spacing)),
                Left::At(then) => at = at.max(Some(then)),
                Left::UnderWay => answer = answer.max(Some(window.reset)),
                Left::Nothing => is_empty = true,
            }
        }
        if is_empty {
            return Room::None;
        }
        if let Some(reset) = answer {
            return Room::Answer(reset);
        }
        match at {
            Some(at) if at > now && at <= now + load.patience => Room::At(at),
            _ => {
                self.last = (!self.list.is_empty()).then_some(now);
                Room::Free
            }
        }
    }

    /// The time between two requests where a bucket that leaks is full.
    pub(super) fn spacing(&self, now: Instant) -> Duration {
        self.list.iter().filter_map(|window| window.spacing(now)).max().unwrap_or_default()
    }
}
