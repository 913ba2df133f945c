//! Users and teams: giving out identifiers, and sealing what a deleted user leaves for who gets it.

use crate::domain::{Name, Role, Team, TeamId, User, UserId};
use crate::seal;
use crate::store::{Inheritance, ListedTeam, ListedUser, Receipt, StoreError};

use super::{Vault, VaultError};

impl Vault {
    /// Adds a user.
    ///
    /// # Errors
    /// When the name is taken, or the store fails.
    pub fn add_user(&self, name: &Name, role: Role) -> Result<(User, Receipt), VaultError> {
        let user = User { id: UserId::new(&self.fresh_id()?), name: name.clone(), role, teams: Vec::new() };
        let receipt = self.store.add_user(&user, self.now())?;
        Ok((user, receipt))
    }

    /// Gives a user another role.
    ///
    /// # Errors
    /// When there is no such user, it is `local`, or the store fails.
    pub fn set_role(&self, id: &UserId, role: Role) -> Result<Receipt, VaultError> {
        Ok(self.store.set_role(id, role, self.now())?)
    }

    /// Ends a user. What it owns is sealed anew for `heir` and becomes the heir's, deleted keys too, since they can be
    /// restored; without an heir it must own nothing.
    ///
    /// # Errors
    /// When there is no such user or heir, it is `local`, it still owns something, the heir has a key of the same name, a
    /// value does not open, or the store fails. Nothing has changed then.
    pub fn delete_user(&self, id: &UserId, heir: Option<&UserId>) -> Result<Receipt, VaultError> {
        let inheritance = heir.map(|heir| self.inheritance(id, heir)).transpose()?;
        Ok(self.store.delete_user(id, inheritance.as_ref(), self.now())?)
    }

    /// Everything that is sealed for `from`, sealed for `heir`: a value is bound to its owner.
    fn inheritance(&self, from: &UserId, heir: &UserId) -> Result<Inheritance, VaultError> {
        let masters = self.masters.load();
        let mut versions = self.store.sealed_contents()?.versions;
        versions.retain(|version| version.owner == *from);
        for version in &mut versions {
            let unsealed = seal::open(masters.of(&version.sealed), &super::place_of(version), &version.sealed);
            version.owner = heir.clone();
            let resealed = unsealed.and_then(|fields| seal::seal(&masters.current, &super::place_of(version), &fields));
            version.sealed = match resealed {
                Ok(sealed) => sealed,
                Err(source) => {
                    let credential = version.credential.clone();
                    return Err(VaultError::Reseal { credential, version: version.number, source });
                }
            };
        }
        Ok(Inheritance { heir: heir.clone(), versions })
    }

    /// The living users by name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn users(&self) -> Result<Vec<ListedUser>, VaultError> {
        Ok(self.store.users()?)
    }

    /// The living user called `name`.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub fn user_named(&self, name: &Name) -> Result<ListedUser, VaultError> {
        let found = self.store.users()?.into_iter().find(|listed| listed.user.name == *name);
        found.ok_or_else(|| StoreError::Unknown { what: "user", which: name.to_string() }.into())
    }

    /// Adds a team without members.
    ///
    /// # Errors
    /// When the name is taken, or the store fails.
    pub fn add_team(&self, name: &Name) -> Result<(Team, Receipt), VaultError> {
        let team = Team { id: TeamId::new(&self.fresh_id()?), name: name.clone() };
        let receipt = self.store.add_team(&team, self.now())?;
        Ok((team, receipt))
    }

    /// Ends a team, and what was shared with it.
    ///
    /// # Errors
    /// When there is no such team, or the store fails.
    pub fn delete_team(&self, id: &TeamId) -> Result<Receipt, VaultError> {
        Ok(self.store.delete_team(id, self.now())?)
    }

    /// Makes a user a member of a team; again is no error.
    ///
    /// # Errors
    /// When there is no such user or team, or the store fails.
    pub fn add_member(&self, team: &TeamId, user: &UserId) -> Result<Receipt, VaultError> {
        Ok(self.store.add_member(team, user, self.now())?)
    }

    /// Ends a membership.
    ///
    /// # Errors
    /// When there is none such, or the store fails.
    pub fn remove_member(&self, team: &TeamId, user: &UserId) -> Result<Receipt, VaultError> {
        Ok(self.store.remove_member(team, user, self.now())?)
    }

    /// The living teams by name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn teams(&self) -> Result<Vec<ListedTeam>, VaultError> {
        Ok(self.store.teams()?)
    }

    /// The living team called `name`.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub fn team_named(&self, name: &Name) -> Result<ListedTeam, VaultError> {
        let found = self.store.teams()?.into_iter().find(|listed| listed.team.name == *name);
        found.ok_or_else(|| StoreError::Unknown { what: "team", which: name.to_string() }.into())
    }
}
