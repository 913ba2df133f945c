//! Passes: what users show to the admin API. A token for programs, a code that opens a session once, sessions of browsers.
//!
//! Invariant: a text is shown once, by the act that made it; a member sees and ends its own passes alone.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Name, User};
use crate::store::{Pass, PassKind};
use crate::vault::{CODE_LIFE, Token, Vault};

use super::view::moment;
use super::{Actor, OperationError, Operations};

/// A pass without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PassView {
    /// Its identifier.
    pub id: String,
    /// What it is called.
    pub name: Name,
    /// The name of its user, whose role it has.
    pub user: Name,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Option<Timestamp>,
}

/// A pass and its text, in the one moment in which it can be shown.
#[derive(Debug)]
pub struct PassShown {
    /// The pass.
    pub pass: PassView,
    /// Its text.
    pub token: Token,
}

impl PassView {
    fn of(pass: &Pass, user: &User) -> Self {
        Self {
            id: pass.id.clone(),
            name: pass.name.clone(),
            user: user.name.clone(),
            created_at: moment(pass.created_at),
            expires_at: pass.expires_at.map(moment),
        }
    }
}

impl Operations {
    /// Gives `owner`, or the actor, a token for programs.
    ///
    /// # Errors
    /// When the name is taken, the expiry lies in the past, the owner is unknown or somebody else than a member itself, or it
    /// cannot be kept or recorded.
    pub fn add_token(
        &self,
        actor: &Actor,
        name: &Name,
        owner: Option<&Name>,
        expires: Option<i64>,
    ) -> Result<PassShown, OperationError> {
        let pen = self.pen(actor)?;
        if expires.is_some_and(|at| at <= self.now()) {
            return Err(OperationError::Invalid("the expiry lies in the past".to_owned()));
        }
        let user = self.owner_for(actor, owner)?;
        let add = |vault: &Vault| vault.add_pass(PassKind::Token, name, &user.id, expires);
        let (pass, token, _) = pen.act("token.add", &[("user", user.name.as_str())], add)?;
        Ok(PassShown { pass: PassView::of(&pass, &user), token })
    }

    /// A code with which `owner`, or the actor, can open one session within ten minutes.
    ///
    /// # Errors
    /// When `actor` does not administer, there is no such user, or it cannot be kept or recorded.
    pub fn add_code(&self, actor: &Actor, owner: Option<&Name>) -> Result<PassShown, OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        let user = self.owner_for(actor, owner)?;
        let expires = Some(self.now().saturating_add(CODE_LIFE));
        let add = |vault: &Vault| vault.add_pass(PassKind::Code, &user.name, &user.id, expires);
        let (pass, token, _) = pen.act("code.add", &[("user", user.name.as_str())], add)?;
        Ok(PassShown { pass: PassView::of(&pass, &user), token })
    }

    /// Opens a session for whoever has a code; the code is worth nothing afterwards.
    ///
    /// # Errors
    /// When there is no such code or it has expired, or the session cannot be kept or recorded.
    pub fn open_session(&self, code: &[u8]) -> Result<PassShown, OperationError> {
        self.ready()?;
        let text = "the code is not valid: it works once, for ten minutes; `sidekey login` makes another";
        let found = self.vault.pass_shown(PassKind::Code, code)?.ok_or(OperationError::Forbidden(text))?;
        let user = self.user_with(&found)?;
        let redeem = |vault: &Vault| vault.redeem_code(code, &user.name);
        let (pass, token, _) = self.pen(&Actor::of(user.clone()))?.act("session.open", &[], redeem)?;
        Ok(PassShown { pass: PassView::of(&pass, &user), token })
    }

    /// Who shows a token or a session; none when it is not valid.
    ///
    /// # Errors
    /// When the store fails.
    pub fn actor_showing(&self, kind: PassKind, text: &[u8]) -> Result<Option<(Actor, PassView)>, OperationError> {
        let Some(pass) = self.vault.pass_shown(kind, text)? else { return Ok(None) };
        let user = self.user_with(&pass)?;
        let view = PassView::of(&pass, &user);
        Ok(Some((Actor::of(user), view)))
    }

    /// The passes of a kind that `actor` may see, in the order of their making: a member its own, everybody else all.
    ///
    /// # Errors
    /// When the store fails.
    pub fn passes(&self, actor: &Actor, kind: PassKind) -> Result<Vec<PassView>, OperationError> {
        let users = self.vault.users()?;
        let view = |pass: &Pass| {
            let user = users.iter().map(|listed| &listed.user).find(|user| user.id == pass.user)?;
            Some(PassView::of(pass, user))
        };
        let seen = |pass: &Pass| pass.kind == kind && actor.rules(&pass.user);
        Ok(self.vault.passes()?.iter().filter(|pass| seen(pass)).filter_map(view).collect())
    }

    /// Ends a pass that is called or identified so: the next request with it is refused.
    ///
    /// # Errors
    /// When there is none that `actor` may see, or it cannot be ended or recorded.
    pub fn end_pass(&self, actor: &Actor, kind: PassKind, which: &str) -> Result<PassView, OperationError> {
        let pen = self.pen(actor)?;
        let is_meant = |pass: &PassView| pass.id == which || (kind == PassKind::Token && pass.name.as_str() == which);
        let found = self.passes(actor, kind)?.into_iter().find(is_meant);
        let what = if kind == PassKind::Token { "token" } else { "session" };
        let found = found.ok_or_else(|| OperationError::unknown(what, which))?;
        let act = if kind == PassKind::Token { "token.revoke" } else { "session.end" };
        pen.act(act, &[("user", found.user.as_str())], |vault| vault.end_pass(&found.id))?;
        Ok(found)
    }

    fn user_with(&self, pass: &Pass) -> Result<User, OperationError> {
        let found = self.vault.store().user(&pass.user)?;
        found.ok_or_else(|| OperationError::unknown("user", pass.user.as_str()))
    }
}
