//! What goes in and out of a store, beyond the nouns themselves. Plain values: no SQL, no plaintext of any secret.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::domain::{
    Caller, Credential, CredentialId, Environment, Name, Perimeter, ServiceName, Team, User, UserId, Weight,
};

use super::{RunToken, SealedVersion, StoredAuthority, StoredService};

/// What was done, for the audit. The text of an act never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// A credential was added.
    CredentialAdded,
    /// A credential got a new value.
    CredentialRotated,
    /// A credential got its former value back.
    CredentialRolledBack,
    /// A credential got another name, environment or expiry.
    CredentialEdited,
    /// A credential was taken out of use.
    CredentialDeleted,
    /// A deletion was taken back.
    CredentialRestored,
    /// The values of a deleted credential were destroyed.
    CredentialDestroyed,
    /// A credential was tried at its service.
    CredentialVerified,
    /// A credential came to need somebody.
    CredentialStateChanged,
    /// A credential was shared.
    CredentialShared,
    /// A share was ended.
    CredentialUnshared,
    /// A caller was added.
    CallerAdded,
    /// A caller got another token.
    CallerRotated,
    /// A caller got another environment or perimeter.
    CallerEdited,
    /// A caller was deleted.
    CallerDeleted,
    /// A caller was given a token for one run.
    RunBegun,
    /// A user was added.
    UserAdded,
    /// A user got another role.
    UserRoleChanged,
    /// A user was deleted.
    UserDeleted,
    /// A team was added.
    TeamAdded,
    /// A team was deleted.
    TeamDeleted,
    /// A user was made a member of a team.
    MemberAdded,
    /// A user is no member of a team any more.
    MemberRemoved,
    /// A service was added.
    ServiceAdded,
    /// A service got another record.
    ServiceChanged,
    /// A service was deleted.
    ServiceDeleted,
    /// A user was given a token, a code or a session of the admin API.
    PassAdded,
    /// A token or session of the admin API was ended.
    PassEnded,
    /// Every value was put under another master key.
    MasterRotated,
    /// The master key can be reached from another place.
    SlotAdded,
    /// The master key cannot be reached from a place any more.
    SlotRemoved,
    /// Everything was copied into a backup.
    BackedUp,
    /// Everything was replaced by what a backup holds.
    Restored,
    /// A certificate authority was made.
    AuthorityAdded,
    /// A certificate authority signs earlier than it was to.
    AuthorityHastened,
    /// A certificate authority and its key were destroyed.
    AuthorityRetired,
    /// What was learnt of limits is to be forgotten.
    GateReset,
    /// A limit was pinned.
    GatePinned,
    /// A pinned limit was taken back.
    GateUnpinned,
}

impl Act {
    /// The text that stands in the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CredentialAdded => "credential.added",
            Self::CredentialRotated => "credential.rotated",
            Self::CredentialRolledBack => "credential.rolled_back",
            Self::CredentialEdited => "credential.edited",
            Self::CredentialDeleted => "credential.deleted",
            Self::CredentialRestored => "credential.restored",
            Self::CredentialDestroyed => "credential.destroyed",
            Self::CredentialVerified => "credential.verified",
            Self::CredentialStateChanged => "credential.state_changed",
            Self::CredentialShared => "credential.shared",
            Self::CredentialUnshared => "credential.unshared",
            Self::CallerAdded => "caller.added",
            Self::CallerRotated => "caller.rotated",
            Self::CallerEdited => "caller.edited",
            Self::CallerDeleted => "caller.deleted",
            Self::RunBegun => "caller.run_begun",
            Self::UserAdded => "user.added",
            Self::UserRoleChanged => "user.role_changed",
            Self::UserDeleted => "user.deleted",
            Self::TeamAdded => "team.added",
            Self::TeamDeleted => "team.deleted",
            Self::MemberAdded => "team.member_added",
            Self::MemberRemoved => "team.member_removed",
            Self::ServiceAdded => "service.added",
            Self::ServiceChanged => "service.changed",
            Self::ServiceDeleted => "service.deleted",
            Self::PassAdded => "pass.added",
            Self::PassEnded => "pass.ended",
            Self::MasterRotated => "master.rotated",
            Self::SlotAdded => "slot.added",
            Self::SlotRemoved => "slot.removed",
            Self::BackedUp => "backup.made",
            Self::Restored => "backup.restored",
            Self::AuthorityAdded => "authority.added",
            Self::AuthorityHastened => "authority.hastened",
            Self::AuthorityRetired => "authority.retired",
            Self::GateReset => "gate.reset",
            Self::GatePinned => "gate.pinned",
            Self::GateUnpinned => "gate.unpinned",
        }
    }
}

/// Another store's contents in the place of this one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takeover {
    /// The file that [`super::Store::copy_to`] made, of the newest shape, sound and used by nobody.
    pub from: PathBuf,
    /// The file that the former contents are copied into; nothing has this name.
    pub former: PathBuf,
    /// What the audit calls it.
    pub called: String,
}

/// Proof that a change is on disk, with what the audit needs to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What was done.
    pub act: Act,
    /// The identifier of what it was done to.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The user it belongs to, for what belongs to one.
    pub owner: Option<UserId>,
    /// For a credential: the version that is current afterwards. For a service: its revision. For the master key: its
    /// number.
    pub version: Option<u32>,
    /// The other side of it, as `kind:identifier`: with whom it was shared, who became a member, who got what was left.
    pub with: Option<String>,
    /// What else the audit says of it.
    pub details: Vec<(String, String)>,
    /// When, in Unix seconds.
    pub at: i64,
}

