//! Sums over the last minute, in steps of five seconds.

/// How long a step is, in seconds, and how many there are.
const STEP: i64 = 5;
const STEPS: usize = 12;

/// Calls, and how many of them went wrong, over the last minute.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// When each step began, in steps since the epoch, with its sums; in no order.
    steps: [(i64, u64, u64); STEPS],
}

impl Window {
    /// Adds what happened until `now`, in Unix seconds.
    pub(super) fn add(&mut self, now: i64, calls: u64, wrong: u64) {
        let number = now.div_euclid(STEP);
        let place = usize::try_from(number.rem_euclid(12)).unwrap_or(0);
        if let Some(step) = self.steps.get_mut(place) {
            if step.0 != number {
                *step = (number, 0, 0);
            }
            step.1 += calls;
            step.2 += wrong;
        }
    }

    /// Both sums over the minute before `now`.
    pub(super) fn sums(&self, now: i64) -> (u64, u64) {
        let fresh = self.steps.iter().filter(|(number, ..)| Self::is_fresh(*number, now));
        fresh.fold((0, 0), |(calls, wrong), step| (calls + step.1, wrong + step.2))
    }

    /// Whether nothing happened in the minute before `now`.
    pub(super) fn is_over(&self, now: i64) -> bool {
        !self.steps.iter().any(|(number, calls, _)| *calls > 0 && Self::is_fresh(*number, now))
    }

    fn is_fresh(number: i64, now: i64) -> bool {
        let age = now.div_euclid(STEP) - number;
        (0..12).contains(&age)
    }
}
