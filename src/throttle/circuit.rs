//! Whether it is worth trying an upstream at all: closed while answers come, open for a while when none do, then one request
//! tries. Refusals for limits and for keys are answers. Pure: time is a parameter.

use std::time::{Duration, Instant};

/// So many failures one after the other open it.
const IN_A_ROW: u32 = 5;
/// In this time, this many requests of which half failed open it.
const SPAN: Duration = Duration::from_secs(10);
const ENOUGH: u32 = 20;
/// How long it is open the first time; it doubles.
const OPEN: Duration = Duration::from_secs(5);
/// The longest it is open.
const LONGEST: Duration = Duration::from_secs(60);
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
    Free,
    /// Go, and tell how it went: the others wait for that.
    Trial,
    /// Not before this time is over.
    Shut(Duration),
}

impl Default for Circuit {
    fn default() -> Self {
        Self { stands: Stands::Closed, in_a_row: 0, since: None, failed: 0, went: 0, opened: 0 }
    }
}

impl Circuit {
    /// Whether a request may try.
    pub fn pass(&mut self, now: Instant) -> Passage {
        match self.stands {
            Stands::Closed => Passage::Free,
            Stands::Open { until } if now < until => Passage::Shut(until - now),
            Stands::Trying { since } if now < since + TRIAL => Passage::Shut(Duration::from_secs(1)),
            Stands::Open { .. } | Stands::Trying { .. } => {
                self.stands = Stands::Trying { since: now };
                Passage::Trial
            }
        }
    }

    /// Whether requests pass and nothing failed lately, so that a success changes nothing.
    pub fn is_calm(&self) -> bool {
        self.stands == Stands::Closed && self.in_a_row == 0
    }

    /// How long it is open still; none when it is not.
    pub fn open_for(&self, now: Instant) -> Option<Duration> {
        match self.stands {
            Stands::Open { until } => Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero()),
            _ => None,
        }
    }

    /// A trial ended without saying anything: another may follow.
    pub fn trial_lost(&mut self, now: Instant) {
        if matches!(self.stands, Stands::Trying { .. }) {
            self.stands = Stands::Open { until: now };
        }
    }

    /// An answer came, whatever it was. Returns whether the circuit closed by it.
    pub fn answered(&mut self, trial: bool) -> bool {
        self.in_a_row = 0;
        self.went = self.went.saturating_add(1);
        let closes = trial && self.stands != Stands::Closed;
        if closes {
            *self = Self::default();
        }
        closes
    }

    /// No answer came, or one by a gateway that could not reach what is behind it; `unseen` successes were not told of
    /// before. Returns for how long the circuit opened, when it did.
    pub fn failed(&mut self, now: Instant, trial: bool, unseen: u32) -> Option<Duration> {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) > SPAN) {
            self.since = Some(now);
            (self.failed, self.went) = (0, 0);
        } else {
            self.went = self.went.saturating_add(unseen);
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.failed += 1;
        let half = self.failed + self.went >= ENOUGH && self.failed >= self.went;
        let opens = match self.stands {
            Stands::Closed => self.in_a_row >= IN_A_ROW || half,
            Stands::Trying { .. } => trial,
            Stands::Open { .. } => false,
        };
        if !opens {
            return None;
        }
        let open = (OPEN * 2_u32.saturating_pow(self.opened)).min(LONGEST);
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

    #[test]
    fn five_failures_in_a_row_open_it_and_one_trial_decides() {
        let mut now = SystemClock.now();
        let mut circuit = Circuit::default();
        for _ in 0..4 {
            assert_eq!(circuit.failed(now, false, 0), None);
        }
        circuit.answered(false);
        for _ in 0..4 {
            assert_eq!(circuit.failed(now, false, 0), None);
        }
        for open in [5, 10, 20, 40, 60, 60] {
            let open = Duration::from_secs(open);
            let trial = open > OPEN;
            assert_eq!(circuit.failed(now, trial, 0), Some(open));
            assert_eq!(circuit.failed(now, false, 0), None, "what was under way changes nothing");
            assert_eq!(circuit.pass(now), Passage::Shut(open));
            assert_eq!(circuit.open_for(now), Some(open));
            now += open;
            assert_eq!(circuit.pass(now), Passage::Trial);
            assert_eq!(circuit.pass(now), Passage::Shut(Duration::from_secs(1)));
            assert!(!circuit.answered(false), "only the trial closes it");
        }
        assert!(circuit.answered(true));
        assert_eq!(circuit.pass(now), Passage::Free);
        assert!(circuit.is_calm());
    }

    #[test]
    fn half_of_twenty_within_ten_seconds_open_it() {
        let now = SystemClock.now();
        let mut circuit = Circuit::default();
        assert_eq!(circuit.failed(now, false, 1_000), None, "what went before does not count");
        for _ in 0..8 {
            circuit.answered(false);
            assert_eq!(circuit.failed(now, false, 0), None);
        }
        circuit.answered(false);
        assert_eq!(circuit.failed(now, false, 1), Some(OPEN));
        let mut calm = Circuit::default();
        for _ in 0..8 {
            assert_eq!(calm.failed(now, false, 20), None);
            calm.answered(false);
        }
    }

    #[test]
    fn a_trial_that_says_nothing_is_followed_by_another() {
        let now = SystemClock.now();
        let mut circuit = Circuit::default();
        for _ in 0..5 {
            circuit.failed(now, false, 0);
        }
        let later = now + OPEN;
        assert_eq!(circuit.pass(later), Passage::Trial);
        circuit.trial_lost(later);
        assert_eq!(circuit.pass(later), Passage::Trial);
        assert_eq!(circuit.pass(later + TRIAL), Passage::Trial, "or in time when nobody says so");
    }
}