/// Everything that a running proxy needs, from one moment.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The living users, with their teams.
    pub users: Vec<User>,
    /// The living teams.
    pub teams: Vec<Team>,
    /// The living callers.
    pub callers: Vec<Caller>,
    /// The tokens that callers have for one run.
    pub runs: Vec<RunToken>,
    /// The living credentials, each with its current version's ciphertext and its shares.
    pub credentials: Vec<Credential>,
    /// What some of them were before their last rotation, and may help out with for a while.
    pub formers: Vec<Former>,
    /// The services of the store.
    pub services: Vec<StoredService>,
    /// The certificate authorities, the oldest first.
    pub authorities: Vec<StoredAuthority>,
    /// The change counter of that moment.
    pub change_counter: u64,
}

/// What changed of an inventory.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The inventory as it is now, but of its credentials, and of what they were before, only those that were touched.
    pub inventory: Inventory,
    /// The credentials that were touched; those of them that do not live any more are not in the inventory.
    pub touched: HashSet<CredentialId>,
}

/// A credential as it was before its last rotation, with the value of that version.
#[derive(Debug, Clone)]
pub struct Former {
    /// The credential; its number and ciphertext are those of the former version.
    pub credential: Credential,
    /// Until when it may be used where the current version is refused, in Unix seconds. May be past.
    pub until: i64,
}

/// What the last try of a credential at its service said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// When, in Unix seconds.
    pub at: i64,
    /// Of which version.
    pub version: u32,
    /// What came of it, in a word.
    pub verdict: String,
}

/// Which credentials to list; nothing set means every living one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialFilter {
    /// Of this name.
    pub name: Option<Name>,
    /// Of this owner.
    pub owner: Option<UserId>,
    /// For this service.
    pub service: Option<ServiceName>,
    /// Of this environment; those of none are not in it.
    pub environment: Option<Environment>,
    /// The deleted ones instead of the living.
    pub deleted: bool,
}

/// What is to be another about a credential; nothing set means that it stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialEdit {
    /// Its name.
    pub name: Option<Name>,
    /// Its environment; `Some(None)` takes it away.
    pub environment: Option<Option<Environment>>,
    /// Its expiry in Unix seconds; `Some(None)` takes it away.
    pub expires: Option<Option<i64>>,
    /// After how many seconds a value is to be replaced; `Some(None)` takes that away.
    pub rotate_every: Option<Option<i64>>,
    /// After how many seconds it is tried at its service again; `Some(None)` takes that away.
    pub verify_every: Option<Option<i64>>,
    /// Whom the service counts when it is used; `Some(None)` is itself.
    pub limit_owner: Option<Option<Name>>,
    /// The keys that it stands in for, and they for it; `Some(None)` are none.
    pub pool: Option<Option<Name>>,
}

/// A credential as lists show it.
#[derive(Debug, Clone)]
pub struct ListedCredential {
    /// The credential. Without ciphertext when its value was destroyed.
    pub credential: Credential,
    /// When it was added, in Unix seconds.
    pub created_at: i64,
    /// When its current version was added.
    pub value_since: i64,
    /// When it was deleted; its value is destroyed some days later.
    pub deleted_at: Option<i64>,
    /// Until when the former version may be used where the current one is refused; may be past.
    pub overlap_until: Option<i64>,
    /// After how many seconds a value is to be replaced.
    pub rotate_every: Option<i64>,
    /// After how many seconds it is tried at its service again.
    pub verify_every: Option<i64>,
    /// The last try at its service.
    pub verified: Option<Verified>,
}

/// A credential with all its versions.
#[derive(Debug, Clone)]
pub struct CredentialHistory {
    /// The credential.
    pub listed: ListedCredential,
    /// Its versions, the oldest first.
    pub versions: Vec<VersionRow>,
}

impl CredentialHistory {
    /// The number for the next version: one more than the highest ever given.
    pub fn next_number(&self) -> u32 {
        self.versions.last().map_or(1, |last| last.number.saturating_add(1))
    }
}

/// What is known of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// Its number, from 1.
    pub number: u32,
    /// The version that was current when it came: where rolling back leads.
    pub replaced: Option<u32>,
    /// When it was added, in Unix seconds.
    pub created_at: i64,
    /// When it ceased to be current.
    pub retired_at: Option<i64>,
    /// When its value was destroyed.
    pub destroyed_at: Option<i64>,
}

/// Who gets what a deleted user owned, and every value of it sealed for its new owner.
#[derive(Debug, Clone)]
pub struct Inheritance {
    /// The new owner.
    pub heir: UserId,
    /// Every version that has a value, of retired and deleted ones too.
    pub versions: Vec<SealedVersion>,
}

/// A user as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUser {
    /// The user.
    pub user: User,
    /// When it was added, in Unix seconds.
    pub created_at: i64,
}

/// A team as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTeam {
    /// The team.
    pub team: Team,
    /// Its members, by name.
    pub members: Vec<UserId>,
    /// When it was added, in Unix seconds.
    pub created_at: i64,
}

/// What is to be another about a caller; nothing set means that it stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallerEdit {
    /// Its environment; `Some(None)` takes it away.
    pub environment: Option<Option<Environment>>,
    /// Where its connections must come from.
    pub perimeter: Option<Perimeter>,
    /// How many turns it has in a queue where others have one.
    pub weight: Option<Weight>,
}

/// A caller as lists show it.
#[derive(Debug, Clone)]
pub struct ListedCaller {
    /// The caller.
    pub caller: Caller,
    /// The name of its owner.
    pub owner_name: Name,
    /// When it was added, in Unix seconds.
    pub created_at: i64,
    /// When it was last seen; noted with a delay.
    pub last_used_at: Option<i64>,
}
