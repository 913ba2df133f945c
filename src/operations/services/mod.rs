//! The services that keys are for: looked up, and kept in the store by acts of administrators. Everybody may see them; what
//! a change would do to keys that exist is weighed before it is done.
//!
//! Invariants: what is stored compiles; no key is sent to another place, or placed otherwise, by a change of its service
//! unless whoever makes it has been told of the key and agrees.

mod concern;
mod tell;
mod view;

use std::sync::{Arc, PoisonError};

use crate::config::{Config, ServiceEntry, WhyLeftOut};
use crate::domain::{Name, Service, ServiceName};
use crate::record::{self, ServiceRecord, nearest};
use crate::store::{InUse, StoreError};
use crate::upstream::{Approach, TlsConfigs};
use crate::vault::Vault;

use super::{Actor, OperationError, Operations};

pub use concern::ConcernedKey;
pub use view::{ServiceDetail, ServiceView, VariableView};

/// The longest name that a message repeats: a text as long as a key may be one, typed in the wrong place.
const LONGEST_SHOWN: usize = 20;

/// The longest record in TOML, in bytes.
const LONGEST_RECORD: usize = 1 << 20;

/// What is said of a record without a good proof.
pub const FORGED: &str = "its record was not written by sidekey with this store's master key, and is not trusted with keys; \
                          delete it and add it again";

/// Whether somebody who makes a change agrees to what it does to keys that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// They were told of the keys and agree.
    Given,
    /// They were not asked.
    Absent,
}

/// A record of the store and how often it was changed.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptRecord {
    /// The record; for a built-in service, what is laid over that.
    pub record: ServiceRecord,
    /// The revision that a change replaces.
    pub revision: u32,
}

/// A service as it would be after a change, and what the change does besides.
#[derive(Debug, Clone)]
pub struct ServiceChange {
    /// The service.
    pub entry: ServiceEntry,
    /// What it overrides and shadows, a sentence each.
    pub tells: Vec<String>,
    /// The living keys that would go elsewhere or not fit any more.
    pub concerned: Vec<ConcernedKey>,
}

impl OperationError {
    /// There is no service called `name` in `config`.
    pub fn no_service(config: &Config, name: &Name) -> Self {
        let known = config.services.iter().map(|entry| entry.service.name.as_str());
        let meant = nearest(name.as_str(), known).map(str::to_owned);
        let name = (name.as_str().len() <= LONGEST_SHOWN).then(|| name.clone());
        Self::NoService { name, meant }
    }
}

impl Operations {
    /// The service called `name`.
    ///
    /// # Errors
    /// When there is none, with the one that was probably meant.
    pub fn service(&self, name: &Name) -> Result<Service, OperationError> {
        let config = self.config.load();
        let entry = config.service(name.as_str()).ok_or_else(|| OperationError::no_service(&config, name))?;
        Ok((*entry.service).clone())
    }

    /// The store's record of the service `name`, for who is about to change it; none when the store has none.
    ///
    /// # Errors
    /// When proxy.toml has a table of this name, the record is one of another version, or the store fails.
    pub fn kept_record(&self, name: &ServiceName) -> Result<Option<KeptRecord>, OperationError> {
        if self.config.load().service(name.as_str()).is_some_and(|entry| entry.service.declared) {
            return Err(OperationError::DeclaredService(name.clone()));
        }
        let services = self.vault.services()?;
        if services.forged.contains(name) {
            return Err(OperationError::Invalid(format!("the service `{name}` cannot be changed: {FORGED}")));
        }
        let Some(found) = services.genuine.into_iter().find(|service| service.name == *name) else { return Ok(None) };
        let record = record::from_toml(&found.record).map_err(|error| {
            let why = WhyLeftOut::from(error);
            OperationError::Invalid(format!("the service `{name}` cannot be changed by this version: {why}"))
        })?;
        Ok(Some(KeptRecord { record, revision: found.revision }))
    }

    /// What storing `record` under `name` would do. Nothing is changed.
    ///
    /// # Errors
    /// When `actor` does not administer, proxy.toml has a table of this name, the record does not compile, or the store
    /// fails.
    pub fn weigh_service(
        &self,
        actor: &Actor,
        name: &ServiceName,
        record: &ServiceRecord,
    ) -> Result<ServiceChange, OperationError> {
        actor.must_administer()?;
        let config = self.config.load();
        let entry = config.with_record(name, record).map_err(|why| match why {
            WhyLeftOut::Declared(name) => OperationError::DeclaredService(name),
            WhyLeftOut::Invalid(errors) => OperationError::Invalid(format!("the service `{name}`:\n{errors}")),
            other => OperationError::Invalid(format!("the service `{name}` would not be used: {other}")),
        })?;
        if record::to_toml(record).len() > LONGEST_RECORD {
            let text = "the record is larger than 1 MiB; leave out rules or texts".to_owned();
            return Err(OperationError::Invalid(text));
        }
        reachable(&entry.service)?;
        let before = config.service(name.as_str()).map(|entry| &*entry.service);
        let concerned = self.concerned(&entry.service, before)?;
        let tells = tell::of(&config, &entry.service);
        Ok(ServiceChange { entry, tells, concerned })
    }

    /// Keeps a new service, or what is laid over a built-in one.
    ///
    /// # Errors
    /// As [`Self::weigh_service`]; when the store has a service of this name, living keys are concerned and consent is
    /// absent, or the change cannot be kept or recorded.
    pub fn add_service(
        &self,
        actor: &Actor,
        name: &ServiceName,
        record: &ServiceRecord,
        consent: Consent,
    ) -> Result<ServiceChange, OperationError> {
        let pen = self.pen(actor)?;
        let change = self.agreed(actor, name, record, consent)?;
        let (base_url, keys) = (base_url(&change.entry), names(record));
        let add = |vault: &Vault| vault.add_service(name, &record::to_toml(record));
        pen.act("service.add", &[("base_url", &base_url), ("keys", &keys)], add)?;
        self.look_at_services()?;
        Ok(change)
    }

