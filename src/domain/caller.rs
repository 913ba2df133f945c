//! Who asks: a caller (a workflow or runner) owned by a user, who may be in teams.

use super::{CallerId, Name, Perimeter, TeamId, UserId};

/// A label such as `prod` or `staging`, on callers and credentials.
pub type Environment = Name;

/// What a user may do besides using and keeping its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything but seeing values.
    Admin,
    /// Nothing.
    Member,
}

impl Role {
    /// The text that people write and the store keeps; never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }

    /// The role of that text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Admin, Self::Member].into_iter().find(|role| role.as_str() == text)
    }
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its identifier.
    pub id: UserId,
    /// What people call it.
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// The teams it is a member of.
    pub teams: Vec<TeamId>,
}

/// A set of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Its identifier.
    pub id: TeamId,
    /// What people call it.
    pub name: Name,
}

/// A workflow or runner: who stands behind a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its identifier.
    pub id: CallerId,
    /// What people call it.
    pub name: Name,
    /// The user it belongs to.
    pub owner: UserId,
    /// When set, it sees only credentials of this environment or of none.
    pub environment: Option<Environment>,
    /// SHA-256 of its token; none for the caller `local`, which needs no proof in open mode.
    pub token_digest: Option<[u8; 32]>,
    /// The token before, while it goes on beside the new one.
    pub former: Option<FormerToken>,
    /// Where its connections must come from.
    pub perimeter: Perimeter,
}

/// A token that was rotated and goes on for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormerToken {
    /// SHA-256 of it.
    pub digest: [u8; 32],
    /// Unix seconds from which on it is worth nothing.
    pub until: i64,
}
