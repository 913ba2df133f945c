//! The state machine, by tables and properties; time is a parameter.

mod closings;
mod counts;

use proptest::prelude::*;

use super::*;
use crate::domain::{Clock, SystemClock};
use crate::throttle::{Dimension, Reading, Unit};

const PATIENCE: Duration = Duration::from_secs(30);
const ONE: Load = load(1, 0);
const NONE: Load = load(0, 0);

const fn load(unanswered: u32, waiting: u32) -> Load {
    Load { unanswered, waiting, patience: PATIENCE, tokens: 0, most_tokens: 0 }
}

fn seconds(n: f64) -> Duration {
    Duration::from_secs_f64(n)
}

fn start() -> Instant {
    SystemClock.now()
}

fn fine() -> Reading {
    Reading::plain(Class::Fine)
}

fn throttled(wait: Option<f64>) -> Reading {
    Reading { wait: wait.map(seconds), ..Reading::plain(Class::Throttled) }
}

/// What the headers of a window say.
fn counted(class: Class, limit: u64, left: u64, reset: f64) -> Reading {
    let window = Dimension {
        limit: Some(limit),
        remaining: Some(left),
        reset: Some(seconds(reset)),
        ..Dimension::new("requests")
    };
    Reading { trusted: true, ..Reading::of(class, [window]) }
}

fn pass(state: &mut State, now: Instant, load: Load) -> Ticket {
    match state.admit(now, load) {
        Admission::Go(ticket) => ticket,
        other => panic!("{other:?} in {:?}", state.phase()),
    }
}

#[test]
fn an_open_gate_closes_for_the_hint_and_one_goes_first_when_it_is_over() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let first = pass(&mut state, t, NONE);
    let change = state.learn(t, first, &throttled(Some(2.0)), NONE, 0.5);
    assert!(
        matches!(change, Some(Change::Closed(Closure { wait, class: Class::Throttled, .. })) if wait == seconds(2.0))
    );
    let until = t + seconds(2.1);
    assert_eq!(state.phase(), Phase::Closed { until }, "half of a tenth of the wait is the jitter");
    assert_eq!(state.admit(t + seconds(2.099), NONE), Admission::At(until));
    let probe = pass(&mut state, until, NONE);
    assert!(probe.is_probe());
    assert_eq!(state.admit(until, ONE), Admission::HoldUntil(until + PROBE_PATIENCE), "one probe alone");
    assert_eq!(state.learn(until, probe, &fine(), NONE, 0.0), Some(Change::Reopened));
    assert_eq!(state.phase(), Phase::SlowStart);
}

#[test]
fn a_closure_without_any_hint_doubles_with_every_probe_that_is_refused() {
    let mut now = start();
    let mut state = State::new(Mode::Observe, now);
    let mut ticket = pass(&mut state, now, NONE);
    for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0] {
        state.learn(now, ticket, &throttled(None), NONE, 0.0);
        assert_eq!(state.closed_for(now), seconds(expected));
        now += seconds(expected);
        ticket = pass(&mut state, now, NONE);
    }
}

#[test]
fn late_answers_lengthen_a_closure_and_never_end_it() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let tickets = [0; 5].map(|_| pass(&mut state, t, NONE));
    state.learn(t, tickets[0], &throttled(Some(2.0)), load(4, 0), 0.0);
    let episode = state.episode();
    assert_eq!(state.learn(t, tickets[1], &fine(), ONE, 0.0), None);
    assert_eq!(state.closed_for(t), seconds(2.0), "a late success ends nothing");
    assert_eq!(state.learn(t, tickets[2], &throttled(Some(1.0)), ONE, 0.0), None, "shorter is nothing new");
    assert_eq!(state.learn(t, tickets[3], &throttled(Some(5.0)), ONE, 0.0), Some(Change::Extended));
    assert_eq!(state.learn(t, tickets[4], &throttled(None), ONE, 0.0), None);
    assert_eq!((state.closed_for(t), state.episode()), (seconds(5.0), episode), "one episode");
    let late = t + seconds(5.0);
    let probe = pass(&mut state, late, NONE);
    state.learn(late, tickets[4], &fine(), ONE, 0.0);
    assert_eq!(state.phase(), Phase::Probing, "only the probe's own answer counts");
    state.learn(late, tickets[4], &throttled(None), ONE, 0.0);
    assert_eq!(state.phase(), Phase::Probing, "a late refusal without a hint says nothing of now");
    state.learn(late, probe, &fine(), NONE, 0.0);
    assert_eq!(state.phase(), Phase::SlowStart);
}

