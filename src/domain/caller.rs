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

/// How many turns a caller has in a queue where others have one: 1 to 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u8);

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl Weight {
    /// That of a caller of which nothing is said.
    pub const ONE: Self = Self(1);
    /// The most.
    pub const MOST: u8 = 10;

    /// None when it is not from 1 to 10.
    pub fn new(turns: u8) -> Option<Self> {
        (1..=Self::MOST).contains(&turns).then_some(Self(turns))
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
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
    /// How many turns it has in a queue where others have one.
    pub weight: Weight,
}

/// A token that was rotated and goes on for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormerToken {
    /// SHA-256 of it.
    pub digest: [u8; 32],
    /// Unix seconds from which on it is worth nothing.
    pub until: i64,
}
