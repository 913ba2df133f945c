//! How long a gate is closed: what each refused probe makes of it, how a closure gets longer, and what comes after it.

use super::*;
use crate::throttle::Bucket;

/// A refusal after which nobody says for how long, but so long is known of the service.
fn by_default(wait: f64) -> Reading {
    Reading { told: false, trusted: true, ..throttled(Some(wait)) }
}

/// For how long each of as many refused probes closes, from the first closure on.
fn closures(reading: &Reading, count: usize) -> Vec<f64> {
    let mut now = start();
    let mut state = State::new(Mode::Enforce, now);
    let mut waits = Vec::new();
    for _ in 0..count {
        let ticket = pass(&mut state, now, NONE);
        state.learn(now, ticket, reading, NONE, 0.0);
        waits.push(state.closed_for(now).as_secs_f64());
        now += state.closed_for(now);
    }
    waits
}

#[test]
fn a_probe_that_is_refused_doubles_what_is_only_known_of_the_service() {
    assert_eq!(closures(&by_default(60.0), 5), [60.0, 120.0, 240.0, 300.0, 300.0]);
    assert_eq!(closures(&by_default(400.0), 3), [400.0, 400.0, 400.0], "never less than what is known");
}

#[test]
fn the_services_own_time_is_believed_twice_and_then_backed_off_from() {
    assert_eq!(closures(&throttled(Some(1.0)), 11)[..4], [1.0, 1.0, 2.0, 4.0]);
    assert_eq!(closures(&throttled(Some(1.0)), 11)[9..], [256.0, 300.0]);
    assert_eq!(closures(&throttled(Some(0.2)), 3), [0.2, 1.0, 2.0]);
    assert_eq!(closures(&throttled(Some(200.0)), 4), [200.0, 200.0, 300.0, 300.0]);
}

#[test]
fn after_a_probe_that_went_well_the_services_own_time_is_believed_again() {
    let mut now = start();
    let mut state = State::new(Mode::Observe, now);
    for _ in 0..3 {
        let ticket = pass(&mut state, now, NONE);
        state.learn(now, ticket, &throttled(Some(2.0)), NONE, 0.0);
        now += state.closed_for(now);
    }
    let probe = pass(&mut state, now, NONE);
    assert_eq!(state.learn(now, probe, &fine(), NONE, 0.0), Some(Change::Reopened));
    for expected in [2.0, 2.0, 4.0] {
        let ticket = pass(&mut state, now, NONE);
        state.learn(now, ticket, &throttled(Some(2.0)), NONE, 0.0);
        assert_eq!(state.closed_for(now), seconds(expected));
        now += state.closed_for(now);
    }
}

#[test]
fn the_jitter_is_a_tenth_of_the_wait_and_two_seconds_at_most() {
    for (wait, closed) in [(1.0, 1.1), (10.0, 11.0), (20.0, 22.0), (200.0, 202.0)] {
        let t = start();
        let mut state = State::new(Mode::Enforce, t);
        let ticket = pass(&mut state, t, NONE);
        state.learn(t, ticket, &throttled(Some(wait)), NONE, 1.0);
        assert_eq!(state.closed_for(t), seconds(closed));
        assert_eq!(state.jitter() + seconds(wait), seconds(closed));
    }
}

#[test]
fn a_quota_that_turns_out_to_be_used_up_while_it_is_closed_is_told() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let tickets = [0; 4].map(|_| pass(&mut state, t, NONE));
    state.learn(t, tickets[0], &throttled(Some(2.0)), NONE, 0.0);
    let used_up = Reading { trusted: true, wait: Some(seconds(3600.0)), ..Reading::plain(Class::Exhausted) };
    let change = state.learn(t, tickets[1], &used_up, NONE, 0.0);
    let told = Closure { wait: seconds(3600.0), class: Class::Exhausted, met: None };
    assert_eq!(change, Some(Change::Closed(told)));
    assert_eq!((state.why(), state.closed_for(t)), (Some(&told), seconds(3600.0)));
    assert_eq!(state.learn(t, tickets[2], &used_up, NONE, 0.0), None, "once");
    let now = t + seconds(3600.0);
    let probe = pass(&mut state, now, NONE);
    state.learn(now, probe, &by_default(10.0), NONE, 0.0);
    assert_eq!(state.closed_for(now), seconds(300.0), "the longer wait is the one before");
    let bare = Reading::plain(Class::Exhausted);
    let Some(Change::Closed(told)) = state.learn(now, tickets[3], &bare, NONE, 0.0) else { panic!() };
    assert_eq!((told.class, told.wait), (Class::Exhausted, seconds(300.0)), "also without a time of its own");
    assert_eq!(state.closed_for(now), seconds(300.0));
}

