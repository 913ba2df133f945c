//! What a change of a service does to the keys that are for it. A key was given for one place: who changes the place must
//! know of the key.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Name, Service, ServiceName};
use crate::inject::Plan;
use crate::operations::{OperationError, Operations};
use crate::store::{CredentialFilter, ListedCredential};

/// A living key that a change of its service concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConcernedKey {
    /// Its name.
    pub key: Name,
    /// The name of its owner.
    pub owner: String,
    /// What would become of it.
    pub why: String,
}

impl fmt::Display for ConcernedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (of {}): {}", self.key, self.owner, self.why)
    }
}

impl Operations {
    /// The living keys for `service` that would go elsewhere than `before` says, be placed otherwise, or not fit any more.
    pub(super) fn concerned(
        &self,
        service: &Service,
        before: Option<&Service>,
    ) -> Result<Vec<ConcernedKey>, OperationError> {
        let alike = before.is_some_and(|before| before.keeps_keys_alike(service));
        self.told(&service.name, |listed| unfit(listed, service).or_else(|| (!alike).then(|| goes(listed, service))))
    }

    /// The living keys for the service `name`, which is then as `left`, or not there at all.
    pub(super) fn left_behind(
        &self,
        name: &ServiceName,
        left: Option<&Service>,
    ) -> Result<Vec<ConcernedKey>, OperationError> {
        self.told(name, |listed| match left {
            Some(left) => unfit(listed, left).or_else(|| Some(goes(listed, left))),
            None => Some("has no service then".to_owned()),
        })
    }

    /// The living keys for the service `name` of which `why` has something to say.
    fn told(
        &self,
        name: &ServiceName,
        why: impl Fn(&ListedCredential) -> Option<String>,
    ) -> Result<Vec<ConcernedKey>, OperationError> {
        let filter = CredentialFilter { service: Some(name.clone()), ..CredentialFilter::default() };
        let listed = self.vault.list(&filter)?;
        if listed.is_empty() {
            return Ok(Vec::new());
        }
        let names = self.names()?;
        let concerned = listed.iter().filter_map(|listed| {
            let credential = &listed.credential;
            let (key, owner) = (credential.name.clone(), names.user(&credential.owner));
            Some(ConcernedKey { key, owner, why: why(listed)? })
        });
        Ok(concerned.collect())
    }
}

/// Why a request with this key could not be made; none when it could.
fn unfit(listed: &ListedCredential, service: &Service) -> Option<String> {
    let credential = &listed.credential;
    let known =
        |field: &Name| credential.sealed.iter().any(|sealed| sealed.fields.iter().any(|(name, _)| name == field));
    if let Some(field) = service.fields().into_iter().find(|field| !known(field)) {
        return Some(format!("has no value for `{field}` and could not be used"));
    }
    Plan::compile(service, &credential.variables).err().map(|error| format!("could not be used: {error}"))
}

/// Where a key would go.
fn goes(listed: &ListedCredential, service: &Service) -> String {
    let origin = Plan::compile(service, &listed.credential.variables).map(|plan| plan.upstream().origin().authority());
    let place = service.auth.first().map(|place| format!(" in {}", place.describe())).unwrap_or_default();
    format!("goes to {}{place}", origin.unwrap_or_default())
}
