//! What must survive: users, teams, callers, and credentials as ciphertext. It knows no key and opens nothing; times come
//! in as parameters. Everything here blocks and is for the control plane: the data path reads a snapshot and never waits
//! on a store.
//!
//! Invariant: an operation that returned is on disk and whole; one that failed has changed nothing.

mod authorities;
mod deeds;
mod error;
mod page;
mod passes;
mod rows;
mod sealed;
mod services;
mod sqlite;

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use crate::domain::{
    Caller, CallerId, Credential, CredentialId, GateReset, NotedGate, OwnerQuotaUse, Pin, PinnedTo, QuotaUse, Role,
    Sealed, ServiceName, Share, Shared, Team, TeamId, User, UserId,
};

pub use authorities::StoredAuthority;
pub use deeds::{Deed, LogEnd, Unrecorded};
pub use error::StoreError;
pub use page::{CredentialPage, Named, Owned, Viewer};
pub use passes::{Pass, PassKind, RunToken};
pub use rows::{
    Act, CallerEdit, Changes, CredentialEdit, CredentialFilter, CredentialHistory, Former, Inheritance, Inventory,
    ListedCaller, ListedCredential, ListedTeam, ListedUser, Receipt, Takeover, Verified, VersionRow,
};
pub use sealed::{LabelledValue, MasterRecord, SealedContents, SealedVersion, Slot};
pub use services::{InUse, StoredService};
#[cfg(test)]
pub(crate) use sqlite::Filling;
pub use sqlite::Sqlite;

/// The fixed identifier of the user `local` and of the caller `local`, which every store has from the start.
pub const LOCAL: &str = "local";

/// What the running proxy learnt of limits: the part of a store that notes it, for commands and the next start.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
pub trait Learnt {
    /// Notes the gates of the running proxy, in place of those noted before. Not a change that others follow.
    fn note_gates(&self, gates: &[NotedGate], at: i64) -> Result<(), StoreError>;

    /// The gates as they were noted last, and when; by service, owner and bucket.
    fn noted_gates(&self) -> Result<(Option<i64>, Vec<NotedGate>), StoreError>;

    /// Has the running proxy forget gates.
    fn order_gate_reset(&self, reset: &GateReset, at: i64) -> Result<Receipt, StoreError>;

    /// Takes away what is ordered. Not a change that others follow.
    fn take_gate_resets(&self) -> Result<Vec<GateReset>, StoreError>;

    /// Pins a limit, in place of what was pinned there. Forgets pins that are over.
    fn pin(&self, pin: &Pin, at: i64) -> Result<Receipt, StoreError>;

    /// Takes a pinned limit back. Fails with [`StoreError::Unknown`].
    fn unpin(&self, to: &PinnedTo, at: i64) -> Result<Receipt, StoreError>;

    /// What is pinned, by service, owner and bucket; some of it may be over.
    fn pins(&self) -> Result<Vec<Pin>, StoreError>;

    /// Notes what limit owners used of the quotas of services. Not a change that others follow.
    fn note_owner_quota_uses(&self, uses: &[OwnerQuotaUse]) -> Result<(), StoreError>;

    /// What limit owners used of the quotas of services.
    fn owner_quota_uses(&self) -> Result<Vec<OwnerQuotaUse>, StoreError>;
}

/// A store. Several processes may use the same one at once.
///
/// Contract, checked by one suite for every implementation: each operation is one transaction; a receipt is handed out only
/// when the change would survive a crash; names are unique among the living (credentials per owner, users, teams and
/// callers in the whole store). An implementation that acknowledges early loses keys that people have thrown away elsewhere, so it
/// must rather fail. What is sealed with another master key than the store's is refused with [`StoreError::Moved`]. All methods block, for milliseconds as a rule and up to 10 s behind another process's lock. `at` is
/// the time of the act in Unix seconds.
///
/// # Errors
/// Every method fails with [`StoreError`] when the store cannot be used, and as said at the method.
#[allow(clippy::missing_errors_doc, reason = "said once for all methods")]
pub trait Store: Learnt + Send + Sync + Debug {
    /// The same store for one act: the change that is made through it, and no second one, writes `deed` down beside itself, in
    /// its own transaction, so that whatever happens next the act is known.
    fn acting(&self, deed: Deed) -> Arc<dyn Store>;

    /// The acts that were done and may not be in the audit log yet, in the order of their doing.
    fn unrecorded(&self) -> Result<Vec<Unrecorded>, StoreError>;

