//! Bringing a database to the newest shape. Each step is one transaction, counted in `PRAGMA user_version`; steps are only
//! ever appended.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::super::StoreError;

/// Marks the file as ours, so that another program's database is not taken for an empty store ("skey").
pub(super) const APPLICATION: i64 = 0x736b_6579;

const STEPS: [&str; 13] = [
    include_str!("0001.sql"),
    include_str!("0002.sql"),
    include_str!("0003.sql"),
    include_str!("0004.sql"),
    include_str!("0005.sql"),
    include_str!("0006.sql"),
    include_str!("0007.sql"),
    include_str!("0008.sql"),
    include_str!("0009.sql"),
    include_str!("0010.sql"),
    include_str!("0011.sql"),
    include_str!("0012.sql"),
    include_str!("0013.sql"),
];

/// The newest shape that this program knows.
#[allow(clippy::cast_possible_wrap, reason = "a handful")]
pub(in crate::store) const NEWEST: i64 = STEPS.len() as i64;

/// Applies the steps that are missing.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let application: i64 = transaction.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if application != APPLICATION && (found != 0 || tables != 0) {
            return Err(StoreError::Foreign { path: path.to_owned() });
        }
        if !(0..=NEWEST).contains(&found) {
            return Err(StoreError::Newer { path: path.to_owned(), found, known: NEWEST });
        }
        let Some(step) = usize::try_from(found).ok().and_then(|at| STEPS.get(at)) else { return Ok(()) };
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", found + 1)?;
        transaction.commit()?;
    }
}
