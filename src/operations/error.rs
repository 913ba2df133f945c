//! Why an act was not done, each with a code that never changes. No message holds a value.

use crate::audit::AuditError;
use crate::domain::Name;
use crate::inject::PlanError;
use crate::keys::KeyError;
use crate::seal::SealError;
use crate::store::StoreError;
use crate::usage::ledger::LedgerError;
use crate::vault::VaultError;

use super::backup::BackupError;

/// What kind of refusal it is. The text of a code never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// There is no such thing, or it is none of the actor's business.
    NotFound,
    /// Another living thing has this name.
    NameTaken,
    /// The actor may not do this.
    Forbidden,
    /// What was given cannot be.
    Invalid,
    /// Several things are meant by this name.
    Ambiguous,
    /// It cannot be done to the thing as it stands now.
    Conflict,
    /// The store or the audit log cannot be used now; try again later.
    Unavailable,
    /// We failed.
    Internal,
}

impl ErrorCode {
    /// The text of the code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::NameTaken => "name_taken",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
            Self::Ambiguous => "ambiguous",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// Why an act was not done, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The vault or the store refused, or failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The actor may not; the text says who may.
    #[error("{0}")]
    Forbidden(&'static str),
    /// What was given cannot be; the text says why and what can.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing; the text says what is not there, and where what is there is shown.
    #[error("{0}")]
    NotFound(String),
    /// No such service.
    #[error(
        "there is no service {}.{} `sidekey service search WORD` finds one, `sidekey service add NAME` makes your own",
        .name.as_ref().map_or_else(|| "of that name".to_owned(), |name| format!("`{name}`")),
        .meant.as_ref().map(|meant| format!(" Did you mean `{meant}`?")).unwrap_or_default()
    )]
    NoService {
        /// Its name; none when it is so long that it may be a key, typed in the wrong place.
        name: Option<Name>,
        /// The one that was probably meant.
        meant: Option<String>,
    },
    /// A service that stands in proxy.toml is changed there.
    #[error("`{0}` stands as [service.{0}] in the configuration, which counts before the store: change it there")]
    DeclaredService(Name),
    /// A built-in service, of which the store has no record.
    #[error("`{0}` is built in and stays; `sidekey service edit {0}` changes it")]
    BuiltInService(Name),
    /// A change would send living keys elsewhere, place them otherwise or leave them unfit.
    #[error("the change of `{service}` concerns keys; agree to it with --yes:\n  {}", .keys.join("\n  "))]
    ConcernsKeys {
        /// The service.
        service: Name,
        /// The keys, each with what would become of it.
        keys: Vec<String>,
    },
    /// proxy.toml declares a key of the name that a new one should have.
    #[error("proxy.toml declares a [credential.{0}]: choose another name")]
    TakenByDeclared(Name),
    /// A declared key cannot be changed here.
    #[error(
        "`{0}` is declared as [credential.{0}] in the configuration: change it there, or where its value comes from"
    )]
    Declared(Name),
    /// A name that several owners use.
    #[error("several users have a credential called `{name}` ({}); say whose with --owner", .owners.join(", "))]
    SeveralOwners {
        /// The name.
        name: Name,
        /// The names of the owners.
        owners: Vec<String>,
    },
    /// A request with this key could not be made.
    #[error("no key of `{service}` could be used: {source}")]
    Unplaceable {
        /// The service.
        service: Name,
        /// Why.
        source: PlanError,
    },
    /// The service has no call with which a key could be tried.
    #[error(
        "`{0}` has no call to try a key with; your own service gets one by `verify = {{ path = \"/…\" }}` in [service.{0}]"
    )]
    NoVerification(Name),
    /// There is no backup, or it was not restored.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The process could not start a thread.
    #[error("no thread could be started for the call")]
    NoThread(#[source] std::io::Error),
    /// The audit log cannot be written.
    #[error("the audit log cannot be written, so nothing was changed")]
    Unwritable(#[source] AuditError),
    /// It was done, and that could not be written down.
    #[error(
        "`{object}` was done ({act}), but the audit log could not be written; the next command or the running proxy does it"
    )]
    Unrecorded {
        /// The name of what it was done to.
        object: String,
        /// What was done.
        act: String,
        /// Why it could not be written.
        source: AuditError,
    },
    /// The usage ledger cannot be read.
    #[error(transparent)]
    Usage(#[from] LedgerError),
    /// The audit log cannot be read.
    #[error(transparent)]
    Unreadable(#[from] AuditError),
}

impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        Self::Vault(error.into())
    }
}

impl OperationError {
    /// There is no `what` called `which`, or it is as if there were none.
    pub(super) fn unknown(what: &'static str, which: impl Into<String>) -> Self {
        StoreError::Unknown { what, which: which.into() }.into()
    }

    /// Its code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Vault(error) => code_of_vault(error),
            Self::Forbidden(_) => ErrorCode::Forbidden,
            Self::NoService { .. } | Self::NotFound(_) => ErrorCode::NotFound,
            Self::SeveralOwners { .. } => ErrorCode::Ambiguous,
            Self::TakenByDeclared(_) => ErrorCode::NameTaken,
            Self::Backup(error) => code_of_backup(error),
            Self::Declared(_) | Self::DeclaredService(_) | Self::BuiltInService(_) | Self::ConcernsKeys { .. } => {
                ErrorCode::Conflict
            }
            Self::Invalid(_) | Self::Unplaceable { .. } | Self::NoVerification(_) => ErrorCode::Invalid,
            Self::Unwritable(_) => ErrorCode::Unavailable,
            Self::Unrecorded { .. } | Self::Unreadable(_) | Self::NoThread(_) | Self::Usage(_) => ErrorCode::Internal,
        }
    }
}

fn code_of_backup(error: &BackupError) -> ErrorCode {
    match error {
        BackupError::File { .. } => ErrorCode::Unavailable,
        BackupError::KeyElsewhere(_) | BackupError::Damaged { .. } => ErrorCode::Invalid,
        BackupError::Exists(_) | BackupError::LivingStore(_) | BackupError::InUse(_) | BackupError::OtherMaster(_) => {
            ErrorCode::Conflict
        }
    }
}

fn code_of_vault(error: &VaultError) -> ErrorCode {
    match error {
        VaultError::Store(error) => code_of_store(error),
        VaultError::SlotThere { .. }
        | VaultError::MasterFileTaken(_)
        | VaultError::LastSlot(_)
        | VaultError::SlotInUse { .. }
        | VaultError::TooManySlots
        | VaultError::SlotsOutOfReach(_) => ErrorCode::Conflict,
        VaultError::NoFields(_)
        | VaultError::Key(KeyError::ShortPassphrase { .. })
        | VaultError::Seal { source: SealError::Unfit(..), .. } => ErrorCode::Invalid,
        _ => ErrorCode::Internal,
    }
}

fn code_of_store(error: &StoreError) -> ErrorCode {
    match error {
        StoreError::NameTaken { .. } => ErrorCode::NameTaken,
        StoreError::Unknown { .. } => ErrorCode::NotFound,
        StoreError::Fixed(_)
        | StoreError::StillOwns { .. }
        | StoreError::InUse { .. }
        | StoreError::NothingBefore { .. }
        | StoreError::Destroyed(_)
        | StoreError::Moved(_) => ErrorCode::Conflict,
        StoreError::Busy(_) | StoreError::Full(_) | StoreError::ReadOnly(_) | StoreError::Stopped => {
            ErrorCode::Unavailable
        }
        _ => ErrorCode::Internal,
    }
}
