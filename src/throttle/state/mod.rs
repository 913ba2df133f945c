//! What a gate knows of its upstream's limit, and what follows from it for the next request: Open → Closed → Probing →
//! SlowStart → Open. Pure: time and chance are parameters. Who waits, and how, is `gate`'s.
//!
//! - A wait is never shortened within an episode: closures merge by maximum, and one jitter is drawn per closure.
//! - An answer to a request of an earlier episode may lengthen a closure and never ends one.
//! - After a closure one request goes first, and the others follow only after its answer.

mod pace;
mod windows;
mod words;

use std::time::{Duration, Instant};

use super::reading::{Class, DimensionName, Reading, Scope};

use pace::{Pace, Tally};
use windows::{Room, Windows};

pub use crate::domain::GateMode as Mode;
pub use words::{Admission, Change, Closure, Load, Phase, Ticket};

/// How long a gate closes when nothing says how long.
const BASE: Duration = Duration::from_secs(1);
/// The longest that a gate closes when nothing says how long.
const BACKOFF_CAP: Duration = Duration::from_secs(300);
/// The longest jitter of a closure.
const JITTER_CAP: Duration = Duration::from_secs(2);
/// After this a probe that was not answered is followed by another.
const NEXT_PROBE: Duration = Duration::from_secs(1);
/// The longest slow start.
const SLOW_CAP: Duration = Duration::from_secs(600);
/// The first spacing of a slow start when the pace is unknown; it halves with each round.
const SPACING: Duration = Duration::from_millis(250);
/// So many at once are always allowed at the end of a slow start.
const LEAST_LEVEL: u32 = 4;

/// A slow start under way.
#[derive(Debug, Clone, Copy)]
struct Slow {
    /// When it is over.
    until: Instant,
    /// How many may be under way.
    most: u32,
    /// How many must go well before that doubles.
    round: u32,
    spacing: Duration,
    next: Instant,
}

/// The state of one gate.
#[derive(Debug)]
pub struct State {
    mode: Mode,
    phase: Inner,
    episode: u32,
    /// The wait of the last closure, without jitter.
    wait: Duration,
    /// Whether nobody said how long that was to be.
    is_guess: bool,
    jitter: Duration,
    /// How many were under way before the closure.
    level: u32,
    why: Option<Closure>,
    windows: Windows,
    pace: Option<Pace>,
    tally: Tally,
}

#[derive(Debug, Clone, Copy)]
enum Inner {
    Open,
    Closed(Instant),
    Probing { since: Instant },
    Slow(Slow),
}

impl State {
    /// An open gate.
    pub fn new(mode: Mode, now: Instant) -> Self {
        Self {
            mode,
            phase: Inner::Open,
            episode: 0,
            wait: Duration::ZERO,
            is_guess: false,
            jitter: Duration::ZERO,
            level: 0,
            why: None,
            windows: Windows::default(),
            pace: None,
            tally: Tally::begin(now),
        }
    }

    /// A gate that was closed by a former process.
    pub fn resumed(mode: Mode, until: Instant, wait: Duration, class: Class, now: Instant) -> Self {
        let mut state = Self::new(mode, now);
        state.phase = Inner::Closed(until);
        state.episode = 1;
        state.wait = wait;
        state.why = Some(Closure { wait, class, met: None });
        state
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        match self.phase {
            Inner::Open => Phase::Open,
            Inner::Closed(until) => Phase::Closed { until },
            Inner::Probing { .. } => Phase::Probing,
            Inner::Slow(_) => Phase::SlowStart,
        }
    }

    /// How often it closed.
    pub fn episode(&self) -> u32 {
        self.episode
    }

    /// Why it closed last.
    pub fn why(&self) -> Option<&Closure> {
        self.why.as_ref()
    }

    /// The limits that answers told of, with what is left: name, limit, left, time of the reset.
    pub fn windows(&self) -> impl Iterator<Item = (DimensionName, Option<u64>, u64, Instant)> {
        self.windows.iter()
    }

    /// The pace that was found, in requests per second.
    pub fn pace(&self) -> Option<f64> {
        self.pace.as_ref().map(Pace::per_second)
    }

    /// Whether requests pass without being looked at: open, and nothing is counted.
    pub fn is_quiet(&self) -> bool {
        matches!(self.phase, Inner::Open) && self.windows.is_empty() && self.pace.is_none()
    }

    /// Whether forgetting it would have requests sent that should wait.
    pub fn remembers(&self, now: Instant) -> bool {
        match self.phase {
            Inner::Closed(until) => until > now,
            Inner::Slow(slow) => slow.until > now,
            Inner::Open | Inner::Probing { .. } => self.windows.iter().any(|(_, _, _, reset)| reset > now),
        }
    }