#[test]
fn a_probe_that_is_lost_or_taken_back_is_followed_by_another() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let ticket = pass(&mut state, t, NONE);
    state.learn(t, ticket, &throttled(Some(1.0)), NONE, 0.0);
    let now = t + seconds(1.0);
    let probe = pass(&mut state, now, NONE);
    state.refund(now, probe);
    let probe = pass(&mut state, now, NONE);
    state.lost(now, probe);
    assert_eq!(state.admit(now, NONE), Admission::At(now + NEXT_PROBE));
    let now = now + NEXT_PROBE;
    let probe = pass(&mut state, now, NONE);
    state.learn(now, probe, &Reading::plain(Class::Transient), NONE, 0.0);
    assert_eq!(state.admit(now, NONE), Admission::At(now + NEXT_PROBE), "a failing upstream proves nothing");
    let now = now + NEXT_PROBE;
    let probe = pass(&mut state, now, NONE);
    assert_eq!(state.learn(now, probe, &Reading::plain(Class::Auth), NONE, 0.0), Some(Change::Reopened));
}

#[test]
fn a_slow_start_doubles_with_each_round_up_to_what_was_under_way_before() {
    let t = start();
    let mut state = State::new(Mode::Observe, t);
    let ticket = pass(&mut state, t, NONE);
    state.learn(t, ticket, &throttled(Some(200.0)), load(15, 0), 0.0);
    let mut now = t + seconds(200.0);
    let probe = pass(&mut state, now, NONE);
    state.learn(now, probe, &fine(), NONE, 0.0);
    for most in [1_u32, 2, 4, 8, 16, 16] {
        let mut round = Vec::new();
        for under_way in 0..most {
            let load = load(under_way, 9);
            let ticket = match state.admit(now, load) {
                Admission::Go(ticket) => ticket,
                Admission::At(at) => {
                    assert!(at - now <= seconds(0.25));
                    now = at;
                    pass(&mut state, now, load)
                }
                other => panic!("{other:?} at {under_way} of {most}"),
            };
            round.push(ticket);
        }
        let held = state.admit(now + seconds(0.25), load(most, 9));
        assert!(matches!(held, Admission::HoldUntil(over) if over > now), "{held:?} {most}");
        for ticket in round {
            state.learn(now, ticket, &fine(), NONE, 0.0);
        }
    }
    pass(&mut state, now + seconds(600.0), load(500, 0));
    assert_eq!(state.phase(), Phase::Open);
}

