//! Changing a key that is there: its value, what people see of it, with whom it is shared, its end.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Bounds, Credential, Environment, Fields, Name, Share, Shared};
use crate::operations::view::moment;
use crate::operations::{Actor, OperationError, Operations, Party};
use crate::store::{CredentialEdit, StoreError};
use crate::vault::{Vault, VaultError};

use super::{KeyRef, KeyView};

/// The longest overlap of two values.
pub const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What is to be another about a key; nothing set means that it stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyEdit {
    /// What to call it.
    pub name: Option<Name>,
    /// Its environment; `Some(None)` takes it away.
    pub environment: Option<Option<Environment>>,
    /// Unix seconds after which it is not used any more; `Some(None)` takes them away.
    pub expires: Option<Option<i64>>,
    /// After how long its owner is reminded of a new value; `Some(None)` ends that.
    pub rotate_every: Option<Option<Duration>>,
    /// After how long a running proxy tries it at its service again; `Some(None)` ends that.
    pub verify_every: Option<Option<Duration>>,
    /// Whom the service counts when it is used; `Some(None)` is itself.
    pub limit_owner: Option<Option<Name>>,
    /// The keys that stand in for each other; `Some(None)` takes it out of them.
    pub pool: Option<Option<Name>>,
}

impl Operations {
    /// The key that an act on `which` would change: what to show a person before they are asked.
    ///
    /// # Errors
    /// When there is none that `actor` may see, it may not change it, proxy.toml declares it, or the store fails.
    pub fn changeable_key(&self, actor: &Actor, which: &KeyRef) -> Result<KeyView, OperationError> {
        self.changeable(actor, which).and_then(|credential| self.whole_view(&credential.id))
    }

    /// Gives a key a new value: the next request uses it. For as long as `overlap` says, a request that the service refuses with
    /// the new value is sent once more with the one before.
    ///
    /// # Errors
    /// When there is no such key, `actor` may not change it, the overlap is longer than [`LONGEST_OVERLAP`], a value is one
    /// that no request can carry, or the change cannot be kept or recorded.
    pub fn rotate_key(
        &self,
        actor: &Actor,
        which: &KeyRef,
        fields: &Fields,
        overlap: Option<Duration>,
    ) -> Result<KeyView, OperationError> {
        let pen = self.pen(actor)?;
        let credential = self.changeable(actor, which)?;
        if overlap.is_some_and(|overlap| overlap > LONGEST_OVERLAP) {
            let text =
                "an overlap is at most 7 days: an old value that is needed for longer should stay the current one";
            return Err(OperationError::Invalid(text.to_owned()));
        }
        let until = overlap.map(|overlap| self.now().saturating_add(in_seconds(overlap)));
        let in_words = until.map(|until| moment(until).to_string());
        let mut details = vec![("service", credential.service.as_str())];
        details.extend(in_words.as_deref().map(|until| ("overlap_until", until)));
        pen.act("key.rotate", &details, |vault| vault.rotate_overlapping(&credential.id, fields, until))?;
        self.whole_view(&credential.id)
    }

    /// Gives a key the value back that the current one replaced.
    ///
    /// # Errors
    /// When there is no such key, `actor` may not change it, there is no version before, or the change cannot be kept or
    /// recorded.
    pub fn roll_back_key(&self, actor: &Actor, which: &KeyRef) -> Result<KeyView, OperationError> {
        let pen = self.pen(actor)?;
        let credential = self.changeable(actor, which)?;
        let details = [("service", credential.service.as_str())];
        pen.act("key.rollback", &details, |vault| vault.rollback(&credential.id))?;
        self.whole_view(&credential.id)
    }

