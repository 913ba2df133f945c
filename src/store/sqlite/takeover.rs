//! The contents of another store in the place of this one's, in one transaction, while others use it.
//!
//! Invariant: whoever looks sees all of the former contents or all of the new, and the change counter only rises.

use std::fs::{self, File};
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::super::{Act, Deed, Receipt, StoreError, Takeover};
use super::{codec, place, unrecorded};

/// What belongs to the processes that use this store, and not to what it holds: how they follow it, acts on their way into
/// the audit log, and what they found out of limits.
const STAYS: [&str; 7] =
    ["changes", "touched", "unrecorded", "gates", "gates_noted", "gate_resets", "owner_quota_uses"];

/// Replaces the contents, as [`Takeover`] says. `path` is this store's own.
pub(super) fn replace(
    connection: &mut Connection,
    path: &Path,
    deed: Option<&Deed>,
    takeover: &Takeover,
    at: i64,
) -> Result<Receipt, StoreError> {
    let from = takeover.from.to_str().ok_or_else(|| unusable(&takeover.from, "its path is not UTF-8"))?;
    connection.execute("ATTACH DATABASE ?1 AS fresh", [from])?;
    let replaced = in_one_transaction(connection, path, deed, takeover, at);
    // It is committed or rolled back by now, whatever becomes of tidying up: the former values' pages stand in the WAL until
    // it is copied back and cut off.
    let _ = connection.execute_batch("DETACH DATABASE fresh");
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    replaced
}

fn in_one_transaction(
    connection: &mut Connection,
    path: &Path,
    deed: Option<&Deed>,
    takeover: &Takeover,
    at: i64,
) -> Result<Receipt, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    keep_former(path, &takeover.former)?;
    transaction.execute_batch("PRAGMA defer_foreign_keys = ON")?;
    let counter = largest(&transaction, "counter", "changes")?.saturating_add(1);
    let number = master_number(&transaction)?;
    // Whoever follows has to look at what is gone, too.
    transaction.execute("INSERT OR IGNORE INTO touched SELECT id, 0 FROM main.credentials", [])?;
    copy_tables(&transaction)?;
    renumber_master(&transaction, number)?;
    let receipt = Receipt {
        act: Act::Restored,
        id: takeover.called.clone(),
        name: takeover.called.clone(),
        owner: None,
        version: None,
        with: None,
        details: Vec::new(),
        at,
    };
    take_acts_along(&transaction, deed)?;
    if let Some(deed) = deed {
        unrecorded::note(&transaction, deed, std::slice::from_ref(&receipt))?;
    }
    transaction.execute("UPDATE touched SET counter = ?1", [counter])?;
    transaction.execute("UPDATE main.changes SET counter = ?1", [counter])?;
    transaction.commit()?;
    Ok(receipt)
}

/// Copies what there is into the file `former`, which has its name only when it is whole. Nobody can write meanwhile, and a
/// transaction that writes cannot be copied from: so by a connection of its own.
fn keep_former(path: &Path, former: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Path { path: former.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let draft = former.with_extension("part");
    place::copy(&Connection::open_with_flags(path, flags)?, &draft)?;
    fs::rename(&draft, former).map_err(failed)?;
    let folder = former.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// The tables without those that stay, in the order of their making.
fn tables(transaction: &Transaction<'_>) -> Result<Vec<String>, StoreError> {
    let mut statement = transaction.prepare(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid",
    )?;
    let names = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(names.into_iter().filter(|name| !STAYS.contains(&name.as_str())).collect())
}

/// Both are of the newest shape, so their columns stand in the same order. What refers to others goes first.
fn copy_tables(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let (ours, theirs) = (shape(transaction, "main")?, shape(transaction, "fresh")?);
    if ours != theirs {
        return Err(StoreError::Corrupt(format!("a store of shape {theirs} where {ours} is needed")));
    }
    let tables = tables(transaction)?;
    for table in tables.iter().rev() {
        transaction.execute(&format!("DELETE FROM main.\"{table}\""), [])?;
    }
    for table in &tables {
        transaction.execute(&format!("INSERT INTO main.\"{table}\" SELECT * FROM fresh.\"{table}\""), [])?;
    }
    Ok(())
}

fn shape(transaction: &Transaction<'_>, of: &str) -> Result<i64, StoreError> {
    Ok(transaction.query_row(&format!("PRAGMA {of}.user_version"), [], |row| row.get(0))?)
}

/// The larger of the two stores' values.
fn largest(transaction: &Transaction<'_>, column: &str, table: &str) -> Result<i64, StoreError> {
    let sql =
        format!("SELECT max((SELECT max({column}) FROM main.{table}), (SELECT max({column}) FROM fresh.{table}))");
    Ok(transaction.query_row(&sql, [], |row| row.get(0))?)
}

/// The number that the new contents' master key gets: who holds a master key tells it from another by its number alone.
fn master_number(transaction: &Transaction<'_>) -> Result<i64, StoreError> {
    let check = |of: &str| {
        let sql = format!("SELECT id, check_value FROM {of}.master_keys ORDER BY id DESC LIMIT 1");
        transaction.query_row(&sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))
    };
    let (ours, theirs) = (check("main")?, check("fresh")?);
    if ours.1 == theirs.1 { Ok(ours.0) } else { Ok(ours.0.max(theirs.0).saturating_add(1)) }
}

/// Nothing that is sealed is bound to the number.
fn renumber_master(transaction: &Transaction<'_>, number: i64) -> Result<(), StoreError> {
    for sql in [
        "UPDATE main.master_keys SET id = ?1 WHERE id <> ?1",
        "UPDATE main.slots SET master = ?1 WHERE master <> ?1",
        "UPDATE main.labelled SET master = ?1 WHERE master <> ?1",
        "UPDATE main.versions SET master = ?1 WHERE master <> ?1",
    ] {
        transaction.execute(sql, [number])?;
    }
    codec::number(number).map(drop)
}

/// Acts that the other store had and its audit log had not. Here they are not recorded after where the log ends now.
fn take_acts_along(transaction: &Transaction<'_>, deed: Option<&Deed>) -> Result<(), StoreError> {
    let end = deed
        .map_or((i64::MAX, i64::MAX), |deed| (deed.log_end.segment.cast_signed(), deed.log_end.offset.cast_signed()));
    transaction.execute(
        "INSERT OR IGNORE INTO main.unrecorded (id, time_us, actor, act, object, object_id, details, segment, log_offset)
         SELECT id, time_us, actor, act, object, object_id, details,
             iif((segment, log_offset) < (?1, ?2), segment, ?1), iif((segment, log_offset) < (?1, ?2), log_offset, ?2)
         FROM fresh.unrecorded ORDER BY rowid",
        params![end.0, end.1],
    )?;
    Ok(())
}

fn unusable(path: &Path, why: &'static str) -> StoreError {
    StoreError::Path { path: path.to_owned(), source: std::io::Error::other(why) }
}
