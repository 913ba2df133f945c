//! The keeper of secrets: the store and the master key together. Values go in and are sealed; on the way of a request one
//! comes out. Everything but [`Vault::unlock`] and [`Vault::seal_declared`] blocks on the store and is for the control
//! plane; these two touch memory only.
//!
//! Invariant: a vault that opened has the store's own master key; a wrong one is told apart before anything else happens.

mod authorities;
mod callers;
mod credentials;
pub mod declared;
mod error;
mod limits;
mod master;
mod passes;
mod people;
mod services;
mod slots;
mod token;

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use uuid::Builder;

use crate::access::Candidate;
use crate::crypto::random;
use crate::domain::{Clock, Credential, Fields, Sealed, Secret};
use crate::gate::Permit;
use crate::keys::MasterKeySource;
use crate::seal::{self, MasterKey, Opener, SealContext};
use crate::store::{Changes, Deed, Inventory, LabelledValue, SealedVersion, Store};

pub use crate::seal::{ValueError, clean};
pub use credentials::NewCredential;
pub use error::VaultError;
pub use master::{MasterRotation, OutOfReach};
pub use passes::{CODE_LIFE, SESSION_LIFE};
pub use services::ProvenServices;
pub use slots::{ListedSlot, MOST_SLOTS};
pub use token::{PREFIX as TOKEN_PREFIX, Token};

/// How long the value of a deleted credential is kept, in seconds.
pub const KEPT_AFTER_DELETION: i64 = 7 * 24 * 60 * 60;

/// The keeper of secrets. Cheap to share behind an `Arc`; safe to use from any thread.
pub struct Vault {
    store: Arc<dyn Store>,
    masters: Arc<ArcSwap<Masters>>,
    clock: Arc<dyn Clock>,
}

/// A credential's data key once it was unwrapped, for as long as snapshots hold the same credential. It opens this one version, so keeping it
/// gives away less than the master key does, which must be in memory all the time.
#[derive(Debug, Default)]
pub struct KeptOpener(OnceLock<Opener>);

/// A candidate that has a place for its unwrapped data key.
pub trait Keyed: Candidate {
    /// The place, which belongs to this version of this credential alone.
    fn opener(&self) -> &KeptOpener;

    /// What it was before its last rotation, as long as that may be needed.
    fn former(&self) -> Option<&Self>;
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("store", &self.store).finish_non_exhaustive()
    }
}

/// The master key, and the one before it: a snapshot taken before a rotation still opens until it is replaced.
#[derive(Debug)]
struct Masters {
    current: Arc<MasterKey>,
    former: Option<Arc<MasterKey>>,
}

impl Masters {
    fn of(&self, sealed: &Sealed) -> &MasterKey {
        match &self.former {
            Some(former) if former.id() == sealed.master => former,
            _ => &self.current,
        }
    }
}

impl Vault {
    /// Gets the master key and makes sure that it is the store's own. A store without one takes this key; a key file that is
    /// absent is made only then.
    ///
    /// # Errors
    /// When the key cannot be had, or is not the one that the store was sealed with, or the store fails.
    pub fn open(store: Arc<dyn Store>, source: &MasterKeySource, clock: Arc<dyn Clock>) -> Result<Self, VaultError> {
        let current = Arc::new(master::unlock(&*store, source, seconds(&*clock))?);
        let masters = Arc::new(ArcSwap::from_pointee(Masters { current, former: None }));
        Ok(Self { store, masters, clock })
    }

    /// The same vault for one act: the change that is made through it, and no second one, writes `deed` down beside itself.
    #[must_use]
    pub fn acting(&self, deed: Deed) -> Self {
        Self { store: self.store.acting(deed), masters: Arc::clone(&self.masters), clock: Arc::clone(&self.clock) }
    }

    /// Opens the value of an admitted request's credential: the only way to a secret on the request path. Touches memory
    /// only, and takes a quarter of a microsecond when the credential was used before.
    ///
    /// # Errors
    /// When there is no value, or it does not open.
    pub fn unlock<C: Keyed>(&self, permit: &Permit<C>) -> Result<Fields, VaultError> {
        let candidate = permit.grant().candidate();
        self.open_kept(candidate.credential(), candidate.opener())
    }

    /// Opens the value that an admitted request's credential had before its last rotation, for when the service refuses the
    /// new one.
    ///
    /// # Errors
    /// When there is none, or it does not open.
    pub fn unlock_former<C: Keyed>(&self, permit: &Permit<C>) -> Result<Fields, VaultError> {
        let candidate = permit.grant().candidate();
        let former = candidate.former().ok_or_else(|| VaultError::NoValue(candidate.credential().name.clone()))?;
        self.open_kept(former.credential(), former.opener())
    }

