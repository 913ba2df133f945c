//! The master key: everything under another one, at once, and the slots that it is reached by.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::domain::{KeyPlace, Name};
use crate::keys::MasterKeySource;
use crate::vault::{ListedSlot, MasterRotation, OutOfReach, Vault};

use super::{Actor, OperationError, Operations};

/// The longest name of a variable, in bytes.
const LONGEST_VARIABLE: usize = 128;

/// Looks where a key is kept, as far as this machine can; else says why not.
pub type Look = dyn Fn(&KeyPlace) -> Result<MasterKeySource, String> + Send + Sync;

/// What a rotation of the master key did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterRotated {
    /// The number of the master key, from 1.
    pub number: u32,
    /// The slots that ended, because their keys could not be reached.
    pub ended: Vec<Name>,
}

/// A slot, as lists show it: where a key to the master key is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SlotView {
    /// What it is called.
    pub name: Name,
    /// `file`, `env`, `passphrase` or `command`.
    pub kind: &'static str,
    /// Where its key is kept, for a person; none when what the store says of it was not written with the master key.
    pub place: Option<String>,
    /// When it was made, in UTC.
    pub created_at: Timestamp,
}

impl Operations {
    /// Puts every sealed value under a fresh master key, and that into every slot. Running proxies follow and refuse nothing
    /// meanwhile.
    ///
    /// # Errors
    /// When `actor` does not administer, the keys cannot be had, a slot cannot be reached and is not to end, a value does not
    /// open with the present master key, or the change cannot be kept or recorded. But for the last, nothing has changed then.
    pub fn rotate_master(&self, actor: &Actor, rotation: &MasterRotation<'_>) -> Result<MasterRotated, OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        let source = rotation.next.place().kind().as_str();
        let rotate = |vault: &Vault| vault.rotate_master(rotation);
        let (receipt, ended) = pen.act("master.rotate", &[("source", source)], rotate)?;
        if !ended.is_empty() {
            let names = ended.iter().map(Name::as_str).collect::<Vec<_>>().join(" ");
            pen.note("master.slots_ended", &receipt, &[("slots", &names)])?;
        }
        Ok(MasterRotated { number: receipt.version.unwrap_or_default(), ended })
    }

    /// The same with a fresh key in the file that `[master_key]` names.
    ///
    /// # Errors
    /// As [`Self::rotate_master`], and when `[master_key]` names no file.
    pub fn rotate_master_here(
        &self,
        actor: &Actor,
        look: &Look,
        out_of_reach: OutOfReach,
    ) -> Result<MasterRotated, OperationError> {
        actor.must_administer()?;
        let present = self.place_here(look)?;
        if !matches!(present, MasterKeySource::File(_)) {
            let text =
                format!("[master_key] names {present}, where no fresh key can be put: use `sidekey master rotate`");
            return Err(OperationError::Invalid(text));
        }
        self.rotate_master(actor, &MasterRotation { present: &present, next: &present, look, out_of_reach })
    }

    /// As [`Self::remove_slot`], with the place that `[master_key]` names.
    ///
    /// # Errors
    /// As [`Self::remove_slot`].
    pub fn remove_slot_here(&self, actor: &Actor, look: &Look, name: &Name) -> Result<(), OperationError> {
        actor.must_administer()?;
        self.remove_slot(actor, &self.place_here(look)?, name)
    }

    /// The place that `[master_key]` names, with what is there.
    pub(super) fn place_here(&self, look: &Look) -> Result<MasterKeySource, OperationError> {
        look(&self.config.load().master_key).map_err(OperationError::Invalid)
    }

    /// The slots, by name.
    ///
    /// # Errors
    /// When `actor` does not administer, or the store fails.
    pub fn slots(&self, actor: &Actor) -> Result<Vec<SlotView>, OperationError> {
        actor.must_administer()?;
        let view = |ListedSlot { name, kind, place, created_at }| SlotView {
            name,
            kind: kind.as_str(),
            place: place.as_ref().map(KeyPlace::to_string),
            created_at: super::view::moment(created_at),
        };
        Ok(self.vault.slots()?.into_iter().map(view).collect())
    }

    /// Makes a slot for `source`, called `name` or as its kind. `present` is a place that opens the store already.
    ///
    /// # Errors
    /// When `actor` does not administer, the master key cannot be reached from `present`, `source` yields no key or one that
    /// opens a slot already, the name is taken, there are as many slots as there may be, or the change cannot be kept or
    /// recorded. But for the last, nothing has changed then.
    pub fn add_slot(
        &self,
        actor: &Actor,
        present: &MasterKeySource,
        name: Option<Name>,
        source: &MasterKeySource,
    ) -> Result<String, OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        let details = [("source", source.place().kind().as_str())];
        let receipt = pen.act("master.slot_add", &details, |vault| vault.add_slot(present, name, source))?;
        Ok(receipt.name)
    }

    /// Makes a slot for the passphrase `value`, which is kept in the environment variable `variable` of whoever is to open the
    /// store by it. The place that `[master_key]` names opens the store already.
    ///
    /// # Errors
    /// As [`Self::add_slot`], and when `variable` is no name that a variable can have.
    pub fn add_passphrase_slot(
        &self,
        actor: &Actor,
        look: &Look,
        name: Option<Name>,
        variable: String,
        value: Zeroizing<String>,
    ) -> Result<String, OperationError> {
        actor.must_administer()?;
        let fits = |(at, c): (usize, char)| c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit());
        if variable.is_empty() || variable.len() > LONGEST_VARIABLE || !variable.chars().enumerate().all(fits) {
            let text = "`variable` is the name of an environment variable: 1 to 128 letters, digits and `_`, not a digit first";
            return Err(OperationError::Invalid(text.to_owned()));
        }
        let source = MasterKeySource::Passphrase { name: variable, value };
        self.add_slot(actor, &self.place_here(look)?, name, &source)
    }

    /// Ends a slot. `present` is the place that opens the store here.
    ///
    /// # Errors
    /// When `actor` does not administer, there is no such slot, it is the last or the one that `present` opens, or the change
    /// cannot be kept or recorded. But for the last, nothing has changed then.
    pub fn remove_slot(&self, actor: &Actor, present: &MasterKeySource, name: &Name) -> Result<(), OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        pen.act("master.slot_remove", &[], |vault| vault.remove_slot(present, name)).map(drop)
    }
}
