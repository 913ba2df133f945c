//! Who asks: a caller (a workflow or runner) owned by a user, who may be in teams.

use super::{CallerId, Name, TeamId, UserId};

/// A label such as `prod` or `staging`, on callers and credentials.
pub type Environment = Name;

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its identifier.
    pub id: UserId,
    /// What people call it.
    pub name: Name,
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
}
