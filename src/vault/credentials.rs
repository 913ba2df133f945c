//! A credential's life: added, rotated, rolled back, shared, deleted, restored, destroyed. Each step returns the receipt
//! that the audit writes down.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{
    Credential, CredentialId, Environment, Fields, Name, Sealed, ServiceName, Share, Shared, Source, UserId,
};
use crate::seal::{self, SealContext};
use crate::store::{CredentialEdit, CredentialFilter, CredentialHistory, ListedCredential, Receipt, StoreError};

use super::{KEPT_AFTER_DELETION, Vault, VaultError, context};

/// How often a rotation is tried again when somebody else rotates the same credential at the same moment.
const ATTEMPTS: usize = 8;

/// A credential to be added: everything but its value.
#[derive(Debug, Clone)]
pub struct NewCredential {
    /// What people call it; unique per owner.
    pub name: Name,
    /// The user it belongs to.
    pub owner: UserId,
    /// The one service it is for.
    pub service: ServiceName,
    /// When set, only callers of this environment, or of none, see it.
    pub environment: Option<Environment>,
    /// The values of the service's tenant variables.
    pub variables: BTreeMap<Name, String>,
    /// Unix seconds after which it is not used any more.
    pub expires: Option<i64>,
    /// Whom the service counts when it is used; itself when none.
    pub limit_owner: Option<Name>,
    /// The keys that it stands in for, and they for it.
    pub pool: Option<Name>,
    /// With whom it is shared from the start.
    pub shares: Vec<Shared>,
    /// After how many seconds a value is to be replaced.
    pub rotate_every: Option<i64>,
}

impl Vault {
    /// Seals `fields` and adds the credential. When this returns, it is on disk.
    ///
    /// # Errors
    /// When the name is taken, the owner unknown, a value is one that no request can carry, or the store fails.
    pub fn add(&self, new: NewCredential, fields: &Fields) -> Result<(Credential, Receipt), VaultError> {
        refuse_none(&new.name, fields)?;
        let mut credential = Credential {
            id: CredentialId::new(&self.fresh_id()?),
            name: new.name,
            owner: new.owner,
            service: new.service,
            environment: new.environment,
            shares: new.shares,
            variables: new.variables,
            expires: new.expires,
            limit_owner: new.limit_owner,
            pool: new.pool,
            version: 1,
            sealed: None,
            source: Source::Store,
        };
        let sealed = self.seal(&credential.name, &context(&credential), fields)?;
        credential.sealed = Some(Arc::new(sealed));
        let receipt = self.store.add_credential(&credential, new.rotate_every, self.now())?;
        Ok((credential, receipt))
    }

    /// Seals `fields` as the next version and makes it current; what was current can be rolled back to.
    ///
    /// # Errors
    /// When there is no such credential, a value is one that no request can carry, or the store fails.
    pub fn rotate(&self, id: &CredentialId, fields: &Fields) -> Result<(Credential, Receipt), VaultError> {
        self.rotate_overlapping(id, fields, None)
    }

    /// As [`Self::rotate`]; until the moment `until`, in Unix seconds, the version that is replaced may be used where the
    /// service refuses the new one.
    ///
    /// # Errors
    /// As [`Self::rotate`].
    pub fn rotate_overlapping(
        &self,
        id: &CredentialId,
        fields: &Fields,
        until: Option<i64>,
    ) -> Result<(Credential, Receipt), VaultError> {
        let mut attempt = 1;
        loop {
            let CredentialHistory { listed, versions } = self.store.credential(id)?;
            let mut credential = listed.credential;
            refuse_none(&credential.name, fields)?;
            let highest = versions.last().map_or(0, |version| version.number);
            credential.version = highest.saturating_add(1);
            let sealed = self.seal(&credential.name, &context(&credential), fields)?;
            match self.store.rotate_credential(id, credential.version, &sealed, until, self.now()) {
                Err(StoreError::Moved(_)) if attempt < ATTEMPTS => attempt += 1,
                Err(other) => return Err(other.into()),
                Ok(receipt) => {
                    credential.sealed = Some(Arc::new(sealed));
                    return Ok((credential, receipt));
                }
            }
        }
    }

