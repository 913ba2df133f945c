//! Keys: added, listed, shown, given new values, deleted. Values go in and never come out.
//!
//! Invariant: a member finds its own keys and those it may use; any other answers as an unknown one does.

mod change;
mod draft;
mod end;
mod reach;
mod state;
mod uses;
mod verify;
mod view;

use std::collections::HashMap;

use crate::config::{Config, DeclaredCredential};
use crate::domain::{Credential, CredentialId, Environment, Name, ServiceName, Share, Shared};
use crate::store::{CredentialFilter, CredentialPage, LOCAL, ListedCredential, StoreError, Viewer};
use crate::vault::VaultError;

use super::names::Names;
use super::{Actor, OperationError, Operations, Party};

pub use change::{KeyEdit, LONGEST_OVERLAP};
pub use draft::{KeyDraft, NewKey, fits_variable, known_variables};
pub use reach::{Asked, Reached};
pub use state::KeyState;
pub use uses::KeyUse;
pub use verify::{Probe, Verdict, Verification};
pub use view::{KeyDetail, KeyView, LastTry, ShareView, VersionView};

/// Which key is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRef {
    /// By its name, and its owner's where several have one of this name.
    Named {
        /// Its name.
        name: Name,
        /// The name of its owner.
        owner: Option<Name>,
    },
    /// By its identifier.
    Id(CredentialId),
}

/// Which keys to list; nothing set means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFilter {
    /// For this service.
    pub service: Option<ServiceName>,
    /// Of this user.
    pub owner: Option<Name>,
    /// Of this environment; those of none are not in it.
    pub environment: Option<Environment>,
    /// Shared with exactly this one.
    pub shared_with: Option<Party>,
}

/// How much of a key an actor sees.
enum Sight {
    /// Everything but the value.
    Whole,
    /// That it may be used, through these shares.
    Use(Vec<Shared>),
}

impl Operations {
    /// The keys that `actor` may see and `filter` lets through, by name; those that proxy.toml declares come last.
    ///
    /// # Errors
    /// When the filter names nobody, or the store fails.
    pub fn keys(&self, actor: &Actor, filter: &KeyFilter) -> Result<Vec<KeyView>, OperationError> {
        let owner = filter.owner.as_ref().map(|name| self.user_named(name)).transpose()?.map(|user| user.id);
        let (names, now) = (self.names()?, self.now());
        let (service, environment) = (filter.service.clone(), filter.environment.clone());
        let found = CredentialFilter { owner, service, environment, ..CredentialFilter::default() };
        let mut views = Vec::new();
        for listed in self.vault.list(&found)? {
            if let Some(sight) = sight(actor, &listed.credential, &names) {
                views.push(KeyView::stored(&listed, &sight, &names, now));
            }
        }
        if let Some(party) = &filter.shared_with {
            self.share_with(party)?;
            let party = party.to_string();
            views.retain(|view| view.shared_with.contains(&party));
        }
        views.extend(declared_keys(&self.config.load(), filter));
        let last_used = self.last_used();
        Ok(views.into_iter().map(|view| view.with_last_use(&last_used, actor)).collect())
    }

