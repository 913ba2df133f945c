//! A key without its value, as lists and the API show it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::DeclaredCredential;
use crate::domain::{Bounds, CredentialId, Environment, Name, ServiceName, Shared};
use crate::operations::Actor;
use crate::operations::names::Names;
use crate::operations::view::moment;
use crate::store::{LOCAL, ListedCredential, Verified, VersionRow};

use super::{KeyRef, KeyState, Sight, state};

/// A key as lists show it. What only its owner needs is absent where somebody else looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyView {
    /// Its name.
    pub name: Name,
    /// Its identifier; absent for a declared one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The service that it is for.
    pub service: ServiceName,
    /// The name of its owner.
    pub owner: String,
    /// Its environment.
    pub environment: Option<Environment>,
    /// Whom the service counts when it is used, where that is not the key itself; its owner's business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_owner: Option<Name>,
    /// The keys of which another is used when its limit is used up; its owner's business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<Name>,
    /// With whom it is shared: `user:NAME`, `team:NAME`, `caller:NAME`, `everyone`. To somebody else than its owner, only
    /// what lets them use it.
    pub shared_with: Vec<String>,
    /// The same with what each share may be used for; absent for a declared one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<Vec<ShareView>>,
    /// The pinned variables; its owner's business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variables: Option<BTreeMap<Name, String>>,
    /// Which version of its value is current; its owner's business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// `store` or `declared`.
    pub source: &'static str,
    /// When it was added; its owner's business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When its current value was added; its owner's business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_since: Option<Timestamp>,
    /// When it was last used, exact to a few seconds; its owner's business, and none when it was not since usage is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Whether it has expired.
    pub expired: bool,
    /// When a new value is due; a reminder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_due_at: Option<Timestamp>,
    /// Until when the former value is used where the service refuses the current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_until: Option<Timestamp>,
    /// The last try at its service; its owner's business.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_try: Option<LastTry>,
    /// What it needs.
    pub state: KeyState,
    /// When it was deleted; absent while it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// What the last try of a key said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LastTry {
    /// When.
    pub at: Timestamp,
    /// Of which version.
    pub version: u32,
    /// `works`, `refused`, `limited`, `unclear` or `unreachable`.
    pub verdict: String,
}

/// With whom a key is shared, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShareView {
    /// `user:NAME`, `team:NAME`, `caller:NAME` or `everyone`.
    pub with: String,
    /// Requests that one of these rules admits; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// Only GET, HEAD and OPTIONS.
    pub read_only: bool,
    /// How often, such as `10/s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// How much in a day or a month, such as `1000/day`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
    /// All of that in words; empty: for everything.
    #[serde(skip)]
    pub bounds: String,
}

impl ShareView {
    fn of(shared: &Shared, names: &Names) -> Self {
        let open = Bounds::default();
        let bounds = shared.bounds.as_deref().unwrap_or(&open);
        Self {
            with: names.share(&shared.with),
            allow: bounds.allowed.rules.as_ref().map(|rules| rules.iter().map(ToString::to_string).collect()),
            read_only: bounds.allowed.read_only,
            rate: bounds.rate.map(|rate| rate.to_string()),
            quota: bounds.quota.map(|quota| quota.to_string()),
            bounds: bounds.to_string(),
        }
    }
}

/// As people read it: `team:data (read-only, 10/s)`.
impl fmt::Display for ShareView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bounds.is_empty() { f.write_str(&self.with) } else { write!(f, "{} ({})", self.with, self.bounds) }
    }
}

/// A key with the versions of its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyDetail {
    /// The key.
    #[serde(flatten)]
    pub key: KeyView,
    /// The versions, the oldest first; its owner's business, and none for a declared one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<Vec<VersionView>>,
}

/// One version of a key's value, without the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VersionView {
    /// Its number, from 1.
    pub number: u32,
    /// Whether requests use it.
    pub current: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it ceased to be current.
    pub retired_at: Option<Timestamp>,
    /// When its value was destroyed.
    pub destroyed_at: Option<Timestamp>,
}

