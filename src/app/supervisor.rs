//! What whoever supervises the process is told (sd_notify(3)): ready, reloading, stopping, and, where a watchdog listens,
//! that every core still works. Without a supervisor nothing is sent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// How many milliseconds a core may be silent; it beats once a second.
const SILENCE: u64 = 5_000;

/// The doors are open.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again. [`ready`] ends it.
pub(super) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// No connection is accepted any more; what is under way is finished.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How often the watchdog wants to hear: half of what it waits; none when there is none.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| (limit / 2).max(Duration::from_millis(500)))
}

/// Tells the watchdog that everything works.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the supervisor could not be told how this process is");
    }
}

/// When each core last went through its loop, in milliseconds since the start.
#[derive(Debug)]
pub(super) struct Pulses {
    start: Instant,
    cores: Box<[AtomicU64]>,
}

impl Pulses {
    /// For `cores` cores, all of which begin at `now`.
    pub(super) fn new(cores: usize, now: Instant) -> Self {
        Self { start: now, cores: (0..cores).map(|_| AtomicU64::new(0)).collect() }
    }

    /// How many cores there are.
    pub(super) fn cores(&self) -> usize {
        self.cores.len()
    }

    /// Core number `core` works.
    pub(super) fn beat(&self, core: usize, now: Instant) {
        if let Some(pulse) = self.cores.get(core) {
            pulse.store(self.millis(now), Ordering::Relaxed);
        }
    }

    /// The first core that has been silent for too long.
    pub(super) fn stuck(&self, now: Instant) -> Option<usize> {
        let limit = self.millis(now).saturating_sub(SILENCE);
        self.cores.iter().position(|pulse| pulse.load(Ordering::Relaxed) < limit)
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Clock, SystemClock};

    #[test]
    fn a_core_is_stuck_when_it_was_silent_for_longer_than_five_seconds() {
        let start = SystemClock.now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let pulses = Pulses::new(2, start);
        assert_eq!(pulses.stuck(at(5)), None);
        pulses.beat(0, at(5));
        assert_eq!(pulses.stuck(at(6)), Some(1), "the other one beat");
        pulses.beat(1, at(6));
        assert_eq!(pulses.stuck(at(10)), None);
        assert_eq!(pulses.stuck(at(11)), Some(0));
    }
}
