//! Why the vault did not do what was asked. No message holds a value.

use crate::crypto::CryptoError;
use crate::domain::{CredentialId, Name};
use crate::intercept::MintError;
use crate::keys::KeyError;
use crate::seal::SealError;
use crate::store::StoreError;

use super::MOST_SLOTS;

/// Why the vault did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The store failed, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The master key cannot be had.
    #[error("the master key cannot be had")]
    Key(#[from] KeyError),
    /// The master key is not the store's.
    #[error(
        "{source_of_key} holds another master key than the store's{}; put the right one back, let [master_key] name the \
         place of another slot, or name the store that belongs to it",
        if slots.is_empty() { String::new() } else { format!(": it opens none of its slots, {slots}") }
    )]
    WrongMaster {
        /// Where the key came from.
        source_of_key: String,
        /// The slots that there are.
        slots: String,
    },
    /// The place that `[master_key]` names yields nothing.
    #[error(
        "the master key cannot be had; the store has the slots {slots}: put the key back that is missing, or let \
         [master_key] name the place of another slot"
    )]
    OutOfReach {
        /// The slots that there are.
        slots: String,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// What a new slot is for opens one already.
    #[error("{source_of_key} opens the slot `{slot}` already; put another key there, or name another place")]
    SlotThere {
        /// Where the key came from.
        source_of_key: String,
        /// The slot that it opens.
        slot: Name,
    },
    /// The new key would overwrite something that is not the present one.
    #[error("`{0}` exists and does not hold the key that [master_key] names; name another file")]
    MasterFileTaken(std::path::PathBuf),
    /// Without it nobody could open the store.
    #[error("`{0}` is the last slot: without it nobody could open the store. Add another one first")]
    LastSlot(Name),
    /// Without it the store could not be opened here.
    #[error(
        "`{slot}` is the slot that {source_of_key} opens, which [master_key] names; let it name the place of another slot \
         first"
    )]
    SlotInUse {
        /// Which.
        slot: Name,
        /// What opens it.
        source_of_key: String,
    },
    /// More slots than anybody can keep an eye on.
    #[error("there are {MOST_SLOTS} slots already, which is the most there can be; remove one first")]
    TooManySlots,
    /// A new master key cannot be put into every slot.
    #[error(
        "the new master key cannot be put into every slot ({0}); nothing was changed. Run this where their keys are, or \
         give them up with --drop-slots (`drop_slots`)"
    )]
    SlotsOutOfReach(String),
    /// A value could not be sealed or opened.
    #[error("the credential `{credential}` cannot be sealed or opened")]
    Seal {
        /// Which.
        credential: Name,
        /// Why.
        #[source]
        source: SealError,
    },
    /// A version could not be put under the new master key.
    #[error(
        "version {version} of the credential {credential} does not open with the present master key; nothing was \
         changed. Delete that credential or restore a backup, then rotate the master key"
    )]
    Rewrap {
        /// Which credential.
        credential: CredentialId,
        /// Which version.
        version: u32,
        /// Why.
        #[source]
        source: SealError,
    },
    /// A version could not be sealed for another owner.
    #[error(
        "version {version} of the credential {credential} does not open, so it cannot be given away; nothing was \
         changed. Delete that credential or restore a backup, then try again"
    )]
    Reseal {
        /// Which credential.
        credential: CredentialId,
        /// Which version.
        version: u32,
        /// Why.
        #[source]
        source: SealError,
    },
    /// A secret of sidekey's own could not be sealed or opened.
    #[error("a secret of sidekey's own cannot be sealed or opened")]
    Labelled(#[source] SealError),
    /// A certificate authority cannot be made.
    #[error("the certificate authority cannot be made")]
    Authority(#[source] MintError),
    /// The credential has no value.
    #[error("the credential `{0}` has no value; rotate it to give it one")]
    NoValue(Name),
    /// Nothing was given to seal.
    #[error("no value was given for `{0}`")]
    NoFields(Name),
    /// The primitive itself failed.
    #[error("a cryptographic operation failed")]
    Crypto(#[source] CryptoError),
}
