//! What people call what the store knows by identifier.

use std::collections::HashMap;

use crate::domain::{CallerId, Name, Share, TeamId, UserId};
use crate::store::ListedCredential;

use super::{OperationError, Operations};

/// The names of users, teams and callers, of one moment.
#[derive(Default)]
pub struct Names {
    users: HashMap<UserId, Name>,
    teams: HashMap<TeamId, Name>,
    /// With their owners.
    callers: HashMap<CallerId, (Name, UserId)>,
}

impl Operations {
    /// The names of users, teams and callers, for who explains a decision to the operator.
    ///
    /// # Errors
    /// When the store fails.
    pub fn names(&self) -> Result<Names, OperationError> {
        let (users, teams, callers) = (self.vault.users()?, self.vault.teams()?, self.vault.callers()?);
        Ok(Names {
            users: users.into_iter().map(|listed| (listed.user.id, listed.user.name)).collect(),
            teams: teams.into_iter().map(|listed| (listed.team.id, listed.team.name)).collect(),
            callers: callers.into_iter().map(|l| (l.caller.id, (l.caller.name, l.caller.owner))).collect(),
        })
    }

    /// The names that views of `keys` need, and no others: of few keys, that is little of a large store.
    pub(super) fn names_for(&self, keys: &[ListedCredential]) -> Result<Names, OperationError> {
        let owner = |key: &ListedCredential| Share::User(key.credential.owner.clone());
        let with = |key: &ListedCredential| key.credential.shares.iter().map(|shared| shared.with.clone()).collect();
        let mut wanted: Vec<Share> = keys.iter().map(owner).chain(keys.iter().flat_map::<Vec<_>, _>(with)).collect();
        self.names_of(&mut wanted)
    }

    /// The names of those, and no others.
    pub(super) fn names_of(&self, wanted: &mut Vec<Share>) -> Result<Names, OperationError> {
        wanted.sort_unstable();
        wanted.dedup();
        let mut names = Names::default();
        for named in self.vault.store().named(wanted)? {
            match named.share {
                Share::User(id) => drop(names.users.insert(id, named.name)),
                Share::Team(id) => drop(names.teams.insert(id, named.name)),
                Share::Caller(id) => drop(named.owner.map(|owner| names.callers.insert(id, (named.name, owner)))),
                Share::Everyone => {}
            }
        }
        Ok(names)
    }
}

impl Names {
    /// The name of a user, or its identifier when it is gone.
    pub fn user(&self, id: &UserId) -> String {
        self.users.get(id).map_or_else(|| id.to_string(), Name::to_string)
    }

    /// The name of a caller, or its identifier when it is gone.
    pub fn caller(&self, id: &CallerId) -> String {
        self.callers.get(id).map_or_else(|| id.to_string(), |(name, _)| name.to_string())
    }

    /// The name of a team, or its identifier when it is gone.
    pub(super) fn team(&self, id: &TeamId) -> String {
        self.teams.get(id).map_or_else(|| id.to_string(), Name::to_string)
    }

    /// The names of teams, in their order.
    pub(super) fn teams(&self, ids: &[TeamId]) -> Vec<Name> {
        let mut names: Vec<Name> = ids.iter().filter_map(|id| self.teams.get(id).cloned()).collect();
        names.sort_unstable();
        names
    }

    /// The owner of a caller.
    pub(super) fn owner_of(&self, id: &CallerId) -> Option<&UserId> {
        self.callers.get(id).map(|(_, owner)| owner)
    }

    /// With whom something is shared, in words: `user:ada`, `everyone`.
    pub fn share(&self, share: &Share) -> String {
        match share {
            Share::User(id) => format!("user:{}", self.user(id)),
            Share::Team(id) => format!("team:{}", self.team(id)),
            Share::Caller(id) => {
                format!("caller:{}", self.callers.get(id).map_or(id.as_str(), |(name, _)| name.as_str()))
            }
            Share::Everyone => "everyone".to_owned(),
        }
    }
}
