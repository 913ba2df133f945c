//! Filling a store with very much at once, for measurements: what single acts would take hours for, in one transaction.

use super::super::StoreError;
use super::{Sqlite, callers, credentials, people};
use crate::domain::{Caller, Credential, Team, TeamId, User, UserId};

/// What a store is filled with.
#[derive(Default)]
pub(crate) struct Filling {
    pub(crate) users: Vec<User>,
    pub(crate) teams: Vec<Team>,
    pub(crate) members: Vec<(TeamId, UserId)>,
    pub(crate) callers: Vec<Caller>,
    pub(crate) credentials: Vec<Credential>,
}

impl Sqlite {
    /// Adds all of it.
    pub(crate) fn fill(&self, filling: Filling, at: i64) -> Result<(), StoreError> {
        self.write(move |transaction| {
            let Filling { users, teams, members, callers, credentials } = filling;
            users.iter().try_for_each(|user| people::add_user(transaction, user, at).map(drop))?;
            teams.iter().try_for_each(|team| people::add_team(transaction, team, at).map(drop))?;
            let mut members = members.iter();
            members.try_for_each(|(team, user)| people::add_member(transaction, team, user, at).map(drop))?;
            callers.iter().try_for_each(|caller| callers::add(transaction, caller, at).map(drop))?;
            let mut credentials = credentials.iter();
            credentials.try_for_each(|credential| credentials::add(transaction, credential, None, at).map(drop))
        })
    }
}
