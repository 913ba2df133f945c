//! Whether it is worth trying an upstream at all: closed while answers come, open for a while when none do, then one request
//! tries. Between the two, an upstream that fails more than half is spared some of the requests. Refusals for limits and for
//! keys are answers, as is a 500: it came from what is behind the gateway. The ten seconds begin with a failure, so that an hour
//! without one does not hide that half fails now. Pure: time and chance are parameters.

use std::time::{Duration, Instant};

use super::numbers::numbers;
use super::overload::Overload;

/// In this time so many requests must have come of which half failed.
const SPAN: Duration = Duration::from_secs(10);
/// A trial without an outcome is followed by another after this.
const TRIAL: Duration = Duration::from_secs(60);

/// The circuit in front of one origin.
#[derive(Debug)]
pub struct Circuit {
    stands: Stands,
    in_a_row: u32,
    /// When the current count began.
    since: Option<Instant>,
    failed: u32,
    went: u32,
    /// How often it opened without an answer between.
    opened: u32,
    overload: Overload,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Closed,
    Open { until: Instant },
    Trying { since: Instant },
}

/// What a request is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// Go.
    Go(Tried),
    /// Not before this time is over.
    Shut(Duration),
    /// Not now: too many of the last requests failed, though not all.
    HeldBack,
}

/// As what a request was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// While all was calm: nobody counted it.
    Unseen,
    /// It was counted when it started.
    Counted,
    /// The others wait for how it goes.
    Trial,
}

impl Tried {
    /// How many requests its end adds to those that are known.
    fn uncounted(self) -> u32 {
        u32::from(self == Self::Unseen)
    }
}

impl Default for Circuit {
    fn default() -> Self {
        let overload = Overload::default();
        Self { stands: Stands::Closed, in_a_row: 0, since: None, failed: 0, went: 0, opened: 0, overload }
    }
}

impl Circuit {
    /// Whether a request may try. `chance` is a random number from 0 to 1.
    pub fn pass(&mut self, now: Instant, chance: f64) -> Passage {
        match self.stands {
            Stands::Closed => {
                let is_held_back = chance < self.overload.share(now);
                self.overload.count(now, 1, 0);
                if is_held_back { Passage::HeldBack } else { Passage::Go(Tried::Counted) }
            }
            Stands::Open { until } if now < until => Passage::Shut(until - now),
            Stands::Trying { since } if now < since + TRIAL => Passage::Shut(Duration::from_secs(1)),
            Stands::Open { .. } | Stands::Trying { .. } => {
                self.stands = Stands::Trying { since: now };
                Passage::Go(Tried::Trial)
            }
        }
    }

    /// Whether requests pass and nothing failed lately, so that a success changes nothing.
    pub fn is_calm(&self, now: Instant) -> bool {
        self.stands == Stands::Closed && self.in_a_row == 0 && self.overload.share(now) == 0.0
    }