    /// Forgets acts that are in the audit log now. One that is not there is no error: somebody else was first.
    fn forget_recorded(&self, ids: &[String]) -> Result<(), StoreError>;

    /// A number that differs when anything that the inventory shows was changed, by any process. Cheap enough to ask
    /// several times a second.
    fn change_counter(&self) -> Result<u64, StoreError>;

    /// Everything that a running proxy needs, from one moment.
    fn inventory(&self) -> Result<Inventory, StoreError>;

    /// What changed of the inventory since the change counter was `counter`, from one moment.
    fn changes_since(&self, counter: u64) -> Result<Changes, StoreError>;

    /// The master key that the store was sealed with; none before the first.
    fn master(&self) -> Result<Option<MasterRecord>, StoreError>;

    /// Makes `record` the store's master key when it has none. Returns the one it has afterwards, which is another one when
    /// another process was first.
    fn adopt_master(&self, record: &MasterRecord, at: i64) -> Result<MasterRecord, StoreError>;

    /// Everything that the master key protects.
    fn sealed_contents(&self) -> Result<SealedContents, StoreError>;

    /// The bytes sealed under a label of sidekey's own.
    fn labelled(&self, label: &str) -> Result<Option<LabelledValue>, StoreError>;

    /// Writes a copy of everything, as it is at one moment, into the empty file `path`, while others go on. When this returns,
    /// the copy is whole and on disk.
    fn copy_to(&self, path: &Path) -> Result<(), StoreError>;

    /// Puts what another store holds in the place of what this one holds, for everybody who uses it, and at once. The former
    /// contents are kept in a file, as they were at that moment. What belongs to the processes that use the store stays: acts
    /// that the audit log may not have yet (those of the other store join them), the change counter, which rises above both,
    /// and noted gates. The master key is the other store's, under a number that none of this store had, unless it is the same
    /// key.
    fn take_over(&self, takeover: &Takeover, at: i64) -> Result<Receipt, StoreError>;

    /// Keeps bytes sealed under a label, in place of what was there.
    fn keep_labelled(&self, value: &LabelledValue) -> Result<(), StoreError>;

    /// Makes the slots of `record` those of the master key, which stays. Fails with [`StoreError::Moved`] when what the store
    /// has is not `former` any more. Not a change that others follow.
    fn change_slots(&self, former: &MasterRecord, record: &MasterRecord, at: i64) -> Result<Receipt, StoreError>;

    /// Makes `record` the master key, with its slots, in place of `former`, and replaces everything that it protects. Fails
    /// with [`StoreError::Moved`] when what the store has is not `former` any more, or `rewrapped` is not all that is
    /// protected, because something was added since it was read.
    fn replace_master(
        &self,
        former: &MasterRecord,
        record: &MasterRecord,
        rewrapped: SealedContents,
        at: i64,
    ) -> Result<Receipt, StoreError>;

    /// Adds a credential with its first version and its shares; its value is to be replaced after `rotate_every` seconds. Fails
    /// with [`StoreError::NameTaken`].
    fn add_credential(
        &self,
        credential: &Credential,
        rotate_every: Option<i64>,
        at: i64,
    ) -> Result<Receipt, StoreError>;

    /// Adds a version and makes it current; until `overlap_until`, the one that it replaces may help out. `number` must be one more than the highest so far, as the value is sealed for
    /// its number: else [`StoreError::Moved`]. Fails with [`StoreError::Unknown`].
    fn rotate_credential(
        &self,
        id: &CredentialId,
        number: u32,
        sealed: &Sealed,
        overlap_until: Option<i64>,
        at: i64,
    ) -> Result<Receipt, StoreError>;

    /// Makes the version current that the current one replaced. Rolling back twice goes back two versions; numbers are
    /// never given twice, so the next rotation continues after the highest. Fails with [`StoreError::Unknown`] and
    /// [`StoreError::NothingBefore`].
    fn roll_back_credential(&self, id: &CredentialId, at: i64) -> Result<Receipt, StoreError>;

    /// Changes what people see of a credential. Fails with [`StoreError::Unknown`] and [`StoreError::NameTaken`].
    fn edit_credential(&self, id: &CredentialId, edit: &CredentialEdit, at: i64) -> Result<Receipt, StoreError>;

    /// Takes a credential out of use; its value stays until [`Store::purge`]. Fails with [`StoreError::Unknown`].
    fn delete_credential(&self, id: &CredentialId, at: i64) -> Result<Receipt, StoreError>;

