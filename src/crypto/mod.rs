//! Cryptography at the level of bytes: AES-256-GCM, SHA-256, HMAC, HKDF, Argon2id, ECDSA, random bytes, comparing without telling
//! when. It knows no word of the house and is the only user of ring, so that another provider is a change in one folder.

pub mod aead;
pub mod compare;
pub mod digest;
pub mod hmac;
pub mod kdf;
pub mod random;
pub mod signing;

#[cfg(test)]
mod tests;

/// Why an operation on bytes failed. It says no more on purpose: what a forger would learn from is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The bytes were not sealed with this key and this additional data, or were changed since.
    #[error("the bytes were not sealed with this key, or were changed since")]
    Forged,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// A length or a cost that the algorithm does not take.
    #[error("a length or a cost that the algorithm does not take")]
    OutOfRange,
}
