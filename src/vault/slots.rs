//! The slots of a store: the master key, wrapped once for each place that a key to it is kept at. What a place yields is told
//! to fit by the check value of the master key, and by nothing else.
//!
//! Invariant: a store that was opened has a slot, and the last one stays. Slots change all at once or not at all.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::domain::{KeyPlace, Name, SlotKind};
use crate::keys::{self, Derivation, KeyBytes, MasterKeySource};
use crate::seal::{MasterKey, SlotContext};
use crate::store::{MasterRecord, Receipt, Slot, StoreError};

use super::{Vault, VaultError, master};

/// More than anybody keeps keys at; each passphrase costs an opening a tenth of a second.
pub const MOST_SLOTS: usize = 8;

/// A slot as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSlot {
    /// What it is called.
    pub name: Name,
    /// What kind of place its key is kept at.
    pub kind: SlotKind,
    /// Where that is; none when what the store says of it was not written with the master key.
    pub place: Option<KeyPlace>,
    /// When it was made, in Unix seconds.
    pub created_at: i64,
}

/// The master key, and through which slot it was reached; none in a store that has no slots yet.
pub(super) struct Unlocked {
    pub(super) key: MasterKey,
    pub(super) bytes: KeyBytes,
    pub(super) slot: Option<Name>,
}

