//! Callers and users: giving out identifiers and tokens. The store keeps only a token's digest.

use crate::domain::{Caller, CallerId, Environment, Name, User, UserId};
use crate::store::{ListedCaller, Receipt, StoreError};

use super::{Token, Vault, VaultError};

impl Vault {
    /// Adds a caller and gives it a token, which cannot be shown again.
    ///
    /// # Errors
    /// When the name is taken, the owner unknown, or the store fails.
    pub fn add_caller(
        &self,
        name: &Name,
        owner: &UserId,
        environment: Option<Environment>,
    ) -> Result<(Caller, Token, Receipt), VaultError> {
        let token = Token::fresh().map_err(VaultError::Crypto)?;
        let caller = Caller {
            id: CallerId::new(&self.fresh_id()?),
            name: name.clone(),
            owner: owner.clone(),
            environment,
            token_digest: Some(token.digest()),
        };
        let receipt = self.store.add_caller(&caller, self.now())?;
        Ok((caller, token, receipt))
    }

    /// Gives a caller another token; the former is worth nothing from now on.
    ///
    /// # Errors
    /// When there is no such caller, or the store fails.
    pub fn rotate_caller(&self, id: &CallerId) -> Result<(Token, Receipt), VaultError> {
        let token = Token::fresh().map_err(VaultError::Crypto)?;
        let receipt = self.store.rotate_caller(id, token.digest(), self.now())?;
        Ok((token, receipt))
    }

    /// Ends a caller, and what was shared with it alone.
    ///
    /// # Errors
    /// When there is no such caller, it is `local`, or the store fails.
    pub fn delete_caller(&self, id: &CallerId) -> Result<Receipt, VaultError> {
        Ok(self.store.delete_caller(id, self.now())?)
    }

    /// The living callers by name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn callers(&self) -> Result<Vec<ListedCaller>, VaultError> {
        Ok(self.store.callers()?)
    }

    /// The living caller called `name`.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub fn caller_named(&self, name: &Name) -> Result<ListedCaller, VaultError> {
        let found = self.store.callers()?.into_iter().find(|listed| listed.caller.name == *name);
        found.ok_or_else(|| StoreError::Unknown { what: "caller", which: name.to_string() }.into())
    }

    /// Adds a user.
    ///
    /// # Errors
    /// When the name is taken, or the store fails.
    pub fn add_user(&self, name: &Name) -> Result<(User, Receipt), VaultError> {
        let user = User { id: UserId::new(&self.fresh_id()?), name: name.clone(), teams: Vec::new() };
        let receipt = self.store.add_user(&user, self.now())?;
        Ok((user, receipt))
    }

    /// The living users by name.
    ///
    /// # Errors
    /// When the store fails.
    pub fn users(&self) -> Result<Vec<User>, VaultError> {
        Ok(self.store.users()?)
    }

    /// The living user called `name`.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub fn user_named(&self, name: &Name) -> Result<User, VaultError> {
        let found = self.store.users()?.into_iter().find(|user| user.name == *name);
        found.ok_or_else(|| StoreError::Unknown { what: "user", which: name.to_string() }.into())
    }
}
