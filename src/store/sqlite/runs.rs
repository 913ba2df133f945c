//! Tokens of runs: each changing function is the body of one transaction.

use rusqlite::{Connection, Transaction, params};

use crate::domain::CallerId;

use super::super::{Act, Receipt, RunToken, StoreError};
use super::{callers, codec};

/// Keeps a token; those whose time is over at `at` go.
pub(super) fn add(transaction: &Transaction<'_>, run: &RunToken, at: i64) -> Result<Receipt, StoreError> {
    let receipt = callers::receipt(transaction, Act::RunBegun, &run.caller, at)?;
    transaction.execute("DELETE FROM run_tokens WHERE expires_at <= ?1", [at])?;
    let sql = "INSERT INTO run_tokens (digest, caller, expires_at) VALUES (?1, ?2, ?3)";
    transaction.execute(sql, params![run.digest, run.caller.as_str(), run.expires_at])?;
    Ok(receipt)
}

pub(super) fn extend(transaction: &Transaction<'_>, digest: &[u8; 32], expires_at: i64) -> Result<(), StoreError> {
    transaction
        .execute("UPDATE run_tokens SET expires_at = ?2 WHERE digest = ?1", params![digest, expires_at])
        .map(drop)
        .map_err(StoreError::from)
}

pub(super) fn end(transaction: &Transaction<'_>, digest: &[u8; 32]) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM run_tokens WHERE digest = ?1", [digest]).map(drop).map_err(StoreError::from)
}

/// Those of living callers.
pub(super) fn all(connection: &Connection) -> Result<Vec<RunToken>, StoreError> {
    let sql = "SELECT r.digest, r.caller, r.expires_at FROM run_tokens r JOIN callers c ON c.id = r.caller
        WHERE c.deleted_at IS NULL";
    let run = |row: &rusqlite::Row<'_>| {
        let caller = CallerId::new(codec::text(row, 1)?);
        Ok(RunToken { digest: row.get(0)?, caller, expires_at: row.get(2)? })
    };
    connection.prepare_cached(sql)?.query_and_then([], run)?.collect()
}
