//! Teams: users with whom keys are shared together. Their names and members every user may know.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Name, Share};
use crate::store::{CredentialFilter, ListedTeam};

use super::names::Names;
use super::view::moment;
use super::{Actor, OperationError, Operations};

/// A team as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TeamView {
    /// Its name.
    pub name: Name,
    /// Its identifier.
    pub id: String,
    /// The names of its members.
    pub members: Vec<String>,
    /// When it was added.
    pub created_at: Timestamp,
}

impl TeamView {
    fn of(listed: &ListedTeam, names: &Names) -> Self {
        Self {
            name: listed.team.name.clone(),
            id: listed.team.id.to_string(),
            members: listed.members.iter().map(|id| names.user(id)).collect(),
            created_at: moment(listed.created_at),
        }
    }
}

impl Operations {
    /// Adds a team with these members.
    ///
    /// # Errors
    /// When `actor` does not administer, the name is taken, a user is unknown, or it cannot be kept or recorded.
    pub fn add_team(&self, actor: &Actor, name: &Name, members: &[Name]) -> Result<TeamView, OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        for member in members {
            self.user_named(member)?;
        }
        pen.act("team.add", &[], |vault| vault.add_team(name))?;
        self.add_members(actor, name, members)
    }

    /// Ends a team, and what was shared with it.
    ///
    /// # Errors
    /// When `actor` does not administer, there is no such team, or the change cannot be kept or recorded.
    pub fn delete_team(&self, actor: &Actor, name: &Name) -> Result<(), OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        let id = self.vault.team_named(name)?.team.id;
        pen.act("team.delete", &[], |vault| vault.delete_team(&id)).map(drop)
    }

    /// Makes users members of a team; again is no error.
    ///
    /// # Errors
    /// When `actor` does not administer, there is no such team or user, or the change cannot be kept or recorded. With
    /// several users, those before the one that failed are members then.
    pub fn add_members(&self, actor: &Actor, team: &Name, members: &[Name]) -> Result<TeamView, OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        let id = self.vault.team_named(team)?.team.id;
        for member in members {
            let user = self.user_named(member)?.id;
            pen.act("team.add_member", &[("user", member.as_str())], |vault| vault.add_member(&id, &user))?;
        }
        self.team(actor, team)
    }

    /// Ends memberships.
    ///
    /// # Errors
    /// When `actor` does not administer, there is no such team or membership, or the change cannot be kept or recorded. With
    /// several users, those before the one that failed are no members any more then.
    pub fn remove_members(&self, actor: &Actor, team: &Name, members: &[Name]) -> Result<TeamView, OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        let id = self.vault.team_named(team)?.team.id;
        for member in members {
            let user = self.user_named(member)?.id;
            pen.act("team.remove_member", &[("user", member.as_str())], |vault| vault.remove_member(&id, &user))?;
        }
        self.team(actor, team)
    }

    /// The teams, by name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn teams(&self, _actor: &Actor) -> Result<Vec<TeamView>, OperationError> {
        self.team_views(&self.vault.teams()?)
    }

    /// The first `most` teams after the name `after`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn teams_after(&self, after: Option<&str>, most: usize) -> Result<Vec<TeamView>, OperationError> {
        let mut teams = self.vault.teams()?;
        teams.retain(|listed| after.is_none_or(|after| listed.team.name.as_str() > after));
        teams.truncate(most);
        self.team_views(&teams)
    }

    fn team_views(&self, teams: &[ListedTeam]) -> Result<Vec<TeamView>, OperationError> {
        let mut members = teams.iter().flat_map(|listed| listed.members.iter().cloned().map(Share::User)).collect();
        let names = self.names_of(&mut members)?;
        Ok(teams.iter().map(|listed| TeamView::of(listed, &names)).collect())
    }

    /// The team called `name`.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub fn team(&self, _actor: &Actor, name: &Name) -> Result<TeamView, OperationError> {
        let listed = self.vault.team_named(name)?;
        let view = self.team_views(std::slice::from_ref(&listed))?.pop();
        view.ok_or_else(|| OperationError::unknown("team", name.as_str()))
    }

    /// How many keys are shared with a team: what ends with it.
    ///
    /// # Errors
    /// When there is no such team, or the store fails.
    pub fn shares_of_team(&self, actor: &Actor, name: &Name) -> Result<usize, OperationError> {
        actor.must_administer()?;
        let share = Share::Team(self.vault.team_named(name)?.team.id);
        let keys = self.vault.list(&CredentialFilter::default())?;
        Ok(keys.iter().filter(|listed| listed.credential.shares.iter().any(|shared| shared.with == share)).count())
    }
}
