//! Pinning limits on services while the proxy runs, and taking them back. They are kept in the store, and a running proxy follows
//! within a second.

use std::num::NonZeroU32;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::DeclaredCredential;
use crate::domain::{Name, Pin, PinnedTo, Rate, ServiceName};
use crate::store::CredentialFilter;

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
        let to = match &target.key {
            Some(_) => self.pinned_to(target)?,
            // The key or service may be gone meanwhile, and the limit is to go too.
            None => PinnedTo { service: target.service, owner: target.owner, bucket: target.bucket },
        };
        pen.act("gate.unpin", &details_of(&to), |vault| vault.unpin(&to)).map(drop)
    }

    fn pinned_to(&self, target: PinTarget) -> Result<PinnedTo, OperationError> {
        let PinTarget { service, owner, key, bucket } = target;
        if self.config.load().service(service.as_str()).is_none() {
            return Err(OperationError::no_service(&self.config.load(), &service));
        }
        if bucket.as_ref().is_some_and(|bucket| bucket.is_empty() || bucket.len() > LONGEST_BUCKET) {
            return Err(OperationError::Invalid(format!("a bucket has 1 to {LONGEST_BUCKET} characters")));
        }
        let owners = self.limit_owners(&service)?;
        let owner = match (owner, key) {
            (Some(_), Some(_)) => {
                return Err(OperationError::Invalid("name the limit owner or a key of it, not both".to_owned()));
            }
            (Some(owner), None) if owners.iter().any(|(_, known)| *known == owner) => Some(owner),
            (Some(owner), None) => return Err(OperationError::unknown("limit owner", owner)),
            (None, Some(key)) => {
                let mut of_key: Vec<&String> = owners.iter().filter(|(name, _)| *name == key).map(|(_, o)| o).collect();
                of_key.sort_unstable();
                of_key.dedup();
                match of_key.as_slice() {
                    [] => return Err(OperationError::unknown("credential", key.as_str())),
                    [owner] => Some((*owner).clone()),
                    _ => {
                        let text = format!(
                            "several keys are called `{key}`; name the limit owner, as `sidekey limits list` shows it"
                        );
                        return Err(OperationError::Invalid(text));
                    }
                }
            }
            (None, None) => None,
        };
        Ok(PinnedTo { service, owner, bucket })
    }

    /// The keys of a service, each with its limit owner.
    fn limit_owners(&self, service: &ServiceName) -> Result<Vec<(Name, String)>, OperationError> {
        let filter = CredentialFilter { service: Some(service.clone()), ..CredentialFilter::default() };
        let stored = self.vault.list(&filter)?.into_iter().map(|listed| listed.credential);
        let config = self.config.load();
        let declared = config.credentials.iter().filter(|declared| declared.service == *service);
        let declared = declared.map(|declared: &DeclaredCredential| declared.credential(1));
        Ok(stored.chain(declared).map(|key| (key.name.clone(), key.counted_as().to_owned())).collect())
    }
}

fn details_of(to: &PinnedTo) -> Vec<(&'static str, &str)> {
    let owner = to.owner.as_deref().map(|owner| ("owner", owner));
    owner.into_iter().chain(to.bucket.as_deref().map(|bucket| ("bucket", bucket))).collect()
}
