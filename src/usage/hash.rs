//! A fast hash for the tables of one core: folded multiplication, seeded at random for each table. It keeps out accidents and
//! guesses, and is nothing to prove anything with; whoever finds by it still compares.

use std::hash::Hasher;

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes two numbers into one.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "both halves are used")]
pub(super) const fn mix(a: u64, b: u64) -> u64 {
    let product = (a ^ MULTIPLIER) as u128 * (b ^ 0xd6e8_feb8_6659_fd93) as u128;
    product as u64 ^ (product >> 64) as u64
}

/// Of all bytes.
#[inline]
pub(super) fn all(seed: u64, bytes: &[u8]) -> u64 {
    let (chunks, rest) = bytes.as_chunks::<16>();
    let mut hash = seed ^ bytes.len() as u64;
    for chunk in chunks {
        let (one, two) = halves(chunk);
        hash = mix(hash ^ one, two);
    }
    if rest.is_empty() { hash } else { end(hash, bytes) }
}

/// Of the last sixteen bytes and the length: enough for identifiers, whose ends differ.
#[inline]
pub(super) fn end(seed: u64, bytes: &[u8]) -> u64 {
    let seed = seed ^ bytes.len() as u64;
    if let Some(chunk) = bytes.last_chunk::<16>() {
        let (one, two) = halves(chunk);
        return mix(seed ^ one, two);
    }
    // Two words that overlap or that are filled up: with the length, no two texts give the same.
    let (one, two) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
    };
    mix(seed ^ one, two)
}

#[inline]
fn halves(chunk: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*chunk);
    #[allow(clippy::cast_possible_truncation, reason = "both halves are used")]
    (both as u64, (both >> 64) as u64)
}

/// Takes a number that is a hash already.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