    /// Gives a service of the store another record, in place of the revision `former`.
    ///
    /// # Errors
    /// As [`Self::add_service`]; when the store has no such service, or somebody else changed it since it was read.
    pub fn change_service(
        &self,
        actor: &Actor,
        name: &ServiceName,
        former: u32,
        record: &ServiceRecord,
        consent: Consent,
    ) -> Result<ServiceChange, OperationError> {
        let pen = self.pen(actor)?;
        let change = self.agreed(actor, name, record, consent)?;
        let (base_url, keys) = (base_url(&change.entry), names(record));
        let edit = |vault: &Vault| vault.change_service(name, former, &record::to_toml(record));
        pen.act("service.edit", &[("base_url", &base_url), ("keys", &keys)], edit)?;
        self.look_at_services()?;
        Ok(change)
    }

    /// Ends a service of the store; a built-in one is again as it is built in.
    ///
    /// # Errors
    /// As [`Self::weigh_deletion`]; when living keys are concerned and consent is absent, or the change cannot be kept or
    /// recorded.
    pub fn delete_service(&self, actor: &Actor, name: &ServiceName, consent: Consent) -> Result<(), OperationError> {
        let concerned = self.weigh_deletion(actor, name)?;
        refuse_without(consent, name, &concerned)?;
        let pen = self.pen(actor)?;
        let in_use = if concerned.is_empty() { InUse::Refuse } else { InUse::Accept };
        pen.act("service.delete", &[], |vault| vault.delete_service(name, in_use))?;
        self.look_at_services()
    }

    /// The living keys that deleting the service concerns. Nothing is changed.
    ///
    /// # Errors
    /// When `actor` does not administer, the store has no such service, or living keys are for it; those of a record that is
    /// not trusted are named instead, since nobody can say for which place they are.
    pub fn weigh_deletion(&self, actor: &Actor, name: &ServiceName) -> Result<Vec<ConcernedKey>, OperationError> {
        actor.must_administer()?;
        self.refuse_unkept(name)?;
        let left = self.config.load().with_stored(&[], &[]).0.service(name.as_str()).map(|entry| entry.service.clone());
        let keys = self.left_behind(name, left.as_deref())?;
        if keys.is_empty() || self.vault.services()?.forged.contains(name) {
            return Ok(keys);
        }
        let keys = keys.into_iter().map(|concerned| concerned.key.to_string()).collect();
        Err(StoreError::InUse { service: name.to_string(), keys }.into())
    }

    /// The change, when whoever makes it agrees to what it does to keys.
    fn agreed(
        &self,
        actor: &Actor,
        name: &ServiceName,
        record: &ServiceRecord,
        consent: Consent,
    ) -> Result<ServiceChange, OperationError> {
        let change = self.weigh_service(actor, name, record)?;
        refuse_without(consent, name, &change.concerned)?;
        Ok(change)
    }

    /// Says where a service stands that the store has not.
    fn refuse_unkept(&self, name: &ServiceName) -> Result<(), OperationError> {
        let services = self.vault.services()?;
        if services.forged.contains(name) || services.genuine.iter().any(|service| service.name == *name) {
            return Ok(());
        }
        let config = self.config.load();
        Err(match config.service(name.as_str()).map(|entry| entry.service.declared) {
            Some(true) => OperationError::DeclaredService(name.clone()),
            Some(false) => OperationError::BuiltInService(name.clone()),
            None => OperationError::no_service(&config, name),
        })
    }

    /// Looks services up in the store as it is now.
    fn look_at_services(&self) -> Result<(), OperationError> {
        let _alone = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        self.lay_services_over(&self.config.load())
    }

    pub(super) fn lay_services_over(&self, config: &Config) -> Result<(), OperationError> {
        let services = self.vault.services()?;
        let (config, _) = config.with_stored(&services.genuine, &services.forged);
        self.config.store(Arc::new(config));
        Ok(())
    }
}

/// Refuses what concerns keys when nobody agreed to it.
fn refuse_without(consent: Consent, name: &ServiceName, concerned: &[ConcernedKey]) -> Result<(), OperationError> {
    if consent == Consent::Given || concerned.is_empty() {
        return Ok(());
    }
    Err(OperationError::ConcernsKeys {
        service: name.clone(),
        keys: concerned.iter().map(ToString::to_string).collect(),
    })
}

/// Whether the service's hosts can be approached: a file of certificate authorities is named by its whole path, and readable.
fn reachable(service: &Service) -> Result<(), OperationError> {
    if service.upstream.ca.as_ref().is_some_and(|ca| ca.is_relative()) {
        let text = "`upstream.ca`: the store has no folder of its own to start at; write the file's whole path";
        return Err(OperationError::Invalid(text.to_owned()));
    }
    let nobody = TlsConfigs::trusting(rustls::RootCertStore::empty());
    Approach::new(&service.upstream, service.timeouts.connect, &nobody)
        .map(drop)
        .map_err(|error| OperationError::Invalid(format!("the service `{}`: {error}", service.name)))
}

/// The base URL as it is written.
fn base_url(entry: &ServiceEntry) -> String {
    entry.record.record().base_url.unwrap_or_default()
}

/// The keys that a record sets, for the audit.
fn names(record: &ServiceRecord) -> String {
    let written = record::to_toml(record);
    let table: toml::Table = written.parse().unwrap_or_default();
    table.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}