    /// The first keys after the cursor `after` that `actor` may see, by their [`KeyView::place`]: `most` of the store, and all
    /// that proxy.toml declares. Of a large store, no more is read.
    ///
    /// # Errors
    /// As [`Self::keys`].
    pub fn keys_after(
        &self,
        actor: &Actor,
        filter: &KeyFilter,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<KeyView>, OperationError> {
        if filter.shared_with.is_some() {
            return self.keys(actor, filter);
        }
        let owner = filter.owner.as_ref().map(|name| self.user_named(name)).transpose()?.map(|user| user.id);
        let (service, environment) = (filter.service.clone(), filter.environment.clone());
        let page = CredentialPage {
            filter: CredentialFilter { owner, service, environment, ..CredentialFilter::default() },
            viewer: actor.member().map(|user| Viewer { user: user.id.clone(), teams: user.teams.clone() }),
            after: after.map(|text| {
                let mut parts = text.splitn(3, '\n').map(str::to_owned);
                let mut part = || parts.next().unwrap_or_default();
                (part(), part(), part())
            }),
            most: u32::try_from(most).unwrap_or(u32::MAX),
        };
        let listed = self.vault.store().credential_page(&page)?;
        let (names, now) = (self.names_for(&listed)?, self.now());
        let last_used = self.last_used_of(&listed);
        let view = |listed: &ListedCredential| {
            let sight = sight(actor, &listed.credential, &names)?;
            Some(KeyView::stored(listed, &sight, &names, now).with_last_use(&last_used, actor))
        };
        let mut views: Vec<KeyView> = listed.iter().filter_map(view).collect();
        let declared = declared_keys(&self.config.load(), filter);
        let last_used = if declared.is_empty() { HashMap::new() } else { self.last_used() };
        views.extend(declared.into_iter().map(|view| view.with_last_use(&last_used, actor)));
        Ok(views)
    }

    /// One key with the versions of its value; a declared one when the store has none of that name.
    ///
    /// # Errors
    /// When there is none that `actor` may see, several owners have one, or the store fails.
    pub fn key(&self, actor: &Actor, which: &KeyRef) -> Result<KeyDetail, OperationError> {
        let (listed, sight, names) = match self.find_key(actor, which) {
            Err(OperationError::Declared(name)) => {
                let declared = self.declared(&name).ok_or_else(|| unknown(which))?;
                let key = KeyView::declared(&declared).with_last_use(&self.last_used(), actor);
                return Ok(KeyDetail { key, versions: None });
            }
            found => found?,
        };
        let history = self.vault.show(&listed.credential.id)?;
        let current = history.listed.credential.version;
        let versions = || history.versions.iter().map(|row| VersionView::of(row, current)).collect();
        let key = KeyView::stored(&history.listed, &sight, &names, self.now());
        Ok(KeyDetail {
            key: key.with_last_use(&self.last_used(), actor),
            versions: matches!(sight, Sight::Whole).then(versions),
        })
    }

    /// When keys were last used, by their identifiers.
    fn last_used(&self) -> HashMap<String, i64> {
        let found = self.ledger().and_then(|ledger| Ok(ledger.map(|ledger| ledger.last_used()).transpose()?));
        // A ledger that cannot be read is no reason not to show a key; `sidekey usage` says what is wrong with it.
        found.unwrap_or_default().unwrap_or_default()
    }

    /// When these keys were last used.
    fn last_used_of(&self, keys: &[ListedCredential]) -> HashMap<String, i64> {
        let ids = keys.iter().map(|key| key.credential.id.as_str());
        let found = self.ledger().and_then(|ledger| Ok(ledger.map(|ledger| ledger.last_used_of(ids)).transpose()?));
        found.unwrap_or_default().unwrap_or_default()
    }

    /// The one key that is meant, among those that `actor` may see. [`OperationError::Declared`] when only the configuration
    /// has one of this name.
    fn find_key(&self, actor: &Actor, which: &KeyRef) -> Result<(ListedCredential, Sight, Names), OperationError> {
        let found = match which {
            KeyRef::Id(id) => match self.vault.show(id) {
                Ok(history) if history.listed.deleted_at.is_none() => vec![history.listed],
                Ok(_) | Err(VaultError::Store(StoreError::Unknown { .. })) => Vec::new(),
                Err(error) => return Err(error.into()),
            },
            KeyRef::Named { name, owner } => {
                let owner = owner.as_ref().map(|name| self.user_named(name)).transpose()?.map(|user| user.id);
                self.vault.list(&CredentialFilter { name: Some(name.clone()), owner, ..CredentialFilter::default() })?
            }
        };
        let names = self.names_for(&found)?;
        let seen = |listed: ListedCredential| sight(actor, &listed.credential, &names).map(|sight| (listed, sight));
        let mut seen: Vec<_> = found.into_iter().filter_map(seen).collect();
        match (seen.pop(), which) {
            (None, KeyRef::Named { name, .. }) if self.declared(name).is_some() => {
                Err(OperationError::Declared(name.clone()))
            }
            (None, _) => Err(unknown(which)),
            (Some((listed, sight)), _) if seen.is_empty() => Ok((listed, sight, names)),
            (Some(one), _) => {
                let name = one.0.credential.name.clone();
                seen.push(one);
                let owners = seen.iter().map(|(listed, _)| names.user(&listed.credential.owner)).collect();
                Err(OperationError::SeveralOwners { name, owners })
            }
        }
    }

    /// The key that proxy.toml declares under this name.
    pub(super) fn declared(&self, name: &Name) -> Option<DeclaredCredential> {
        self.config.load().credentials.iter().find(|credential| credential.name == *name).cloned()
    }

    /// A key as its owner sees it.
    fn whole_view(&self, id: &CredentialId) -> Result<KeyView, OperationError> {
        let listed = self.vault.show(id)?.listed;
        let names = self.names_for(std::slice::from_ref(&listed))?;
        Ok(KeyView::stored(&listed, &Sight::Whole, &names, self.now()))
    }
}

/// How much of a key `actor` sees; none when it is as if it did not exist.
fn sight(actor: &Actor, credential: &Credential, names: &Names) -> Option<Sight> {
    let Some(member) = actor.member().filter(|member| member.id != credential.owner) else {
        return Some(Sight::Whole);
    };
    let opens = |shared: &&Shared| match &shared.with {
        Share::Everyone => true,
        Share::User(id) => *id == member.id,
        Share::Team(id) => member.teams.contains(id),
        Share::Caller(id) => names.owner_of(id) == Some(&member.id),
    };
    let through: Vec<Shared> = credential.shares.iter().filter(opens).cloned().collect();
    (!through.is_empty()).then_some(Sight::Use(through))
}

/// The keys that proxy.toml declares, which are there without a store; they belong to `local` and are shared with everyone.
pub fn declared_keys(config: &Config, filter: &KeyFilter) -> Vec<KeyView> {
    let passes = |declared: &&DeclaredCredential| {
        filter.service.as_ref().is_none_or(|service| *service == declared.service)
            && filter.environment.as_ref().is_none_or(|env| declared.environment.as_ref() == Some(env))
            && filter.owner.as_ref().is_none_or(|owner| owner.as_str() == LOCAL)
            && filter.shared_with.as_ref().is_none_or(|party| *party == Party::Everyone)
    };
    config.credentials.iter().filter(passes).map(KeyView::declared).collect()
}

fn unknown(which: &KeyRef) -> OperationError {
    let which = match which {
        KeyRef::Named { name, .. } => name.as_str(),
        KeyRef::Id(id) => id.as_str(),
    };
    OperationError::unknown("credential", which)
}
