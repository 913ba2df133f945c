//! Who waits in front of one gate, and who is next: callers take turns (deficit round robin, so that a request that costs
//! more counts for more turns, and a caller of more weight has more of them), and the requests of one caller go in their order. What is sent again stands first in its
//! own caller's line. Holds no time and wakes nobody.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::domain::{CallerId, Weight};
use crate::throttle::numbers;

use super::refused::Crowd;

/// Waiters of every caller.
#[derive(Debug)]
pub(super) struct Queue<T> {
    lines: HashMap<CallerId, Line<T>>,
    /// Callers in the order of their turns; each at most once.
    ring: VecDeque<CallerId>,
    /// The turns of all of them in one round.
    turns: usize,
    len: usize,
    /// The highest and the lowest number given: none is given twice, so that who was served cannot leave in another's place.
    numbers: (i64, i64),
}

#[derive(Debug)]
struct Line<T> {
    waiting: BTreeMap<i64, Waiter<T>>,
    /// What it may spend in its turn; who comes anew has its turn at once.
    deficit: u32,
    /// How much it gets for each round.
    weight: Weight,
}

#[derive(Debug)]
struct Waiter<T> {
    cost: u32,
    what: T,
}

/// Where in its line a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind the caller's others.
    Last,
    /// Before them: it was sent once already.
    First,
}

/// The place of one waiter, to leave the queue by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seat {
    caller: CallerId,
    number: i64,
}

/// The outcome of joining.
pub(super) enum Joined<T> {
    /// It waits; another was sent away for it, where one was.
    Seated(Seat, Option<T>),
    /// There is no room for it.
    Full(Crowd),
}

/// How many may wait before one gate, and how many of one caller once it is half full.
fn bounds() -> (usize, usize) {
    let numbers = numbers();
    let whole = |n| usize::try_from(n).unwrap_or(usize::MAX);
    (whole(numbers.max_waiting_per_gate), whole(numbers.max_waiting_per_caller))
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { lines: HashMap::new(), ring: VecDeque::new(), turns: 0, len: 0, numbers: (0, 0) }
    }
}

