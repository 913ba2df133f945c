//! Random bytes from the operating system. Never a generator of our own: nothing here has a state to leak or to fork.

use ring::rand::{SecureRandom, SystemRandom};

use super::CryptoError;

/// Fills `buffer` with random bytes.
///
/// # Errors
/// When the operating system gives none.
pub fn fill(buffer: &mut [u8]) -> Result<(), CryptoError> {
    SystemRandom::new().fill(buffer).map_err(|_| CryptoError::NoRandomness)
}

/// `N` random bytes.
///
/// # Errors
/// When the operating system gives none.
pub fn bytes<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut out = [0; N];
    fill(&mut out)?;
    Ok(out)
}
