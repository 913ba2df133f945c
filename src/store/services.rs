//! A service as a store keeps it, and what a deletion does to the keys that are for it.

use crate::domain::ServiceName;

use super::LabelledValue;

/// A service as the store keeps it. The record is a text whose meaning is nothing to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredService {
    /// What it is called, for ever.
    pub name: ServiceName,
    /// Its record in TOML, as in a catalogue file; for a built-in service, what is laid over that.
    pub record: String,
    /// What tells that the record is as sidekey wrote it; see [`StoredService::label`]. None when somebody took it away.
    pub proof: Option<LabelledValue>,
    /// Counts its changes, from 1.
    pub revision: u32,
    /// When it was added, in Unix seconds.
    pub created_at: i64,
    /// When it was changed last.
    pub updated_at: i64,
}

/// What a deletion does when living keys are for the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InUse {
    /// It is refused.
    Refuse,
    /// The keys stay, for what has the name then.
    Accept,
}

impl StoredService {
    /// What stands before a service's name in the label of its proof.
    pub const LABEL: &'static str = "service/";

    /// The label under which the proof of its record is sealed.
    pub fn label(name: &ServiceName) -> String {
        format!("{}{name}", Self::LABEL)
    }
}
