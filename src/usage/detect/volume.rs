//! How many calls in an hour are too many, by what the same hours of the days before had. Robust: a single odd day changes
//! nothing, and a job that runs on one day of the week is no surprise on that day.

/// How many days are looked at: the days of the week stand evenly among them.
pub const DAYS: u32 = 28;
/// So many calls in an hour are never too many.
pub(super) const FLOOR: u64 = 200;

/// The most that is not unusual, given the calls in the same hours before: six times their usual spread above their median
/// (the spread as a normal distribution's, from the median of the deviations), twice what one day in ten exceeded, and the
/// floor, whichever is the most.
pub(super) fn most(history: &[u64]) -> u64 {
    let mut sorted = history.to_vec();
    sorted.sort_unstable();
    let typical = at(&sorted, 50);
    let mut apart: Vec<u64> = sorted.iter().map(|calls| calls.abs_diff(typical)).collect();
    apart.sort_unstable();
    let spread = at(&apart, 50).saturating_mul(3) / 2;
    let high = at(&sorted, 90);
    typical.saturating_add(spread.saturating_mul(6)).max(high.saturating_mul(2)).max(FLOOR)
}

/// What so many of a hundred do not exceed; 0 of nothing.
fn at(sorted: &[u64], percent: usize) -> u64 {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or(0)
}