    /// Takes back a deletion. Fails with [`StoreError::Unknown`] when it is not deleted or its owner is gone, [`StoreError::NameTaken`] when its
    /// name was given again, [`StoreError::Destroyed`] when its value is gone.
    fn restore_credential(&self, id: &CredentialId, at: i64) -> Result<Receipt, StoreError>;

    /// Destroys the values of credentials deleted before `deleted_before`; a receipt for each that had one.
    fn purge(&self, deleted_before: i64, at: i64) -> Result<Vec<Receipt>, StoreError>;

    /// Notes what a try of a credential at its service said. Not a change that others follow.
    fn note_verified(&self, id: &CredentialId, verified: &Verified) -> Result<(), StoreError>;

    /// Shares a credential; sharing again replaces what the share may be used for. Fails with [`StoreError::Unknown`], for the other side too.
    fn share(&self, id: &CredentialId, shared: &Shared, at: i64) -> Result<Receipt, StoreError>;

    /// Ends a share. Fails with [`StoreError::Unknown`] when there was none.
    fn unshare(&self, id: &CredentialId, with: &Share, at: i64) -> Result<Receipt, StoreError>;

    /// Notes what was used of the quotas of shares; one that ended is left out. Not a change that others follow.
    fn note_quota_uses(&self, uses: &[QuotaUse]) -> Result<(), StoreError>;

    /// What was used of the quotas of all shares.
    fn quota_uses(&self) -> Result<Vec<QuotaUse>, StoreError>;

    /// The credentials that `filter` lets through, by name.
    fn credentials(&self, filter: &CredentialFilter) -> Result<Vec<ListedCredential>, StoreError>;

    /// A part of the living credentials, in the order of their names, their owners' names and their identifiers.
    fn credential_page(&self, page: &CredentialPage) -> Result<Vec<ListedCredential>, StoreError>;

    /// What the living users, teams and callers are called that stand in `shares`.
    fn named(&self, shares: &[Share]) -> Result<Vec<Named>, StoreError>;

    /// How many living credentials and callers these users own.
    fn owned(&self, users: &[UserId]) -> Result<HashMap<UserId, Owned>, StoreError>;

    /// One credential, deleted or not, with its versions. Fails with [`StoreError::Unknown`].
    fn credential(&self, id: &CredentialId) -> Result<CredentialHistory, StoreError>;

    /// Adds a caller. Fails with [`StoreError::NameTaken`], and [`StoreError::Unknown`] for its owner.
    fn add_caller(&self, caller: &Caller, at: i64) -> Result<Receipt, StoreError>;

    /// Gives a caller another token. The former goes on until `overlap_until` (Unix seconds), or is worth nothing from now
    /// on; one that was former already is. Fails with [`StoreError::Unknown`].
    fn rotate_caller(
        &self,
        id: &CallerId,
        token_digest: [u8; 32],
        overlap_until: Option<i64>,
        at: i64,
    ) -> Result<Receipt, StoreError>;

    /// Changes what is said about a caller. Fails with [`StoreError::Unknown`].
    fn edit_caller(&self, id: &CallerId, edit: &CallerEdit, at: i64) -> Result<Receipt, StoreError>;

    /// Ends a caller, and what was shared with it alone. Fails with [`StoreError::Unknown`], and [`StoreError::Fixed`] for
    /// `local`.
    fn delete_caller(&self, id: &CallerId, at: i64) -> Result<Receipt, StoreError>;

    /// The living callers by name.
    fn callers(&self) -> Result<Vec<ListedCaller>, StoreError>;

    /// Gives a caller a token for one run beside its own; those whose time is over go. Fails with [`StoreError::Unknown`].
    fn add_run(&self, run: &RunToken, at: i64) -> Result<Receipt, StoreError>;

    /// Gives the token of a run more time, if it is there.
    fn extend_run(&self, digest: &[u8; 32], expires_at: i64) -> Result<(), StoreError>;

    /// Ends the token of a run; none there is as good.
    fn end_run(&self, digest: &[u8; 32]) -> Result<(), StoreError>;

    /// Notes when callers were last seen. Not a change that others follow.
    fn note_callers_used(&self, seen: &[(CallerId, i64)]) -> Result<(), StoreError>;

    /// Adds a user; its teams are not looked at. Fails with [`StoreError::NameTaken`].
    fn add_user(&self, user: &User, at: i64) -> Result<Receipt, StoreError>;

    /// Gives a user another role. Fails with [`StoreError::Unknown`], and [`StoreError::Fixed`] for `local`.
    fn set_role(&self, id: &UserId, role: Role, at: i64) -> Result<Receipt, StoreError>;

