//! Callers: giving out identifiers and tokens. The store keeps only a token's digest.

use crate::domain::{Caller, CallerId, Environment, Name, Perimeter, UserId, Weight};
use crate::store::{CallerEdit, ListedCaller, Receipt, RunToken, StoreError};

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
        perimeter: Perimeter,
        weight: Weight,
    ) -> Result<(Caller, Token, Receipt), VaultError> {
        let token = Token::fresh().map_err(VaultError::Crypto)?;
        let caller = Caller {
            id: CallerId::new(&self.fresh_id()?),
            name: name.clone(),
            owner: owner.clone(),
            environment,
            token_digest: Some(token.digest()),
            former: None,
            perimeter,
            weight,
        };
        let receipt = self.store.add_caller(&caller, self.now())?;
        Ok((caller, token, receipt))
    }

    /// Gives a caller another token. The former goes on until `until` (Unix seconds), or is worth nothing from now on; one that
    /// was former already is.
    ///
    /// # Errors
    /// When there is no such caller, or the store fails.
    pub fn rotate_caller(&self, id: &CallerId, until: Option<i64>) -> Result<(Token, Receipt), VaultError> {
        let token = Token::fresh().map_err(VaultError::Crypto)?;
        let receipt = self.store.rotate_caller(id, token.digest(), until, self.now())?;
        Ok((token, receipt))
    }

    /// Gives a caller a token for one run beside its own, for `life` seconds at first.
    ///
    /// # Errors
    /// When there is no such caller, or the store fails.
    pub fn begin_run(&self, id: &CallerId, life: i64) -> Result<(Token, Receipt), VaultError> {
        let (token, now) = (Token::fresh().map_err(VaultError::Crypto)?, self.now());
        let run = RunToken { caller: id.clone(), digest: token.digest(), expires_at: now.saturating_add(life) };
        let receipt = self.store.add_run(&run, now)?;
        Ok((token, receipt))
    }

    /// Gives the token of a run `life` seconds from now on.
    ///
    /// # Errors
    /// When the store fails.
    pub fn extend_run(&self, digest: &[u8; 32], life: i64) -> Result<(), VaultError> {
        Ok(self.store.extend_run(digest, self.now().saturating_add(life))?)
    }

    /// Ends the token of a run.
    ///
    /// # Errors
    /// When the store fails.
    pub fn end_run(&self, digest: &[u8; 32]) -> Result<(), VaultError> {
        Ok(self.store.end_run(digest)?)
    }

    /// Changes what is said about a caller.
    ///
    /// # Errors
    /// When there is no such caller, or the store fails.
    pub fn edit_caller(&self, id: &CallerId, edit: &CallerEdit) -> Result<Receipt, VaultError> {
        Ok(self.store.edit_caller(id, edit, self.now())?)
    }

    /// Notes when callers were last seen.
    ///
    /// # Errors
    /// When the store fails.
    pub fn note_callers_used(&self, seen: &[(CallerId, i64)]) -> Result<(), VaultError> {
        Ok(self.store.note_callers_used(seen)?)
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
}