impl KeyView {
    /// Where it stands in a list: by its name, its owner's and its identifier.
    pub fn place(&self) -> String {
        format!("{}\n{}\n{}", self.name, self.owner, self.id.as_deref().unwrap_or_default())
    }

    /// What means this key and no other.
    pub fn reference(&self) -> KeyRef {
        match &self.id {
            Some(id) => KeyRef::Id(CredentialId::new(id)),
            None => KeyRef::Named { name: self.name.clone(), owner: None },
        }
    }

    /// The same with when it was last used, for who sees all of it. A declared key is nobody's but the administrators'.
    pub(super) fn with_last_use(mut self, last_used: &HashMap<String, i64>, actor: &Actor) -> Self {
        if self.id.is_none() && actor.member().is_some() {
            self.limit_owner = None;
        }
        let last_used_at = match &self.id {
            Some(id) if self.version.is_some() => last_used.get(id),
            None if actor.member().is_none() => last_used.get(DeclaredCredential::id_of(&self.name).as_str()),
            _ => None,
        };
        self.last_used_at = last_used_at.copied().map(moment);
        self
    }

    /// A key of the store, as `sight` shows it.
    pub(super) fn stored(listed: &ListedCredential, sight: &Sight, names: &Names, now: i64) -> Self {
        let credential = &listed.credential;
        let (shares, whole) = match sight {
            Sight::Whole => (&credential.shares, true),
            Sight::Use(shares) => (shares, false),
        };
        Self {
            name: credential.name.clone(),
            id: Some(credential.id.to_string()),
            service: credential.service.clone(),
            owner: names.user(&credential.owner),
            environment: credential.environment.clone(),
            limit_owner: credential.limit_owner.clone().filter(|_| whole),
            pool: credential.pool.clone().filter(|_| whole),
            shared_with: shares.iter().map(|shared| names.share(&shared.with)).collect(),
            shares: Some(shares.iter().map(|shared| ShareView::of(shared, names)).collect()),
            variables: whole.then(|| credential.variables.clone()),
            version: whole.then_some(credential.version),
            source: "store",
            created_at: whole.then(|| moment(listed.created_at)),
            value_since: whole.then(|| moment(listed.value_since)),
            last_used_at: None,
            expires_at: credential.expires.map(moment),
            expired: credential.expires.is_some_and(|at| at <= now),
            rotation_due_at: state::due(listed).filter(|_| whole).map(moment),
            fallback_until: listed.overlap_until.filter(|until| whole && *until > now).map(moment),
            last_try: listed.verified.as_ref().filter(|_| whole).map(LastTry::of),
            state: KeyState::of(listed, now),
            deleted_at: listed.deleted_at.map(moment),
        }
    }

    /// A key that proxy.toml declares.
    pub(super) fn declared(declared: &DeclaredCredential) -> Self {
        Self {
            name: declared.name.clone(),
            id: None,
            service: declared.service.clone(),
            owner: LOCAL.to_owned(),
            environment: declared.environment.clone(),
            limit_owner: declared.limit_owner.clone(),
            pool: declared.pool.clone(),
            shared_with: vec!["everyone".to_owned()],
            shares: None,
            variables: None,
            version: None,
            source: "declared",
            created_at: None,
            value_since: None,
            last_used_at: None,
            expires_at: None,
            expired: false,
            rotation_due_at: None,
            fallback_until: None,
            last_try: None,
            state: KeyState::Ok,
            deleted_at: None,
        }
    }
}

impl LastTry {
    fn of(verified: &Verified) -> Self {
        Self { at: moment(verified.at), version: verified.version, verdict: verified.verdict.clone() }
    }
}

impl VersionView {
    pub(super) fn of(row: &VersionRow, current: u32) -> Self {
        Self {
            number: row.number,
            current: row.number == current,
            created_at: moment(row.created_at),
            retired_at: row.retired_at.map(moment),
            destroyed_at: row.destroyed_at.map(moment),
        }
    }
}