    /// Ends a user, its memberships, and what was shared with it alone. What it owns goes to the heir. Fails with
    /// [`StoreError::Unknown`] for either, [`StoreError::Fixed`] for `local`, [`StoreError::StillOwns`] when it owns living
    /// keys or callers and there is no heir, [`StoreError::NameTaken`] when the heir has a living key of the same name,
    /// [`StoreError::Moved`] when the inheritance is not everything that has a value, as it is now.
    fn delete_user(&self, id: &UserId, inheritance: Option<&Inheritance>, at: i64) -> Result<Receipt, StoreError>;

    /// A living user.
    fn user(&self, id: &UserId) -> Result<Option<User>, StoreError>;

    /// The living users by name.
    fn users(&self) -> Result<Vec<ListedUser>, StoreError>;

    /// Adds a team without members. Fails with [`StoreError::NameTaken`].
    fn add_team(&self, team: &Team, at: i64) -> Result<Receipt, StoreError>;

    /// Ends a team, and what was shared with it. Fails with [`StoreError::Unknown`].
    fn delete_team(&self, id: &TeamId, at: i64) -> Result<Receipt, StoreError>;

    /// Makes a user a member; again is no error. Fails with [`StoreError::Unknown`] for either.
    fn add_member(&self, team: &TeamId, user: &UserId, at: i64) -> Result<Receipt, StoreError>;

    /// Ends a membership. Fails with [`StoreError::Unknown`] when there was none.
    fn remove_member(&self, team: &TeamId, user: &UserId, at: i64) -> Result<Receipt, StoreError>;

    /// The living teams by name.
    fn teams(&self) -> Result<Vec<ListedTeam>, StoreError>;

    /// Adds a service, with its proof or none. Its record is kept as it is given. Fails with [`StoreError::NameTaken`].
    fn add_service(&self, service: &StoredService, at: i64) -> Result<Receipt, StoreError>;

    /// Gives a service another record and proof. `service.revision` is the one that it replaces: else
    /// [`StoreError::Moved`]. Fails with [`StoreError::Unknown`].
    fn change_service(&self, service: &StoredService, at: i64) -> Result<Receipt, StoreError>;

    /// Ends a service. Fails with [`StoreError::Unknown`], and, unless that is accepted, with [`StoreError::InUse`] while
    /// there are living keys for it: the name could come back as something else, and they would be sent there.
    fn delete_service(&self, name: &ServiceName, in_use: InUse, at: i64) -> Result<Receipt, StoreError>;

    /// The services by name.
    fn services(&self) -> Result<Vec<StoredService>, StoreError>;

    /// Adds a certificate authority after the newest, which must be the one with the fingerprint `after`: else
    /// [`StoreError::Moved`], for somebody else was first.
    fn add_authority(&self, authority: &StoredAuthority, after: Option<&[u8; 32]>) -> Result<Receipt, StoreError>;

    /// Has an authority sign from `at` on. Fails with [`StoreError::Unknown`].
    fn hasten_authority(&self, fingerprint: &[u8; 32], at: i64) -> Result<Receipt, StoreError>;

    /// Destroys an authority and its key. Fails with [`StoreError::Unknown`].
    fn retire_authority(&self, fingerprint: &[u8; 32], at: i64) -> Result<Receipt, StoreError>;

    /// The certificate authorities, the oldest first.
    fn authorities(&self) -> Result<Vec<StoredAuthority>, StoreError>;

    /// Keeps a pass of a living user; those that have expired at its making go. Fails with [`StoreError::NameTaken`] for a
    /// token, and [`StoreError::Unknown`] for its user.
    fn add_pass(&self, pass: &Pass) -> Result<Receipt, StoreError>;

    /// Ends the code with this digest and keeps `session` in its place, for the code's user whatever `session` says. Fails
    /// with [`StoreError::Unknown`] when there is no such code or it has expired at the session's making.
    fn redeem_code(&self, code: &[u8; 32], session: &Pass) -> Result<Receipt, StoreError>;

    /// Ends a pass. Fails with [`StoreError::Unknown`].
    fn end_pass(&self, id: &str, at: i64) -> Result<Receipt, StoreError>;

    /// The passes of living users that have not expired at `at`, in the order of their making.
    fn passes(&self, at: i64) -> Result<Vec<Pass>, StoreError>;

    /// Reads every page and index. Fails with [`StoreError::Corrupt`]. Takes seconds on a large store.
    fn check_integrity(&self) -> Result<(), StoreError>;
}

#[cfg(test)]
mod contract;
#[cfg(test)]
mod tests;
