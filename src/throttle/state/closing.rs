//! How a gate closes, for how long, and how a closure gets longer: by refusals, and by counts that say that nothing is left.

use std::time::{Duration, Instant};

use super::super::numbers::numbers;
use super::super::reading::{Class, Reading};
use super::{Admission, Change, Closure, Inner, Load, State, Ticket};

/// How long a gate closes when nothing says how long.
const BASE: Duration = Duration::from_secs(1);

impl State {
    pub(super) fn refused(&mut self, now: Instant, ticket: Ticket, reading: &Reading, load: Load) -> Option<Change> {
        let hint = reading.wait.map(|wait| wait.min(reading.cap()));
        let class = if reading.wait > hint { Class::Exhausted } else { reading.class };
        let met = reading.met;
        let is_told = |wait: Duration| reading.told && reading.wait == Some(wait);
        if let Inner::Closed(until) = self.phase {
            let wait = hint.unwrap_or_default();
            return self.extend(now, Closure { wait, class, met }, until, is_told(wait));
        }
        if ticket.episode != self.episode {
            // An echo of the former closure: what it says is kept, but nothing new is learnt from it.
            let why = Closure { wait: hint?, class, met };
            (self.is_echo, self.closed) = (true, now);
            return self.extend(now, why, now, is_told(why.wait));
        }
        let wait = self.wait_after(hint, reading.told);
        self.was_tried |= matches!(self.phase, Inner::Probing { .. });
        let change = self.close(now, Closure { wait, class, met }, load);
        self.is_guess = hint.is_none();
        // What the counts say is longer, or what the answer says.
        self.is_told = self.wait > wait || is_told(wait);
        Some(change)
    }

    /// For how long a refusal closes. After a probe that was refused, for twice as long as before at least, up to five
    /// minutes: a service that always says "one second" is backed off from like one that says nothing. But where the service
    /// itself told the time, the first probe that is refused is believed once more: hints are rounded down and accounts are
    /// shared, and twice a minute would be waited for one second that was missing.
    fn wait_after(&self, hint: Option<Duration>, is_told: bool) -> Duration {
        let doubled = (self.wait * 2).min(numbers().longest_backoff).max(BASE);
        match (hint, self.phase) {
            (Some(hint), Inner::Probing { .. }) if is_told && !self.was_tried => hint.max(BASE),
            (hint, Inner::Probing { .. }) => hint.unwrap_or_default().max(doubled),
            (hint, _) => hint.unwrap_or(BASE),
        }
    }

    /// Stays closed for what a later answer says, if that is longer. That the limit is used up for long is news.
    fn extend(&mut self, now: Instant, why: Closure, until: Instant, is_told: bool) -> Option<Change> {
        // Its hint counts from when it was made, which was not later than the closure; from then on the pace is counted.
        self.opens = self.opens.max(self.closed + why.wait);
        self.wait = self.wait.max(why.wait);
        let longer = if why.wait.is_zero() { until } else { now + why.wait + self.jitter };
        self.phase = Inner::Closed(until.max(longer));
        if longer > until {
            self.is_told = is_told;
        }
        let rises = why.class == Class::Exhausted && self.why.is_none_or(|former| former.class != Class::Exhausted);
        self.why = self.why.or(Some(why));
        if rises {
            let why = Closure { wait: why.wait.max(until.saturating_duration_since(now)), ..why };
            self.why = Some(why);
            return Some(Change::Closed(why));
        }
        (longer > until).then_some(Change::Extended)
    }

    /// Closes: for as long as `why` says, and as long as nothing is left by the counts.
    fn close(&mut self, now: Instant, why: Closure, load: Load) -> Change {
        let why = self.counted_out(now).filter(|counted| counted.wait > why.wait).unwrap_or(why);
        let wait = why.wait;
        let under_way = load.unanswered.saturating_add(1);
        self.level = if matches!(self.phase, Inner::Open) { under_way } else { self.level.max(under_way) };
        self.jitter = (wait / 10).min(numbers().longest_jitter).mul_f64(self.chance);
        self.wait = wait;
        (self.closed, self.opens) = (now, now + wait);
        (self.is_guess, self.is_echo, self.is_told) = (false, false, true);
        self.why = Some(why);
        self.episode = self.episode.wrapping_add(1);
        self.phase = Inner::Closed(now + wait + self.jitter);
        Change::Closed(why)
    }

    /// The closure that follows from the counts, when one says that nothing is left.
    fn counted_out(&self, now: Instant) -> Option<Closure> {
        let (met, reset) = self.windows.empty(now)?;
        let wait = reset.saturating_duration_since(now);
        let class = if wait > numbers().exhausted_after { Class::Exhausted } else { Class::Throttled };
        Some(Closure { wait, class, met: Some(met) })
    }

    /// An answer may have told that nothing is left: then nothing is sent before there is more, whether or not another
    /// request comes meanwhile. While a probe is under way, its answer says it.
    pub(super) fn heed_counts(&mut self, now: Instant, load: Load) -> Option<Change> {
        let why = self.counted_out(now)?;
        match self.phase {
            Inner::Closed(until) if now + why.wait > until => self.extend(now, why, until, true),
            Inner::Closed(_) | Inner::Probing { .. } => None,
            Inner::Open | Inner::Slow(_) => Some(self.close(now, why, load)),
        }
    }

    /// The same for what ran out because it was counted down, which is seen when the next wants to pass.
    pub(super) fn hold_for_counts(&mut self, now: Instant, load: Load) -> Admission {
        if let Some(Change::Closed(why)) = self.heed_counts(now, load) {
            self.untold = Some(why);
        }
        match self.phase {
            Inner::Closed(until) => Admission::At(until),
            _ => Admission::Hold,
        }
    }

    /// The closure for which a request was not let through and of which nobody was told yet.
    pub fn take_untold(&mut self) -> Option<Change> {
        self.untold.take().map(Change::Closed)
    }
}
