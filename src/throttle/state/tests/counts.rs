//! What follows from the counts that answers tell: when nothing is left of one limit or of several, and what counts as sent.

use super::*;

/// The limit of this name.
fn limit(name: &str, left: u64, reset: f64) -> Dimension {
    Dimension { limit: Some(100), remaining: Some(left), reset: Some(seconds(reset)), ..Dimension::new(name) }
}

fn of(class: Class, limits: impl IntoIterator<Item = Dimension>) -> Reading {
    Reading { trusted: true, ..Reading::of(class, limits) }
}

/// A gate that heard this, and when.
fn after(reading: &Reading) -> (State, Instant, Ticket) {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let ticket = pass(&mut state, t, NONE);
    state.learn(t, ticket, reading, NONE, 0.0);
    (state, t, ticket)
}

fn left(state: &State, name: &str) -> Option<u64> {
    state.windows().find(|(of, ..)| of.as_str() == name).map(|(_, _, left, _)| left)
}

#[test]
fn nothing_is_sent_before_the_last_of_the_limits_that_are_used_up_begins_anew() {
    for limits in [[("minute", 12.0), ("day", 3600.0)], [("day", 3600.0), ("minute", 12.0)]] {
        let (mut state, t, _) = after(&of(Class::Fine, limits.map(|(name, reset)| limit(name, 0, reset))));
        let until = t + seconds(3600.0);
        for at in [0.0, 12.0, 3599.0] {
            assert_eq!(state.admit(t + seconds(at), NONE), Admission::At(until), "{limits:?} {at}");
        }
        let why = state.why().unwrap();
        assert_eq!((why.met.map(|met| met.to_string()).as_deref(), why.class), (Some("day"), Class::Exhausted));
        assert!(pass(&mut state, until, NONE).is_probe());
    }
}

#[test]
fn a_probe_waits_for_what_is_counted_down_to_nothing_meanwhile() {
    let (mut state, t, ticket) = after(&of(Class::Fine, [limit("day", 2, 3600.0)]));
    state.learn(t, ticket, &throttled(Some(2.0)), NONE, 0.0);
    // The refusal told of no count, so it spent one, and one got no answer.
    state.lost(t, ticket);
    assert_eq!(state.admit(t + seconds(2.0), NONE), Admission::At(t + seconds(3600.0)));
    let Some(Change::Closed(told)) = state.take_untold() else { panic!("it is told") };
    assert_eq!((told.class, told.wait), (Class::Exhausted, seconds(3598.0)));
    assert_eq!(state.take_untold(), None, "once");
}

#[test]
fn a_late_answer_that_nothing_is_left_lengthens_a_closure() {
    let (mut state, t, ticket) = after(&throttled(Some(2.0)));
    let change = state.learn(t, ticket, &of(Class::Fine, [limit("minute", 0, 40.0)]), NONE, 0.0);
    assert_eq!(change, Some(Change::Extended));
    assert_eq!(state.closed_for(t), seconds(40.0));
}

#[test]
fn the_time_of_a_refusal_overrides_the_counts_that_come_with_it() {
    let refused = Reading { wait: Some(seconds(2.0)), ..of(Class::Throttled, [limit("tokens", 0, 60.0)]) };
    let (mut state, t, _) = after(&refused);
    assert_eq!(state.admit(t, NONE), Admission::At(t + seconds(2.0)));
    assert!(pass(&mut state, t + seconds(2.0), NONE).is_probe());
}