    /// Makes the version current again that the current one replaced.
    ///
    /// # Errors
    /// When there is no such credential or no version before, or the store fails.
    pub fn rollback(&self, id: &CredentialId) -> Result<(Credential, Receipt), VaultError> {
        let receipt = self.store.roll_back_credential(id, self.now())?;
        Ok((self.store.credential(id)?.listed.credential, receipt))
    }

    /// Changes what people see of a credential; its value stays.
    ///
    /// # Errors
    /// When there is no such credential, the name is taken, or the store fails.
    pub fn edit(&self, id: &CredentialId, edit: &CredentialEdit) -> Result<Receipt, VaultError> {
        Ok(self.store.edit_credential(id, edit, self.now())?)
    }

    /// Takes a credential out of use. It can be restored for [`KEPT_AFTER_DELETION`].
    ///
    /// # Errors
    /// When there is no such credential, or the store fails.
    pub fn delete(&self, id: &CredentialId) -> Result<Receipt, VaultError> {
        Ok(self.store.delete_credential(id, self.now())?)
    }

    /// Takes back a deletion.
    ///
    /// # Errors
    /// When it is not deleted, its name was given again, its value is destroyed, or the store fails.
    pub fn restore(&self, id: &CredentialId) -> Result<Receipt, VaultError> {
        Ok(self.store.restore_credential(id, self.now())?)
    }

    /// Destroys the values of credentials that were deleted more than [`KEPT_AFTER_DELETION`] ago; a receipt for each.
    ///
    /// # Errors
    /// When the store fails.
    pub fn purge(&self) -> Result<Vec<Receipt>, VaultError> {
        let now = self.now();
        Ok(self.store.purge(now.saturating_sub(KEPT_AFTER_DELETION), now)?)
    }

    /// Shares a credential; sharing again replaces what the share may be used for.
    ///
    /// # Errors
    /// When there is no such credential, user, team or caller, or the store fails.
    pub fn share(&self, id: &CredentialId, shared: &Shared) -> Result<Receipt, VaultError> {
        Ok(self.store.share(id, shared, self.now())?)
    }

    /// Ends a share.
    ///
    /// # Errors
    /// When there is none such, or the store fails.
    pub fn unshare(&self, id: &CredentialId, with: &Share) -> Result<Receipt, VaultError> {
        Ok(self.store.unshare(id, with, self.now())?)
    }

    /// The credentials that `filter` lets through, by name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn list(&self, filter: &CredentialFilter) -> Result<Vec<ListedCredential>, VaultError> {
        Ok(self.store.credentials(filter)?)
    }

    /// A credential, deleted or not, with its versions.
    ///
    /// # Errors
    /// When there is none such, or the store fails.
    pub fn show(&self, id: &CredentialId) -> Result<CredentialHistory, VaultError> {
        Ok(self.store.credential(id)?)
    }

    /// The credential called `name` that was deleted last, of `owner` when given: what a person means who wants it back.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub fn find_deleted(&self, name: &Name, owner: Option<&UserId>) -> Result<ListedCredential, VaultError> {
        let filter = CredentialFilter {
            name: Some(name.clone()),
            owner: owner.cloned(),
            deleted: true,
            ..CredentialFilter::default()
        };
        let latest = self.store.credentials(&filter)?.into_iter().max_by_key(|listed| listed.deleted_at);
        latest.ok_or_else(|| StoreError::Unknown { what: "credential", which: name.to_string() }.into())
    }

    fn seal(&self, name: &Name, context: &SealContext<'_>, fields: &Fields) -> Result<Sealed, VaultError> {
        seal::seal(&self.masters.load().current, context, fields)
            .map_err(|source| VaultError::Seal { credential: name.clone(), source })
    }
}

fn refuse_none(name: &Name, fields: &Fields) -> Result<(), VaultError> {
    if fields.iter().next().is_none() { Err(VaultError::NoFields(name.clone())) } else { Ok(()) }
}
