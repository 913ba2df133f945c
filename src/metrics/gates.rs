//! What is counted of the gates. Set and counted by the control thread, which is told of it, and not for each request.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::Name;

/// How a gate stands, in the order of [`GateLevels::gates`].
pub const GATE_STATES: [&str; 4] = ["open", "closed", "probing", "slow_start"];

/// What the gates look like at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GateLevels {
    /// How many gates of each service, by the kind of their bucket, stand how.
    pub gates: BTreeMap<(Name, &'static str), [u64; GATE_STATES.len()]>,
    /// What the limit of each service has left of which least is left, from 0 to 1.
    pub left: BTreeMap<Name, f64>,
    /// What the quotas of each service have left of which least is left, from 0 to 1.
    pub quotas: BTreeMap<Name, f64>,
    /// What the budget for sending again of each service has left of which least is left.
    pub budgets: BTreeMap<Name, f64>,
    /// How many limits are pinned.
    pub pins: u64,
    /// How many requests wait for each service.
    pub waiting: BTreeMap<Name, u64>,
    /// How many were sent away, by service and why.
    pub rejections: Vec<(Name, &'static str, u64)>,
}

/// What happened to the gates since the start.
#[derive(Debug, Default)]
pub(super) struct GateCounts(Mutex<Counted>);

#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) levels: GateLevels,
    pub(super) closures: BTreeMap<(Name, &'static str), u64>,
    pub(super) circuits: BTreeMap<Name, u64>,
    pub(super) quotas: BTreeMap<(Name, &'static str), u64>,
}

impl GateCounts {
    pub(super) fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
