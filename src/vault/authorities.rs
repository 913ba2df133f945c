//! sidekey's own certificate authorities: a key is made, sealed and kept here, and comes out able to sign, never as bytes.
//!
//! Invariant: a private key opens beside the certificate that it was made for and no other.

use crate::crypto::digest::sha256;
use crate::crypto::signing::SigningKey;
use crate::domain::{HostRange, Secret};
use crate::intercept::{Authority, Draft};
use crate::store::{LabelledValue, Receipt, StoreError, StoredAuthority};

use super::{Vault, VaultError};

impl Vault {
    /// Makes an authority for `hosts` (none: for every host) that signs from `signs_from` on, after the one with the
    /// fingerprint `after`, which must be the newest.
    ///
    /// # Errors
    /// When somebody else made one meanwhile, there is no randomness, or the store fails.
    pub fn add_authority(
        &self,
        hosts: &[HostRange],
        signs_from: i64,
        after: Option<&[u8; 32]>,
    ) -> Result<Receipt, VaultError> {
        let (mut pkcs8, now) = (SigningKey::generate().map_err(VaultError::Crypto)?, self.now());
        let key = SigningKey::from_pkcs8(&pkcs8).map_err(VaultError::Crypto)?;
        let Draft { name, certificate, expires_at } = Draft::new(key, hosts, now).map_err(VaultError::Authority)?;
        let fingerprint = sha256(&certificate);
        let (label, masters) = (StoredAuthority::label(&fingerprint), self.masters.load());
        let secret = Secret::new(std::mem::take(&mut *pkcs8));
        let sealed = masters.current.seal_labelled(&label, &secret).map_err(VaultError::Labelled)?;
        let key = LabelledValue { label, master: masters.current.id(), sealed };
        let hosts = hosts.iter().map(ToString::to_string).collect();
        let stored =
            StoredAuthority { fingerprint, name, certificate, hosts, created_at: now, signs_from, expires_at, key };
        Ok(self.store.add_authority(&stored, after)?)
    }

    /// Has an authority sign from now on.
    ///
    /// # Errors
    /// When there is no such authority, or the store fails.
    pub fn hasten_authority(&self, fingerprint: &[u8; 32]) -> Result<Receipt, VaultError> {
        Ok(self.store.hasten_authority(fingerprint, self.now())?)
    }

    /// Destroys an authority and its key.
    ///
    /// # Errors
    /// When there is no such authority, or the store fails.
    pub fn retire_authority(&self, fingerprint: &[u8; 32]) -> Result<Receipt, VaultError> {
        Ok(self.store.retire_authority(fingerprint, self.now())?)
    }

    /// The authorities as they are kept, the oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn authorities(&self) -> Result<Vec<StoredAuthority>, VaultError> {
        Ok(self.store.authorities()?)
    }

    /// The authority, able to sign.
    ///
    /// # Errors
    /// When its key does not open, because it or its certificate was changed, or is sealed by a master key that this vault
    /// has not yet: [`Vault::refresh_master`] gets it.
    pub fn open_authority(&self, stored: StoredAuthority) -> Result<Authority, VaultError> {
        let masters = self.masters.load();
        let mut known = std::iter::once(&masters.current).chain(&masters.former);
        let master = known.find(|key| key.id() == stored.key.master);
        let master = master.ok_or_else(|| StoreError::Moved("the master key".to_owned()))?;
        let label = StoredAuthority::label(&sha256(&stored.certificate));
        let key = master.open_signing_key(&label, &stored.key.sealed).map_err(VaultError::Labelled)?;
        let range = |text: &String| HostRange::parse(text).map_err(|_| StoreError::Corrupt("a host range".to_owned()));
        let hosts = stored.hosts.iter().map(range).collect::<Result<Vec<_>, _>>()?;
        let StoredAuthority { name, certificate, expires_at, signs_from, .. } = stored;
        Ok(Authority::new(Draft { name, certificate, expires_at }, key, hosts, signs_from))
    }
}