    /// How long it is open still; none when it is not.
    pub fn open_for(&self, now: Instant) -> Option<Duration> {
        match self.stands {
            Stands::Open { until } => Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero()),
            _ => None,
        }
    }

    /// Which part of the requests is held back while it is closed, from 0 to 1.
    pub fn held_back(&self, now: Instant) -> f64 {
        if self.stands == Stands::Closed { self.overload.share(now) } else { 0.0 }
    }

    /// A trial ended without saying anything: another may follow.
    pub fn trial_lost(&mut self, now: Instant) {
        if matches!(self.stands, Stands::Trying { .. }) {
            self.stands = Stands::Open { until: now };
        }
    }

    /// An answer came, whatever it was. Returns whether the circuit closed by it.
    pub fn answered(&mut self, now: Instant, tried: Tried) -> bool {
        self.in_a_row = 0;
        self.went = self.went.saturating_add(1);
        self.overload.count(now, tried.uncounted(), 1);
        let closes = tried == Tried::Trial && self.stands != Stands::Closed;
        if closes {
            *self = Self::default();
        }
        closes
    }

    /// No answer came, or one by a gateway that could not reach what is behind it; `unseen` successes were not told of
    /// before. Returns for how long the circuit opened, when it did.
    pub fn failed(&mut self, now: Instant, tried: Tried, unseen: u32) -> Option<Duration> {
        // Successes that nobody saw may be from long ago; they count where failures before them are recent.
        let recent = if self.overload.is_fresh(now) { unseen } else { 0 };
        self.overload.count(now, tried.uncounted().saturating_add(recent), recent);
        if self.since.is_none_or(|since| now.saturating_duration_since(since) > SPAN) {
            self.since = Some(now);
            (self.failed, self.went) = (0, 0);
        } else {
            self.went = self.went.saturating_add(unseen);
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.failed += 1;
        let numbers = numbers();
        let half = self.failed + self.went >= numbers.circuit_requests && self.failed >= self.went;
        let opens = match self.stands {
            Stands::Closed => self.in_a_row >= numbers.circuit_failures || half,
            Stands::Trying { .. } => tried == Tried::Trial,
            Stands::Open { .. } => false,
        };
        if !opens {
            return None;
        }
        let open = (numbers.circuit_open * 2_u32.saturating_pow(self.opened)).min(numbers.longest_circuit_open);
        self.opened = (self.opened + 1).min(8);
        self.stands = Stands::Open { until: now + open };
        (self.failed, self.went, self.since) = (0, 0, None);
        Some(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::domain::{Clock, SystemClock};

    const FIRST: Duration = Duration::from_secs(5);

    #[test]
    fn five_failures_in_a_row_open_it_and_one_trial_decides() {
        let mut now = SystemClock.now();
        let mut circuit = Circuit::default();
        for _ in 0..4 {
            assert_eq!(circuit.failed(now, Tried::Counted, 0), None);
        }
        circuit.answered(now, Tried::Counted);
        for _ in 0..4 {
            assert_eq!(circuit.failed(now, Tried::Counted, 0), None);
        }
        for open in [5, 10, 20, 40, 60, 60] {
            let open = Duration::from_secs(open);
            let trial = if open > FIRST { Tried::Trial } else { Tried::Counted };
            assert_eq!(circuit.failed(now, trial, 0), Some(open));
            assert_eq!(circuit.failed(now, Tried::Counted, 0), None, "what was under way changes nothing");
            assert_eq!(circuit.pass(now, 1.0), Passage::Shut(open));
            assert_eq!(circuit.open_for(now), Some(open));
            now += open;
            assert_eq!(circuit.pass(now, 1.0), Passage::Go(Tried::Trial));
            assert_eq!(circuit.pass(now, 1.0), Passage::Shut(Duration::from_secs(1)));
            assert!(!circuit.answered(now, Tried::Counted), "only the trial closes it");
        }
        assert!(circuit.answered(now, Tried::Trial));
        assert_eq!(circuit.pass(now, 1.0), Passage::Go(Tried::Counted));
        assert!(circuit.is_calm(now));
    }

    #[test]
    fn half_of_twenty_within_ten_seconds_open_it() {
        let now = SystemClock.now();
        let mut circuit = Circuit::default();
        assert_eq!(circuit.failed(now, Tried::Unseen, 1_000), None, "what went before does not count");
        for _ in 0..8 {
            circuit.answered(now, Tried::Counted);
            assert_eq!(circuit.failed(now, Tried::Counted, 0), None);
        }
        circuit.answered(now, Tried::Counted);
        assert_eq!(circuit.failed(now, Tried::Counted, 1), Some(FIRST));
        let mut calm = Circuit::default();
        for _ in 0..8 {
            assert_eq!(calm.failed(now, Tried::Unseen, 20), None);
            calm.answered(now, Tried::Counted);
        }
    }

    #[test]
    fn a_trial_that_says_nothing_is_followed_by_another() {
        let now = SystemClock.now();
        let mut circuit = Circuit::default();
        for _ in 0..5 {
            circuit.failed(now, Tried::Counted, 0);
        }
        let later = now + FIRST;
        assert_eq!(circuit.pass(later, 0.0), Passage::Go(Tried::Trial));
        circuit.trial_lost(later);
        assert_eq!(circuit.pass(later, 0.0), Passage::Go(Tried::Trial));
        assert_eq!(circuit.pass(later + TRIAL, 0.0), Passage::Go(Tried::Trial), "or in time when nobody says so");
    }

    /// Four of five fail, of forty requests that come too slowly to open the circuit.
    fn overloaded() -> (Circuit, Instant) {
        let mut now = SystemClock.now();
        let mut circuit = Circuit::default();
        for n in 0..40 {
            now += Duration::from_millis(2_500);
            let Passage::Go(tried) = circuit.pass(now, 1.0) else { panic!("held back at {n}") };
            if n % 5 < 4 {
                assert_eq!(circuit.failed(now, tried, 0), None, "{n}");
            } else {
                circuit.answered(now, tried);
            }
        }
        (circuit, now)
    }

    #[test]
    fn an_upstream_that_fails_more_than_half_is_spared_some_requests() {
        let (mut circuit, now) = overloaded();
        assert!(!circuit.is_calm(now));
        assert_eq!(circuit.pass(now, 1.0), Passage::Go(Tried::Counted), "some still go");
        let held_back = (0..100).filter(|n| circuit.pass(now, f64::from(*n) / 100.0) == Passage::HeldBack).count();
        assert!((60..100).contains(&held_back), "{held_back}: what is held back counts as asked for too");
        for _ in 0..150 {
            circuit.answered(now, Tried::Unseen);
        }
        assert!(circuit.is_calm(now), "what is accepted ends it");
        assert_eq!(circuit.pass(now, 0.0), Passage::Go(Tried::Counted));
    }

    #[test]
    fn what_was_held_back_is_forgotten_after_two_minutes_and_when_a_trial_succeeds() {
        let (mut circuit, now) = overloaded();
        assert_eq!(circuit.pass(now, 0.0), Passage::HeldBack);
        assert_eq!(circuit.pass(now + Duration::from_secs(120), 0.0), Passage::Go(Tried::Counted));
        let (mut circuit, now) = overloaded();
        for _ in 0..5 {
            circuit.failed(now, Tried::Counted, 0);
        }
        let later = now + FIRST;
        assert_eq!(circuit.pass(later, 0.0), Passage::Go(Tried::Trial));
        assert!(circuit.answered(later, Tried::Trial) && circuit.is_calm(later));
    }
}
