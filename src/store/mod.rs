//! What must survive: users, teams, callers, and credentials as ciphertext. It knows no key and opens nothing; times come
//! in as parameters. Everything here blocks and is for the control plane: the data path reads a snapshot and never waits
//! on a store.
//!
//! Invariant: an operation that returned is on disk and whole; one that failed has changed nothing.

mod error;
mod rows;
mod sqlite;

use std::fmt::Debug;

use crate::domain::{Caller, CallerId, Credential, CredentialId, Sealed, Share, User, UserId};

pub use error::StoreError;
pub use rows::{
    Act, CredentialFilter, CredentialHistory, Inventory, LabelledValue, ListedCaller, ListedCredential, MasterRecord,
    Receipt, SealedContents, SealedVersion, VersionRow,
};
pub use sqlite::Sqlite;

/// The fixed identifier of the user `local` and of the caller `local`, which every store has from the start.
pub const LOCAL: &str = "local";

/// A store. Several processes may use the same one at once.
///
/// Contract, checked by one suite for every implementation: each operation is one transaction; a receipt is handed out only
/// when the change would survive a crash; names are unique among the living (credentials per owner, users and callers in
/// the whole store). An implementation that acknowledges early loses keys that people have thrown away elsewhere, so it
/// must rather fail. What is sealed with another master key than the store's is refused with [`StoreError::Moved`]. All methods block, for milliseconds as a rule and up to 10 s behind another process's lock. `at` is
/// the time of the act in Unix seconds.
///
/// # Errors
/// Every method fails with [`StoreError`] when the store cannot be used, and as said at the method.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
pub trait Store: Send + Sync + Debug {
    /// A number that differs when anything that the inventory shows was changed, by any process. Cheap enough to ask
    /// several times a second.
    fn change_counter(&self) -> Result<u64, StoreError>;

    /// Everything that a running proxy needs, from one moment.
    fn inventory(&self) -> Result<Inventory, StoreError>;

    /// The master key that the store was sealed with; none before the first.
    fn master(&self) -> Result<Option<MasterRecord>, StoreError>;

    /// Makes `record` the store's master key when it has none. Returns the one it has afterwards, which is another one when
    /// another process was first.
    fn adopt_master(&self, record: &MasterRecord, at: i64) -> Result<MasterRecord, StoreError>;

    /// Everything that the master key protects.
    fn sealed_contents(&self) -> Result<SealedContents, StoreError>;

    /// The bytes sealed under a label of sidekey's own.
    fn labelled(&self, label: &str) -> Result<Option<LabelledValue>, StoreError>;

    /// Keeps bytes sealed under a label, in place of what was there.
    fn keep_labelled(&self, value: &LabelledValue) -> Result<(), StoreError>;

    /// Makes `record` the master key and replaces everything that it protects. Fails with [`StoreError::Moved`] when
    /// `rewrapped` is not all of it, because something was added since it was read.
    fn replace_master(&self, record: &MasterRecord, rewrapped: SealedContents, at: i64) -> Result<Receipt, StoreError>;

    /// Adds a credential with its first version and its shares. Fails with [`StoreError::NameTaken`].
    fn add_credential(&self, credential: &Credential, at: i64) -> Result<Receipt, StoreError>;

    /// Adds a version and makes it current. `number` must be one more than the highest so far, as the value is sealed for
    /// its number: else [`StoreError::Moved`]. Fails with [`StoreError::Unknown`].
    fn rotate_credential(
        &self,
        id: &CredentialId,
        number: u32,
        sealed: &Sealed,
        at: i64,
    ) -> Result<Receipt, StoreError>;

    /// Makes the version current that the current one replaced. Rolling back twice goes back two versions; numbers are
    /// never given twice, so the next rotation continues after the highest. Fails with [`StoreError::Unknown`] and
    /// [`StoreError::NothingBefore`].
    fn roll_back_credential(&self, id: &CredentialId, at: i64) -> Result<Receipt, StoreError>;

    /// Takes a credential out of use; its value stays until [`Store::purge`]. Fails with [`StoreError::Unknown`].
    fn delete_credential(&self, id: &CredentialId, at: i64) -> Result<Receipt, StoreError>;

    /// Takes back a deletion. Fails with [`StoreError::Unknown`] when it is not deleted, [`StoreError::NameTaken`] when its
    /// name was given again, [`StoreError::Destroyed`] when its value is gone.
    fn restore_credential(&self, id: &CredentialId, at: i64) -> Result<Receipt, StoreError>;

    /// Destroys the values of credentials deleted before `deleted_before`; returns how many versions were destroyed.
    fn purge(&self, deleted_before: i64, at: i64) -> Result<u64, StoreError>;

    /// Shares a credential; sharing again is no error. Fails with [`StoreError::Unknown`], for the other side too.
    fn share(&self, id: &CredentialId, with: &Share, at: i64) -> Result<Receipt, StoreError>;

    /// Ends a share. Fails with [`StoreError::Unknown`] when there was none.
    fn unshare(&self, id: &CredentialId, with: &Share, at: i64) -> Result<Receipt, StoreError>;

    /// The credentials that `filter` lets through, by name.
    fn credentials(&self, filter: &CredentialFilter) -> Result<Vec<ListedCredential>, StoreError>;

    /// One credential, deleted or not, with its versions. Fails with [`StoreError::Unknown`].
    fn credential(&self, id: &CredentialId) -> Result<CredentialHistory, StoreError>;

    /// Adds a caller. Fails with [`StoreError::NameTaken`], and [`StoreError::Unknown`] for its owner.
    fn add_caller(&self, caller: &Caller, at: i64) -> Result<Receipt, StoreError>;

    /// Gives a caller another token: the former is worth nothing from now on. Fails with [`StoreError::Unknown`].
    fn rotate_caller(&self, id: &CallerId, token_digest: [u8; 32], at: i64) -> Result<Receipt, StoreError>;

    /// Ends a caller, and what was shared with it alone. Fails with [`StoreError::Unknown`], and [`StoreError::Fixed`] for
    /// `local`.
    fn delete_caller(&self, id: &CallerId, at: i64) -> Result<Receipt, StoreError>;

    /// The living callers by name.
    fn callers(&self) -> Result<Vec<ListedCaller>, StoreError>;

    /// Notes when callers were last seen. Not a change that others follow.
    fn note_callers_used(&self, seen: &[(CallerId, i64)]) -> Result<(), StoreError>;

    /// Adds a user; its teams are not looked at. Fails with [`StoreError::NameTaken`].
    fn add_user(&self, user: &User, at: i64) -> Result<Receipt, StoreError>;

    /// The living users by name.
    fn users(&self) -> Result<Vec<User>, StoreError>;

    /// A living user. Fails with [`StoreError::Unknown`].
    fn user(&self, id: &UserId) -> Result<User, StoreError>;

    /// Reads every page and index. Fails with [`StoreError::Corrupt`]. Takes seconds on a large store.
    fn check_integrity(&self) -> Result<(), StoreError>;
}

#[cfg(test)]
mod contract;
#[cfg(test)]
mod tests;
