//! The ledger: what was counted, in a SQLite file of its own beside the store. It is written often and worth little, the store
//! seldom and much; apart, neither makes the other slow or large, the store's backup stays small, and its change counter,
//! which the proxy follows, does not move. Blocks for milliseconds; not for a request's way.
//!
//! Invariants: an addition is in it whole or not at all; a kill loses what was added since the last commit and damages
//! nothing; it stays within bounds of age and of size.

mod error;
mod events;
mod place;
mod read;
mod rows;
mod write;

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::latency::micros;

pub use error::LedgerError;
pub use events::{EventRow, Told};
pub use read::{EndpointRow, PairRow, Use};
pub use rows::Span;
use rows::signed;
pub use write::{NewEndpoint, Noted};

/// The name of the file, beside the store.
pub const FILE: &str = "usage.db";

/// How long something is kept, and how much of it at most.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// In seconds.
    age: i64,
    rows: u32,
}

/// What is kept.
#[derive(Debug, Clone, Copy)]
struct Kept {
    minutes: Bounds,
    hours: Bounds,
    days: Bounds,
    /// Also the age of pairs.
    endpoints: Bounds,
    events: Bounds,
}

const DAY: i64 = 24 * 60 * 60;
const KEPT: Kept = Kept {
    minutes: Bounds { age: 2 * DAY, rows: 500_000 },
    hours: Bounds { age: 90 * DAY, rows: 1_000_000 },
    days: Bounds { age: 730 * DAY, rows: 1_000_000 },
    endpoints: Bounds { age: 730 * DAY, rows: 500_000 },
    events: Bounds { age: 90 * DAY, rows: 10_000 },
};

/// Marks the file as a ledger of ours ("skus").
const APPLICATION: i64 = 0x736b_7573;
/// The steps from nothing to the newest shape; only ever appended.
const STEPS: [&str; 1] = [include_str!("0001.sql")];
/// How long a write waits for another process's.
const BUSY: Duration = Duration::from_secs(5);

/// The ledger, open.
#[derive(Debug)]
pub struct Ledger {
    connection: Connection,
    kept: Kept,
    /// Endpoints are not told apart any more, since there are too many in all.
    endpoints_full: bool,
}

impl Ledger {
    /// Opens the ledger at `path` for counting, making it (0600) when absent. `now` is since the Unix epoch.
    ///
    /// # Errors
    /// When it cannot be made, is open to other users, is not ours, or was made by a newer sidekey.
    pub fn open(path: &Path, now: Duration) -> Result<Self, LedgerError> {
        place::prepare(path)?;
        let mut connection = place::connect(path)?;
        // A kill loses nothing that was committed, a power cut the last seconds: counting is not worth a sync each time.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        migrate(&mut connection, path, now)?;
        let mut ledger = Self { connection, kept: KEPT, endpoints_full: false };
        ledger.prune(signed(now.as_secs()))?;
        Ok(ledger)
    }

    /// Opens the ledger at `path` for reading, whether or not a proxy counts meanwhile; none when there is none.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(path: &Path) -> Result<Option<Self>, LedgerError> {
        if !path.exists() {
            return Ok(None);
        }
        place::check(path)?;
        let connection = place::connect(path)?;
        if shape(&connection, path)? == 0 {
            return Ok(None);
        }
        connection.pragma_update(None, "query_only", true)?;
        Ok(Some(Self { connection, kept: KEPT, endpoints_full: false }))
    }
}

/// The shape of the file; 0 when nothing is in it yet.
fn shape(connection: &Connection, path: &Path) -> Result<i64, LedgerError> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && (found != 0 || tables != 0) {
        return Err(LedgerError::Foreign { path: path.to_owned() });
    }
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if !(0..=known).contains(&found) {
        return Err(LedgerError::Newer { path: path.to_owned(), found, known });
    }
    Ok(found)
}

/// Applies the steps that are missing, all in one transaction.
fn migrate(connection: &mut Connection, path: &Path, now: Duration) -> Result<(), LedgerError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = usize::try_from(shape(&transaction, path)?).unwrap_or(0);
    let missing = STEPS.get(found..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    missing.iter().try_for_each(|step| transaction.execute_batch(step))?;
    transaction.execute("INSERT OR IGNORE INTO ledger VALUES (1, ?1)", [signed(micros(now))])?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", i64::try_from(STEPS.len()).unwrap_or(i64::MAX))?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests;
