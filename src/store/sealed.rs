//! What the master key protects, and how the store knows that key: ciphertext and its places, nothing that opens.

use crate::domain::{CredentialId, Name, Sealed, ServiceName, SlotKind, UserId};

/// How the store knows a master key without having it, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterRecord {
    /// Its number, from 1.
    pub id: u32,
    /// What only the right key gives; see `seal::MasterKey::check`.
    pub check: [u8; 32],
    /// Of a store that has no slots yet: how it is derived from a passphrase; none for a key that is given as such.
    pub derivation: Option<String>,
    /// How it is reached, by name. None in a store that was made before there were slots, until it is opened.
    pub slots: Vec<Slot>,
}

/// The master key, wrapped by a key that is kept at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// What it is called.
    pub name: Name,
    /// What kind of place the key is kept at.
    pub kind: SlotKind,
    /// How the key is derived from a passphrase.
    pub derivation: Option<String>,
    /// The master key, wrapped.
    pub wrapped: Vec<u8>,
    /// Where the key is kept, sealed by the master key.
    pub place: Vec<u8>,
    /// When the slot was made, in Unix seconds.
    pub created_at: i64,
}

/// One version's value with the place it is sealed for.
#[derive(Debug, Clone)]
pub struct SealedVersion {
    /// The credential.
    pub credential: CredentialId,
    /// Its owner.
    pub owner: UserId,
    /// Its service.
    pub service: ServiceName,
    /// The version's number.
    pub number: u32,
    /// The value.
    pub sealed: Sealed,
}

/// Bytes of sidekey's own, sealed under a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledValue {
    /// The label, which the bytes are bound to.
    pub label: String,
    /// The number of the master key that sealed them.
    pub master: u32,
    /// The bytes.
    pub sealed: Vec<u8>,
}

/// Everything that is sealed, under one master key or another.
#[derive(Debug, Clone, Default)]
pub struct SealedContents {
    /// Every version that has a value, of retired and deleted ones too.
    pub versions: Vec<SealedVersion>,
    /// Every labelled value.
    pub labelled: Vec<LabelledValue>,
}