impl<T> Queue<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many of each caller wait.
    pub(super) fn by_caller(&self) -> impl Iterator<Item = (&CallerId, usize)> {
        self.lines.iter().map(|(caller, line)| (caller, line.waiting.len())).filter(|(_, waiting)| *waiting > 0)
    }

    /// How many will go before the next request of `caller` at `place`, when all take their turns.
    pub(super) fn ahead(&self, caller: &CallerId, weight: Weight, place: Place) -> usize {
        let line = self.lines.get(caller).filter(|_| place == Place::Last);
        let own = line.map_or(0, |line| line.waiting.len());
        let rounds = (own + 1).div_ceil(usize::from(weight.get()));
        self.len.min(rounds.saturating_mul(self.turns))
    }

    /// Joins. When the queue is full, the last of the caller with most waiters leaves; the new one, when that is its caller.
    pub(super) fn join(
        &mut self,
        (caller, weight): (&CallerId, Weight),
        cost: u32,
        place: Place,
        what: T,
    ) -> Joined<T> {
        let own = self.lines.get(caller).map_or(0, |line| line.waiting.len());
        // A burst of one caller may fill a queue that nobody else needs; there is room for others before it is full.
        let (most, of_caller) = bounds();
        if own >= of_caller && self.len >= most / 2 {
            return Joined::Full(Crowd::Caller);
        }
        let mut sent_away = None;
        if self.len >= most {
            sent_away = self.send_away(own);
            if sent_away.is_none() {
                return Joined::Full(Crowd::Gate);
            }
        }
        let is_new = !self.lines.contains_key(caller);
        let deficit = u32::from(weight.get());
        let fresh = || Line { waiting: BTreeMap::new(), deficit, weight };
        let line = self.lines.entry(caller.clone()).or_insert_with(fresh);
        let number = match place {
            Place::Last => {
                self.numbers.0 += 1;
                self.numbers.0
            }
            Place::First => {
                self.numbers.1 -= 1;
                self.numbers.1
            }
        };
        line.waiting.insert(number, Waiter { cost: cost.max(1), what });
        if is_new {
            self.ring.push_back(caller.clone());
            self.turns += usize::from(weight.get());
        }
        self.len += 1;
        Joined::Seated(Seat { caller: caller.clone(), number }, sent_away)
    }

    /// Sends away the last of the caller with most waiters, when that has more than `own`.
    pub(super) fn send_away(&mut self, own: usize) -> Option<T> {
        let heaviest = self.lines.values_mut().max_by_key(|line| line.waiting.len())?;
        if heaviest.waiting.len() <= own + 1 {
            return None;
        }
        let (_, waiter) = heaviest.waiting.pop_last()?;
        self.len -= 1;
        Some(waiter.what)
    }

    /// Leaves; false when it was taken already.
    pub(super) fn leave(&mut self, seat: &Seat) -> bool {
        let Some(line) = self.lines.get_mut(&seat.caller) else { return false };
        let left = line.waiting.remove(&seat.number).is_some();
        self.len -= usize::from(left);
        self.forget_when_empty();
        left
    }

    /// Brings the caller whose turn it is to the front: what waits there, and its cost. Those whom `may` refuses are passed
    /// over.
    pub(super) fn select(&mut self, may: impl Fn(&CallerId) -> bool) -> Option<(&T, u32)> {
        let mut passed_over = 0;
        while passed_over < self.ring.len() {
            let caller = self.ring.front()?;
            let Some(line) = self.lines.get_mut(caller) else {
                self.ring.pop_front();
                continue;
            };
            let Some((_, head)) = line.waiting.first_key_value() else {
                self.turns -= usize::from(line.weight.get());
                self.lines.remove(caller);
                self.ring.pop_front();
                continue;
            };
            let cost = head.cost;
            if !may(caller) {
                passed_over += 1;
            } else if line.deficit >= cost {
                return self.head();
            } else {
                line.deficit += u32::from(line.weight.get());
                passed_over = 0;
            }
            self.ring.rotate_left(1);
        }
        None
    }

    /// Brings the first caller whose next request is one that `which` prefers to the front, before its turn; the order of the
    /// others stays. None when no caller's is.
    pub(super) fn prefer(&mut self, which: impl Fn(&T) -> bool) -> Option<&T> {
        let next =
            |caller: &CallerId| self.lines.get(caller)?.waiting.first_key_value().map(|(_, waiter)| &waiter.what);
        let at = self.ring.iter().position(|caller| next(caller).is_some_and(&which))?;
        let caller = self.ring.remove(at)?;
        self.ring.push_front(caller);
        self.head().map(|(what, _)| what)
    }

    fn head(&self) -> Option<(&T, u32)> {
        let (_, waiter) = self.lines.get(self.ring.front()?)?.waiting.first_key_value()?;
        Some((&waiter.what, waiter.cost))
    }

    /// Takes the head of the line that `select` brought to the front.
    pub(super) fn take(&mut self) -> Option<(CallerId, T)> {
        let caller = self.ring.front()?.clone();
        let line = self.lines.get_mut(&caller)?;
        let (_, waiter) = line.waiting.pop_first()?;
        line.deficit = line.deficit.saturating_sub(waiter.cost);
        self.len -= 1;
        self.forget_when_empty();
        Some((caller, waiter.what))
    }

    /// Takes out everyone for whom `which` says so.
    pub(super) fn take_where(&mut self, mut which: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for line in self.lines.values_mut() {
            let numbers: Vec<i64> =
                line.waiting.iter().filter(|(_, waiter)| which(&waiter.what)).map(|(number, _)| *number).collect();
            taken.extend(numbers.iter().filter_map(|number| line.waiting.remove(number)).map(|waiter| waiter.what));
        }
        self.len -= taken.len();
        self.forget_when_empty();
        taken
    }

    fn forget_when_empty(&mut self) {
        if self.len == 0 {
            self.lines.clear();
            self.ring.clear();
            self.turns = 0;
        }
    }
}

#[cfg(test)]
mod tests;
