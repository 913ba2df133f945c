//! Random numbers to spread things by: quick, seeded from the system, and nothing for secrets.

use std::hash::{BuildHasher, RandomState};

/// A sequence of random numbers (xorshift of 64 bits).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Default for Dice {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }
}

impl Dice {
    /// The next, from 0 to 1.
    pub(super) fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        f64::from(u32::try_from(self.0 >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }
}
