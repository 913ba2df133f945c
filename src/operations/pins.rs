//! Pinning limits on services while the proxy runs, and taking them back. They are kept in the store, and a running proxy follows
//! within a second.

use std::num::NonZeroU32;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{Credential, Name, Pin, PinnedTo, Rate, ServiceName};
use crate::store::{CredentialFilter, StoreError};
use crate::vault::{Vault, VaultError};

use super::view::moment;
use super::{Actor, OperationError, Operations};

/// The longest name of a bucket.
const LONGEST_BUCKET: usize = 200;

/// A pinned limit as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PinShown {
    /// In words: `100/min, 5 under way`.
    pub limit: String,
    /// How often, such as `100/min`.
    pub rate: Option<String>,
    /// How many may be under way.
    pub concurrency: Option<u32>,
    /// Until when.
    pub until: Option<Timestamp>,
}

impl PinShown {
    pub(super) fn of(pin: &Pin) -> Self {
        Self {
            limit: pin.to_string(),
            rate: pin.rate.map(|rate| rate.to_string()),
            concurrency: pin.concurrency.map(NonZeroU32::get),
            until: pin.until.map(moment),
        }
    }
}

/// To what a limit is pinned, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinTarget {
    /// The service.
    pub service: ServiceName,
    /// The limit owner, by its identifier.
    pub owner: Option<String>,
    /// The limit owner of this key, in the place of its identifier.
    pub key: Option<Name>,
    /// The bucket.
    pub bucket: Option<String>,
}

/// What is pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinOrder {
    /// To what.
    pub target: PinTarget,
    /// How often.
    pub rate: Option<Rate>,
    /// How many may be under way.
    pub concurrency: Option<NonZeroU32>,
    /// Until when, in Unix seconds.
    pub until: Option<i64>,
}

impl Operations {
    /// Pins a limit, in place of what was pinned there. It counts beside what is configured and what was learnt: the stricter
    /// governs.
    ///
    /// # Errors
    /// When `actor` does not administer, there is no such service or limit owner, nothing is limited, the end lies in the past,
    /// or it cannot be kept or recorded.
    pub fn pin_limit(&self, actor: &Actor, order: PinOrder) -> Result<PinShown, OperationError> {
        actor.must_administer()?;
        let invalid = |text: &str| Err(OperationError::Invalid(text.to_owned()));
        if order.rate.is_none() && order.concurrency.is_none() {
            return invalid("a pinned limit needs a rate such as `100/min`, a concurrency, or both");
        }
        if order.until.is_some_and(|until| until <= self.now()) {
            return invalid("the end of the pinned limit lies in the past");
        }
        let pen = self.pen(actor)?;
        let to = self.pinned_to(order.target)?;
        let pin = Pin { to, rate: order.rate, concurrency: order.concurrency, until: order.until };
        let (limit, until) = (pin.to_string(), pin.until.map(|until| moment(until).to_string()));
        let mut details = details_of(&pin.to);
        details.push(("limit", &limit));
        details.extend(until.as_deref().map(|until| ("until", until)));
        pen.act("gate.pin", &details, |vault| vault.pin(&pin))?;
        Ok(PinShown::of(&pin))
    }

    /// Takes a pinned limit back.
    ///
    /// # Errors
    /// When `actor` does not administer, nothing is pinned there, or the change cannot be kept or recorded.
    pub fn unpin_limit(&self, actor: &Actor, target: PinTarget) -> Result<(), OperationError> {
        actor.must_administer()?;
        let pen = self.pen(actor)?;
        let to = if target.key.is_some() {
            self.pinned_to(target)?
        } else {
            // The key or service may be gone meanwhile, and the limit is to go too.
            let bucket = target.bucket.as_deref().map(as_shown);
            PinnedTo { service: target.service, owner: target.owner, bucket }
        };
        let unpin = |vault: &Vault| {
            vault.unpin(&to).map_err(|error| match error {
                VaultError::Store(StoreError::Unknown { .. }) => OperationError::NotFound(format!(
                    "there is no pinned limit on {}; `sidekey limits list` shows what is pinned on what",
                    in_words(&to)
                )),
                other => other.into(),
            })
        };
        pen.act("gate.unpin", &details_of(&to), unpin).map(drop)
    }