/// The master key, when what `source` yields opens it. A place that yields 32 bytes fits whichever slot they open: the same
/// key may be mounted as a file here and be in a variable there.
pub(super) fn fitting(record: &MasterRecord, source: &MasterKeySource) -> Result<Option<Unlocked>, VaultError> {
    let MasterKeySource::Passphrase { .. } = source else { return fitting_bytes(record, &keys::read(source, None)?) };
    if let Some(derivation) = parsed(record.derivation.as_deref())? {
        return direct(record, &keys::read(source, Some(&derivation))?);
    }
    for slot in &record.slots {
        let Some(derivation) = parsed(slot.derivation.as_deref())? else { continue };
        if let Some(found) = opened(record, slot, &keys::read(source, Some(&derivation))?)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The same, for 32 bytes that no passphrase gave.
pub(super) fn fitting_bytes(record: &MasterRecord, key: &KeyBytes) -> Result<Option<Unlocked>, VaultError> {
    if record.slots.is_empty() && record.derivation.is_none() {
        return direct(record, key);
    }
    for slot in record.slots.iter().filter(|slot| slot.derivation.is_none()) {
        if let Some(found) = opened(record, slot, key)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// In a store that has no slots yet, what the place yields is the master key itself.
fn direct(record: &MasterRecord, bytes: &KeyBytes) -> Result<Option<Unlocked>, VaultError> {
    checked(record, bytes.clone(), None)
}

fn opened(record: &MasterRecord, slot: &Slot, key: &KeyBytes) -> Result<Option<Unlocked>, VaultError> {
    match context(&record.check, slot).unwrap(key, &slot.wrapped).map_err(VaultError::Crypto)? {
        Some(bytes) => checked(record, bytes, Some(slot.name.clone())),
        None => Ok(None),
    }
}

fn checked(record: &MasterRecord, bytes: KeyBytes, slot: Option<Name>) -> Result<Option<Unlocked>, VaultError> {
    let key = master::key(record.id, &bytes)?;
    Ok(key.is_checked_by(&record.check).then_some(Unlocked { key, bytes, slot }))
}

fn parsed(derivation: Option<&str>) -> Result<Option<Derivation>, VaultError> {
    Ok(derivation.map(Derivation::parse).transpose()?)
}

fn context<'a>(check: &'a [u8; 32], slot: &'a Slot) -> SlotContext<'a> {
    SlotContext { check, name: &slot.name, kind: slot.kind, derivation: slot.derivation.as_deref() }
}

/// What a slot's key is, before anything is wrapped by it.
pub(super) struct SlotKey {
    pub(super) name: Name,
    pub(super) place: KeyPlace,
    pub(super) key: KeyBytes,
    pub(super) derivation: Option<String>,
    pub(super) created_at: i64,
}

impl SlotKey {
    /// A slot that holds the master key `of`, whose bytes are `bytes`.
    pub(super) fn wrap(self, of: &MasterKey, bytes: &KeyBytes) -> Result<Slot, VaultError> {
        let Self { name, place, key, derivation, created_at } = self;
        let mut slot =
            Slot { name, kind: place.kind(), derivation, wrapped: Vec::new(), place: Vec::new(), created_at };
        let bound = context(of.check(), &slot);
        let wrapped = bound.wrap(&key, bytes).map_err(VaultError::Crypto)?;
        let place = bound.seal_place(of, &written(&place)).map_err(VaultError::Labelled)?;
        (slot.wrapped, slot.place) = (wrapped, place);
        Ok(slot)
    }
}

/// What a slot of this kind is called when nobody says.
pub(super) fn usual_name(kind: SlotKind) -> Result<Name, VaultError> {
    Name::new(kind.as_str()).map_err(|_| VaultError::Store(StoreError::Corrupt(kind.as_str().to_owned())))
}

/// The slots of a store, for who has no key that fits.
pub(super) fn told(record: &MasterRecord) -> String {
    let slot = |slot: &Slot| format!("`{}` ({})", slot.name, slot.kind.as_str());
    record.slots.iter().map(slot).collect::<Vec<_>>().join(", ")
}

/// What is sealed of a place: its kind stands beside it. No argument of a program has a NUL byte.
fn written(place: &KeyPlace) -> Vec<u8> {
    match place {
        KeyPlace::File(path) => path.as_os_str().as_bytes().to_vec(),
        KeyPlace::Env(name) | KeyPlace::PassphraseEnv(name) => name.as_bytes().to_vec(),
        KeyPlace::Command(argv) => argv.join("\0").into_bytes(),
    }
}

fn read(kind: SlotKind, bytes: Vec<u8>) -> Option<KeyPlace> {
    Some(match kind {
        SlotKind::File => KeyPlace::File(PathBuf::from(OsString::from_vec(bytes))),
        SlotKind::Env => KeyPlace::Env(String::from_utf8(bytes).ok()?),
        SlotKind::Passphrase => KeyPlace::PassphraseEnv(String::from_utf8(bytes).ok()?),
        SlotKind::Command => KeyPlace::Command(String::from_utf8(bytes).ok()?.split('\0').map(str::to_owned).collect()),
    })
}

/// Where a slot's key is kept, when that was written with the master key.
fn place(of: &MasterKey, slot: &Slot) -> Option<KeyPlace> {
    let bytes = context(of.check(), slot).open_place(of, &slot.place).ok()?;
    read(slot.kind, bytes)
}

/// The key of a slot from its place, when it opens the slot; else why not, for a person.
pub(super) fn reach(
    record: &MasterRecord,
    of: &MasterKey,
    slot: &Slot,
    look: &dyn Fn(&KeyPlace) -> Result<MasterKeySource, String>,
) -> Result<SlotKey, String> {
    let place = place(of, slot).ok_or("where its key is kept was not written with the master key")?;
    let derivation = parsed(slot.derivation.as_deref()).map_err(|error| error.to_string())?;
    let key = keys::read(&look(&place)?, derivation.as_ref()).map_err(|error| error.to_string())?;
    match opened(record, slot, &key) {
        Ok(Some(_)) => {}
        _ => return Err(format!("what {place} holds does not open it")),
    }
    let (name, derivation, created_at) = (slot.name.clone(), slot.derivation.clone(), slot.created_at);
    Ok(SlotKey { name, place, key, derivation, created_at })
}

impl Vault {
    /// The slots, by name.
    ///
    /// # Errors
    /// When the store fails, or another process rotated the master key and this vault has not followed.
    pub fn slots(&self) -> Result<Vec<ListedSlot>, VaultError> {
        let of = &self.masters.load().current;
        let listed = |slot: &Slot| ListedSlot {
            name: slot.name.clone(),
            kind: slot.kind,
            place: place(of, slot),
            created_at: slot.created_at,
        };
        Ok(self.record()?.slots.iter().map(listed).collect())
    }

    /// Makes a slot for `source`, called `name` or as its kind; a key file that is absent is made. `present` is a place that
    /// opens the store already.
    ///
    /// # Errors
    /// When the master key cannot be reached from `present`, `source` yields no key or one that opens a slot already, the name
    /// is taken, there are as many slots as there may be, or the store fails. No slot was made then.
    pub fn add_slot(
        &self,
        present: &MasterKeySource,
        name: Option<Name>,
        source: &MasterKeySource,
    ) -> Result<Receipt, VaultError> {
        let record = self.record()?;
        let unlocked = master::unlock_known(&record, present)?;
        let place = source.place();
        let name = name.map_or_else(|| usual_name(place.kind()), Ok)?;
        if record.slots.iter().any(|slot| slot.name == name) {
            return Err(StoreError::NameTaken { what: "slot", name: name.to_string() }.into());
        }
        if record.slots.len() >= MOST_SLOTS {
            return Err(VaultError::TooManySlots);
        }
        let (key, derivation) = keys::create(source)?;
        let there = match derivation {
            Some(_) => fitting(&record, source)?,
            None => fitting_bytes(&record, &key)?,
        };
        if let Some(slot) = there.and_then(|there| there.slot) {
            return Err(VaultError::SlotThere { source_of_key: source.to_string(), slot });
        }
        let derivation = derivation.map(|derivation| derivation.to_string());
        let new = SlotKey { name: name.clone(), place, key, derivation, created_at: self.now() };
        let mut next = record.clone();
        next.slots.push(new.wrap(&unlocked.key, &unlocked.bytes)?);
        Ok(self.store.change_slots(&record, &next, self.now())?)
    }

    /// Ends a slot. `present` is the place that opens the store here.
    ///
    /// # Errors
    /// When there is no such slot, it is the last or the one that `present` opens, or the store fails.
    pub fn remove_slot(&self, present: &MasterKeySource, name: &Name) -> Result<Receipt, VaultError> {
        let record = self.record()?;
        if !record.slots.iter().any(|slot| slot.name == *name) {
            return Err(StoreError::Unknown { what: "slot", which: name.to_string() }.into());
        }
        if record.slots.len() == 1 {
            return Err(VaultError::LastSlot(name.clone()));
        }
        if master::unlock_known(&record, present)?.slot.as_ref() == Some(name) {
            return Err(VaultError::SlotInUse { slot: name.clone(), source_of_key: present.to_string() });
        }
        let mut next = record.clone();
        next.slots.retain(|slot| slot.name != *name);
        Ok(self.store.change_slots(&record, &next, self.now())?)
    }

    /// The store's record of the master key that this vault has.
    pub(super) fn record(&self) -> Result<MasterRecord, VaultError> {
        let record = self.store.master()?;
        record.filter(|record| record.id == self.masters.load().current.id()).ok_or_else(master::moved)
    }
}
