//! A key and its value as requests bring them. Values are wiped when they are sealed, or when that fails.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;
use utoipa::ToSchema;

use crate::admin::ask::{Moment, Named, SecretText};
use crate::domain::{Fields, Name, Secret, Service};
use crate::operations::{NewKey, OperationError};
use crate::vault::clean;

/// A key to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
pub(super) struct KeyTold {
    /// The service that it is for.
    #[schema(value_type = Name, example = "stripe")]
    service: Named,
    /// What to call it; the service's name with the first free number unless given.
    #[schema(value_type = Option<Name>)]
    name: Option<Named>,
    /// The user it belongs to; the asking one unless given.
    #[schema(value_type = Option<Name>)]
    owner: Option<Named>,
    /// Only callers of this environment, or of none, see it.
    #[schema(value_type = Option<Name>)]
    environment: Option<Named>,
    /// From when on it is not used.
    #[schema(value_type = Option<jiff::Timestamp>)]
    expires_at: Option<Moment>,
    /// The service's variables, such as a tenant.
    #[serde(default)]
    #[schema(required = false)]
    variables: BTreeMap<String, String>,
    /// After how many seconds its owner is reminded of a new value; never unless given.
    #[schema(value_type = Option<u32>, minimum = 1, example = 7_776_000)]
    rotate_every_s: Option<NonZeroU32>,
    /// Whom the service counts when it is used; the key itself unless given.
    #[schema(value_type = Option<Name>)]
    limit_owner: Option<Named>,
    /// The keys that stand in for each other: another of a pool is used when the limit of the first is used up.
    #[schema(value_type = Option<Name>)]
    pool: Option<Named>,
    /// Try the value at the service first, and add nothing unless it works.
    #[serde(default)]
    #[schema(required = false)]
    verify: bool,
    /// The value, when the key has one field.
    #[schema(value_type = Option<String>, write_only, example = "the key itself")]
    value: Option<SecretText>,
    /// The values by field, when it has several.
    #[schema(value_type = Option<BTreeMap<String, String>>, write_only)]
    fields: Option<BTreeMap<String, SecretText>>,
}

/// A new value.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewValue)]
pub(super) struct RotationTold {
    /// For how many seconds a request that the service refuses with the new value is sent once more with the former; not at all
    /// unless given, and for a week at most.
    #[schema(maximum = 604_800, example = 3600)]
    overlap_s: Option<u32>,
    /// Try the value at the service first, and change nothing unless it works.
    #[serde(default)]
    #[schema(required = false)]
    verify: bool,
    /// The value, when the key has one field.
    #[schema(value_type = Option<String>, write_only, example = "the key itself")]
    value: Option<SecretText>,
    /// The values by field, when it has several.
    #[schema(value_type = Option<BTreeMap<String, String>>, write_only)]
    fields: Option<BTreeMap<String, SecretText>>,
}

/// A value, by itself or by field.
pub(super) struct ValueTold {
    value: Option<SecretText>,
    fields: Option<BTreeMap<String, SecretText>>,
}

impl RotationTold {
    /// The value, for how long the former one helps out, and whether the new one is tried first.
    pub(super) fn split(self) -> (ValueTold, Option<Duration>, Try) {
        let overlap = self.overlap_s.map(|seconds| Duration::from_secs(seconds.into()));
        (ValueTold { value: self.value, fields: self.fields }, overlap, Try::when(self.verify))
    }
}

/// Whether a value is tried before it counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Try {
    First,
    No,
}

impl Try {
    const fn when(verify: bool) -> Self {
        if verify { Self::First } else { Self::No }
    }
}

impl KeyTold {
    /// Whom the service counts, where that is not the key itself.
    pub(super) fn limit_owner(&self) -> Option<Name> {
        self.limit_owner.as_ref().map(|owner| owner.0.clone())
    }

    /// The keys that it stands in for.
    pub(super) fn pool(&self) -> Option<Name> {
        self.pool.as_ref().map(|pool| pool.0.clone())
    }

    /// What is known before the value is looked at, the variables, the value, and what is to be done about it.
    pub(super) fn split(self) -> (NewKey, Vec<(String, String)>, ValueTold, Option<Duration>, Try) {
        let new = NewKey {
            service: self.service.0,
            name: self.name.map(|name| name.0),
            owner: self.owner.map(|name| name.0),
            environment: self.environment.map(|name| name.0),
            expires: self.expires_at.map(|at| at.0),
        };
        let variables = self.variables.into_iter().collect();
        let every = self.rotate_every_s.map(|seconds| Duration::from_secs(seconds.get().into()));
        (new, variables, ValueTold { value: self.value, fields: self.fields }, every, Try::when(self.verify))
    }
}

/// The variables under their names.
///
/// # Errors
/// When one has no name.
pub(super) fn variables(told: Vec<(String, String)>) -> Result<BTreeMap<Name, String>, OperationError> {
    let invalid = || OperationError::Invalid("a variable has a name that none can have".to_owned());
    told.into_iter().map(|(name, value)| Ok((Name::new(&name).map_err(|_| invalid())?, value))).collect()
}

impl ValueTold {
    /// The fields of a key for `service`.
    ///
    /// # Errors
    /// When they are not the service's, or one is a value that no request can carry.
    pub(super) fn fields(self, service: &Service) -> Result<Fields, OperationError> {
        let wanted = service.fields();
        let names = wanted.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let invalid =
            |text: &str| OperationError::Invalid(format!("{text}; a key for `{}` has: {names}", service.name));
        let given: Vec<(String, SecretText)> = match (self.value, self.fields) {
            (Some(value), None) => match wanted.as_slice() {
                [one] => vec![(one.to_string(), value)],
                _ => return Err(invalid("`value` is for keys with one field, give `fields`")),
            },
            (None, Some(fields)) => fields.into_iter().collect(),
            _ => return Err(invalid("give either `value` or `fields`")),
        };
        let mut sealed = Vec::new();
        for (name, SecretText(bytes)) in given {
            let field = wanted.iter().find(|field| field.as_str() == name);
            let field = field.ok_or_else(|| invalid("`fields` has one that such a key has not"))?;
            let (secret, _): (Secret, bool) =
                clean(bytes).map_err(|error| OperationError::Invalid(format!("`{field}`: {error}")))?;
            sealed.push((Name::clone(field), secret));
        }
        if sealed.len() != wanted.len() {
            return Err(invalid("`fields` lacks one"));
        }
        Ok(Fields::new(sealed))
    }
}