    fn pinned_to(&self, target: PinTarget) -> Result<PinnedTo, OperationError> {
        let PinTarget { service, owner, key, bucket } = target;
        if self.config.load().service(service.as_str()).is_none() {
            return Err(OperationError::no_service(&self.config.load(), &service));
        }
        if bucket.as_ref().is_some_and(|bucket| bucket.is_empty() || bucket.len() > LONGEST_BUCKET) {
            return Err(OperationError::Invalid(format!("a bucket has 1 to {LONGEST_BUCKET} characters")));
        }
        let bucket = bucket.as_deref().map(as_shown);
        let owner = match (owner, key) {
            (Some(_), Some(_)) => {
                return Err(OperationError::Invalid("name the limit owner or a key of it, not both".to_owned()));
            }
            (Some(owner), None) if self.has_limit_owner(&service, &owner)? => Some(owner),
            (Some(owner), None) => return Err(no_limit_owner(&service, &owner)),
            (None, Some(key)) => Some(self.owner_of_key(&service, &key)?),
            (None, None) => None,
        };
        Ok(PinnedTo { service, owner, bucket })
    }

    /// Whether a service has a key of this limit owner.
    pub(super) fn has_limit_owner(&self, service: &ServiceName, owner: &str) -> Result<bool, OperationError> {
        Ok(self.keys_for(Some(service))?.iter().any(|key| key.counted_as() == owner))
    }

    fn owner_of_key(&self, service: &ServiceName, key: &Name) -> Result<String, OperationError> {
        let named: Vec<_> = self.keys_for(None)?.into_iter().filter(|one| one.name == *key).collect();
        let mut owners: Vec<&str> =
            named.iter().filter(|one| one.service == *service).map(Credential::counted_as).collect();
        owners.sort_unstable();
        owners.dedup();
        match (owners.as_slice(), named.first()) {
            ([owner], _) => Ok((*owner).to_owned()),
            ([], Some(elsewhere)) => {
                let text = format!("the key `{key}` is for `{}`, not for `{service}`", elsewhere.service);
                Err(OperationError::Invalid(text))
            }
            ([], None) => {
                Err(OperationError::NotFound(format!("there is no key `{key}`; `sidekey key list` shows them")))
            }
            _ => Err(OperationError::Invalid(format!(
                "several keys are called `{key}`; name the limit owner, as `sidekey limits list` shows it"
            ))),
        }
    }

    /// The keys for a service, or all of them, those that proxy.toml declares included.
    fn keys_for(&self, service: Option<&ServiceName>) -> Result<Vec<Credential>, OperationError> {
        let filter = CredentialFilter { service: service.cloned(), ..CredentialFilter::default() };
        let stored = self.vault.list(&filter)?.into_iter().map(|listed| listed.credential);
        let config = self.config.load();
        let declared = config.credentials.iter().filter(|one| service.is_none_or(|service| one.service == *service));
        Ok(stored.chain(declared.map(|declared| declared.credential(1))).collect())
    }
}

/// A bucket as it is shown: a path may be written with dots from the keyboard where an identifier was taken out.
pub(super) fn as_shown(bucket: &str) -> String {
    if bucket.starts_with('/') { bucket.replace("{...}", "{…}") } else { bucket.to_owned() }
}

/// There is no such limit owner.
pub(super) fn no_limit_owner(service: &ServiceName, owner: &str) -> OperationError {
    let text = format!("there is no limit owner `{owner}` at `{service}`; `sidekey limits list` shows them");
    OperationError::NotFound(text)
}

fn in_words(to: &PinnedTo) -> String {
    let owner = to.owner.as_ref().map(|owner| format!(", limit owner `{owner}`")).unwrap_or_default();
    let bucket = to.bucket.as_ref().map(|bucket| format!(", bucket `{bucket}`")).unwrap_or_default();
    format!("`{}`{owner}{bucket}", to.service)
}

fn details_of(to: &PinnedTo) -> Vec<(&'static str, &str)> {
    let owner = to.owner.as_deref().map(|owner| ("owner", owner));
    owner.into_iter().chain(to.bucket.as_deref().map(|bucket| ("bucket", bucket))).collect()
}