#[test]
fn a_count_that_says_nothing_is_left_closes_at_once_and_is_told() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let tickets = [0; 3].map(|_| pass(&mut state, t, NONE));
    assert_eq!(state.learn(t, tickets[0], &of(Class::Fine, [limit("hour", 9, 600.0)]), load(2, 0), 1.0), None);
    let change = state.learn(t, tickets[1], &of(Class::Fine, [limit("hour", 0, 600.0)]), load(1, 0), 1.0);
    let Some(Change::Closed(why)) = change else { panic!("{change:?}") };
    assert_eq!((why.class, why.wait), (Class::Throttled, seconds(600.0)));
    assert_eq!(state.phase(), Phase::Closed { until: t + seconds(602.0) }, "with jitter");
    assert!(!state.still_admits(tickets[2]), "what has not gone out stays here");
    let change = state.learn(t, tickets[2], &of(Class::Fine, [limit("hour", 0, 600.0)]), NONE, 1.0);
    assert_eq!((change, state.episode()), (None, 1), "once");
    let (state, ..) = after(&of(Class::Fine, [limit("day", 0, 901.0)]));
    assert_eq!(state.why().map(|why| why.class), Some(Class::Exhausted), "longer than a request waits");
}

#[test]
fn a_count_that_runs_out_by_what_is_sent_closes_and_is_told() {
    let (mut state, t, _) = after(&of(Class::Fine, [limit("hour", 1, 600.0)]));
    let ticket = pass(&mut state, t, NONE);
    assert_eq!(state.take_untold(), None);
    state.lost(t, ticket);
    assert_eq!(state.admit(t, NONE), Admission::At(t + seconds(600.0)));
    assert!(matches!(state.take_untold(), Some(Change::Closed(why)) if why.wait == seconds(600.0)));
}

#[test]
fn a_probe_that_tells_that_nothing_is_left_closes_again() {
    let (mut state, t, _) = after(&throttled(Some(2.0)));
    let now = t + seconds(2.0);
    let probe = pass(&mut state, now, NONE);
    let change = state.learn(now, probe, &of(Class::Fine, [limit("minute", 0, 30.0)]), NONE, 0.0);
    assert!(matches!(change, Some(Change::Closed(why)) if why.wait == seconds(30.0)), "{change:?}");
    assert_eq!(state.admit(now, NONE), Admission::At(now + seconds(30.0)));
}

#[test]
fn a_window_of_a_second_begins_anew_with_each_second() {
    // The first is told at 0 s, with 3 left for 1 s.
    for (at, fresh, reset, stands, why) in [
        (1.05, 9, 1.0, 9, "the one before is over"),
        (1.05, 9, 0.3, 9, "however soon the next one is"),
        (0.6, 9, 1.0, 9, "it ends much later, for a second"),
        (0.4, 9, 1.0, 3, "it ends about when the first does, and overtook it"),
    ] {
        let (mut state, t, ticket) = after(&counted(Class::Fine, 10, 3, 1.0));
        state.learn(t + seconds(at), ticket, &counted(Class::Fine, 10, fresh, reset), NONE, 0.5);
        assert_eq!(left(&state, "requests"), Some(stands), "{why}");
    }
}

#[test]
fn a_later_reset_of_the_same_window_counts() {
    let (mut state, t, ticket) = after(&counted(Class::Fine, 100, 5, 60.0));
    for (reset, stands) in [(61.0, 61.0), (60.5, 61.0), (61.4, 61.4)] {
        state.learn(t, ticket, &counted(Class::Fine, 100, 4, reset), NONE, 0.5);
        assert_eq!(state.windows().next().map(|(_, _, left, reset)| (left, reset)), Some((4, t + seconds(stands))));
    }
    // A window that rolls on does not keep the lowest count for ever.
    state.learn(t, ticket, &counted(Class::Fine, 100, 40, 62.0), NONE, 0.5);
    assert_eq!(left(&state, "requests"), Some(40));
}

