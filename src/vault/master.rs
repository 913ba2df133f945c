//! The master key of a store: getting it, making sure of it, and putting everything under another one.

use std::sync::Arc;

use crate::crypto::digest;
use crate::domain::{KeyPlace, Name, SlotKind};
use crate::keys::{self, Derivation, KeyBytes, MasterKeySource};
use crate::seal::{self, MasterKey, SealError};
use crate::store::{LabelledValue, MasterRecord, Receipt, SealedContents, SealedVersion, Store, StoreError};

use super::slots::{self, SlotKey, Unlocked};
use super::{Masters, Vault, VaultError};

/// Puts everything under a new master key.
pub struct MasterRotation<'a> {
    /// The place that opens the store here.
    pub present: &'a MasterKeySource,
    /// The place that the slot which `present` opens is for from then on. The same file gets a fresh key.
    pub next: &'a MasterKeySource,
    /// Looks where the key of another slot is kept; else says why it cannot.
    pub look: &'a dyn Fn(&KeyPlace) -> Result<MasterKeySource, String>,
    /// What becomes of slots whose key cannot be reached.
    pub out_of_reach: OutOfReach,
}

/// What becomes of slots whose key cannot be reached: nobody can wrap a new master key for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOfReach {
    /// They stay, and nothing is rotated.
    Refuse,
    /// They end.
    Drop,
}

