//! Why the vault did not do what was asked. No message holds a value.

use crate::crypto::CryptoError;
use crate::domain::{CredentialId, Name};
use crate::keys::KeyError;
use crate::seal::SealError;
use crate::store::StoreError;

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
        "{source_of_key} holds another master key than the one that the store was sealed with; put the right one back, \
         or name the store that belongs to it"
    )]
    WrongMaster {
        /// Where the key came from.
        source_of_key: String,
    },
    /// The new master key is the present one.
    #[error("{source_of_key} holds the present master key; put another one there, or name another source")]
    SameMaster {
        /// Where the key came from.
        source_of_key: String,
    },
    /// The new master key would overwrite something that is not the present one.
    #[error("`{0}` exists and does not hold the present master key; name another file")]
    MasterFileTaken(std::path::PathBuf),
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
