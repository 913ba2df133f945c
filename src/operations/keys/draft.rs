//! Adding a key, in two steps: what can be known without the value is settled in a draft, so that nobody is asked for a value
//! in vain; then the value is sealed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{Environment, Fields, Name, Service, User, Variable};
use crate::inject::Plan;
use crate::operations::{Actor, OperationError, Operations};
use crate::store::{CredentialFilter, StoreError};
use crate::vault::NewCredential;

use super::KeyView;
use super::change::{in_days, in_seconds};

/// A key to be added, as somebody asks for it.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The service that it is for.
    pub service: Name,
    /// What to call it; when absent the service's name, with the first number that is free.
    pub name: Option<Name>,
    /// The user it belongs to; when absent the actor, or `local` for the operator.
    pub owner: Option<Name>,
    /// Only callers of this environment, or of none, see it.
    pub environment: Option<Environment>,
    /// Unix seconds after which it is not used any more.
    pub expires: Option<i64>,
}

/// A key that could be added, once its variables are pinned and its value is there.
#[derive(Debug, Clone)]
pub struct KeyDraft {
    service: Service,
    owner: User,
    new: NewCredential,
}

impl KeyDraft {
    /// The service, which says what fields and variables the key has.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Has its owner reminded of a new value after so long.
    pub fn remind_after(&mut self, every: Duration) {
        self.new.rotate_every = Some(in_seconds(every));
    }

    /// Has it share what is learnt of the service's limits with other keys of this limit owner.
    pub fn belong_to(&mut self, limit_owner: Name) {
        self.new.limit_owner = Some(limit_owner);
    }

    /// Has it stand in for the other keys of this pool, and them for it.
    pub fn join(&mut self, pool: Name) {
        self.new.pool = Some(pool);
    }

    /// The variables that are pinned so far.
    pub(super) fn variables(&self) -> &BTreeMap<Name, String> {
        &self.new.variables
    }

    /// Pins the service's variables; those that are not given take their defaults.
    ///
    /// # Errors
    /// When one is unknown, missing or outside its choices, or they make no request that could be sent.
    pub fn pin(&mut self, mut given: BTreeMap<Name, String>) -> Result<(), OperationError> {
        let service = &self.service;
        for name in given.keys() {
            if !service.variables.iter().any(|variable| variable.name == *name) {
                return Err(OperationError::Invalid(format!("`{name}`: {}", known_variables(service))));
            }
        }
        for variable in &service.variables {
            match (given.get(&variable.name), &variable.default) {
                (Some(value), _) => fits_variable(variable, value)?,
                (None, Some(default)) => drop(given.insert(variable.name.clone(), default.clone())),
                (None, None) => {
                    return Err(OperationError::Invalid(format!("the variable `{}` is needed", variable.name)));
                }
            }
        }
        let unplaceable = |source| OperationError::Unplaceable { service: service.name.clone(), source };
        Plan::compile(service, &given).map_err(unplaceable)?;
        self.new.variables = given;
        Ok(())
    }
}

impl Operations {
    /// Settles everything about a new key but its variables and its value.
    ///
    /// # Errors
    /// When there is no such service or owner, the name is taken, the expiry lies in the past, a member would make it for
    /// somebody else, or the audit log cannot be written.
    pub fn draft_key(&self, actor: &Actor, new: NewKey) -> Result<KeyDraft, OperationError> {
        self.ready()?;
        if new.expires.is_some_and(|at| at <= self.now()) {
            return Err(OperationError::Invalid("the expiry lies in the past".to_owned()));
        }
        let service = self.service(&new.service)?;
        let owner = self.owner_for(actor, new.owner.as_ref())?;
        let name = self.free_name(new.name, &service, &owner)?;
        let new = NewCredential {
            name,
            owner: owner.id.clone(),
            service: service.name.clone(),
            environment: new.environment,
            variables: BTreeMap::new(),
            expires: new.expires,
            limit_owner: None,
            pool: None,
            shares: Vec::new(),
            rotate_every: None,
        };
        Ok(KeyDraft { service, owner, new })
    }

    /// Seals `fields` and adds the key.
    ///
    /// # Errors
    /// As [`KeyDraft::pin`] when the variables were not pinned, and when the name was taken meanwhile, a value is one that no
    /// request can carry, or it cannot be kept or recorded.
    pub fn add_key(&self, actor: &Actor, mut draft: KeyDraft, fields: &Fields) -> Result<KeyView, OperationError> {
        let pen = self.pen(actor)?;
        let variables = std::mem::take(&mut draft.new.variables);
        draft.pin(variables)?;
        let (limit_owner, pool) = (draft.new.limit_owner.clone(), draft.new.pool.clone());
        let mut details = vec![("service", draft.service.name.as_str()), ("owner", draft.owner.name.as_str())];
        details.extend(limit_owner.as_ref().map(|owner| ("limit_owner", owner.as_str())));
        details.extend(pool.as_ref().map(|pool| ("pool", pool.as_str())));
        let every = draft.new.rotate_every.map(in_days);
        details.extend(every.as_deref().map(|every| ("rotate_every", every)));
        let (credential, _) = pen.act("key.add", &details, |vault| vault.add(draft.new, fields))?;
        self.whole_view(&credential.id)
    }

    /// `wanted` when it is free, else the service's name with the first number that is.
    fn free_name(&self, wanted: Option<Name>, service: &Service, owner: &User) -> Result<Name, OperationError> {
        let filter = CredentialFilter { owner: Some(owner.id.clone()), ..CredentialFilter::default() };
        let taken: Vec<Name> = self.vault.list(&filter)?.into_iter().map(|listed| listed.credential.name).collect();
        if let Some(name) = wanted {
            if self.declared(&name).is_some() {
                return Err(OperationError::TakenByDeclared(name));
            }
            if taken.contains(&name) {
                return Err(StoreError::NameTaken { what: "credential", name: name.to_string() }.into());
            }
            return Ok(name);
        }
        let numbered = (2_u32..).map(|number| Name::new(&format!("{}-{number}", service.name)));
        let mut names = std::iter::once(Ok(service.name.clone())).chain(numbered);
        let free = names.find(|name| name.as_ref().map_or(true, |name| !taken.contains(name)));
        free.and_then(Result::ok).ok_or_else(|| {
            OperationError::Invalid("the service's name is too long to number; give the key a name".to_owned())
        })
    }
}

/// Whether `value` may be the variable's.
///
/// # Errors
/// When it is empty or none of its choices.
pub fn fits_variable(variable: &Variable, value: &str) -> Result<(), OperationError> {
    if value.is_empty() {
        return Err(OperationError::Invalid(format!("the variable `{}` has no value", variable.name)));
    }
    if variable.choices.is_empty() || variable.choices.iter().any(|choice| choice == value) {
        return Ok(());
    }
    let choices = variable.choices.join(", ");
    Err(OperationError::Invalid(format!("the variable `{}` is one of: {choices}", variable.name)))
}

/// Which variables a service has, in words.
pub fn known_variables(service: &Service) -> String {
    if service.variables.is_empty() {
        return format!("the service `{}` has no variables", service.name);
    }
    let names: Vec<&str> = service.variables.iter().map(|variable| variable.name.as_str()).collect();
    format!("the service `{}` has only these variables: {}", service.name, names.join(", "))
}
