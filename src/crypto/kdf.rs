//! Keys from other keys (HKDF-SHA-256, RFC 5869) and keys from passphrases (Argon2id, RFC 9106). Both are deterministic:
//! the same input gives the same key, so what went in besides the secret must be stored.

use argon2::{Algorithm, Argon2, Params, Version};
use ring::hkdf;
use zeroize::Zeroizing;

use super::CryptoError;

/// The length of every derived key in bytes.
pub const LEN: usize = 32;

/// How hard a passphrase is to guess: what one guess costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// How often the memory is gone over.
    pub passes: u32,
    /// How many lanes could be computed side by side.
    pub lanes: u32,
}

/// Derives a key from `secret`, which must itself be a uniformly random key of 32 bytes: it serves as the pseudo-random
/// key of HKDF's second step, for which RFC 5869 §3.3 lets the first be skipped. Different `info` gives unrelated keys.
///
/// # Errors
/// Never for an output of this length; the provider's interface has the case.
pub fn hkdf(secret: &[u8; LEN], info: &[u8]) -> Result<Zeroizing<[u8; LEN]>, CryptoError> {
    let mut out = Zeroizing::new([0; LEN]);
    hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, secret)
        .expand(&[info], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .map_err(|_| CryptoError::OutOfRange)?;
    Ok(out)
}

/// Derives a key from a passphrase. Takes as long as `cost` says, and that much memory, which is wiped afterwards.
///
/// # Errors
/// When the salt is shorter than 8 bytes or the cost is outside what RFC 9106 §3.1 allows.
pub fn argon2id(passphrase: &[u8], salt: &[u8], cost: Argon2Cost) -> Result<Zeroizing<[u8; LEN]>, CryptoError> {
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(LEN)).map_err(|_| CryptoError::OutOfRange)?;
    let mut out = Zeroizing::new([0; LEN]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, out.as_mut_slice())
        .map_err(|_| CryptoError::OutOfRange)?;
    Ok(out)
}
