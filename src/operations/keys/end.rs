//! The end of a key: deleted, wanted back, destroyed.

use crate::domain::Credential;
use crate::operations::{Actor, OperationError, Operations};
use crate::store::{Act, CredentialFilter, ListedCredential, Receipt};
use crate::vault::{KEPT_AFTER_DELETION, Vault};

use super::{KeyFilter, KeyRef, KeyState, KeyView, Sight, unknown};

impl Operations {
    /// The deleted keys of which `actor` could restore each, the last deleted first. Those whose value was destroyed are not
    /// among them. `shared_with` is not looked at.
    ///
    /// # Errors
    /// When the filter names nobody, or the store fails.
    pub fn deleted_keys(&self, actor: &Actor, filter: &KeyFilter) -> Result<Vec<KeyView>, OperationError> {
        let owner = filter.owner.as_ref().map(|name| self.user_named(name)).transpose()?.map(|user| user.id);
        let (service, environment) = (filter.service.clone(), filter.environment.clone());
        let found = CredentialFilter { owner, service, environment, deleted: true, ..CredentialFilter::default() };
        let mut deleted = self.restorable(actor, &found)?;
        deleted.sort_by_key(|listed| std::cmp::Reverse(listed.deleted_at));
        let (names, now) = (self.names()?, self.now());
        Ok(deleted.iter().map(|listed| KeyView::stored(listed, &Sight::Whole, &names, now)).collect())
    }

    /// Takes back the deletion of a key: of several with one name, of the one that was deleted last. The next request can use
    /// it again.
    ///
    /// # Errors
    /// When there is no such key that `actor` may change and whose value is still there, several owners deleted one of this
    /// name, the name was given again, or the change cannot be kept or recorded.
    pub fn restore_key(&self, actor: &Actor, which: &KeyRef) -> Result<KeyView, OperationError> {
        let pen = self.pen(actor)?;
        let credential = self.deleted_key(actor, which)?;
        if self.declared(&credential.name).is_some() {
            return Err(OperationError::TakenByDeclared(credential.name));
        }
        let details = [("service", credential.service.as_str())];
        pen.act("key.restore", &details, |vault| vault.restore(&credential.id))?;
        self.whole_view(&credential.id)
    }

    /// Destroys the values of keys that were deleted longer ago than they are kept, and writes down which. Returns how many
    /// keys.
    ///
    /// # Errors
    /// When the store fails, or the act cannot be recorded.
    pub fn destroy_deleted_keys(&self, actor: &Actor) -> Result<usize, OperationError> {
        actor.must_administer()?;
        let until = self.now().saturating_sub(KEPT_AFTER_DELETION);
        let deleted = CredentialFilter { deleted: true, ..CredentialFilter::default() };
        let due = self.restorable(actor, &deleted)?;
        if !due.iter().any(|listed| listed.deleted_at.is_some_and(|at| at < until)) {
            return Ok(0);
        }
        Ok(self.pen(actor)?.act("key.destroy", &[], Vault::purge)?.len())
    }

    /// Writes down that a key came into a state in which it needs somebody.
    ///
    /// # Errors
    /// When there is no such key any more, or it cannot be recorded.
    pub fn note_key_state(&self, actor: &Actor, which: &KeyRef) -> Result<(), OperationError> {
        let pen = self.pen(actor)?;
        let (listed, ..) = self.find_key(actor, which)?;
        let details =
            [("service", listed.credential.service.as_str()), ("state", KeyState::of(&listed, self.now()).as_str())];
        pen.note("key.state", &self.receipt(Act::CredentialStateChanged, &listed.credential), &details)
    }

    /// The deleted keys that still have a value and that `actor` may change.
    fn restorable(&self, actor: &Actor, filter: &CredentialFilter) -> Result<Vec<ListedCredential>, OperationError> {
        let mut found = self.vault.list(filter)?;
        found.retain(|listed| listed.credential.sealed.is_some() && actor.rules(&listed.credential.owner));
        Ok(found)
    }

    fn deleted_key(&self, actor: &Actor, which: &KeyRef) -> Result<Credential, OperationError> {
        let mut filter = CredentialFilter { deleted: true, ..CredentialFilter::default() };
        if let KeyRef::Named { name, owner } = which {
            filter.name = Some(name.clone());
            filter.owner = owner.as_ref().map(|name| self.user_named(name)).transpose()?.map(|user| user.id);
        }
        let mut found = self.restorable(actor, &filter)?;
        if let KeyRef::Id(id) = which {
            found.retain(|listed| listed.credential.id == *id);
        }
        let Some(last) = found.iter().max_by_key(|listed| listed.deleted_at) else { return Err(unknown(which)) };
        let mut owners: Vec<_> = found.iter().map(|listed| &listed.credential.owner).collect();
        owners.sort_unstable();
        owners.dedup();
        if owners.len() > 1 {
            let names = self.names()?;
            let owners = owners.into_iter().map(|owner| names.user(owner)).collect();
            return Err(OperationError::SeveralOwners { name: last.credential.name.clone(), owners });
        }
        Ok(last.credential.clone())
    }

    /// What the audit needs to say of an act on a key that changed nothing in its row.
    pub(super) fn receipt(&self, act: Act, credential: &Credential) -> Receipt {
        Receipt {
            act,
            id: credential.id.to_string(),
            name: credential.name.to_string(),
            owner: Some(credential.owner.clone()),
            version: Some(credential.version),
            with: None,
            details: Vec::new(),
            at: self.now(),
        }
    }
}