#[test]
fn what_is_left_is_counted_down_by_what_is_sent_and_nothing_is_sent_beyond_it() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let ticket = pass(&mut state, t, NONE);
    state.learn(t, ticket, &counted(Class::Fine, 100, 50, 10.0), NONE, 0.5);
    for unanswered in 0..30 {
        pass(&mut state, t, load(unanswered, 0));
    }
    let spaced = load(30, 0);
    assert_eq!(state.admit(t, spaced), Admission::At(t + seconds(0.5)), "20 are left for 10 s");
    let queued = load(30, 99);
    assert_eq!(state.admit(t, queued), Admission::At(t + seconds(0.15)), "a queue must get through in time");
    let hasty = Load { patience: seconds(0.4), ..spaced };
    assert!(matches!(state.admit(t, hasty), Admission::Go(_)), "nobody is refused for a courtesy");
    let over = t + seconds(10.0);
    assert_eq!(state.admit(t, load(50, 0)), Admission::HoldUntil(over), "all is under way");
    assert!(matches!(state.admit(over, load(50, 0)), Admission::Go(_)), "whatever became of it, there is more");
    let mut state = State::new(Mode::Enforce, t);
    state.learn(t, ticket, &counted(Class::Fine, 100, 0, 10.0), NONE, 0.5);
    assert_eq!(state.admit(t, NONE), Admission::At(t + seconds(10.5)), "half of a tenth of the wait is the jitter");
    let now = t + seconds(10.5);
    let probe = pass(&mut state, now, NONE);
    state.learn(now, probe, &counted(Class::Fine, 100, 99, 10.0), NONE, 0.5);
    assert_eq!(state.phase(), Phase::Open, "the answer tells how much there is");
}

#[test]
fn within_a_window_the_lowest_count_stands_and_a_later_reset_begins_another() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let ticket = pass(&mut state, t, NONE);
    for (left, reset, stands) in [(40, 60.0, 40), (45, 60.4, 40), (38, 60.0, 38), (99, 120.0, 99), (97, 60.0, 97)] {
        state.learn(t, ticket, &counted(Class::Fine, 100, left, reset), NONE, 0.5);
        let (_, limit, left, _) = state.windows().next().unwrap();
        assert_eq!((limit, left), (Some(100), stands));
    }
}

#[test]
fn headers_close_a_gate_only_in_enforce_and_refusals_in_observe_too() {
    let t = start();
    for (mode, on_count, on_refusal) in
        [(Mode::Off, false, false), (Mode::Observe, false, true), (Mode::Enforce, true, true)]
    {
        let mut state = State::new(mode, t);
        let ticket = pass(&mut state, t, NONE);
        state.learn(t, ticket, &counted(Class::Fine, 10, 0, 30.0), NONE, 0.0);
        assert_eq!(!matches!(state.admit(t, NONE), Admission::Go(_)), on_count, "{mode:?}");
        let mut state = State::new(mode, t);
        let ticket = pass(&mut state, t, NONE);
        state.learn(t, ticket, &throttled(Some(3.0)), NONE, 0.0);
        assert_eq!(!matches!(state.admit(t, NONE), Admission::Go(_)), on_refusal, "{mode:?}");
    }
}

#[test]
fn a_count_without_a_reset_holds_nobody_and_a_bare_refusal_of_the_key_neither() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let ticket = pass(&mut state, t, NONE);
    let docker = Dimension { limit: Some(100), remaining: Some(0), ..Dimension::new("default") };
    state.learn(t, ticket, &Reading::of(Class::Fine, [docker]), NONE, 0.0);
    state.learn(t, ticket, &Reading::plain(Class::Auth), NONE, 0.0);
    pass(&mut state, t, NONE);
    assert_eq!(state.phase(), Phase::Open);
}

#[test]
fn unknown_headers_close_for_five_minutes_at_most_and_known_ones_for_a_week() {
    let day = 86_400.0;
    for (trusted, hint, closed) in
        [(false, 200.0, 200.0), (false, day, 300.0), (true, day, day), (true, 9.0 * day, 7.0 * day)]
    {
        let t = start();
        let mut state = State::new(Mode::Enforce, t);
        let ticket = pass(&mut state, t, NONE);
        let reading = Reading { trusted, ..throttled(Some(hint)) };
        let Some(Change::Closed(closure)) = state.learn(t, ticket, &reading, NONE, 0.0) else { panic!() };
        assert_eq!(state.closed_for(t), seconds(closed));
        assert_eq!(closure.class == Class::Exhausted, hint > closed, "beyond the cap it is exhausted until the probe");
    }
}

