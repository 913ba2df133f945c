//! Passes of the admin API: giving out identifiers and texts. The store keeps only a text's digest.

use crate::crypto::{compare, digest};
use crate::domain::{Name, UserId};
use crate::store::{Pass, PassKind, Receipt};

use super::{Token, Vault, VaultError};

/// How long a code works, in seconds.
pub const CODE_LIFE: i64 = 10 * 60;
/// How long a session lasts, in seconds.
pub const SESSION_LIFE: i64 = 12 * 60 * 60;

/// What a pass's text begins with.
const fn prefix(kind: PassKind) -> &'static str {
    match kind {
        PassKind::Token => "ska_",
        PassKind::Code => "sko_",
        PassKind::Session => "sks_",
    }
}

impl Vault {
    /// Makes a pass for a user; its text cannot be shown again.
    ///
    /// # Errors
    /// When the name is taken, there is no such user, or the store fails.
    pub fn add_pass(
        &self,
        kind: PassKind,
        name: &Name,
        user: &UserId,
        expires_at: Option<i64>,
    ) -> Result<(Pass, Token, Receipt), VaultError> {
        let (pass, token) = self.fresh_pass(kind, name, user, expires_at)?;
        let receipt = self.store.add_pass(&pass)?;
        Ok((pass, token, receipt))
    }

    /// Opens a session for the user of `code`, which is worth nothing afterwards.
    ///
    /// # Errors
    /// When there is no such code or it has expired, or the store fails.
    pub fn redeem_code(&self, code: &[u8], name: &Name) -> Result<(Pass, Token, Receipt), VaultError> {
        let expires = Some(self.now().saturating_add(SESSION_LIFE));
        let (mut pass, token) = self.fresh_pass(PassKind::Session, name, &UserId::new(""), expires)?;
        let receipt = self.store.redeem_code(&digest::sha256(code), &pass)?;
        pass.user = receipt.owner.clone().unwrap_or(pass.user);
        Ok((pass, token, receipt))
    }

    fn fresh_pass(
        &self,
        kind: PassKind,
        name: &Name,
        user: &UserId,
        expires_at: Option<i64>,
    ) -> Result<(Pass, Token), VaultError> {
        let token = Token::beginning(prefix(kind)).map_err(VaultError::Crypto)?;
        let (id, digest) = (self.fresh_id()?, token.digest());
        let (name, user) = (name.clone(), user.clone());
        Ok((Pass { id, kind, name, user, digest, created_at: self.now(), expires_at }, token))
    }

    /// The pass of this kind whose text was shown. Every one is compared, in constant time.
    ///
    /// # Errors
    /// When the store fails.
    pub fn pass_shown(&self, kind: PassKind, text: &[u8]) -> Result<Option<Pass>, VaultError> {
        let shown = digest::sha256(text);
        let of_kind = self.passes()?.into_iter().filter(|pass| pass.kind == kind);
        Ok(of_kind.filter(|pass| compare::equal(&pass.digest, &shown)).last())
    }

    /// The passes that count now, in the order of their making.
    ///
    /// # Errors
    /// When the store fails.
    pub fn passes(&self) -> Result<Vec<Pass>, VaultError> {
        Ok(self.store.passes(self.now())?)
    }

    /// Ends a pass.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub fn end_pass(&self, id: &str) -> Result<Receipt, VaultError> {
        Ok(self.store.end_pass(id, self.now())?)
    }
}