    /// Changes what people see of a key; its value stays.
    ///
    /// # Errors
    /// When there is no such key, `actor` may not change it, the name is taken, the expiry lies in the past, or the change
    /// cannot be kept or recorded.
    pub fn edit_key(&self, actor: &Actor, which: &KeyRef, edit: KeyEdit) -> Result<KeyView, OperationError> {
        let pen = self.pen(actor)?;
        let credential = self.changeable(actor, which)?;
        if edit.expires.flatten().is_some_and(|at| at <= self.now()) {
            return Err(OperationError::Invalid("the expiry lies in the past".to_owned()));
        }
        if let Some(name) = edit.name.as_ref().filter(|name| self.declared(name).is_some()) {
            return Err(OperationError::TakenByDeclared(name.clone()));
        }
        if edit.verify_every.flatten().is_some() && self.service(&credential.service)?.verify.is_none() {
            return Err(OperationError::NoVerification(credential.service));
        }
        let KeyEdit { name, environment, expires, rotate_every, verify_every, limit_owner, pool } = edit;
        let rotate_every = rotate_every.map(|every| every.map(in_seconds));
        let verify_every = verify_every.map(|every| every.map(in_seconds));
        let mut details = vec![("service", credential.service.to_string())];
        details.extend(name.as_ref().map(|_| ("former_name", credential.name.to_string())));
        let in_words = |name: &Option<Environment>| name.as_ref().map_or_else(|| "none".to_owned(), Name::to_string);
        details.extend(environment.as_ref().map(|environment| ("environment", in_words(environment))));
        details
            .extend(expires.map(|at| ("expires", at.map_or_else(|| "never".to_owned(), |at| moment(at).to_string()))));
        details.extend(rotate_every.map(|every| ("rotate_every", every.map_or_else(|| "never".to_owned(), in_days))));
        details.extend(
            verify_every.map(|every| ("verify_every", every.map_or_else(|| "never".to_owned(), |s| format!("{s}s")))),
        );
        details.extend(limit_owner.as_ref().map(|owner| ("limit_owner", in_words(owner))));
        details.extend(pool.as_ref().map(|pool| ("pool", in_words(pool))));
        let edit = CredentialEdit { name, environment, expires, rotate_every, verify_every, limit_owner, pool };
        let details: Vec<_> = details.iter().map(|(what, text)| (*what, text.as_str())).collect();
        pen.act("key.edit", &details, |vault| vault.edit(&credential.id, &edit))?;
        self.whole_view(&credential.id)
    }

    /// Shares a key: those may use it within `bounds`, and never see it. Again replaces what a share may be used for.
    ///
    /// # Errors
    /// When there is no such key, `actor` may not change it, one of `parties` is unknown, or the change cannot be kept or
    /// recorded. With several, those before the one that could not be kept have it then.
    pub fn share_key(
        &self,
        actor: &Actor,
        which: &KeyRef,
        parties: &[Party],
        bounds: &Bounds,
    ) -> Result<KeyView, OperationError> {
        let pen = self.pen(actor)?;
        let credential = self.changeable(actor, which)?;
        let in_words = bounds.to_string();
        let bounds = (!bounds.is_open()).then(|| Arc::new(bounds.clone()));
        for (party, with) in self.shares_with(parties)? {
            let shared = Shared { with, bounds: bounds.clone() };
            let mut details = details_of_share(&credential, &party).to_vec();
            details.extend(bounds.is_some().then_some(("for", in_words.as_str())));
            pen.act("key.share", &details, |vault| vault.share(&credential.id, &shared))?;
        }
        self.whole_view(&credential.id)
    }

    /// Ends shares of a key: the next request cannot use it through them.
    ///
    /// # Errors
    /// When there is no such key, `actor` may not change it, it is not shared with one of `parties`, or the change cannot be
    /// kept or recorded. With several, those before the one that failed have it no more then.
    pub fn unshare_key(&self, actor: &Actor, which: &KeyRef, parties: &[Party]) -> Result<KeyView, OperationError> {
        let pen = self.pen(actor)?;
        let credential = self.changeable(actor, which)?;
        for (party, share) in self.shares_with(parties)? {
            let unshare = |vault: &Vault| {
                vault.unshare(&credential.id, &share).map_err(|error| match error {
                    VaultError::Store(StoreError::Unknown { what: "share", .. }) => {
                        OperationError::unknown("share", format!("{} with {party}", credential.name))
                    }
                    other => other.into(),
                })
            };
            pen.act("key.unshare", &details_of_share(&credential, &party), unshare)?;
        }
        self.whole_view(&credential.id)
    }

    fn shares_with(&self, parties: &[Party]) -> Result<Vec<(String, Share)>, OperationError> {
        parties.iter().map(|party| Ok((party.to_string(), self.share_with(party)?))).collect()
    }

    /// Takes a key out of use: the next request cannot use it.
    ///
    /// # Errors
    /// When there is no such key, `actor` may not change it, or the change cannot be kept or recorded.
    pub fn delete_key(&self, actor: &Actor, which: &KeyRef) -> Result<(), OperationError> {
        let pen = self.pen(actor)?;
        let credential = self.changeable(actor, which)?;
        let details = [("service", credential.service.as_str())];
        pen.act("key.delete", &details, |vault| vault.delete(&credential.id)).map(drop)
    }

    /// The key that is meant, when `actor` may change it.
    pub(super) fn changeable(&self, actor: &Actor, which: &KeyRef) -> Result<Credential, OperationError> {
        let (listed, ..) = self.find_key(actor, which)?;
        if actor.rules(&listed.credential.owner) {
            return Ok(listed.credential);
        }
        Err(OperationError::Forbidden("the key is shared with you; only its owner or an administrator changes it"))
    }
}

pub(super) fn in_seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

pub(super) fn in_days(seconds: i64) -> String {
    format!("{}d", seconds / (24 * 60 * 60))
}

fn details_of_share<'a>(credential: &'a Credential, party: &'a str) -> [(&'static str, &'a str); 2] {
    [("service", credential.service.as_str()), ("with", party)]
}