    /// How long a closure lasts still, for the prediction of a wait; zero in any other phase.
    pub fn closed_for(&self, now: Instant) -> Duration {
        match self.phase {
            Inner::Closed(until) => until.saturating_duration_since(now),
            _ => Duration::ZERO,
        }
    }

    /// The time between two requests, as far as it is known, for the prediction of a wait.
    pub fn spacing(&self) -> Duration {
        let paced = self.pace.as_ref().map(Pace::spacing).unwrap_or_default();
        match self.phase {
            Inner::Slow(slow) if self.pace.is_none() => slow.spacing,
            _ => paced,
        }
    }

    /// Whether a request that passed a while ago may still be sent: nothing closed since.
    pub fn still_admits(&self, ticket: Ticket) -> bool {
        ticket.episode == self.episode
            && (ticket.probe || !matches!(self.phase, Inner::Closed(_) | Inner::Probing { .. }))
    }

    /// Whether a request may pass now. When it may, it is counted as passed.
    pub fn admit(&mut self, now: Instant, load: Load) -> Admission {
        self.end_slow_start(now, load);
        match self.phase {
            Inner::Closed(until) if now < until => Admission::At(until),
            Inner::Closed(_) => {
                self.phase = Inner::Probing { since: now };
                Admission::Go(Ticket { episode: self.episode, probe: true })
            }
            Inner::Probing { .. } => Admission::Hold,
            Inner::Open => self.within_windows(now, load),
            Inner::Slow(slow) if load.unanswered >= slow.most => Admission::Hold,
            Inner::Slow(slow) if now < slow.next => Admission::At(slow.next),
            Inner::Slow(slow) => {
                let admission = self.within_windows(now, load);
                if let (Admission::Go(_), Inner::Slow(current)) = (admission, &mut self.phase) {
                    let spacing = self.pace.as_ref().map_or(slow.spacing, Pace::spacing);
                    // Timers are late by a millisecond: a pace is kept on the average.
                    let is_late = now.saturating_duration_since(slow.next) < spacing;
                    current.next = if is_late { slow.next } else { now } + spacing;
                }
                admission
            }
        }
    }

    fn within_windows(&mut self, now: Instant, load: Load) -> Admission {
        if self.mode != Mode::Enforce {
            return Admission::Go(Ticket { episode: self.episode, probe: false });
        }
        match self.windows.room(now, load) {
            Room::Free => Admission::Go(Ticket { episode: self.episode, probe: false }),
            Room::At(at) => Admission::At(at),
            Room::Answer => Admission::Hold,
            Room::None(until) => {
                let wait = until.saturating_duration_since(now);
                self.close(
                    now,
                    wait,
                    Closure { wait, class: Class::Throttled, met: self.windows.empty_one() },
                    0.0,
                    load,
                );
                Admission::At(until)
            }
        }
    }

    /// A request that passed was not sent.
    pub fn refund(&mut self, now: Instant, ticket: Ticket) {
        if self.is_probe_of_now(ticket) {
            self.phase = Inner::Closed(now);
        }
    }

    /// A request was sent and no answer will come.
    pub fn lost(&mut self, now: Instant, ticket: Ticket) {
        self.windows.spend();
        if self.is_probe_of_now(ticket) {
            self.phase = Inner::Closed(now + NEXT_PROBE);
        }
    }

    fn is_probe_of_now(&self, ticket: Ticket) -> bool {
        ticket.probe && ticket.episode == self.episode && matches!(self.phase, Inner::Probing { .. })
    }

    /// An answer came. `load` counts without the request it answers; `chance` is a random number from 0 to 1.
    pub fn learn(
        &mut self,
        now: Instant,
        ticket: Ticket,
        reading: &Reading,
        load: Load,
        chance: f64,
    ) -> Option<Change> {
        if self.mode == Mode::Off || !reading.current {
            self.refund(now, ticket);
            return None;
        }
        if self.mode == Mode::Enforce {
            self.windows.note(now, reading, chance);
        }
        match reading.class {
            Class::Throttled | Class::Exhausted | Class::Overloaded if !reading.concurrency => {
                self.refused(now, ticket, reading, load, chance)
            }
            Class::Transient => {
                if self.is_probe_of_now(ticket) {
                    self.phase = Inner::Closed(now + NEXT_PROBE);
                }
                None
            }
            _ => self.went_well(now, ticket),
        }
    }