#[test]
fn an_answer_from_a_cache_teaches_nothing() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let ticket = pass(&mut state, t, NONE);
    assert_eq!(state.learn(t, ticket, &Reading { current: false, ..throttled(Some(9.0)) }, NONE, 0.0), None);
    assert_eq!(state.phase(), Phase::Open);
}

#[test]
fn a_refusal_for_too_many_at_once_closes_nothing() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let ticket = pass(&mut state, t, NONE);
    state.learn(t, ticket, &Reading { concurrency: true, ..throttled(Some(1.0)) }, NONE, 0.0);
    assert_eq!(state.phase(), Phase::Open);
}

#[test]
fn a_probe_that_takes_long_is_followed_by_another_and_either_answer_opens_the_gate() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let ticket = pass(&mut state, t, NONE);
    state.learn(t, ticket, &throttled(Some(1.0)), NONE, 0.0);
    let now = t + seconds(1.0);
    assert!(state.wants_probe(now) && !state.wants_probe(t));
    let slow = pass(&mut state, now, NONE);
    assert!(!state.wants_probe(now));
    let now = now + PROBE_PATIENCE;
    assert!(state.wants_probe(now));
    let next = pass(&mut state, now, ONE);
    assert!(next.is_probe());
    assert_eq!(state.admit(now, load(2, 0)), Admission::HoldUntil(now + PROBE_PATIENCE));
    assert_eq!(state.learn(now, slow, &fine(), ONE, 0.0), Some(Change::Reopened));
    assert_eq!(state.learn(now, next, &fine(), NONE, 0.0), None);
}

#[test]
fn an_echo_of_a_former_closure_holds_for_its_hint_and_teaches_no_pace() {
    let t = start();
    let mut state = State::new(Mode::Observe, t);
    let tickets = [0; 51].map(|_| pass(&mut state, t, NONE));
    tickets[..49].iter().for_each(|ticket| {
        state.learn(t, *ticket, &fine(), NONE, 0.0);
    });
    state.learn(t, tickets[49], &throttled(Some(5.0)), NONE, 0.0);
    let now = t + seconds(5.0);
    let probe = pass(&mut state, now, NONE);
    state.learn(now, probe, &fine(), NONE, 0.0);
    assert_eq!(state.pace().map(f64::round), Some(10.0), "49 in 5 s");
    let (episode, now) = (state.episode(), now + seconds(0.5));
    assert_eq!(state.learn(now, tickets[50], &throttled(Some(5.0)), NONE, 0.0), Some(Change::Extended));
    assert_eq!((state.closed_for(now), state.episode()), (seconds(5.0), episode), "no new episode");
    let now = now + seconds(5.0);
    let probe = pass(&mut state, now, NONE);
    state.learn(now, probe, &fine(), NONE, 0.0);
    assert_eq!(state.pace().map(f64::round), Some(10.0), "the two that went well since are no pace");
}

/// `32/40`: a bucket of 40 that empties by two a second (shopify.dev/docs/api/usage/limits).
fn bucket(used: u64) -> Reading {
    let bucket = Dimension {
        limit: Some(40),
        remaining: Some(40 - used),
        window: Some(seconds(20.0)),
        leaky: true,
        ..Dimension::new("requests")
    };
    Reading { trusted: true, ..Reading::of(Class::Fine, [bucket]) }
}

#[test]
fn a_bucket_that_leaks_is_filled_up_to_one_below_its_size_and_then_at_its_leak() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let ticket = pass(&mut state, t, NONE);
    state.learn(t, ticket, &bucket(32), NONE, 0.5);
    for unanswered in 0..7 {
        pass(&mut state, t, load(unanswered, 0));
    }
    // 32 in it and 7 under way: 39, one below the size.
    assert_eq!(state.admit(t, load(7, 0)), Admission::At(t + seconds(0.5)));
    assert!(matches!(state.admit(t + seconds(0.5), load(7, 0)), Admission::Go(_)));
    state.learn(t, ticket, &bucket(40), NONE, 0.5);
    assert_eq!(state.phase(), Phase::Open, "a full bucket is no closure");
    assert_eq!(state.admit(t, NONE), Admission::At(t + seconds(1.0)));
    assert_eq!(state.spacing(t), seconds(0.5), "who waits is told the truth");
    assert_eq!(state.spacing(t + seconds(10.0)), Duration::ZERO);
    assert!(matches!(state.admit(t + seconds(20.0), load(38, 0)), Admission::Go(_)), "empty again");
}

