//! What a gate knows of its upstream's limit, and what follows from it for the next request: Open → Closed → Probing →
//! SlowStart → Open. Pure: time and chance are parameters. Who waits, and how, is `gate`'s.
//!
//! - A wait is never shortened within an episode: closures merge by maximum, and one jitter is drawn per closure.
//! - An answer to a request of an earlier episode may lengthen a closure and never ends one.
//! - After a closure one request goes first, and the others follow only after its answer.

mod closing;
mod pace;
mod slow;
mod tally;
mod window;
mod windows;
mod words;

use std::time::{Duration, Instant};

use super::reading::{Class, DimensionName, Reading};

use pace::Pace;
use slow::Slow;
use tally::Tally;
use windows::{Room, Windows};

pub use crate::domain::GateMode as Mode;
pub use words::{Admission, Change, Closure, Load, Phase, Ticket};

/// After this a probe that was not answered is followed by another.
const NEXT_PROBE: Duration = Duration::from_secs(1);
/// A probe that has no answer after this is followed by another: refusals are quick, and what takes long is at work.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);

/// The state of one gate.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct State {
    mode: Mode,
    phase: Inner,
    episode: u32,
    /// The wait of the last closure, without jitter.
    wait: Duration,
    /// Whether nobody said how long that was to be.
    is_guess: bool,
    /// Whether the upstream itself said when the current closure ends.
    is_told: bool,
    jitter: Duration,
    /// The random number that came with the last answer.
    chance: f64,
    /// Whether a probe of it was refused already, and none went well since.
    was_tried: bool,
    /// When it closed, and when the upstream opens again as far as it said so.
    closed: Instant,
    opens: Instant,
    /// Whether only answers to requests of earlier episodes keep it closed: they say nothing of the pace since.
    is_echo: bool,
    /// How many were under way before the closure.
    level: u32,
    why: Option<Closure>,
    /// The closure of which nobody was told yet.
    untold: Option<Closure>,
    windows: Windows,
    /// The time between two requests at the rate that is published or told.
    policy: Option<Duration>,
    pace: Option<Pace>,
    tally: Tally,
}

