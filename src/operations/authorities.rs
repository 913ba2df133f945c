//! The certificate authorities with which tunnels are opened: making the first, rotating, and doing away with what is
//! replaced.
//!
//! Invariant: an authority signs only after its overlap, in which both are handed out to be trusted, unless somebody says
//! otherwise.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::crypto::digest::hex;
use crate::domain::HostRange;
use crate::intercept::{pem, signing_at};
use crate::store::{StoreError, StoredAuthority};
use crate::vault::{Vault, VaultError};

use super::view::moment;
use super::{Actor, OperationError, Operations};

/// What an authority does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthorityState {
    /// Another took its place; it is about to be destroyed.
    Replaced,
    /// It signs.
    Signing,
    /// It will sign when the overlap ends.
    Next,
}

impl AuthorityState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Signing => "signing",
            Self::Next => "next",
        }
    }
}

/// An authority as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuthorityView {
    /// Its name in certificates.
    pub name: String,
    /// What it does now.
    pub state: AuthorityState,
    /// SHA-256 of its certificate, in hexadecimal.
    pub fingerprint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub signs_from: Timestamp,
    /// When its certificate ends.
    pub expires_at: Timestamp,
    /// The hosts that it may vouch for; empty for any.
    pub hosts: Vec<String>,
    /// Its certificate, as PEM.
    pub certificate: String,
}

/// When a new authority takes the place of the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// After so many seconds, in which clients learn to trust it.
    Seconds(i64),
    /// At once: clients that do not trust it yet are cut off.
    None,
}

impl Operations {
    /// The authorities, the oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn authorities(&self) -> Result<Vec<AuthorityView>, OperationError> {
        let (stored, now) = (self.vault.authorities()?, self.now());
        let signing = signing_at(&stored, |authority| authority.signs_from, now);
        let view = |(at, authority): (usize, &StoredAuthority)| AuthorityView {
            name: authority.name.clone(),
            state: match Some(at).cmp(&signing) {
                std::cmp::Ordering::Less => AuthorityState::Replaced,
                std::cmp::Ordering::Equal => AuthorityState::Signing,
                std::cmp::Ordering::Greater => AuthorityState::Next,
            },
            fingerprint: hex(&authority.fingerprint),
            created_at: moment(authority.created_at),
            signs_from: moment(authority.signs_from),
            expires_at: moment(authority.expires_at),
            hosts: authority.hosts.clone(),
            certificate: pem(&authority.certificate),
        };
        Ok(stored.iter().enumerate().map(view).collect())
    }

    /// Makes the first authority when there is none.
    ///
    /// # Errors
    /// When it cannot be made, kept or recorded.
    pub fn ensure_authority(&self, actor: &Actor) -> Result<(), OperationError> {
        if !self.vault.authorities()?.is_empty() {
            return Ok(());
        }
        let pen = self.pen(actor)?;
        let add = |vault: &Vault| vault.add_authority(&self.ranges(), self.now(), None);
        match pen.act("ca.add", &[], add) {
            // Another process was first.
            Err(OperationError::Vault(VaultError::Store(StoreError::Moved(_))))
                if !self.vault.authorities()?.is_empty() =>
            {
                Ok(())
            }
            done => done.map(drop),
        }
    }

    /// Makes another authority, which signs when `overlap` is over. With [`Overlap::None`] one that waits for its time signs
    /// at once.
    ///
    /// # Errors
    /// When `actor` does not administer, an overlap is under way already, or it cannot be made, kept or recorded.
    pub fn rotate_authority(&self, actor: &Actor, overlap: Overlap) -> Result<(), OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        let (stored, now) = (self.vault.authorities()?, self.now());
        let newest = stored.last();
        let waiting = newest.filter(|newest| newest.signs_from > now && stored.len() > 1);
        let how = if overlap == Overlap::None { "at once" } else { "after an overlap" };
        let change = |vault: &Vault| match (waiting, overlap) {
            (Some(waiting), Overlap::None) => Ok(vault.hasten_authority(&waiting.fingerprint)?),
            (Some(waiting), Overlap::Seconds(_)) => Err(OperationError::Invalid(format!(
                "{} takes over on {} already; to have it sign at once: sidekey ca rotate --now",
                waiting.name,
                moment(waiting.signs_from),
            ))),
            (None, overlap) => {
                let wait = if let Overlap::Seconds(seconds) = overlap { seconds.max(0) } else { 0 };
                let after = newest.map(|newest| &newest.fingerprint);
                Ok(vault.add_authority(&self.ranges(), now.saturating_add(wait), after)?)
            }
        };
        pen.act("ca.rotate", &[("signs", how)], change).map(drop)
    }

    /// Destroys the authorities in whose place another signs, with their keys. Returns how many there were.
    ///
    /// # Errors
    /// When the store fails, or it cannot be recorded.
    pub fn retire_authorities(&self, actor: &Actor) -> Result<usize, OperationError> {
        let stored = self.vault.authorities()?;
        let signing = signing_at(&stored, |authority| authority.signs_from, self.now()).unwrap_or_default();
        for replaced in stored.iter().take(signing) {
            let pen = self.pen(actor)?;
            pen.act("ca.retire", &[], |vault| vault.retire_authority(&replaced.fingerprint))?;
        }
        Ok(signing)
    }

    /// The hosts that a new authority may vouch for.
    fn ranges(&self) -> Vec<HostRange> {
        self.config.load().intercept.clone()
    }
}
