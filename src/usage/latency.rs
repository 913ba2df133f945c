//! How long calls took, in buckets of half an octave that can be added up over cores and over time. It keeps no single
//! duration, so a quantile is exact to its bucket: at most half of its value away.

use std::time::Duration;

/// How many buckets there are.
const BUCKETS: usize = 46;
/// The first bucket ends at two to the power of this, in microseconds.
const FIRST: u32 = 7;

/// How many calls took how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency([u64; BUCKETS]);

impl Default for Latency {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Latency {
    /// Counts one call.
    #[inline]
    pub fn observe(&mut self, took: Duration) {
        if let Some(count) = self.0.get_mut(bucket(micros(took))) {
            *count += 1;
        }
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: &Self) {
        for (to, from) in self.0.iter_mut().zip(other.0) {
            *to = to.saturating_add(from);
        }
    }

    /// How many calls.
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum: u64, count| sum.saturating_add(*count))
    }

    /// The duration that `permille` of a thousand calls did not exceed; none when there was no call. Within a bucket the calls
    /// are taken to lie evenly; in the last one, which has no end, at its beginning.
    pub fn quantile(&self, permille: u32) -> Option<Duration> {
        let total = u128::from(self.count());
        let rank = (total * u128::from(permille.min(1000))).div_ceil(1000).max(1);
        let mut before = 0;
        for (index, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = u128::from(*count);
            if before + count >= rank {
                let (from, to) = (lower(index), if index + 1 < BUCKETS { lower(index + 1) } else { lower(index) });
                let within = u128::from(to - from) * (2 * (rank - before) - 1) / (2 * count);
                return Some(Duration::from_micros(from + u64::try_from(within).unwrap_or(0)));
            }
            before += count;
        }
        None
    }

    /// The buckets that are not empty: each as its number (one byte) and its count (in groups of seven bits, the lowest first).
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, count) in (0_u8..).zip(self.0).filter(|(_, count)| *count > 0) {
            out.push(index);
            let mut rest = count;
            while rest > 0x7f {
                out.push(low_bits(rest) | 0x80);
                rest >>= 7;
            }
            out.push(low_bits(rest));
        }
        out
    }

    /// What [`Self::to_bytes`] wrote; none when the bytes are no such thing.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut out = Self::default();
        let mut rest = bytes.iter().copied();
        while let Some(index) = rest.next() {
            let (mut count, mut shift) = (0_u64, 0);
            loop {
                let byte = rest.next()?;
                count |= u64::from(byte & 0x7f).checked_shl(shift)?;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            *out.0.get_mut(usize::from(index))? = count;
        }
        Some(out)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "only the lowest seven bits are wanted")]
const fn low_bits(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// The bucket of a duration: an octave has two, the upper one beginning at one and a half times its begin.
#[inline]
const fn bucket(micros: u64) -> usize {
    if micros < 1 << FIRST {
        return 0;
    }
    let octave = micros.ilog2();
    let half = (micros >> (octave - 1)) & 1;
    let index = 1 + (octave - FIRST) as usize * 2 + half as usize;
    if index < BUCKETS { index } else { BUCKETS - 1 }
}

/// Where a bucket begins, in microseconds.
#[allow(clippy::cast_possible_truncation, reason = "at most the number of buckets")]
const fn lower(index: usize) -> u64 {
    if index == 0 {
        return 0;
    }
    let octave = FIRST + (index as u32 - 1) / 2;
    let half = (index as u64 - 1) % 2;
    (2 + half) << (octave - 1)
}

/// Whole microseconds.
#[inline]
pub(super) fn micros(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(duration.subsec_micros()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::default();
        micros.into_iter().for_each(|micros| latency.observe(Duration::from_micros(micros)));
        latency
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for index in 0..BUCKETS {
            assert_eq!(bucket(lower(index)), index);
            assert_eq!(bucket((lower(index + 1) - 1).max(lower(index))), index);
        }
        assert_eq!((bucket(u64::MAX), lower(BUCKETS - 1)), (BUCKETS - 1, 1 << 29));
    }

    #[test]
    fn nobody_waited_when_nobody_called() {
        assert_eq!(Latency::default().quantile(500), None);
        assert_eq!(of([700]).quantile(0), of([700]).quantile(1000));
    }

    #[test]
    fn a_call_without_an_end_counts_as_the_longest() {
        let latency = of([u64::MAX, 5]);
        assert_eq!(latency.quantile(1000), Some(Duration::from_micros(1 << 29)));
        assert_eq!(latency.count(), 2);
    }

    #[test]
    fn bytes_that_are_no_histogram_are_told() {
        for bytes in
            [&[0][..], &[0, 0x80], &[46, 1], &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]]
        {
            assert_eq!(Latency::from_bytes(bytes), None, "{bytes:?}");
        }
        assert_eq!(Latency::from_bytes(&[]), Some(Latency::default()));
    }

    proptest! {
        #[test]
        fn a_quantile_lies_within_half_of_the_true_one(
            mut micros in prop::collection::vec(128..500_000_000_u64, 1..200), permille in 1..=1000_u32,
        ) {
            let found = of(micros.iter().copied()).quantile(permille).unwrap().as_micros();
            micros.sort_unstable();
            let rank = (micros.len() * permille as usize).div_ceil(1000);
            let truth = u128::from(micros[rank - 1]);
            prop_assert!(found * 3 >= truth * 2 && found * 2 <= truth * 3, "{found} for {truth}");
        }

        #[test]
        fn what_is_written_is_read_and_parts_add_up(
            one in prop::collection::vec(any::<u64>(), 0..50), other in prop::collection::vec(0..10_000_u64, 0..500),
        ) {
            let mut sum = of(one.iter().copied());
            sum.merge(&of(other.iter().copied()));
            prop_assert_eq!(&sum, &of(one.into_iter().chain(other)));
            let read = Latency::from_bytes(&sum.to_bytes());
            prop_assert_eq!(read, Some(sum));
        }
    }
}
