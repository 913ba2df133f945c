//! The master key of a store: getting it, making sure of it, and putting everything under another one.

use std::sync::Arc;

use crate::crypto::digest;
use crate::keys::{self, Derivation, KeyBytes, MasterKeySource};
use crate::seal::{self, MasterKey, SealError};
use crate::store::{LabelledValue, MasterRecord, Receipt, SealedContents, SealedVersion, Store, StoreError};

use super::{Masters, Vault, VaultError};

/// The key from `source`, when it is the store's own. A store without one takes it.
pub(super) fn unlock(store: &dyn Store, source: &MasterKeySource, at: i64) -> Result<MasterKey, VaultError> {
    if let Some(record) = store.master()? {
        return unlock_known(&record, source);
    }
    let (bytes, derivation) = keys::create(source)?;
    let key = MasterKey::new(1, &bytes).map_err(VaultError::Crypto)?;
    let record = MasterRecord { id: 1, check: *key.check(), derivation: derivation.map(|d| d.to_string()) };
    let adopted = store.adopt_master(&record, at)?;
    // Another process may have been first, with the same key or, from a passphrase, with another salt.
    if adopted == record { Ok(key) } else { unlock_known(&adopted, source) }
}

fn unlock_known(record: &MasterRecord, source: &MasterKeySource) -> Result<MasterKey, VaultError> {
    let derivation = record.derivation.as_deref().map(Derivation::parse).transpose()?;
    let key = key(record.id, &keys::read(source, derivation.as_ref())?)?;
    if key.is_checked_by(&record.check) {
        return Ok(key);
    }
    // A rotation may have been cut off after the store had the new key and before the file had it.
    if let MasterKeySource::File(path) = source
        && let Some(bytes) = keys::read_staged(path, &tag(&record.check))?
    {
        let staged = self::key(record.id, &bytes)?;
        if staged.is_checked_by(&record.check) {
            keys::place_staged(path, &tag(&record.check))?;
            return Ok(staged);
        }
    }
    Err(VaultError::WrongMaster { source_of_key: source.to_string() })
}

fn key(id: u32, bytes: &KeyBytes) -> Result<MasterKey, VaultError> {
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
        self.install(unlock_known(&record, source)?);
        Ok(())
    }

    /// Puts everything under a new master key: a fresh one for a file, which takes the place of the present one there, else
    /// the one that `next` yields. Values are not opened, only their data keys are wrapped anew. A crash leaves either the
    /// old or the new state, and the next opening finds the right key.
    ///
    /// # Errors
    /// When the new key cannot be had or made, something does not open with the present one, somebody else changed
    /// something meanwhile, or the store fails. Nothing has changed then.
    pub fn rotate_master(&self, next: &MasterKeySource) -> Result<Receipt, VaultError> {
        let old = Arc::clone(&self.masters.load().current);
        let id = old.id().saturating_add(1);
        let (bytes, derivation) = next_bytes(&old, next)?;
        let new = key(id, &bytes)?;
        if new.is_checked_by(old.check()) {
            return Err(VaultError::SameMaster { source_of_key: next.to_string() });
        }
        let rewrapped = rewrap(&old, &new, self.store.sealed_contents()?)?;
        let record = MasterRecord { id, check: *new.check(), derivation: derivation.map(|d| d.to_string()) };
        let MasterKeySource::File(path) = next else {
            let receipt = self.store.replace_master(&record, rewrapped, self.now())?;
            self.install(new);
            return Ok(receipt);
        };
        let tag = tag(&record.check);
        keys::stage(path, &tag, &bytes)?;
        let replaced = self.store.replace_master(&record, rewrapped, self.now());
        if let Err(StoreError::Moved(_)) = replaced {
            // Any other failure may be one after the commit: then the staged key is the one that counts.
            keys::drop_staged(path, &tag);
        }
        let receipt = replaced?;
        // From here on the store speaks of the new key: this process must too, whatever happens to the file.
        self.install(new);
        keys::place_staged(path, &tag)?;
        Ok(receipt)
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

fn next_bytes(old: &MasterKey, next: &MasterKeySource) -> Result<(KeyBytes, Option<Derivation>), VaultError> {
    let MasterKeySource::File(path) = next else { return Ok(keys::create(next)?) };
    if path.exists() {
        let present = key(old.id(), &keys::read(next, None)?)?;
        if !present.is_checked_by(old.check()) {
            return Err(VaultError::MasterFileTaken(path.clone()));
        }
    }
    Ok((keys::fresh()?, None))
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
fn moved() -> VaultError {
    StoreError::Moved("the master key".to_owned()).into()
}
