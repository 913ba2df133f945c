//! The identifier of one request: unique on this machine, cheap to make, printed as 32 hexadecimal digits.

use std::fmt;

/// 128 bits: a random half chosen per core at start, and a counter.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    origin: u64,
    count: u64,
}

impl RequestId {
    /// The `count`th request of the core that drew `origin` at random.
    pub const fn new(origin: u64, count: u64) -> Self {
        Self { origin, count }
    }

    /// The 32 hexadecimal digits, without an allocation or a branch.
    pub fn hex(self) -> [u8; 32] {
        let value = (u128::from(self.origin) << 64) | u128::from(self.count);
        let mut out = [b'0'; 32];
        for (pair, byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(value.to_be_bytes()) {
            *pair = [digit(byte >> 4), digit(byte & 15)];
        }
        out
    }
}

/// The digit of a number below 16: `a` is 39 places after where the digits end.
const fn digit(nibble: u8) -> u8 {
    nibble + b'0' + 39 * (nibble > 9) as u8
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.origin, self.count)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