/// The key that `source` opens, when it is the store's own. A store without one gets one, and a slot for `source`.
pub(super) fn unlock(store: &dyn Store, source: &MasterKeySource, at: i64) -> Result<MasterKey, VaultError> {
    let Some(record) = store.master()? else { return create(store, source, at) };
    let unlocked = unlock_known(&record, source)?;
    if record.slots.is_empty() {
        let place = source.place();
        let (name, key) = (slots::usual_name(place.kind())?, unlocked.bytes.clone());
        let slot = SlotKey { name, place, key, derivation: record.derivation.clone(), created_at: at };
        let slots = vec![slot.wrap(&unlocked.key, &unlocked.bytes)?];
        match store.change_slots(&record, &MasterRecord { derivation: None, slots, ..record.clone() }, at) {
            // Another process was first.
            Ok(_) | Err(StoreError::Moved(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(unlocked.key)
}

fn create(store: &dyn Store, source: &MasterKeySource, at: i64) -> Result<MasterKey, VaultError> {
    let (key, derivation) = keys::create(source)?;
    let (place, derivation) = (source.place(), derivation.map(|derivation| derivation.to_string()));
    let bytes = keys::fresh()?;
    let master = self::key(1, &bytes)?;
    let slot = SlotKey { name: slots::usual_name(place.kind())?, place, key, derivation, created_at: at };
    let slots = vec![slot.wrap(&master, &bytes)?];
    let record = MasterRecord { id: 1, check: *master.check(), derivation: None, slots };
    let adopted = store.adopt_master(&record, at)?;
    // Another process may have been first, and the store has its master key.
    if adopted == record { Ok(master) } else { Ok(unlock_known(&adopted, source)?.key) }
}

pub(super) fn unlock_known(record: &MasterRecord, source: &MasterKeySource) -> Result<Unlocked, VaultError> {
    let out_of_reach = |error| match error {
        VaultError::Key(source) if !record.slots.is_empty() => {
            VaultError::OutOfReach { slots: slots::told(record), source }
        }
        other => other,
    };
    if let Some(unlocked) = slots::fitting(record, source).map_err(out_of_reach)? {
        return Ok(unlocked);
    }
    // A rotation may have been cut off after the store had the new key and before the file had it.
    if let MasterKeySource::File(path) = source
        && let Some(bytes) = keys::read_staged(path, &tag(&record.check))?
        && let Some(unlocked) = slots::fitting_bytes(record, &bytes)?
    {
        keys::place_staged(path, &tag(&record.check))?;
        return Ok(unlocked);
    }
    Err(VaultError::WrongMaster { source_of_key: source.to_string(), slots: slots::told(record) })
}

pub(super) fn key(id: u32, bytes: &KeyBytes) -> Result<MasterKey, VaultError> {
    MasterKey::new(id, bytes).map_err(VaultError::Crypto)
}

impl Vault {
    /// Follows a rotation of the master key by another process; does nothing when there was none. What was read before
    /// the rotation still opens.
    ///
    /// # Errors
    /// When the new key cannot be had from `source`, or the store fails. The vault then stays as it is.
    pub fn refresh_master(&self, source: &MasterKeySource) -> Result<(), VaultError> {
        let Some(record) = self.store.master()? else { return Ok(()) };
        if record.id == self.masters.load().current.id() {
            return Ok(());
        }
        self.install(unlock_known(&record, source)?.key);
        Ok(())
    }

    /// Puts everything under a fresh master key, and that into every slot. Values are not opened, only their data keys are
    /// wrapped anew. A crash leaves either the old or the new state, and the next opening finds the right key. Returns the
    /// slots that ended, too.
    ///
    /// # Errors
    /// When the keys cannot be had or made, something does not open with the present master key, a slot cannot be reached and
    /// is not to end, somebody else changed something meanwhile, or the store fails. Nothing has changed then.
    pub fn rotate_master(&self, rotation: &MasterRotation<'_>) -> Result<(Receipt, Vec<Name>), VaultError> {
        let old = Arc::clone(&self.masters.load().current);
        let former = self.record()?;
        let own = unlock_known(&former, rotation.present)?.slot.ok_or_else(moved)?;
        let next = rotation.next;
        let (key, derivation) = next_key(&former, &own, next)?;
        let bytes = keys::fresh()?;
        let new = self::key(old.id().saturating_add(1), &bytes)?;
        let (mut kept, ended) = others(&former, &old, &own, rotation)?;
        let name = renamed(&former, &own, next.place().kind())?;
        let (place, derivation) = (next.place(), derivation.map(|derivation| derivation.to_string()));
        kept.push(SlotKey { name, place, key: key.clone(), derivation, created_at: self.now() });
        let mut slots = kept.into_iter().map(|slot| slot.wrap(&new, &bytes)).collect::<Result<Vec<_>, _>>()?;
        slots.sort_by(|one, other| one.name.cmp(&other.name));
        let record = MasterRecord { id: new.id(), check: *new.check(), derivation: None, slots };
        let rewrapped = rewrap(&old, &new, self.store.sealed_contents()?)?;
        let replace = || self.store.replace_master(&former, &record, rewrapped, self.now());
        let MasterKeySource::File(path) = next else {
            let receipt = replace()?;
            self.install(new);
            return Ok((receipt, ended));
        };
        let tag = tag(&record.check);
        keys::stage(path, &tag, &key)?;
        let replaced = replace();
        if let Err(StoreError::Moved(_)) = replaced {
            // Any other failure may be one after the commit: then the staged key is the one that counts.
            keys::drop_staged(path, &tag);
        }
        let receipt = replaced?;
        // From here on the store speaks of the new key: this process must too, whatever happens to the file.
        self.install(new);
        keys::place_staged(path, &tag)?;
        Ok((receipt, ended))
    }

    /// Tries to open everything that is sealed; returns how much there is, and what does not open.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unopenable(&self) -> Result<(usize, Vec<String>), VaultError> {
        let SealedContents { versions, labelled } = self.store.sealed_contents()?;
        let masters = self.masters.load();
        let closed = |version: &SealedVersion| {
            let opened = seal::open(&masters.current, &super::place_of(version), &version.sealed);
            opened.is_err().then(|| format!("version {} of the credential {}", version.number, version.credential))
        };
        let mut found: Vec<String> = versions.iter().filter_map(closed).collect();
        let sealed = |value: &&LabelledValue| masters.current.open_labelled(&value.label, &value.sealed).is_err();
        found.extend(labelled.iter().filter(sealed).map(|value| format!("sidekey's own `{}`", value.label)));
        Ok((versions.len() + labelled.len(), found))
    }

    fn install(&self, new: MasterKey) {
        let former = Some(Arc::clone(&self.masters.load().current));
        self.masters.store(Arc::new(Masters { current: Arc::new(new), former }));
    }
}

/// The key of the slot `own` from now on: a fresh one for a file, which must be absent or hold the slot's present one, else
/// what the place yields.
fn next_key(
    record: &MasterRecord,
    own: &Name,
    next: &MasterKeySource,
) -> Result<(KeyBytes, Option<Derivation>), VaultError> {
    let MasterKeySource::File(path) = next else {
        let (key, derivation) = keys::create(next)?;
        return match slots::fitting(record, next)?.and_then(|there| there.slot) {
            Some(slot) => Err(VaultError::SlotThere { source_of_key: next.to_string(), slot }),
            None => Ok((key, derivation)),
        };
    };
    if path.exists() && slots::fitting(record, next)?.and_then(|there| there.slot).as_ref() != Some(own) {
        return Err(VaultError::MasterFileTaken(path.clone()));
    }
    Ok((keys::fresh()?, None))
}

/// The other slots, to be wrapped anew, and the names of those that end.
fn others(
    record: &MasterRecord,
    old: &MasterKey,
    own: &Name,
    rotation: &MasterRotation<'_>,
) -> Result<(Vec<SlotKey>, Vec<Name>), VaultError> {
    let (mut kept, mut ended, mut why) = (Vec::new(), Vec::new(), Vec::new());
    for slot in record.slots.iter().filter(|slot| slot.name != *own) {
        match slots::reach(record, old, slot, rotation.look) {
            Ok(slot) => kept.push(slot),
            Err(reason) => {
                why.push(format!("`{}`: {reason}", slot.name));
                ended.push(slot.name.clone());
            }
        }
    }
    if !ended.is_empty() && rotation.out_of_reach == OutOfReach::Refuse {
        return Err(VaultError::SlotsOutOfReach(why.join("; ")));
    }
    Ok((kept, ended))
}

/// What the slot `own` is called when it is for a place of this kind: a name that says another kind would mislead.
fn renamed(record: &MasterRecord, own: &Name, kind: SlotKind) -> Result<Name, VaultError> {
    let usual = slots::usual_name(kind)?;
    let says_another = SlotKind::parse(own.as_str()).is_some_and(|said| said != kind);
    let taken = record.slots.iter().any(|slot| slot.name == usual);
    Ok(if says_another && !taken { usual } else { own.clone() })
}

/// What a staged key file is called by: enough of the check value that no two keys share it.
fn tag(check: &[u8; digest::LEN]) -> String {
    digest::hex(check).chars().take(16).collect()
}

fn rewrap(old: &MasterKey, new: &MasterKey, contents: SealedContents) -> Result<SealedContents, VaultError> {
    let SealedContents { mut versions, mut labelled } = contents;
    for version in &mut versions {
        version.sealed = match seal::rewrap(old, new, &super::place_of(version), &version.sealed) {
            Ok(sealed) => sealed,
            Err(SealError::OtherMaster { .. }) => return Err(moved()),
            Err(source) => {
                let credential = version.credential.clone();
                return Err(VaultError::Rewrap { credential, version: version.number, source });
            }
        };
    }
    for value in &mut labelled {
        if value.master != old.id() {
            return Err(moved());
        }
        let secret = old.open_labelled(&value.label, &value.sealed).map_err(VaultError::Labelled)?;
        value.sealed = new.seal_labelled(&value.label, &secret).map_err(VaultError::Labelled)?;
        value.master = new.id();
    }
    Ok(SealedContents { versions, labelled })
}

/// Another process rotated the master key first.
pub(super) fn moved() -> VaultError {
    StoreError::Moved("the master key".to_owned()).into()
}
