//! Lists of a store that holds very much, a part at a time.

use crate::domain::{Name, Share, TeamId, UserId};

use super::CredentialFilter;

/// Which part of the living credentials.
#[derive(Debug, Clone, Default)]
pub struct CredentialPage {
    /// Those that this lets through; the deleted are not among them.
    pub filter: CredentialFilter,
    /// Those that this one may see; none: all.
    pub viewer: Option<Viewer>,
    /// Those that come after this name, owner's name and identifier.
    pub after: Option<(String, String, String)>,
    /// At most so many.
    pub most: u32,
}

/// Who sees what it owns and what is shared with it.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// The user.
    pub user: UserId,
    /// Its teams.
    pub teams: Vec<TeamId>,
}

/// A user, a team or a caller as people call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Which.
    pub share: Share,
    /// What it is called.
    pub name: Name,
    /// The user that a caller belongs to.
    pub owner: Option<UserId>,
}

/// How much a user owns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owned {
    /// Living credentials.
    pub keys: usize,
    /// Living callers.
    pub callers: usize,
}
