//! Requests that a service counts against whoever sends them, whatever became of them: Discord shuts out an address after
//! 10,000 answers of 401, 403 or 429 within ten minutes. Counted here, so that it never comes to it
//! (discord.com/developers/docs/topics/rate-limits). Pure.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::numbers::numbers;

/// How long a window is. It begins with its first, so that no ten minutes have more than two of them have together.
const WINDOW: u64 = 600;
const COUNTS: u64 = (1 << 24) - 1;

/// The count of one address: the second in which its window began, and how many, in one word.
#[derive(Debug, Default)]
pub struct Invalid(AtomicU64);

impl Invalid {
    /// One more at `now`, in seconds on one clock; for how long nothing should be sent once there are too many.
    pub fn count(&self, now: u64) -> Option<Duration> {
        let add = |word: u64| {
            let (began, count) = (word >> 24, word & COUNTS);
            let is_over = count == 0 || now >= began + WINDOW;
            if is_over { now << 24 | 1 } else { began << 24 | (count + 1).min(COUNTS) }
        };
        let before = self.0.fetch_update(Relaxed, Relaxed, |word| Some(add(word))).unwrap_or_else(|word| word);
        let word = add(before);
        let rest = (word >> 24) + WINDOW - now.min((word >> 24) + WINDOW);
        (word & COUNTS >= u64::from(numbers().max_invalid)).then(|| Duration::from_secs(rest.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_five_thousand_within_ten_minutes_nothing_is_sent_until_they_are_over() {
        let invalid = Invalid::default();
        for n in 1..5_000 {
            assert_eq!(invalid.count(n / 10), None, "{n}");
        }
        assert_eq!(invalid.count(500), Some(Duration::from_secs(100)));
        assert_eq!(invalid.count(599), Some(Duration::from_secs(1)));
        assert_eq!(invalid.count(600), None, "another window");
        (0..4_998).for_each(|_| assert_eq!(invalid.count(601), None));
        assert_eq!(invalid.count(601), Some(Duration::from_secs(599)));
    }
}
