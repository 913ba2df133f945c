//! The master key, wrapped by a key of a slot. A wrap is bound to the master key that it holds, by its check value, and to the
//! slot: its name, its kind and how its key is derived. A row moved to another store or slot does not open.
//!
//! What opens is compared with the check value, so that, as AES-GCM does not commit to its key, one wrap still never opens to
//! two keys that count.

use zeroize::Zeroizing;

use crate::crypto::{CryptoError, aead, kdf};
use crate::domain::{Name, Secret, SlotKind};

use super::envelope::push;
use super::{MasterKey, SealError};

const WRAP: &[u8] = b"sidekey v1 wrap the master key";
const FORMAT: &[u8] = b"sidekey slot 1";

/// What a wrap of the master key is bound to.
#[derive(Debug, Clone, Copy)]
pub struct SlotContext<'a> {
    /// The check value of the master key.
    pub check: &'a [u8; kdf::LEN],
    /// What the slot is called.
    pub name: &'a Name,
    /// What kind of place its key is kept at.
    pub kind: SlotKind,
    /// How its key is derived from a passphrase.
    pub derivation: Option<&'a str>,
}

impl SlotContext<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [FORMAT, self.check, self.name.as_str().as_bytes(), self.kind.as_str().as_bytes()] {
            push(&mut bytes, part);
        }
        push(&mut bytes, self.derivation.unwrap_or_default().as_bytes());
        bytes
    }

    /// Wraps the 32 bytes of the master key by the slot's own, `key`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn wrap(&self, key: &[u8; kdf::LEN], master: &[u8; kdf::LEN]) -> Result<Vec<u8>, CryptoError> {
        aead::Key::new(&*kdf::hkdf(key, WRAP)?)?.seal(&self.bytes(), master)
    }

    /// The bytes that were wrapped; none when `key` is another one, or the wrap is of another slot or was changed. They are
    /// the master key only when [`MasterKey::is_checked_by`] says so.
    ///
    /// # Errors
    /// Only when the cryptographic provider fails.
    pub fn unwrap(
        &self,
        key: &[u8; kdf::LEN],
        wrapped: &[u8],
    ) -> Result<Option<Zeroizing<[u8; kdf::LEN]>>, CryptoError> {
        let opened = aead::Key::new(&*kdf::hkdf(key, WRAP)?)?.open(&self.bytes(), wrapped).map(Zeroizing::new);
        let Some(bytes) = opened.ok().filter(|bytes| bytes.len() == kdf::LEN) else { return Ok(None) };
        let mut master = Zeroizing::new([0; kdf::LEN]);
        master.copy_from_slice(&bytes);
        Ok(Some(master))
    }

    /// Seals where the slot's key is kept. That is no secret, but what stands there is run or read by who rotates the master
    /// key, and must come from somebody who had it.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal_place(&self, master: &MasterKey, place: &[u8]) -> Result<Vec<u8>, SealError> {
        master.seal_labelled(&self.label(), &Secret::new(place.to_vec()))
    }

    /// What [`SlotContext::seal_place`] sealed.
    ///
    /// # Errors
    /// When it was sealed for another slot or by another master key, or changed since.
    pub fn open_place(&self, master: &MasterKey, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(master.open_labelled(&self.label(), sealed)?.expose().to_vec())
    }

    fn label(&self) -> String {
        format!("slot/{}/{}", self.kind.as_str(), self.name)
    }
}
