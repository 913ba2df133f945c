//! Services as lists and the API show them.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::config::ServiceEntry;
use crate::domain::{Name, Placement, ServiceName, Variable};
use crate::operations::{Actor, OperationError, Operations};
use crate::record::to_toml;

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ServiceView {
    /// Its name.
    pub name: ServiceName,
    /// What people call it.
    pub title: String,
    /// What kind of service it is.
    pub category: Option<String>,
    /// Where its requests go; `{name}` stands for a variable.
    pub base_url: Option<String>,
    /// Where its key goes, in words.
    pub auth: Vec<String>,
    /// The fields of its keys.
    pub fields: Vec<Name>,
    /// The variables that a key for it pins.
    pub variables: Vec<VariableView>,
    /// Whether the catalogue has it.
    pub built_in: bool,
    /// Whether proxy.toml has a table for it, which counts first.
    pub declared: bool,
    /// Whether the store has a record of it.
    pub stored: bool,
    /// Where a person gets a key.
    pub key_url: Option<String>,
    /// How a person gets a key.
    pub key_help: Option<String>,
    /// Where its documentation is.
    pub docs: Option<String>,
}

/// A variable of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VariableView {
    /// Its name.
    pub name: Name,
    /// What to ask a person for.
    pub title: String,
    /// A value that shows the form.
    pub example: Option<String>,
    /// Used when none is given.
    pub default: Option<String>,
    /// The only values there are; empty: any.
    pub choices: Vec<String>,
}

/// A service with its whole record.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ServiceDetail {
    /// The service.
    #[serde(flatten)]
    pub service: ServiceView,
    /// Everything that is known of it, as in proxy.toml.
    #[schema(value_type = Object)]
    pub record: Value,
    /// The revision of the store's own record, which a change names; none when the store has none.
    pub revision: Option<u32>,
}

impl ServiceView {
    /// A service of a configuration.
    pub fn of(entry: &ServiceEntry) -> Self {
        let service = &entry.service;
        let variable = |variable: &Variable| VariableView {
            name: variable.name.clone(),
            title: variable.title.clone(),
            example: variable.example.clone(),
            default: variable.default.clone(),
            choices: variable.choices.clone(),
        };
        Self {
            name: service.name.clone(),
            title: service.title.clone(),
            category: service.category.clone(),
            base_url: entry.record.record().base_url,
            auth: service.auth.iter().map(Placement::describe).collect(),
            fields: service.fields().into_iter().cloned().collect(),
            variables: service.variables.iter().map(variable).collect(),
            built_in: service.built_in,
            declared: service.declared,
            stored: service.stored,
            key_url: service.key_url.clone(),
            key_help: service.key_help.clone(),
            docs: service.docs.clone(),
        }
    }

    fn has(&self, word: &str) -> bool {
        let texts = [Some(self.name.as_str()), Some(&self.title), self.category.as_deref(), self.base_url.as_deref()];
        texts.into_iter().flatten().any(|text| text.to_lowercase().contains(word))
    }
}

impl Operations {
    /// The services whose name, title, category or address has every word, by name.
    pub fn services(&self, _actor: &Actor, words: &str) -> Vec<ServiceView> {
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        let also = |entry: &&Arc<ServiceEntry>| {
            let called = |word: &String| entry.service.aliases.iter().any(|alias| alias.to_lowercase().contains(word));
            let view = ServiceView::of(entry);
            words.iter().all(|word| view.has(word) || called(word))
        };
        self.config.load().services.iter().filter(also).map(|entry| ServiceView::of(entry)).collect()
    }

    /// The service called `name` with its record.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub fn service_detail(&self, _actor: &Actor, name: &ServiceName) -> Result<ServiceDetail, OperationError> {
        let config = self.config.load();
        let entry = config.service(name.as_str()).ok_or_else(|| OperationError::no_service(&config, name))?;
        let record: toml::Table = to_toml(&entry.record.record()).parse().unwrap_or_default();
        let record = serde_json::to_value(record).unwrap_or_default();
        let kept = self.vault.services()?.genuine.into_iter().find(|service| service.name == *name);
        let revision = kept.map(|kept| kept.revision);
        Ok(ServiceDetail { service: ServiceView::of(entry), record, revision })
    }
}