#[test]
fn answers_that_overtake_each_other_do_not_empty_a_bucket() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let ticket = pass(&mut state, t, NONE);
    state.learn(t, ticket, &bucket(38), NONE, 0.5);
    state.learn(t, ticket, &bucket(30), NONE, 0.5);
    assert!(matches!(state.admit(t, load(1, 0)), Admission::At(_)));
    state.learn(t + seconds(2.0), ticket, &bucket(30), NONE, 0.5);
    assert!(matches!(state.admit(t + seconds(2.0), load(1, 0)), Admission::Go(_)));
}

/// What a service of language models says of its tokens: so many left, and all of them again in `reset` seconds.
fn tokens(left: u64, reset: f64) -> Reading {
    let tokens = Dimension {
        unit: Unit::Amounts,
        limit: Some(60_000),
        remaining: Some(left),
        reset: Some(seconds(reset)),
        ..Dimension::new("tokens")
    };
    Reading { trusted: true, ..Reading::of(Class::Fine, [tokens]) }
}

#[test]
fn tokens_that_are_used_up_close_the_gate_as_requests_do() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let ticket = pass(&mut state, t, NONE);
    state.learn(t, ticket, &tokens(0, 6.0), NONE, 0.0);
    assert_eq!(state.admit(t, NONE), Admission::At(t + seconds(6.0)));
    assert_eq!(state.why().and_then(|why| why.met).map(|met| met.to_string()).as_deref(), Some("tokens"));
    let mut observing = State::new(Mode::Observe, t);
    observing.learn(t, ticket, &tokens(0, 6.0), NONE, 0.0);
    assert!(matches!(observing.admit(t, NONE), Admission::Go(_)));
}

#[test]
fn a_request_waits_until_there_are_as_many_tokens_as_requests_take() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let ticket = pass(&mut state, t, NONE);
    state.learn(t, ticket, &tokens(12_000, 48.0), NONE, 0.0);
    state.learn(t, ticket, &tokens(9_000, 51.0), NONE, 0.0);
    // Requests take 3,000 each, and 1,000 a second come back.
    assert!(matches!(state.admit(t, load(2, 0)), Admission::Go(_)));
    assert_eq!(state.admit(t, load(3, 0)), Admission::At(t + seconds(3.0)), "all that is left is under way");
    assert!(matches!(state.admit(t + seconds(3.0), load(3, 0)), Admission::Go(_)));
    let large = Load { tokens: 12_000, ..load(1, 0) };
    assert_eq!(state.admit(t, large), Admission::At(t + seconds(6.0)), "by its length it takes 12,000");
    let huge = Load { tokens: 9_000_000, ..load(0, 0) };
    assert_eq!(state.admit(t, huge), Admission::At(t + seconds(6.0)), "a quarter of the limit at most");
    let chatty = Load { most_tokens: 20_000, ..load(0, 0) };
    assert_eq!(state.admit(t, chatty), Admission::At(t + seconds(11.0)), "what its answer may have counts whole");
    let endless = Load { most_tokens: 9_000_000, patience: seconds(60.0), ..load(0, 0) };
    assert_eq!(state.admit(t, endless), Admission::At(t + seconds(51.0)), "no more than there is");
    let hasty = Load { patience: seconds(1.0), ..huge };
    assert!(matches!(state.admit(t, hasty), Admission::Go(_)), "nobody is refused for an estimate");
}

