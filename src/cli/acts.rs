//! Administrative acts and the audit: what was done is written there, durably, before the person is told that it is done; and
//! who used a key is read from there. The log is opened before anything is changed, so that a log that cannot be written
//! stops the act and not its record.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use crate::app::AUDIT_FOLDER;
use crate::audit::{self, Act, Filter, Log, Recorded};
use crate::config::Config;
use crate::domain::CredentialId;
use crate::store::Receipt;

use super::session::Session;

/// The audit log, open for acts of one person.
pub(super) struct Acts {
    log: Log,
    actor: String,
}

/// An act that is on disk in the store.
pub(super) struct Done<'a> {
    /// `key.add`, `caller.delete`, …
    pub(super) act: &'static str,
    /// The store's proof of it.
    pub(super) receipt: &'a Receipt,
    /// What else a reader needs; never a value.
    pub(super) details: &'a [(&'static str, &'a str)],
}

/// How one caller used a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Use {
    /// Its name.
    pub(super) caller: String,
    /// How often.
    pub(super) count: u64,
    /// When last, in Unix seconds.
    pub(super) last: i64,
}

/// Where the audit log is.
pub(super) fn folder(config: &Config) -> PathBuf {
    config.data.join(AUDIT_FOLDER)
}

impl Acts {
    /// Opens the log; makes it when there is none. To be called before something is changed.
    ///
    /// # Errors
    /// When the log cannot be written: then nothing must be changed.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let log = Log::open(&folder(config)).context("the audit log cannot be written, so nothing was changed")?;
        Ok(Self { log, actor: actor() })
    }

    /// Writes down what was done. When this returns, it is on disk.
    ///
    /// # Errors
    /// When it could not be written; the act itself stands, and the error says so.
    pub(super) fn record(&self, done: &Done<'_>, session: &Session) -> anyhow::Result<()> {
        let version = done.receipt.version.map(|version| version.to_string());
        let mut details = done.details.to_vec();
        details.extend(version.as_deref().map(|version| ("version", version)));
        let act = Act {
            time: session.clock.wall(),
            actor: &self.actor,
            act: done.act,
            object: &done.receipt.name,
            object_id: Some(&done.receipt.id),
            details: &details,
        };
        self.log.append_act(&act).with_context(|| {
            format!("`{}` was done ({}), but the audit log could not be written", done.receipt.name, done.act)
        })
    }
}

/// Which callers sent a key upstream since `since` (Unix seconds), the most frequent first.
///
/// # Errors
/// When the audit log cannot be read.
pub(super) fn uses(config: &Config, key: &CredentialId, since: i64) -> anyhow::Result<Vec<Use>> {
    let folder = folder(config);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let since = Duration::from_secs(u64::try_from(since).unwrap_or(0));
    let mut by_caller: BTreeMap<String, Use> = BTreeMap::new();
    for record in audit::read(&folder, Filter { since: Some(since), ..Filter::default() })? {
        let Recorded::Request(request) = record?.line else { continue };
        if request.credential_id.as_deref() != Some(key.as_str()) || request.attempts == 0 {
            continue;
        }
        let caller = request.caller.unwrap_or_else(|| "?".to_owned());
        let last = i64::try_from(request.time / 1_000_000).unwrap_or(i64::MAX);
        let used = by_caller.entry(caller.clone()).or_insert(Use { caller, count: 0, last });
        used.count += 1;
        used.last = used.last.max(last);
    }
    let mut uses: Vec<Use> = by_caller.into_values().collect();
    uses.sort_by_key(|used| std::cmp::Reverse(used.count));
    Ok(uses)
}

/// Who runs this: the name of the operating system's user. Taken from the user database and not from the environment, which
/// anybody can set.
fn actor() -> String {
    let id = rustix::process::getuid().as_raw();
    let database = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(id, &database).unwrap_or_else(|| format!("uid:{id}"))
}

/// The name of the user `id` in the text of passwd(5).
pub(super) fn name_of(id: u32, database: &str) -> Option<String> {
    database.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(id)).then(|| name.to_owned())
    })
}
