//! What people call what the store knows by identifier.

use crate::domain::{CallerId, Name, Share, TeamId, UserId};
use crate::store::{ListedCaller, ListedTeam, ListedUser};

use super::{OperationError, Operations};

/// The names of users, teams and callers, of one moment.
pub struct Names {
    users: Vec<ListedUser>,
    teams: Vec<ListedTeam>,
    callers: Vec<ListedCaller>,
}

impl Operations {
    /// The names of users, teams and callers, for who explains a decision to the operator.
    ///
    /// # Errors
    /// When the store fails.
    pub fn names(&self) -> Result<Names, OperationError> {
        Ok(Names { users: self.vault.users()?, teams: self.vault.teams()?, callers: self.vault.callers()? })
    }
}

impl Names {
    /// The name of a user, or its identifier when it is gone.
    pub fn user(&self, id: &UserId) -> String {
        let found = self.users.iter().map(|listed| &listed.user).find(|user| user.id == *id);
        found.map_or_else(|| id.to_string(), |user| user.name.to_string())
    }

    /// The names of teams.
    pub(super) fn teams(&self, ids: &[TeamId]) -> Vec<Name> {
        let teams = self.teams.iter().map(|listed| &listed.team);
        teams.filter(|team| ids.contains(&team.id)).map(|team| team.name.clone()).collect()
    }

    /// The owner of a caller.
    pub(super) fn owner_of(&self, id: &CallerId) -> Option<&UserId> {
        self.callers.iter().find(|listed| listed.caller.id == *id).map(|listed| &listed.caller.owner)
    }

    /// With whom something is shared, in words: `user:ada`, `everyone`.
    pub fn share(&self, share: &Share) -> String {
        match share {
            Share::User(id) => format!("user:{}", self.user(id)),
            Share::Team(id) => {
                let found = self.teams.iter().find(|listed| listed.team.id == *id);
                format!("team:{}", found.map_or(id.as_str(), |listed| listed.team.name.as_str()))
            }
            Share::Caller(id) => {
                let found = self.callers.iter().find(|listed| listed.caller.id == *id);
                format!("caller:{}", found.map_or(id.as_str(), |listed| listed.caller.name.as_str()))
            }
            Share::Everyone => "everyone".to_owned(),
        }
    }
}
