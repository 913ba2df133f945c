//! The services of the store. What is kept of them is no secret, but it says where keys go: each record has a proof, a digest
//! sealed by the master key, so that who can write the store's file and has not that key cannot send a key elsewhere.
//!
//! Invariant: a record that counts was written by somebody who had the store's master key. A former one, put back with its
//! proof, is not told from the present one.

use crate::crypto::digest::sha256;
use crate::domain::{Secret, ServiceName};
use crate::store::{InUse, LabelledValue, Receipt, StoreError, StoredService};

use super::{Vault, VaultError};

/// The services of a store, judged by their proofs.
#[derive(Debug, Clone, Default)]
pub struct ProvenServices {
    /// Those that count, by name.
    pub genuine: Vec<StoredService>,
    /// The names of those whose record is not the one that was proven.
    pub forged: Vec<ServiceName>,
}

impl Vault {
    /// Adds a service with its record in TOML.
    ///
    /// # Errors
    /// When the name is taken, or the store fails.
    pub fn add_service(&self, name: &ServiceName, record: &str) -> Result<Receipt, VaultError> {
        Ok(self.store.add_service(&self.proven(name, record, 0)?, self.now())?)
    }

    /// Gives a service another record, in place of the revision `former`.
    ///
    /// # Errors
    /// When there is no such service, somebody else changed it meanwhile, or the store fails.
    pub fn change_service(&self, name: &ServiceName, former: u32, record: &str) -> Result<Receipt, VaultError> {
        Ok(self.store.change_service(&self.proven(name, record, former)?, self.now())?)
    }

    /// Ends a service.
    ///
    /// # Errors
    /// When there is no such service, living keys are for it and that is not accepted, or the store fails.
    pub fn delete_service(&self, name: &ServiceName, in_use: InUse) -> Result<Receipt, VaultError> {
        Ok(self.store.delete_service(name, in_use, self.now())?)
    }

    /// The services of the store.
    ///
    /// # Errors
    /// As [`Vault::judged`], and when the store fails.
    pub fn services(&self) -> Result<ProvenServices, VaultError> {
        self.judged(self.store.services()?)
    }

    /// Tells the records that somebody with the master key wrote from all others.
    ///
    /// # Errors
    /// When a proof is sealed by a master key that this vault has not yet: [`Vault::refresh_master`] gets it.
    pub fn judged(&self, services: Vec<StoredService>) -> Result<ProvenServices, VaultError> {
        let masters = self.masters.load();
        let mut out = ProvenServices::default();
        for service in services {
            let key = |proof: &LabelledValue| {
                let known = std::iter::once(&masters.current).chain(&masters.former);
                known.into_iter().find(|key| key.id() == proof.master).cloned()
            };
            let genuine = match &service.proof {
                None => false,
                Some(proof) => {
                    let key = key(proof).ok_or_else(|| StoreError::Moved("the master key".to_owned()))?;
                    key.is_sealed_as(
                        &StoredService::label(&service.name),
                        &sha256(service.record.as_bytes()),
                        &proof.sealed,
                    )
                }
            };
            if genuine {
                out.genuine.push(service);
            } else {
                out.forged.push(service.name);
            }
        }
        Ok(out)
    }

    /// A record with its proof.
    fn proven(&self, name: &ServiceName, record: &str, revision: u32) -> Result<StoredService, VaultError> {
        let key = &self.masters.load().current;
        let (label, digest) = (StoredService::label(name), Secret::new(sha256(record.as_bytes()).to_vec()));
        let sealed = key.seal_labelled(&label, &digest).map_err(VaultError::Labelled)?;
        Ok(StoredService {
            name: name.clone(),
            record: record.to_owned(),
            proof: Some(LabelledValue { label, master: key.id(), sealed }),
            revision,
            created_at: 0,
            updated_at: 0,
        })
    }
}