    /// Opens a credential's value to try it at its service, without a request of a caller. For whoever administers it; the
    /// value may only go into a request that `inject` makes.
    ///
    /// # Errors
    /// When there is no value, or it does not open.
    pub fn open_to_try(&self, credential: &Credential) -> Result<Fields, VaultError> {
        self.open_kept(credential, &KeptOpener::default())
    }

    fn open_kept(&self, credential: &Credential, kept: &KeptOpener) -> Result<Fields, VaultError> {
        let failed = |source| VaultError::Seal { credential: credential.name.clone(), source };
        let sealed = credential.sealed.as_deref().ok_or_else(|| VaultError::NoValue(credential.name.clone()))?;
        if let Some(opener) = kept.0.get() {
            return opener.open(sealed).map_err(failed);
        }
        let masters = self.masters.load();
        let opener = Opener::new(masters.of(sealed), &context(credential), sealed).map_err(failed)?;
        kept.0.get_or_init(|| opener).open(sealed).map_err(failed)
    }

    /// Seals a value that does not come from the store, so that a request finds it like any other. `credential` says what it
    /// is bound to: its identifier, owner, service and version.
    ///
    /// # Errors
    /// When a field is one that no request can carry, or there is no randomness.
    pub fn seal_declared(&self, credential: &Credential, fields: &Fields) -> Result<Sealed, VaultError> {
        seal::seal(&self.masters.load().current, &context(credential), fields)
            .map_err(|source| VaultError::Seal { credential: credential.name.clone(), source })
    }

    /// Everything that a running proxy needs, from one moment.
    ///
    /// # Errors
    /// When the store fails.
    pub fn inventory(&self) -> Result<Inventory, VaultError> {
        Ok(self.store.inventory()?)
    }

    /// What changed of the inventory since the change counter was `counter`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn changes_since(&self, counter: u64) -> Result<Changes, VaultError> {
        Ok(self.store.changes_since(counter)?)
    }

    /// The number of the master key.
    pub fn master_number(&self) -> u32 {
        self.masters.load().current.id()
    }

    /// A number that differs when the inventory changed, by any process; cheap enough to ask several times a second.
    ///
    /// # Errors
    /// When the store fails.
    pub fn change_counter(&self) -> Result<u64, VaultError> {
        Ok(self.store.change_counter()?)
    }

    /// The store, for what needs no key: shares, users, lists.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Keeps a secret of sidekey's own, a certificate authority's key for example, in place of what had this label.
    ///
    /// # Errors
    /// When the store fails.
    pub fn keep_labelled(&self, label: &str, value: &Secret) -> Result<(), VaultError> {
        let masters = self.masters.load();
        let sealed = masters.current.seal_labelled(label, value).map_err(VaultError::Labelled)?;
        let master = masters.current.id();
        Ok(self.store.keep_labelled(&LabelledValue { label: label.to_owned(), master, sealed })?)
    }

    /// The secret of sidekey's own that has this label.
    ///
    /// # Errors
    /// When the store fails, or the secret does not open.
    pub fn labelled(&self, label: &str) -> Result<Option<Secret>, VaultError> {
        let Some(kept) = self.store.labelled(label)? else { return Ok(None) };
        let opened = self.masters.load().current.open_labelled(label, &kept.sealed);
        opened.map(Some).map_err(VaultError::Labelled)
    }

    fn now(&self) -> i64 {
        seconds(&*self.clock)
    }

    /// An identifier that nothing else has: UUID version 7 (RFC 9562), so that rows stand in the order of their making.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn fresh_id(&self) -> Result<String, VaultError> {
        let millis = u64::try_from(self.clock.wall().as_millis()).unwrap_or(u64::MAX);
        let random = random::bytes::<10>().map_err(VaultError::Crypto)?;
        Ok(Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string())
    }
}

fn seconds(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.wall().as_secs()).unwrap_or(i64::MAX)
}

/// What a credential's value is bound to.
fn context(credential: &Credential) -> SealContext<'_> {
    SealContext {
        credential: &credential.id,
        owner: &credential.owner,
        service: &credential.service,
        version: credential.version,
    }
}

/// What a version's value is bound to.
fn place_of(version: &SealedVersion) -> SealContext<'_> {
    SealContext {
        credential: &version.credential,
        owner: &version.owner,
        service: &version.service,
        version: version.number,
    }
}

#[cfg(test)]
mod crash;
#[cfg(test)]
mod fill;
#[cfg(test)]
mod tests;
