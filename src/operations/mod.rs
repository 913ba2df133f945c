//! What administrators do: keys, callers, users and teams, one file a noun. The command line and the admin API both ask here,
//! so that who may do what, the change in the vault and the audit record stand in one place. Everything blocks on the store
//! and the audit log: it is for threads that may wait, never for a request's way.
//!
//! Invariants: no value of a key comes out; an act is recorded durably before it is acknowledged, and nothing is changed
//! while it cannot be recorded; to a member, what it may neither own nor use is as if it did not exist.

mod actor;
mod acts;
mod authorities;
mod backup;
mod callers;
mod error;
mod keys;
mod limits;
mod master;
mod names;
mod party;
mod passes;
mod pins;
mod services;
mod teams;
mod usage;
mod users;
mod view;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::config::Config;
use crate::domain::Clock;
use crate::vault::Vault;

pub use crate::store::{CallerEdit, PassKind};
pub use crate::vault::SESSION_LIFE;
pub use actor::{Actor, system_user};
pub use acts::{Acts, audit_folder, record_left};
pub use authorities::{AuthorityState, AuthorityView, Overlap};
pub use backup::{
    BackupError, BackupFile, BackupView, MasterKeyIn, Present, Received, Restored, finish_restore, is_restore_pending,
    restore, sweep_left,
};
pub use callers::{CallerView, NewCaller, RUN_LIFE, TokenShown};
pub use error::{ErrorCode, OperationError};
pub use keys::{
    Asked, KeyDetail, KeyDraft, KeyEdit, KeyFilter, KeyRef, KeyState, KeyUse, KeyView, LONGEST_OVERLAP, LastTry,
    NewKey, Probe, Reached, ShareView, Verdict, Verification, VersionView, declared_keys, fits_variable,
    known_variables,
};
pub use limits::{CircuitShown, GateLimit, GateShown, GateWaiters, GatesShown, QuotaShown};
pub use master::{Look, MasterRotated, SlotView};
pub use names::Names;
pub use party::{Party, PartyError};
pub use passes::{PassShown, PassView};
pub use pins::{PinOrder, PinShown, PinTarget};
pub use services::{
    ConcernedKey, Consent, FORGED, KeptRecord, ServiceChange, ServiceDetail, ServiceView, VariableView,
};
pub use teams::TeamView;
pub use usage::{
    EndpointView, UsageBy, UsageEvent, UsageItem, UsageItems, UsageMoment, UsageQuery, UsageReport, UsageSums,
};
pub use users::UserView;

/// The acts and the reading views, over one vault, one audit log and the configuration of the moment. Cheap to share behind
/// an `Arc`; safe to use from any thread.
pub struct Operations {
    config: ArcSwap<Config>,
    /// Held while services are looked up anew, so that what was read first is not what stays.
    looking: Mutex<()>,
    vault: Arc<Vault>,
    acts: Acts,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Operations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operations").field("vault", &self.vault).finish_non_exhaustive()
    }
}

impl Operations {
    /// Works on these parts: a command's own, or those of the running process.
    pub fn new(config: Arc<Config>, vault: Arc<Vault>, acts: Acts, clock: Arc<dyn Clock>) -> Self {
        Self { config: ArcSwap::new(config), looking: Mutex::new(()), vault, acts, clock }
    }

    /// Goes on with another configuration: declared keys are looked up there from now on, services there and in the store as
    /// it is now.
    ///
    /// # Errors
    /// When the store fails.
    pub fn follow(&self, config: &Config) -> Result<(), OperationError> {
        let _alone = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        self.lay_services_over(config)
    }

    /// Makes sure that acts can be recorded, for whoever has questions to ask a person first.
    ///
    /// # Errors
    /// When the audit log cannot be written.
    pub fn ready(&self) -> Result<(), OperationError> {
        self.acts.open().map(drop)
    }

    /// The keeper of secrets.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The time in Unix seconds.
    fn now(&self) -> i64 {
        i64::try_from(self.clock.wall().as_secs()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests;
