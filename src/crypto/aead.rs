//! AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces. Sealed bytes are nonce, ciphertext and tag, in this order.
//! Not a protocol: what a key is for and what is bound to the bytes is the caller's affair.
//!
//! One key may seal at most 2³² times before a repeated nonce becomes likely enough to matter.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{CryptoError, random};

/// The length of a key in bytes.
pub const KEY_LEN: usize = 32;
/// The length of a nonce in bytes.
pub const NONCE_LEN: usize = 12;
/// The length of a tag in bytes.
pub const TAG_LEN: usize = 16;
/// How many bytes sealing adds.
pub const OVERHEAD: usize = NONCE_LEN + TAG_LEN;

/// A key with its round keys computed. Ring offers no way to wipe those when it is dropped.
pub struct Key(LessSafeKey);

impl Key {
    /// Computes the round keys; costs some 100 ns.
    ///
    /// # Errors
    /// Never for a key of this length; the provider's interface has the case.
    pub fn new(bytes: &[u8; KEY_LEN]) -> Result<Self, CryptoError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| CryptoError::OutOfRange)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals `plain` under a fresh nonce and binds `aad` to it.
    ///
    /// # Errors
    /// When there is no randomness, or `plain` is longer than 64 GiB.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let nonce: [u8; NONCE_LEN] = random::bytes()?;
        let mut out = Vec::with_capacity(plain.len() + OVERHEAD);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let body = out.get_mut(NONCE_LEN..).ok_or(CryptoError::OutOfRange)?;
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body)
            .map_err(|_| CryptoError::OutOfRange)?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Opens what [`Key::seal`] made with the same `aad`. The plaintext's buffer is the caller's to wipe.
    ///
    /// # Errors
    /// When the bytes, the key or `aad` are not those of the sealing.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(CryptoError::Forged)?;
        let mut buffer = Zeroizing::new(body.to_vec());
        let length = self.open_in_place(nonce, aad, &mut buffer)?.len();
        buffer.truncate(length);
        Ok(std::mem::take(&mut *buffer))
    }

    /// Opens ciphertext and tag in `buffer`, of which the plaintext is the first part. After an error the buffer's
    /// content is unspecified and no plaintext.
    ///
    /// # Errors
    /// When the bytes, the key, the nonce or `aad` are not those of the sealing.
    pub fn open_in_place<'a>(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        buffer: &'a mut [u8],
    ) -> Result<&'a mut [u8], CryptoError> {
        self.0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), buffer)
            .map_err(|_| CryptoError::Forged)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}