    fn refused(&mut self, now: Instant, ticket: Ticket, reading: &Reading, load: Load, chance: f64) -> Option<Change> {
        let hint = reading.wait.map(|wait| wait.min(reading.cap()));
        let is_late = ticket.episode != self.episode;
        if let Inner::Closed(until) = self.phase {
            let longer = now + hint? + self.jitter;
            self.phase = Inner::Closed(until.max(longer));
            return (longer > until).then_some(Change::Extended);
        }
        let wait = match (hint, self.phase) {
            (None, _) if is_late => return None,
            (hint, Inner::Probing { .. }) if !is_late => {
                let doubled = (self.wait * 2).clamp(BASE, BACKOFF_CAP);
                if ticket.probe && hint.is_none() { doubled } else { hint.unwrap_or(BASE).max(BASE.min(doubled)) }
            }
            (hint, _) => hint.unwrap_or(BASE),
        };
        let class = if reading.wait > hint { Class::Exhausted } else { reading.class };
        self.close(now, wait, Closure { wait, class, met: reading.met }, chance, load);
        self.is_guess = hint.is_none();
        Some(Change::Closed(Closure { wait, class, met: reading.met }))
    }

    fn close(&mut self, now: Instant, wait: Duration, why: Closure, chance: f64, load: Load) {
        let under_way = load.unanswered.saturating_add(1);
        self.level = if matches!(self.phase, Inner::Open) { under_way } else { self.level.max(under_way) };
        self.jitter = (wait / 10).min(JITTER_CAP).mul_f64(chance.clamp(0.0, 1.0));
        self.wait = wait;
        self.is_guess = false;
        self.why = Some(why);
        self.episode = self.episode.wrapping_add(1);
        self.phase = Inner::Closed(now + wait + self.jitter);
    }

    fn went_well(&mut self, now: Instant, ticket: Ticket) -> Option<Change> {
        if let Inner::Probing { since } = self.phase {
            if !self.is_probe_of_now(ticket) {
                return None;
            }
            self.reopen(now, since);
            return Some(Change::Reopened);
        }
        self.tally.count(now);
        if let Inner::Slow(slow) = &mut self.phase
            && ticket.episode == self.episode
        {
            slow.round = slow.round.saturating_sub(1);
            if slow.round == 0 {
                slow.most = slow.most.saturating_mul(2).min(self.level.max(LEAST_LEVEL));
                slow.round = slow.most;
                slow.spacing /= 2;
            }
            if let Some(pace) = &mut self.pace {
                pace.grow(now);
            }
        }
        None
    }

    /// The probe, sent at `since`, went well. When its answer says how much there is, that is enough to go on with; else the
    /// rest comes slowly, at the pace that was found.
    fn reopen(&mut self, now: Instant, since: Instant) {
        // Without a hint the upstream opened at some time in the last wait: in the middle of it, as likely as not.
        let opened = if self.is_guess { since.checked_sub(self.wait / 2).unwrap_or(since) } else { since };
        let found = self.tally.per_second(opened);
        self.tally = Tally::begin(since);
        self.tally.count(now);
        if self.windows.tells(now) {
            self.pace = None;
            self.phase = Inner::Open;
            return;
        }
        self.pace = Pace::found(found, self.pace.take(), self.wait, now);
        let until = now + (self.wait * 10).clamp(BASE, SLOW_CAP);
        self.phase = Inner::Slow(Slow { until, most: 1, round: 1, spacing: SPACING, next: now });
    }

    /// The slow start is over when its time is and nobody waits: a queue would be let go all at once.
    fn end_slow_start(&mut self, now: Instant, load: Load) {
        if let Inner::Slow(slow) = self.phase
            && now >= slow.until
            && (load.waiting == 0 || self.pace.is_none())
        {
            self.phase = Inner::Open;
            self.pace = None;
        }
    }

    /// A count of answers that went well and were not looked at, while nothing was learnt.
    pub fn count_unseen(&mut self, now: Instant, fine: u32) {
        self.tally.count_many(now, fine);
    }

    /// Forgets everything: open, and as if nothing had been heard.
    pub fn reset(&mut self, now: Instant) {
        let episode = self.episode.wrapping_add(1);
        *self = Self { episode, ..Self::new(self.mode, now) };
    }

    /// Follows what upstreams say in another way from now on.
    pub fn set_mode(&mut self, mode: Mode, now: Instant) {
        if self.mode != mode {
            self.mode = mode;
            self.reset(now);
        }
    }
}

/// Whether a reading closes the gate of the whole owner or that of the bucket alone.
pub fn speaks_for_owner(reading: &Reading) -> bool {
    reading.scope == Scope::Owner || reading.class == Class::Overloaded
}

#[cfg(test)]
mod tests;
