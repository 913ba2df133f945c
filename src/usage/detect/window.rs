//! Sums over the last minute, in steps of five seconds.

/// How long a step is, in seconds, and how many there are.
const STEP: i64 = 5;
const STEPS: usize = 12;

/// Calls, and how many of them went wrong, over the last minute.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// In no order.
    steps: [Step; STEPS],
}

/// What happened in a step.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    /// When it began, in steps since the epoch.
    number: i64,
    calls: u64,
    wrong: u64,
    /// Of the wrong ones, those that no event has counted yet.
    uncounted: u64,
}

impl Window {
    /// Adds what happened until `now`, in Unix seconds.
    pub(super) fn add(&mut self, now: i64, calls: u64, wrong: u64) {
        let number = now.div_euclid(STEP);
        let place = usize::try_from(number.rem_euclid(12)).unwrap_or(0);
        if let Some(step) = self.steps.get_mut(place) {
            if step.number != number {
                *step = Step { number, ..Step::default() };
            }
            step.calls += calls;
            step.wrong += wrong;
            step.uncounted += wrong;
        }
    }

    /// Both sums over the minute before `now`.
    pub(super) fn sums(&self, now: i64) -> (u64, u64) {
        let fresh = self.steps.iter().filter(|step| Self::is_fresh(step.number, now));
        fresh.fold((0, 0), |(calls, wrong), step| (calls + step.calls, wrong + step.wrong))
    }

    /// How many went wrong in the minute before `now` that no event has counted yet: they are counted now.
    pub(super) fn count(&mut self, now: i64) -> u64 {
        let fresh = self.steps.iter_mut().filter(|step| Self::is_fresh(step.number, now));
        fresh.map(|step| std::mem::take(&mut step.uncounted)).sum()
    }

    /// Whether nothing happened in the minute before `now`.
    pub(super) fn is_over(&self, now: i64) -> bool {
        !self.steps.iter().any(|step| step.calls > 0 && Self::is_fresh(step.number, now))
    }

    fn is_fresh(number: i64, now: i64) -> bool {
        let age = now.div_euclid(STEP) - number;
        (0..12).contains(&age)
    }
}
