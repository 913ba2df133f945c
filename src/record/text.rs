//! A record as TOML and back: the text that the store keeps, and the table that stands for it in proxy.toml. The same keys
//! as everywhere; what this version does not know is an error, never dropped.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::Name;

use super::ServiceRecord;

/// Why a text is no record of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (line {line})")]
pub struct TextError {
    /// From 1.
    line: usize,
    /// What the parser says; it quotes keys and no values.
    problem: String,
}

/// Reads a record.
///
/// # Errors
/// When the text is no TOML, or has a key or a kind of value that a record has not.
pub fn from_toml(text: &str) -> Result<ServiceRecord, TextError> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        TextError { line: before.matches('\n').count() + 1, problem: without_value(error.message()) }
    })
}

/// What the parser says, without the value that it found where it expected another kind.
fn without_value(message: &str) -> String {
    match message.rsplit_once(", expected ").filter(|_| message.starts_with("invalid ")) {
        Some((_, expected)) => format!("a value of the wrong kind, expected {expected}"),
        None => message.to_owned(),
    }
}

/// A record that is kept for whoever asks for it, which is seldom: as a text, a tenth of the size.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordText(Box<str>);

impl RecordText {
    /// Keeps `record`.
    pub fn of(record: &ServiceRecord) -> Self {
        // A record has texts, numbers, lists and tables with texts as keys: JSON has a form for each of them.
        Self(serde_json::to_string(record).unwrap_or_default().into())
    }

    /// The record again.
    pub fn record(&self) -> ServiceRecord {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// Writes a record. Reading the text again gives the same record.
pub fn to_toml(record: &ServiceRecord) -> String {
    // A record has texts, numbers, lists and tables with texts as keys: TOML has a form for each of them.
    toml::to_string(record).unwrap_or_default()
}

/// Writes a record as the table `[service.NAME]` of proxy.toml, where `${` would be a variable's beginning.
pub fn to_table(name: &Name, record: &ServiceRecord) -> String {
    #[derive(Serialize)]
    struct File<'a> {
        service: BTreeMap<&'a str, &'a ServiceRecord>,
    }
    let file = File { service: BTreeMap::from([(name.as_str(), record)]) };
    toml::to_string(&file).unwrap_or_default().replace("${", "$${")
}