#[derive(Debug, Clone, Copy)]
enum Inner {
    Open,
    Closed(Instant),
    /// Since the first probe and since the last.
    Probing {
        first: Instant,
        last: Instant,
    },
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
            is_told: false,
            jitter: Duration::ZERO,
            chance: 0.0,
            was_tried: false,
            closed: now,
            opens: now,
            is_echo: false,
            level: 0,
            why: None,
            untold: None,
            windows: Windows::default(),
            policy: None,
            pace: None,
            tally: Tally::default(),
        }
    }

    /// A gate that was closed by a former process.
    pub fn resumed(mode: Mode, until: Instant, wait: Duration, class: Class, now: Instant) -> Self {
        let mut state = Self::new(mode, now);
        state.phase = Inner::Closed(until);
        state.opens = until;
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

    /// Whether so few tokens are left that it matters how many one request takes.
    pub fn has_few_tokens(&self) -> bool {
        self.windows.has_few_tokens()
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
        if let Inner::Closed(until) = self.phase { until.saturating_duration_since(now) } else { Duration::ZERO }
    }

    /// Whether the upstream itself said for how long it is closed.
    pub fn is_told(&self) -> bool {
        self.is_told
    }

    /// How much of that the service did not ask for.
    pub fn jitter(&self) -> Duration {
        if matches!(self.phase, Inner::Closed(_)) { self.jitter } else { Duration::ZERO }
    }

    /// The time between two requests, as far as it is known, for the prediction of a wait.
    pub fn spacing(&self, now: Instant) -> Duration {
        let paced = self.pace.as_ref().map(Pace::spacing).unwrap_or_default();
        match self.phase {
            Inner::Slow(slow) if self.pace.is_none() => self.step(slow),
            _ => paced.max(self.windows.spacing(now)),
        }
    }

    /// Whether the next that passes is a probe, which had better be one that can be sent again.
    pub fn wants_probe(&self, now: Instant) -> bool {
        match self.phase {
            Inner::Closed(until) => now >= until,
            Inner::Probing { last, .. } => now >= last + PROBE_PATIENCE,
            Inner::Open | Inner::Slow(_) => false,
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
            Inner::Closed(_) if self.windows.empty(now).is_some() => self.hold_for_counts(now, load),
            Inner::Closed(_) => {
                self.phase = Inner::Probing { first: now, last: now };
                Admission::Go(Ticket { episode: self.episode, probe: true })
            }
            Inner::Probing { last, .. } if now < last + PROBE_PATIENCE => Admission::HoldUntil(last + PROBE_PATIENCE),
            Inner::Probing { first, .. } => {
                self.phase = Inner::Probing { first, last: now };
                Admission::Go(Ticket { episode: self.episode, probe: true })
            }
            Inner::Open => self.within_windows(now, load),
            // A slow start ends by its time too; who waits for an answer that does not come would sleep past it.
            Inner::Slow(slow) if load.unanswered >= slow.most && now < slow.until => Admission::HoldUntil(slow.until),
            Inner::Slow(slow) if load.unanswered >= slow.most => Admission::Hold,
            Inner::Slow(slow) if now < slow.next && self.pace.is_none() => Admission::At(slow.next.min(slow.until)),
            Inner::Slow(slow) if now < slow.next => Admission::At(slow.next),
            Inner::Slow(slow) => {
                let (admission, step) = (self.within_windows(now, load), self.step(slow));
                if let (Admission::Go(_), Inner::Slow(current)) = (admission, &mut self.phase) {
                    current.passed(now, step);
                }
                admission
            }
        }
    }

    /// The time between two requests of a slow start: by the pace that was found, else by the rate that is known.
    fn step(&self, slow: Slow) -> Duration {
        self.pace.as_ref().map(Pace::spacing).or(self.policy).unwrap_or(slow.spacing)
    }

    fn within_windows(&mut self, now: Instant, load: Load) -> Admission {
        if self.mode != Mode::Enforce {
            return Admission::Go(Ticket { episode: self.episode, probe: false });
        }
        match self.windows.room(now, load) {
            Room::Free => Admission::Go(Ticket { episode: self.episode, probe: false }),
            Room::At(at) => Admission::At(at),
            Room::Answer(reset) => Admission::HoldUntil(reset),
            Room::None => self.hold_for_counts(now, load),
        }
    }

    /// A request that passed was not sent.
    pub fn refund(&mut self, now: Instant, ticket: Ticket) {
        self.end_probe(ticket, now);
    }

    /// A request was sent and no answer will come.
    pub fn lost(&mut self, now: Instant, ticket: Ticket) {
        self.windows.spend();
        self.end_probe(ticket, now + NEXT_PROBE);
    }

    /// When `ticket` is a probe's that decided nothing, another may follow at `next`.
    fn end_probe(&mut self, ticket: Ticket, next: Instant) {
        if ticket.probe && ticket.episode == self.episode && matches!(self.phase, Inner::Probing { .. }) {
            self.phase = Inner::Closed(next);
        }
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
        self.chance = chance.clamp(0.0, 1.0);
        self.policy = reading.policy.or(self.policy);
        if self.mode == Mode::Enforce && !reading.uncounted {
            self.windows.note(now, reading, chance);
        }
        let heard = match reading.class {
            Class::Throttled | Class::Exhausted | Class::Overloaded if !reading.concurrency => {
                self.refused(now, ticket, reading, load)
            }
            Class::Transient => {
                self.end_probe(ticket, now + NEXT_PROBE);
                None
            }
            // Also a 500: the limiter let it through, whatever became of it behind.
            _ => self.went_well(now, ticket),
        };
        match self.heed_counts(now, load) {
            Some(Change::Extended) => heard.or(Some(Change::Extended)),
            closed => closed.or(heard),
        }
    }

    fn went_well(&mut self, now: Instant, ticket: Ticket) -> Option<Change> {
        let is_late = ticket.episode != self.episode;
        match &mut self.phase {
            Inner::Probing { first, .. } if ticket.probe && !is_late => {
                let first = *first;
                self.reopen(now, first);
                return Some(Change::Reopened);
            }
            // It was let through before the closure, however late it says so.
            Inner::Probing { .. } | Inner::Closed(_) => self.tally.count(self.closed, 1),
            Inner::Slow(_) if is_late => {
                if let Some(pace) = &mut self.pace {
                    pace.missed();
                }
            }
            Inner::Slow(slow) => {
                slow.went_well(self.level);
                self.tally.count(now, 1);
                if let Some(pace) = &mut self.pace {
                    pace.grow(now);
                }
            }
            Inner::Open => self.tally.count(now, 1),
        }
        None
    }

    /// The probe, the first of which was sent at `sent`, went well. When its answer says how much there is, that is enough to
    /// go on with; else the rest comes slowly, at the pace that was found.
    fn reopen(&mut self, now: Instant, sent: Instant) {
        // Without a hint the upstream opened at some time in the last wait: in the middle of it, as likely as not.
        let guessed = sent.checked_sub(self.wait / 2).unwrap_or(sent);
        let opened = if self.is_guess { guessed } else { sent.min(self.opens) };
        let (counted, held) = (self.tally.per_second(opened), self.tally.held(self.closed));
        let former = self.pace.take();
        self.was_tried = false;
        self.tally = Tally::default();
        self.tally.count(now, 1);
        if self.windows.tells(now) {
            self.phase = Inner::Open;
            return;
        }
        self.pace = match former {
            Some(former) if self.is_echo => Some(former.kept(now)),
            former => Pace::found(counted, former, held, self.wait, now),
        };
        self.phase = Inner::Slow(Slow::begin(now, self.wait));
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

    /// So many answers went well at `at` that were not looked at, while nothing was learnt.
    pub fn count_unseen(&mut self, at: Instant, fine: u32) {
        self.tally.count(at, fine);
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

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
