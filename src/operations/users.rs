//! Users: people who own keys and callers. Who they are and in which teams every user may know, since they share with each
//! other; what somebody owns is for administrators.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Name, Role, Share, User, UserId};
use crate::store::{LOCAL, ListedUser, Owned};

use super::names::Names;
use super::view::moment;
use super::{Actor, OperationError, Operations};

/// A user as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserView {
    /// Its name.
    pub name: Name,
    /// Its identifier.
    pub id: String,
    /// `admin` or `member`.
    pub role: &'static str,
    /// The names of its teams.
    pub teams: Vec<Name>,
    /// How many keys it owns; for administrators and itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<usize>,
    /// How many callers it owns; for administrators and itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callers: Option<usize>,
    /// When it was added.
    pub created_at: Timestamp,
}

impl UserView {
    fn of(listed: &ListedUser, names: &Names, owned: Owned, actor: &Actor) -> Self {
        let user = &listed.user;
        let whole = actor.rules(&user.id);
        Self {
            name: user.name.clone(),
            id: user.id.to_string(),
            role: user.role.as_str(),
            teams: names.teams(&user.teams),
            keys: whole.then_some(owned.keys),
            callers: whole.then_some(owned.callers),
            created_at: moment(listed.created_at),
        }
    }
}

impl Operations {
    /// Adds a user.
    ///
    /// # Errors
    /// When `actor` does not administer, the name is taken, or it cannot be kept or recorded.
    pub fn add_user(&self, actor: &Actor, name: &Name, role: Role) -> Result<UserView, OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        let (user, _) = pen.act("user.add", &[("role", role.as_str())], |vault| vault.add_user(name, role))?;
        self.user_view(actor, &user.name)
    }

    /// Gives a user another role.
    ///
    /// # Errors
    /// When `actor` does not administer or means itself, there is no such user, it is `local`, or the change cannot be kept
    /// or recorded.
    pub fn set_role(&self, actor: &Actor, name: &Name, role: Role) -> Result<UserView, OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        let user = self.user_named(name)?;
        actor.must_not_be(&user)?;
        pen.act("user.role", &[("role", role.as_str())], |vault| vault.set_role(&user.id, role))?;
        self.user_view(actor, name)
    }

    /// Ends a user, its memberships, and what was shared with it alone. Its keys and callers go to `heir`.
    ///
    /// # Errors
    /// When `actor` does not administer or means itself, there is no such user or heir, it is `local`, it still owns
    /// something and there is no heir, the heir has a key of the same name, or the change cannot be kept or recorded.
    pub fn delete_user(&self, actor: &Actor, name: &Name, heir: Option<&Name>) -> Result<(), OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        let user = self.user_named(name)?;
        actor.must_not_be(&user)?;
        let heir = heir.map(|name| self.user_named(name)).transpose()?;
        if heir.as_ref().is_some_and(|heir| heir.id == user.id) {
            return Err(OperationError::Invalid(format!("`{name}` cannot get what it leaves itself")));
        }
        let given: Vec<_> = heir.iter().map(|heir| ("given_to", heir.name.as_str())).collect();
        let heir = heir.as_ref().map(|heir| &heir.id);
        pen.act("user.delete", &given, |vault| vault.delete_user(&user.id, heir)).map(drop)
    }

    /// The user with this identifier as one who acts, with the role and the teams of this moment: to be asked anew for each
    /// act of a session.
    ///
    /// # Errors
    /// When there is no such user any more, or the store fails.
    pub fn actor(&self, id: &UserId) -> Result<Actor, OperationError> {
        self.vault.store().user(id)?.map(Actor::of).ok_or_else(|| OperationError::unknown("user", id.as_str()))
    }

    /// The users, by name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn users(&self, actor: &Actor) -> Result<Vec<UserView>, OperationError> {
        self.user_views(&self.vault.users()?, actor)
    }

    /// The first `most` users after the name `after`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn users_after(
        &self,
        actor: &Actor,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<UserView>, OperationError> {
        let mut users = self.vault.users()?;
        users.retain(|listed| after.is_none_or(|after| listed.user.name.as_str() > after));
        users.truncate(most);
        self.user_views(&users, actor)
    }

    /// The user called `name`.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub fn user_view(&self, actor: &Actor, name: &Name) -> Result<UserView, OperationError> {
        let listed = self.vault.user_named(name)?;
        let view = self.user_views(std::slice::from_ref(&listed), actor)?.pop();
        view.ok_or_else(|| OperationError::unknown("user", name.as_str()))
    }

    fn user_views(&self, users: &[ListedUser], actor: &Actor) -> Result<Vec<UserView>, OperationError> {
        let mut teams = users.iter().flat_map(|listed| listed.user.teams.iter().cloned().map(Share::Team)).collect();
        let names = self.names_of(&mut teams)?;
        let ids: Vec<UserId> = users.iter().map(|listed| listed.user.id.clone()).collect();
        let owned = self.vault.store().owned(&ids)?;
        let view = |listed: &ListedUser| {
            UserView::of(listed, &names, owned.get(&listed.user.id).copied().unwrap_or_default(), actor)
        };
        Ok(users.iter().map(view).collect())
    }

    /// The living user called `name`.
    pub(super) fn user_named(&self, name: &Name) -> Result<User, OperationError> {
        Ok(self.vault.user_named(name)?.user)
    }

    /// Who will own what `actor` makes: the user called `name`, else the actor itself, else the one that every store has.
    pub(super) fn owner_for(&self, actor: &Actor, name: Option<&Name>) -> Result<User, OperationError> {
        match (name, actor.user()) {
            (Some(name), _) => {
                let owner = self.user_named(name)?;
                if actor.rules(&owner.id) {
                    return Ok(owner);
                }
                Err(OperationError::Forbidden(
                    "what you make belongs to you; only an administrator makes something for another user",
                ))
            }
            (None, Some(user)) => Ok(user.clone()),
            (None, None) => {
                let mut users = self.vault.users()?.into_iter().map(|listed| listed.user);
                users.find(|user| user.id.as_str() == LOCAL).ok_or_else(|| OperationError::unknown("user", LOCAL))
            }
        }
    }
}