#[test]
fn what_is_sent_and_gets_no_answer_or_one_without_a_count_is_spent() {
    let (mut state, t, ticket) = after(&counted(Class::Fine, 100, 50, 60.0));
    let mut next = || pass(&mut state, t, NONE);
    let (lost, taken_back, silent) = (next(), next(), next());
    state.lost(t, lost);
    assert_eq!(left(&state, "requests"), Some(49), "it was sent");
    state.refund(t, taken_back);
    assert_eq!(left(&state, "requests"), Some(49), "it was not");
    state.learn(t, silent, &fine(), NONE, 0.0);
    assert_eq!(left(&state, "requests"), Some(48), "its answer does not say what is left");
    state.learn(t, ticket, &counted(Class::Fine, 100, 47, 60.0), NONE, 0.0);
    assert_eq!(left(&state, "requests"), Some(47), "the answer's own count");
}

#[test]
fn what_is_left_is_spread_within_a_tenth_of_even_and_only_below_a_fifth_or_three() {
    // When the one after the first that is spaced may go, as far as anything is spaced.
    let spaced = |limit: u64, left: u64, chance: f64| {
        let t = start();
        let mut state = State::new(Mode::Enforce, t);
        let ticket = pass(&mut state, t, NONE);
        state.learn(t, ticket, &counted(Class::Fine, limit, left, 10.0), NONE, chance);
        pass(&mut state, t, NONE);
        match state.admit(t, NONE) {
            Admission::At(at) => Some((at - t).as_secs_f64()),
            Admission::Go(_) => None,
            other => panic!("{other:?}"),
        }
    };
    for (limit, left, chance, expected) in [
        (100, 21, 0.5, None),
        (100, 20, 0.0, Some(0.45)),
        (100, 20, 0.5, Some(0.5)),
        (100, 20, 1.0, Some(0.55)),
        (5, 3, 0.5, None),
        (5, 2, 0.5, Some(5.0)),
        (5, 2, 1.0, Some(5.5)),
    ] {
        assert_eq!(spaced(limit, left, chance), expected, "{left} of {limit}, {chance}");
    }
}

#[test]
fn a_foreign_limit_counts_for_five_minutes_at_most_however_the_refusal_is_trusted() {
    let foreign = Reading { foreign: true, ..of(Class::Fine, [limit("day", 3, 86_400.0)]) };
    let (state, t, _) = after(&foreign);
    assert_eq!(state.windows().next().map(|(.., reset)| reset), Some(t + seconds(300.0)));
    let (state, t, _) = after(&Reading { foreign: false, ..foreign });
    assert_eq!(state.windows().next().map(|(.., reset)| reset), Some(t + seconds(86_400.0)));
}

/// So many of 60 requests, all of which are there again in `full` seconds.
fn filling(left: u64, full: f64) -> Reading {
    let requests = Dimension {
        limit: Some(60),
        remaining: Some(left),
        reset: Some(seconds(full)),
        fills: true,
        ..Dimension::new("requests")
    };
    of(Class::Fine, [requests])
}

#[test]
fn requests_that_fill_up_steadily_are_not_spread_and_come_back_one_by_one() {
    let (mut state, t, ticket) = after(&filling(5, 55.0));
    for unanswered in 0..5 {
        let large = Load { tokens: 1_000_000, ..load(unanswered, 0) };
        assert!(matches!(state.admit(t, large), Admission::Go(_)), "{unanswered} of what is left");
    }
    assert_eq!(state.admit(t, load(5, 0)), Admission::At(t + seconds(1.0)), "one a second comes back");
    assert!(matches!(state.admit(t + seconds(1.0), load(5, 0)), Admission::Go(_)));
    // Fewer left later is what was sent; more is what came back.
    state.learn(t + seconds(2.0), ticket, &filling(3, 57.0), NONE, 0.0);
    state.learn(t + seconds(9.0), ticket, &filling(9, 51.0), NONE, 0.0);
    assert_eq!(left(&state, "requests"), Some(9));
    state.learn(t + seconds(9.0), ticket, &filling(0, 60.0), NONE, 0.0);
    assert_eq!(
        state.admit(t + seconds(9.0), NONE),
        Admission::At(t + seconds(69.0)),
        "of nothing, not before the reset"
    );
}
