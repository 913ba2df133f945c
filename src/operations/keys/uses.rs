//! Who used a key: by the usage ledger, and by the audit log for what the ledger does not know.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::audit::{self, Filter, Recorded};
use crate::domain::CredentialId;
use crate::operations::view::moment;
use crate::operations::{Actor, OperationError, Operations};
use crate::usage::ledger::Ledger;

use super::KeyRef;

/// How one caller used a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyUse {
    /// Its name.
    pub caller: String,
    /// How often.
    pub count: u64,
    /// When last.
    pub last_at: Timestamp,
}

/// Callers and how they used a key, being added up.
#[derive(Default)]
struct Uses(BTreeMap<String, KeyUse>);

impl Uses {
    fn add(&mut self, caller: &str, count: u64, last_at: Timestamp) {
        let caller = if caller.is_empty() { "?" } else { caller };
        let new = || KeyUse { caller: caller.to_owned(), count: 0, last_at };
        let used = self.0.entry(caller.to_owned()).or_insert_with(new);
        used.count += count;
        used.last_at = used.last_at.max(last_at);
    }
}

impl Operations {
    /// Which callers sent a key upstream since `since` (Unix seconds, exact to the hour), the most frequent first. A running
    /// proxy is a few seconds ahead. Where the ledger was begun later, the audit log is read until then, which takes a while
    /// when it is long.
    ///
    /// # Errors
    /// When there is no such key, `actor` may not change it, or the ledger or the audit log cannot be read.
    pub fn key_uses(&self, actor: &Actor, which: &KeyRef, since: i64) -> Result<Vec<KeyUse>, OperationError> {
        let key = self.changeable(actor, which)?.id;
        let mut uses = Uses::default();
        let ledger = self.ledger()?;
        let begun = ledger.as_ref().map(Ledger::begun_at).transpose()?;
        let from = Duration::from_secs(u64::try_from(since).unwrap_or(0));
        if begun.is_none_or(|begun| begun > from) {
            self.uses_in_audit(&key, from, begun, &mut uses)?;
        }
        if let Some(ledger) = ledger {
            for used in ledger.uses(key.as_str(), since)? {
                uses.add(&used.caller, used.sent, moment(used.last));
            }
        }
        let mut uses: Vec<KeyUse> = uses.0.into_values().collect();
        uses.sort_by_key(|used| std::cmp::Reverse(used.count));
        Ok(uses)
    }

    fn uses_in_audit(
        &self,
        key: &CredentialId,
        since: Duration,
        until: Option<Duration>,
        uses: &mut Uses,
    ) -> Result<(), OperationError> {
        let folder = self.acts.folder();
        if !folder.exists() {
            return Ok(());
        }
        let filter = Filter { since: Some(since), until, ..Filter::default() };
        for record in audit::read(folder, filter)? {
            let Recorded::Request(request) = record?.line else { continue };
            if request.credential_id.as_deref() != Some(key.as_str()) || request.attempts == 0 {
                continue;
            }
            let last_at = moment(i64::try_from(request.time / 1_000_000).unwrap_or(i64::MAX));
            uses.add(request.caller.as_deref().unwrap_or_default(), 1, last_at);
        }
        Ok(())
    }
}
