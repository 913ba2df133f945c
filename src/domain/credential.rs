//! What is known of a stored key without its value.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Bounds, CallerId, CredentialId, Environment, Name, Sealed, ServiceName, TeamId, UserId};

/// With whom a credential is shared. Those may use it; nobody may see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Share {
    /// Every caller of this user.
    User(UserId),
    /// Every caller of every member of this team.
    Team(TeamId),
    /// This caller alone.
    Caller(CallerId),
    /// Every caller.
    Everyone,
}

/// A share, and what it may be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// With whom.
    pub with: Share,
    /// What for; none: everything.
    pub bounds: Option<Arc<Bounds>>,
}

impl From<Share> for Shared {
    fn from(with: Share) -> Self {
        Self { with, bounds: None }
    }
}

/// Where a credential's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Sealed in the store.
    Store,
    /// Declared in proxy.toml: an environment variable, a file or a command.
    Declared {
        /// Which of them yields no value, as long as one does not.
        dry: Option<SourceKind>,
    },
}

/// In what kind of place a declared value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// An environment variable of the proxy.
    Env,
    /// A file.
    File,
    /// What a command prints.
    Command,
}

impl SourceKind {
    /// In words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Env => "environment variable",
            Self::File => "file",
            Self::Command => "command",
        }
    }
}

/// A credential: everything but its value, and the value of its current version as ciphertext.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Its identifier; part of what the ciphertext is bound to.
    pub id: CredentialId,
    /// What people call it; unique per owner.
    pub name: Name,
    /// The user it belongs to.
    pub owner: UserId,
    /// The one service it is for.
    pub service: ServiceName,
    /// When set, only callers of this environment, or of none, see it.
    pub environment: Option<Environment>,
    /// With whom it is shared; empty means personal.
    pub shares: Vec<Shared>,
    /// The values of the service's tenant variables, pinned when it was added: the only host it is ever sent to.
    pub variables: BTreeMap<Name, String>,
    /// Unix seconds after which it is not used any more.
    pub expires: Option<i64>,
    /// Whom the service counts when it is used: keys of one name share what is learnt of a limit. Itself when none.
    pub limit_owner: Option<Name>,
    /// Keys of one pool stand in for each other: another is used when the limit of the first is used up.
    pub pool: Option<Name>,
    /// Which version of the value is current, from 1.
    pub version: u32,
    /// The current version's ciphertext; none while a declared source has not yielded a value.
    pub sealed: Option<Arc<Sealed>>,
    /// Where the value comes from.
    pub source: Source,
}

impl Credential {
    /// Whom the service counts when it is used: several keys may be of one.
    pub fn counted_as(&self) -> &str {
        self.limit_owner.as_ref().map_or(self.id.as_str(), Name::as_str)
    }
}
