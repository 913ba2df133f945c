//! Usage as the command line and the API show it.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::UsageBy;
use crate::operations::view::moment;
use crate::usage::ledger::{EndpointRow, EventRow, PairRow};
use crate::usage::{CLASSES, Counts};

/// An answer to a question about usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageReport {
    /// Since when calls are in it.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// By what it is listed.
    pub by: &'static str,
    /// All calls together.
    pub total: UsageSums,
    /// The list.
    #[schema(value_type = Vec<Object>)]
    pub items: UsageItems,
    /// The calls in each minute, hour or day.
    pub timeline: Vec<UsageMoment>,
    /// What somebody should look at, the latest first.
    pub events: Vec<UsageEvent>,
}

/// What a report lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum UsageItems {
    /// Sums.
    Sums(Vec<UsageItem>),
    /// Endpoints.
    Endpoints(Vec<EndpointView>),
}

/// The sums of one service, key, caller, hour or day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageItem {
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The service; `null` when none was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub service: Option<Option<String>>,
    /// The key; `null` when none was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub key: Option<Option<String>>,
    /// The caller; `null` when it was not recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub caller: Option<Option<String>>,
    /// When it was last called, or called last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
    /// The sums.
    #[serde(flatten)]
    pub sums: UsageSums,
}

/// The sums over some calls.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct UsageSums {
    /// All calls.
    pub calls: u64,
    /// The upstream's answers by class; `none` for clients that left before.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub answered: Classes,
    /// Calls without an answer that could be passed on, and answers of the class 5xx.
    pub errors: u64,
    /// Answers 401 of the upstream.
    pub unauthorized: u64,
    /// Answers 403 of the upstream.
    pub forbidden: u64,
    /// Answers 429 of the upstream; a call that was sent again may have got several.
    pub throttled: u64,
    /// Calls that sidekey refused.
    pub refused: u64,
    /// Of these, for a limit.
    pub limited: u64,
    /// Calls that waited for a limit.
    pub waits: u64,
    /// How long they waited together, in microseconds.
    pub wait_us: u64,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of answers' bodies.
    pub bytes_out: u64,
    /// How long half of the answered calls took at most, in microseconds.
    pub p50_us: Option<u64>,
    /// How long 99 of a hundred took at most, in microseconds.
    pub p99_us: Option<u64>,
}

/// Answers by class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Classes([u64; CLASSES.len()]);

impl Serialize for Classes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(CLASSES.iter().zip(self.0))
    }
}

/// The calls in one step of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageMoment {
    /// When it began.
    pub at: Timestamp,
    /// How many calls.
    pub calls: u64,
}

/// An endpoint, with who calls it and with which key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndpointView {
    /// The service.
    pub service: String,
    /// The key.
    pub key: String,
    /// The caller.
    pub caller: String,
    /// The method; `null` for all endpoints together that are not told apart.
    pub method: Option<String>,
    /// The shape of its path; `null` as the method.
    pub path: Option<String>,
    /// How often it was called since it was first seen.
    pub calls: u64,
    /// When it was first seen.
    pub first_at: Timestamp,
    /// When it was last seen.
    pub last_at: Timestamp,
}

/// Something that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageEvent {
    /// The kind.
    pub kind: &'static str,
    /// What happened last, in a sentence.
    pub text: String,
    /// How often in all.
    pub count: u64,
    /// The service, when it is about one.
    pub service: Option<String>,
    /// The key, when it is about one.
    pub key: Option<String>,
    /// The caller, when it is about one.
    pub caller: Option<String>,
    /// When first.
    pub first_at: Timestamp,
    /// When last.
    pub last_at: Timestamp,
}

impl UsageReport {
    pub(super) fn empty(by: UsageBy, since: Timestamp, until: Timestamp) -> Self {
        let items =
            if by == UsageBy::Endpoint { UsageItems::Endpoints(Vec::new()) } else { UsageItems::Sums(Vec::new()) };
        let (timeline, events) = (Vec::new(), Vec::new());
        Self { since, until, by: by.as_str(), total: UsageSums::default(), items, timeline, events }
    }
}

impl UsageSums {
    pub(super) fn of(counts: &Counts) -> Self {
        let quantile = |permille| counts.latency.quantile(permille).map(micros);
        Self {
            calls: counts.calls(),
            answered: Classes(counts.answered),
            errors: counts.errors(),
            unauthorized: counts.unauthorized,
            forbidden: counts.forbidden,
            throttled: counts.throttled,
            refused: counts.refused,
            limited: counts.limited,
            waits: counts.waits,
            wait_us: counts.wait_us,
            bytes_in: counts.bytes_in,
            bytes_out: counts.bytes_out,
            p50_us: quantile(500),
            p99_us: quantile(990),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl UsageItem {
    pub(super) fn at(at: Timestamp, counts: &Counts) -> Self {
        Self { at: Some(at), service: None, key: None, caller: None, last_at: None, sums: UsageSums::of(counts) }
    }

    /// Of a service, key or caller, by the pair that called last.
    pub(super) fn of(by: UsageBy, pair: &PairRow, counts: &Counts) -> Self {
        let (service, key) = match by {
            UsageBy::Key => (Some(filled(&pair.service)), Some(filled(&pair.credential_name))),
            UsageBy::Service => (Some(filled(&pair.service)), None),
            _ => (None, None),
        };
        let caller = (by == UsageBy::Caller).then(|| filled(&pair.caller_name));
        let last_at = Some(moment(pair.last_seen));
        Self { at: None, service, key, caller, last_at, sums: UsageSums::of(counts) }
    }
}

impl EndpointView {
    pub(super) fn of(row: &EndpointRow, pair: &PairRow) -> Self {
        let told_apart = !row.method.is_empty();
        Self {
            service: pair.service.clone(),
            key: pair.credential_name.clone(),
            caller: pair.caller_name.clone(),
            method: told_apart.then(|| row.method.clone()),
            path: told_apart.then(|| row.shape.clone()),
            calls: row.calls,
            first_at: moment(row.first_seen),
            last_at: moment(row.last_seen),
        }
    }
}

impl UsageEvent {
    pub(super) fn of(row: &EventRow) -> Self {
        Self {
            kind: row.kind.as_str(),
            text: row.message.clone(),
            count: row.total,
            service: filled(&row.service),
            key: filled(&row.credential_name),
            caller: filled(&row.caller_name),
            first_at: moment(row.first_at),
            last_at: moment(row.last_at),
        }
    }
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