#[test]
fn a_slow_start_lasts_ten_times_the_wait_and_ten_minutes_at_most() {
    for (wait, lasts) in [(0.05, 1.0), (2.0, 20.0), (59.0, 590.0), (3600.0, 600.0)] {
        let t = start();
        let mut state = State::new(Mode::Observe, t);
        let ticket = pass(&mut state, t, NONE);
        state.learn(t, ticket, &Reading { trusted: true, ..throttled(Some(wait)) }, NONE, 0.0);
        let now = t + seconds(wait);
        let probe = pass(&mut state, now, NONE);
        state.learn(now, probe, &fine(), NONE, 0.0);
        let over = now + seconds(lasts);
        let before = now + seconds(lasts - 0.001);
        assert_eq!(state.admit(before, load(9, 0)), Admission::HoldUntil(over), "{wait}");
        assert!(matches!(state.admit(over, load(9, 0)), Admission::Go(_)), "{wait}");
        assert_eq!(state.phase(), Phase::Open, "{wait}");
    }
}

/// A closure after which no pace is known, and the probe after it.
fn reopened(policy: Option<f64>) -> (State, Instant) {
    let t = start();
    let mut state = State::new(Mode::Observe, t);
    let ticket = pass(&mut state, t, NONE);
    let reading = Reading { trusted: true, policy: policy.map(seconds), ..throttled(Some(200.0)) };
    state.learn(t, ticket, &reading, load(15, 0), 0.0);
    let now = t + seconds(200.0);
    let probe = pass(&mut state, now, NONE);
    state.learn(now, probe, &fine(), NONE, 0.0);
    (state, now)
}

#[test]
fn the_spacing_of_a_slow_start_halves_with_each_round() {
    let (mut state, mut now) = reopened(None);
    for (round, spacing) in [(1, 0.25), (2, 0.125), (4, 0.062_5), (8, 0.031_25)] {
        assert_eq!(state.spacing(now), seconds(spacing));
        for _ in 0..round {
            now += seconds(0.25);
            let ticket = pass(&mut state, now, NONE);
            assert_eq!(state.admit(now, NONE), Admission::At(now + seconds(spacing)));
            state.learn(now, ticket, &fine(), NONE, 0.0);
        }
    }
}

#[test]
fn a_rate_that_is_known_spaces_a_slow_start() {
    let (mut state, mut now) = reopened(Some(0.6));
    for _ in 0..4 {
        let ticket = pass(&mut state, now, NONE);
        assert_eq!(state.admit(now, NONE), Admission::At(now + seconds(0.6)));
        assert_eq!(state.spacing(now), seconds(0.6));
        state.learn(now, ticket, &fine(), NONE, 0.0);
        now += seconds(0.6);
    }
    let (mut state, now) = reopened(Some(3600.0));
    pass(&mut state, now, NONE);
    assert_eq!(state.admit(now, NONE), Admission::At(now + seconds(600.0)), "no longer than the slow start lasts");
}

#[test]
fn that_nothing_changed_ends_a_probe_and_spends_and_counts_nothing() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let ticket = pass(&mut state, t, NONE);
    state.learn(t, ticket, &counted(Class::Fine, 100, 50, 60.0), NONE, 0.5);
    let unchanged = Reading { uncounted: true, ..counted(Class::Fine, 100, 7, 60.0) };
    state.learn(t, ticket, &unchanged, NONE, 0.5);
    assert_eq!(state.windows().next().map(|(_, _, left, _)| left), Some(50));
    state.learn(t, ticket, &throttled(Some(2.0)), NONE, 0.0);
    let now = t + seconds(2.0);
    let probe = pass(&mut state, now, NONE);
    assert_eq!(state.learn(now, probe, &unchanged, NONE, 0.0), Some(Change::Reopened));
}

#[test]
fn a_bare_failure_of_the_server_ends_a_probe() {
    let t = start();
    let mut state = State::new(Mode::Enforce, t);
    let ticket = pass(&mut state, t, NONE);
    state.learn(t, ticket, &throttled(Some(2.0)), NONE, 0.0);
    let now = t + seconds(2.0);
    let probe = pass(&mut state, now, NONE);
    // What an answer of 500 is read as: its limiter let it through.
    let failed = Reading { bucket: Bucket::new("any"), ..Reading::plain(Class::Fine) };
    assert_eq!(state.learn(now, probe, &failed, NONE, 0.0), Some(Change::Reopened));
}

#[test]
fn it_is_known_whether_the_service_itself_said_how_long() {
    let told = |readings: &[Reading]| {
        let mut now = start();
        let mut state = State::new(Mode::Enforce, now);
        for reading in readings {
            let ticket = pass(&mut state, now, NONE);
            state.learn(now, ticket, reading, NONE, 0.0);
            now += state.closed_for(now);
        }
        state.is_told()
    };
    let said = || throttled(Some(2.0));
    for (readings, expected) in [
        (vec![said()], true),
        (vec![throttled(None)], false),
        (vec![by_default(60.0)], false),
        (vec![said(), said()], true),
        (vec![said(), said(), said()], false),
        (vec![Reading { trusted: false, ..throttled(Some(3_600.0)) }], false),
    ] {
        assert_eq!(told(&readings), expected, "{readings:?}");
    }
    let (now, mut state) = (start(), State::new(Mode::Enforce, start()));
    let ticket = pass(&mut state, now, NONE);
    state.learn(now, ticket, &throttled(None), NONE, 0.0);
    state.learn(now, ticket, &said(), NONE, 0.0);
    assert!(state.is_told(), "a later answer said it");
}
