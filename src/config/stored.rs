//! The services of the store, laid between the catalogue and the file: a table of proxy.toml counts before a stored record
//! of the same name, a stored record before the built-in one, key by key. Nothing is read here; whoever read the store
//! brings its records.
//!
//! Invariants: a stored record that cannot be used is left out with its reason, and everything else works on; no key goes to
//! another place because of it, nor because it is left out.

use std::sync::Arc;

use crate::catalogue;
use crate::domain::{Name, Service};
use crate::record::{self, RecordErrors, RecordText, ServiceRecord, TextError};
use crate::store::StoredService;

use super::settings::{Config, ServiceEntry};

/// A stored service that is not used.
#[derive(Debug)]
pub struct LeftOut {
    /// Its name.
    pub name: Name,
    /// Why.
    pub why: WhyLeftOut,
}

/// Why a stored service is not used.
#[derive(Debug, thiserror::Error)]
pub enum WhyLeftOut {
    /// The file has a table of this name.
    #[error("the configuration has a table [service.{0}], which counts instead")]
    Declared(Name),
    /// The file declares a key for the built-in service, and would not recognise it.
    #[error(
        "the configuration declares a key for the built-in service, which must not go elsewhere or be placed otherwise"
    )]
    Pinned,
    /// Not a record of this version.
    #[error("its record is not one that this version can read: {0}; it is kept as it is")]
    Unreadable(#[from] TextError),
    /// It does not compile.
    #[error("its record does not compile in this version: {0}; it is kept as it is")]
    Invalid(#[from] RecordErrors),
}

impl Config {
    /// This configuration with the services of the store, in place of those that it may have had before; and which of them
    /// are not used. `withheld` are the names of those that must not be used at all, a built-in one of that name neither.
    pub fn with_stored(&self, stored: &[StoredService], withheld: &[Name]) -> (Self, Vec<LeftOut>) {
        laid(self, stored, withheld, &Embedded)
    }

    /// The service `name` as it would be with this record in the store.
    ///
    /// # Errors
    /// When the file counts instead, or the record does not compile.
    pub fn with_record(&self, name: &Name, record: &ServiceRecord) -> Result<ServiceEntry, WhyLeftOut> {
        self.judged(name, record, catalogue::record(name.as_str()))
    }

    fn judged(
        &self,
        name: &Name,
        record: &ServiceRecord,
        below: Option<ServiceRecord>,
    ) -> Result<ServiceEntry, WhyLeftOut> {
        if self.service(name.as_str()).is_some_and(|entry| entry.service.declared) {
            return Err(WhyLeftOut::Declared(name.clone()));
        }
        let built_in = below.is_some();
        let whole = below.clone().unwrap_or_default().overlaid(record.clone());
        let service = Service { built_in, stored: true, ..record::compile(name, &whole)? };
        let original = below.and_then(|below| record::compile(name, &below).ok());
        let pinned = self.credentials.iter().any(|credential| credential.service == *name);
        if pinned && original.is_none_or(|original| !original.keeps_keys_alike(&service)) {
            return Err(WhyLeftOut::Pinned);
        }
        Ok(ServiceEntry { service: service.into(), record: RecordText::of(&whole) })
    }
}

/// The built-in services as far as they are needed here.
pub(super) trait BuiltIn {
    /// All their names.
    fn names(&self) -> Vec<Name>;
    /// The record of one.
    fn record(&self, name: &Name) -> Option<ServiceRecord>;
}

/// Those that are embedded in the program.
struct Embedded;

impl BuiltIn for Embedded {
    fn names(&self) -> Vec<Name> {
        catalogue::names().filter_map(|name| Name::new(name).ok()).collect()
    }

    fn record(&self, name: &Name) -> Option<ServiceRecord> {
        catalogue::record(name.as_str())
    }
}

/// As [`Config::with_stored`], with these built-in services.
pub(super) fn laid(
    config: &Config,
    stored: &[StoredService],
    withheld: &[Name],
    built_in: &impl BuiltIn,
) -> (Config, Vec<LeftOut>) {
    let mut config = config.clone();
    config.services.retain(|entry| !entry.service.stored);
    bring_back(&mut config, built_in);
    let mut left_out = Vec::new();
    for service in stored {
        let name = &service.name;
        let record = record::from_toml(&service.record).map_err(WhyLeftOut::from);
        match record.and_then(|record| config.judged(name, &record, built_in.record(name))) {
            Ok(entry) => put(&mut config, entry),
            Err(why) => {
                if matches!(why, WhyLeftOut::Unreadable(_) | WhyLeftOut::Invalid(_)) {
                    take_away(&mut config, name);
                }
                left_out.push(LeftOut { name: name.clone(), why });
            }
        }
    }
    for name in withheld {
        take_away(&mut config, name);
    }
    (config, left_out)
}

/// Adds the built-in services that something stored had replaced.
fn bring_back(config: &mut Config, built_in: &impl BuiltIn) {
    for name in built_in.names() {
        if config.service(name.as_str()).is_some() {
            continue;
        }
        let Some(record) = built_in.record(&name) else { continue };
        if let Ok(service) = record::compile(&name, &record) {
            let service = Service { built_in: true, ..service }.into();
            put(config, ServiceEntry { service, record: RecordText::of(&record) });
        }
    }
}

/// Puts a service into its place by name.
fn put(config: &mut Config, entry: ServiceEntry) {
    match config.services.binary_search_by(|other| other.service.name.cmp(&entry.service.name)) {
        Ok(at) => {
            if let Some(place) = config.services.get_mut(at) {
                *place = Arc::new(entry);
            }
        }
        Err(at) => config.services.insert(at, Arc::new(entry)),
    }
}

/// Leaves a built-in service out whose stored record cannot be used: its keys may be for another place, and must not go to
/// the built-in one.
fn take_away(config: &mut Config, name: &Name) {
    config.services.retain(|entry| entry.service.declared || entry.service.name != *name);
}
