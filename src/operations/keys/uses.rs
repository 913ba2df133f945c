//! Who used a key, as the audit log knows it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::audit::{self, Filter, Recorded};
use crate::operations::view::moment;
use crate::operations::{Actor, OperationError, Operations};

use super::KeyRef;

/// How one caller used a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyUse {
    /// Its name.
    pub caller: String,
    /// How often.
    pub count: u64,
    /// When last.
    pub last_at: Timestamp,
}

impl Operations {
    /// Which callers sent a key upstream since `since` (Unix seconds), the most frequent first. Reads the audit log from
    /// there on, so it takes a while where that is long.
    ///
    /// # Errors
    /// When there is no such key, `actor` may not change it, or the audit log cannot be read.
    pub fn key_uses(&self, actor: &Actor, which: &KeyRef, since: i64) -> Result<Vec<KeyUse>, OperationError> {
        let key = self.changeable(actor, which)?.id;
        let folder = self.acts.folder();
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let since = Duration::from_secs(u64::try_from(since).unwrap_or(0));
        let mut by_caller: BTreeMap<String, KeyUse> = BTreeMap::new();
        for record in audit::read(folder, Filter { since: Some(since), ..Filter::default() })? {
            let Recorded::Request(request) = record?.line else { continue };
            if request.credential_id.as_deref() != Some(key.as_str()) || request.attempts == 0 {
                continue;
            }
            let caller = request.caller.unwrap_or_else(|| "?".to_owned());
            let last_at = moment(i64::try_from(request.time / 1_000_000).unwrap_or(i64::MAX));
            let used = by_caller.entry(caller.clone()).or_insert(KeyUse { caller, count: 0, last_at });
            used.count += 1;
            used.last_at = used.last_at.max(last_at);
        }
        let mut uses: Vec<KeyUse> = by_caller.into_values().collect();
        uses.sort_by_key(|used| std::cmp::Reverse(used.count));
        Ok(uses)
    }
}
