//! Who waits in front of one gate, and who is next: callers take turns (deficit round robin, so that a request that costs
//! more counts for more turns, and a caller of more weight has more of them), and the requests of one caller go in their order. What is sent again stands first in its
//! own caller's line. Holds no time and wakes nobody.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::domain::{CallerId, Weight};

/// So many may wait in front of one gate.
pub const MOST_WAITERS: usize = 1_000;
/// So many of one caller may wait whoever else does; more only while the queue is not half full.
pub const MOST_OF_CALLER: usize = 100;

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
    Full(T),
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

    /// How many will go before the next request of `caller`, when all take their turns.
    pub(super) fn ahead(&self, caller: &CallerId, weight: Weight) -> usize {
        let own = self.lines.get(caller).map_or(0, |line| line.waiting.len());
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
        if own >= MOST_OF_CALLER && self.len >= MOST_WAITERS / 2 {
            return Joined::Full(what);
        }
        let mut sent_away = None;
        if self.len >= MOST_WAITERS {
            sent_away = self.send_away(own);
            if sent_away.is_none() {
                return Joined::Full(what);
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

    /// The last of the caller with most waiters, when it has more than `own`.
    fn send_away(&mut self, own: usize) -> Option<T> {
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn caller(name: &str) -> CallerId {
        CallerId::new(name)
    }

    fn join(queue: &mut Queue<String>, name: &str, cost: u32, place: Place) -> Option<Seat> {
        let count = queue.lines.get(&caller(name)).map_or(0, |line| line.waiting.len());
        match queue.join((&caller(name), Weight::ONE), cost, place, format!("{name}{count}")) {
            Joined::Seated(seat, _) => Some(seat),
            Joined::Full(_) => None,
        }
    }

    fn next(queue: &mut Queue<String>) -> Option<String> {
        queue.select(|_| true)?;
        queue.take().map(|(_, what)| what)
    }

    fn drained(queue: &mut Queue<String>) -> String {
        std::iter::from_fn(|| next(queue)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn callers_take_turns_and_each_keeps_its_own_order() {
        let mut queue = Queue::default();
        (0..5).for_each(|_| drop(join(&mut queue, "a", 1, Place::Last)));
        (0..2).for_each(|_| drop(join(&mut queue, "b", 1, Place::Last)));
        assert_eq!(drained(&mut queue), "a0 b0 a1 b1 a2 a3 a4");
        assert!(queue.is_empty());
    }

    #[test]
    fn what_is_sent_again_goes_first_among_its_own_callers() {
        let mut queue = Queue::default();
        for name in ["a", "a", "b", "b"] {
            join(&mut queue, name, 1, Place::Last);
        }
        join(&mut queue, "b", 1, Place::First);
        assert_eq!(drained(&mut queue), "a0 b2 a1 b0 b1");
    }

    #[test]
    fn a_dear_request_takes_as_many_turns_as_it_costs() {
        let mut queue = Queue::default();
        (0..2).for_each(|_| drop(join(&mut queue, "a", 3, Place::Last)));
        (0..6).for_each(|_| drop(join(&mut queue, "b", 1, Place::Last)));
        assert_eq!(drained(&mut queue), "b0 b1 a0 b2 b3 b4 a1 b5");
    }

    #[test]
    fn a_full_queue_sends_away_the_last_of_who_has_most() {
        let mut queue = Queue::default();
        (0..MOST_WAITERS / 2).for_each(|_| assert!(join(&mut queue, "a", 1, Place::Last).is_some()));
        assert!(join(&mut queue, "a", 1, Place::Last).is_none(), "half of the queue is enough for one");
        for other in 0..5 {
            let name = format!("o{other}");
            (0..100).for_each(|_| assert!(join(&mut queue, &name, 1, Place::Last).is_some()));
        }
        assert_eq!(queue.len(), MOST_WAITERS);
        let Joined::Seated(_, Some(sent_away)) =
            queue.join((&caller("new"), Weight::ONE), 1, Place::Last, "new0".into())
        else {
            panic!("no room for one who has none")
        };
        assert_eq!(sent_away, "a499");
        assert_eq!(queue.len(), MOST_WAITERS);
        assert!(join(&mut queue, "o0", 1, Place::Last).is_none(), "a hundred are enough for one in a full queue");
    }

    #[test]
    fn who_was_served_cannot_leave_in_anothers_place() {
        let mut queue = Queue::default();
        let first = join(&mut queue, "a", 1, Place::Last).unwrap();
        assert_eq!(next(&mut queue).as_deref(), Some("a0"));
        join(&mut queue, "a", 1, Place::Last).unwrap();
        assert!(!queue.leave(&first));
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn who_may_not_is_passed_over_and_keeps_the_turn() {
        let mut queue = Queue::default();
        for name in ["a", "b", "a"] {
            join(&mut queue, name, 1, Place::Last);
        }
        assert_eq!(queue.select(|who| *who != caller("a")).map(|(what, _)| what.as_str()), Some("b0"));
        assert_eq!(queue.take(), Some((caller("b"), "b0".to_owned())));
        assert!(queue.select(|who| *who != caller("a")).is_none());
        assert_eq!(drained(&mut queue), "a0 a1");
    }

    /// Serves `turns` requests of callers that always wait; how often each was served.
    fn served(weights: &[u8], turns: usize) -> Vec<usize> {
        let mut queue = Queue::default();
        let add = |queue: &mut Queue<usize>, who: usize| {
            let weight = Weight::new(weights[who]).unwrap();
            drop(queue.join((&caller(&who.to_string()), weight), 1, Place::Last, who));
        };
        for who in 0..weights.len() {
            (0..20).for_each(|_| add(&mut queue, who));
        }
        let mut served = vec![0; weights.len()];
        for _ in 0..turns {
            queue.select(|_| true).unwrap();
            let (_, who) = queue.take().unwrap();
            served[who] += 1;
            add(&mut queue, who);
        }
        served
    }

    #[test]
    fn a_caller_of_weight_four_has_four_turns_where_another_has_one() {
        assert_eq!(served(&[4, 1], 100), [80, 20]);
        assert_eq!(served(&[1, 1, 2], 400), [100, 100, 200]);
    }

    proptest! {
        #[test]
        fn turns_are_shared_by_weight_whoever_waits(weights in proptest::collection::vec(1_u8..=10, 1..6), rounds in 1_usize..20) {
            let all: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
            let served = served(&weights, all * rounds);
            for (served, weight) in served.into_iter().zip(weights) {
                prop_assert_eq!(served, usize::from(weight) * rounds);
            }
        }

        #[test]
        fn nobody_is_lost_or_served_twice_and_leaving_leaves_the_order(steps in proptest::collection::vec((0_u8..4, 0_u8..4, any::<usize>()), 0..300)) {
            let (mut queue, mut seats, mut served) = (Queue::default(), Vec::new(), 0_usize);
            let mut joined = 0;
            for (what, who, which) in steps {
                match what {
                    0 | 1 => if let Joined::Seated(seat, _) = queue.join((&caller(&who.to_string()), Weight::new(who + 1).unwrap()), u32::from(who), if what == 0 { Place::Last } else { Place::First }, joined) {
                        joined += 1;
                        seats.push(seat);
                    },
                    2 if !seats.is_empty() => {
                        let seat = seats.swap_remove(which % seats.len());
                        served += usize::from(queue.leave(&seat));
                        prop_assert!(!queue.leave(&seat));
                    }
                    _ => if queue.select(|_| true).is_some() {
                        prop_assert!(queue.take().is_some());
                        served += 1;
                    },
                }
                prop_assert_eq!(queue.len() + served, joined);
            }
            while queue.select(|_| true).is_some() {
                queue.take();
                served += 1;
            }
            prop_assert_eq!((served, queue.len()), (joined, 0));
        }
    }
}
