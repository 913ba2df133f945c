//! Turns, bounds, and that nobody is lost.

use proptest::prelude::*;

use super::*;

/// As many as may wait before one gate.
const MOST: usize = 1_000;

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
fn what_is_sent_again_has_only_the_turns_of_others_ahead() {
    let mut queue = Queue::default();
    (0..5).for_each(|_| drop(join(&mut queue, "a", 1, Place::Last)));
    join(&mut queue, "b", 1, Place::Last);
    let ahead = |place| queue.ahead(&caller("a"), Weight::ONE, place);
    assert_eq!((ahead(Place::Last), ahead(Place::First)), (6, 2));
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
    (0..MOST / 2).for_each(|_| assert!(join(&mut queue, "a", 1, Place::Last).is_some()));
    assert!(join(&mut queue, "a", 1, Place::Last).is_none(), "half of the queue is enough for one");
    for other in 0..5 {
        let name = format!("o{other}");
        (0..100).for_each(|_| assert!(join(&mut queue, &name, 1, Place::Last).is_some()));
    }
    assert_eq!(queue.len(), MOST);
    let Joined::Seated(_, Some(sent_away)) = queue.join((&caller("new"), Weight::ONE), 1, Place::Last, "new0".into())
    else {
        panic!("no room for one who has none")
    };
    assert_eq!(sent_away, "a499");
    assert_eq!(queue.len(), MOST);
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