#[derive(Debug, Clone)]
enum Step {
    Advance(u32),
    Pass,
    Answer(usize, u8, Option<u32>),
    Refund(usize),
    Lose(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u32..3_000).prop_map(Step::Advance),
        Just(Step::Pass),
        (any::<usize>(), 0_u8..6, proptest::option::of(0_u32..20_000)).prop_map(|(n, c, w)| Step::Answer(n, c, w)),
        any::<usize>().prop_map(Step::Refund),
        any::<usize>().prop_map(Step::Lose),
    ]
}

proptest! {
    /// Nothing passes before the hint of a refusal that was sent in the current episode or before, whatever else happens; at
    /// most one probe is under way; and a gate that nobody refuses opens again.
    #[test]
    fn nothing_passes_before_a_hint_and_a_gate_never_stays_shut(steps in proptest::collection::vec(step(), 1..200), chance in 0.0..1.0) {
        let classes = [Class::Fine, Class::Throttled, Class::Exhausted, Class::Overloaded, Class::Transient, Class::Auth];
        let mut now = start();
        let mut state = State::new(Mode::Enforce, now);
        let mut under_way: Vec<Ticket> = Vec::new();
        let mut not_before = now;
        // An echo of a former refusal shuts a gate that is being tried; the next to try it is not held by the one before.
        let (mut probed, mut was_shut_since_probe) = (now, false);
        for step in steps {
            let load = |under_way: &Vec<Ticket>| load(u32::try_from(under_way.len()).unwrap(), 0);
            match step {
                Step::Advance(ms) => now += Duration::from_millis(u64::from(ms)),
                Step::Pass => if let Admission::Go(ticket) = state.admit(now, load(&under_way)) {
                    prop_assert!(now >= not_before, "passed before the hint");
                    let others = under_way.iter().any(|t| t.is_probe() && t.episode == state.episode());
                    if ticket.is_probe() {
                        prop_assert!(!others || now >= probed + PROBE_PATIENCE || was_shut_since_probe, "two probes at once");
                        (probed, was_shut_since_probe) = (now, false);
                    } else {
                        prop_assert!(state.phase() != Phase::Probing, "a probe alone");
                    }
                    under_way.push(ticket);
                }
                Step::Answer(n, class, wait) if !under_way.is_empty() => {
                    let ticket = under_way.swap_remove(n % under_way.len());
                    let class = classes[usize::from(class)];
                    let wait = wait.map(|ms| Duration::from_millis(u64::from(ms)));
                    let reading = Reading { wait, ..Reading::plain(class) };
                    state.learn(now, ticket, &reading, load(&under_way), chance);
                    if let (Class::Throttled | Class::Exhausted | Class::Overloaded, Some(wait)) = (class, wait) {
                        not_before = not_before.max(now + wait);
                    }
                }
                Step::Refund(n) if !under_way.is_empty() => {
                    let ticket = under_way.swap_remove(n % under_way.len());
                    state.refund(now, ticket);
                }
                Step::Lose(n) if !under_way.is_empty() => {
                    let ticket = under_way.swap_remove(n % under_way.len());
                    state.lost(now, ticket);
                }
                _ => {}
            }
            was_shut_since_probe |= matches!(state.phase(), Phase::Closed { .. });
        }
        for ticket in std::mem::take(&mut under_way) {
            state.lost(now, ticket);
        }
        for _ in 0..50 {
            match state.admit(now, NONE) {
                Admission::Go(ticket) => { state.learn(now, ticket, &fine(), NONE, chance); }
                Admission::At(at) => now = at,
                Admission::Hold | Admission::HoldUntil(_) => prop_assert!(false, "held by nobody"),
            }
        }
        let shut = matches!(state.phase(), Phase::Closed { .. } | Phase::Probing);
        prop_assert!(!shut, "it stays shut");
    }
}
