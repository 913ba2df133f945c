//! The master key in memory: what wraps every data key. Not where it comes from.
//!
//! The 32 bytes are used once, to derive what is needed from them, and are not kept: the value that proves that a key is
//! the right one, and the keys that wrap, each under its own label, so that no two uses share a key.

use crate::crypto::signing::SigningKey;
use crate::crypto::{CryptoError, aead, compare, kdf};
use crate::domain::Secret;

use super::SealError;

const CHECK: &[u8] = b"sidekey v1 master key check";
const WRAP: &[u8] = b"sidekey v1 wrap data keys";
const LABELLED: &[u8] = b"sidekey v1 seal labelled values";

/// The key that wraps data keys, under the number that the store knows it by. It has no way out: neither its bytes nor
/// its derived keys can be read or printed.
pub struct MasterKey {
    id: u32,
    check: [u8; kdf::LEN],
    wrap: aead::Key,
    labelled: aead::Key,
}

impl MasterKey {
    /// Derives the working keys. `bytes` stay the caller's to wipe.
    ///
    /// # Errors
    /// Only when the cryptographic provider fails.
    pub fn new(id: u32, bytes: &[u8; kdf::LEN]) -> Result<Self, CryptoError> {
        Ok(Self {
            id,
            check: *kdf::hkdf(bytes, CHECK)?,
            wrap: aead::Key::new(&*kdf::hkdf(bytes, WRAP)?)?,
            labelled: aead::Key::new(&*kdf::hkdf(bytes, LABELLED)?)?,
        })
    }

    /// The number that the store knows it by.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What the store keeps to tell this key from any other. It is an HMAC of the key, so no two keys have the same, which
    /// a value sealed by AES-GCM would not promise; and it says nothing about the key but whether a guess is right.
    pub fn check(&self) -> &[u8; kdf::LEN] {
        &self.check
    }

    /// Whether `check` was made by this key.
    pub fn is_checked_by(&self, check: &[u8]) -> bool {
        compare::equal(&self.check, check)
    }

    /// Seals bytes that belong to sidekey itself and to no credential (a certificate authority's key, say) for one
    /// purpose, named by `label`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal_labelled(&self, label: &str, value: &Secret) -> Result<Vec<u8>, SealError> {
        Ok(self.labelled.seal(label.as_bytes(), value.expose())?)
    }

    /// Opens what [`MasterKey::seal_labelled`] made under the same label.
    ///
    /// # Errors
    /// When it was made under another label or key, or changed since.
    pub fn open_labelled(&self, label: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        let opened = self.labelled.open(label.as_bytes(), sealed);
        opened.map(Secret::new).map_err(|_| SealError::Labelled(label.to_owned()))
    }

    /// Opens a private key that was sealed under a label; its bytes are seen by nobody.
    ///
    /// # Errors
    /// As [`MasterKey::open_labelled`], and when it is no private key.
    pub fn open_signing_key(&self, label: &str, sealed: &[u8]) -> Result<SigningKey, SealError> {
        Ok(SigningKey::from_pkcs8(self.open_labelled(label, sealed)?.expose())?)
    }

    /// Whether `sealed` is what [`MasterKey::seal_labelled`] made of `value` under this label: then who has this key wrote it.
    pub fn is_sealed_as(&self, label: &str, value: &[u8], sealed: &[u8]) -> bool {
        self.open_labelled(label, sealed).is_ok_and(|opened| compare::equal(opened.expose(), value))
    }

    pub(super) fn wrap(&self) -> &aead::Key {
        &self.wrap
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}
