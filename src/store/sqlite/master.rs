//! The master key as the store knows it, putting everything under another one, and looking for damage.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::super::{Act, LabelledValue, MasterRecord, Receipt, SealedContents, SealedVersion, StoreError};
use super::codec;

pub(super) fn current(connection: &Connection) -> Result<Option<MasterRecord>, StoreError> {
    let sql = "SELECT id, check_value, derivation FROM master_keys ORDER BY id DESC LIMIT 1";
    let found = connection
        .query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?, row.get(2)?)))
        .optional()?;
    found.map(|(id, check, derivation)| Ok(MasterRecord { id: codec::number(id)?, check, derivation })).transpose()
}

pub(super) fn adopt(transaction: &Transaction<'_>, record: MasterRecord, at: i64) -> Result<MasterRecord, StoreError> {
    if let Some(first) = current(transaction)? {
        return Ok(first);
    }
    insert(transaction, &record, at)?;
    Ok(record)
}

fn insert(transaction: &Transaction<'_>, record: &MasterRecord, at: i64) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO master_keys (id, check_value, derivation, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![record.id, record.check.as_slice(), record.derivation, at],
    )?;
    Ok(())
}

/// One read transaction, so that everything is of one moment.
pub(super) fn sealed_contents(connection: &mut Connection) -> Result<SealedContents, StoreError> {
    let transaction = connection.transaction()?;
    let mut statement = transaction.prepare(
        "SELECT v.credential, c.owner, c.service, v.number, v.master, v.wrapped_key, v.fields
         FROM versions v JOIN credentials c ON c.id = v.credential WHERE v.destroyed_at IS NULL",
    )?;
    let versions = statement
        .query_and_then([], |row| {
            let sealed = codec::sealed(row, 4)?.ok_or_else(|| codec::damaged("sealed value"))?;
            Ok(SealedVersion {
                credential: codec::credential_id(row, 0)?,
                owner: codec::user_id(row, 1)?,
                service: codec::name(codec::text(row, 2)?)?,
                number: codec::number(row.get(3)?)?,
                sealed: (*sealed).clone(),
            })
        })?
        .collect::<Result<_, StoreError>>()?;
    let mut statement = transaction.prepare("SELECT label, master, sealed FROM labelled")?;
    let labelled = statement.query_and_then([], labelled_row)?.collect::<Result<_, StoreError>>()?;
    Ok(SealedContents { versions, labelled })
}

pub(super) fn replace(
    transaction: &Transaction<'_>,
    record: &MasterRecord,
    rewrapped: &SealedContents,
    at: i64,
) -> Result<Receipt, StoreError> {
    if current(transaction)?.is_some_and(|now| now.id >= record.id) {
        return Err(moved());
    }
    insert(transaction, record, at)?;
    let mut update = transaction.prepare(
        "UPDATE versions SET master = ?3, wrapped_key = ?4 WHERE credential = ?1 AND number = ?2 AND destroyed_at IS NULL",
    )?;
    for version in &rewrapped.versions {
        let wrapped_key = &*version.sealed.wrapped_key;
        update.execute(params![version.credential.as_str(), version.number, version.sealed.master, wrapped_key])?;
    }
    for value in &rewrapped.labelled {
        keep_labelled(transaction, value)?;
    }
    let left: bool = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM versions WHERE master <> ?1)
             OR EXISTS (SELECT 1 FROM labelled WHERE master <> ?1)",
        [record.id],
        |r| r.get(0),
    )?;
    if left {
        return Err(moved());
    }
    transaction.execute("DELETE FROM master_keys WHERE id <> ?1", [record.id])?;
    let (id, name) = (record.id.to_string(), format!("master key {}", record.id));
    Ok(Receipt {
        act: Act::MasterRotated,
        id,
        name,
        owner: None,
        version: Some(record.id),
        with: None,
        details: Vec::new(),
        at,
    })
}

/// Refuses what was sealed by a process that does not know yet that the master key was rotated.
pub(super) fn require(connection: &Connection, id: u32) -> Result<(), StoreError> {
    if current(connection)?.is_some_and(|now| now.id == id) { Ok(()) } else { Err(moved()) }
}

fn moved() -> StoreError {
    StoreError::Moved("the master key".to_owned())
}

pub(super) fn labelled(connection: &Connection, label: &str) -> Result<Option<LabelledValue>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT label, master, sealed FROM labelled WHERE label = ?1")?;
    statement.query_and_then([label], labelled_row)?.next().transpose()
}

fn labelled_row(row: &Row<'_>) -> Result<LabelledValue, StoreError> {
    Ok(LabelledValue { label: row.get(0)?, master: codec::number(row.get(1)?)?, sealed: row.get(2)? })
}

pub(super) fn keep_labelled(transaction: &Transaction<'_>, value: &LabelledValue) -> Result<(), StoreError> {
    require(transaction, value.master)?;
    transaction.execute(
        "INSERT INTO labelled (label, master, sealed) VALUES (?1, ?2, ?3)
         ON CONFLICT (label) DO UPDATE SET master = excluded.master, sealed = excluded.sealed",
        params![value.label, value.master, value.sealed],
    )?;
    Ok(())
}

pub(super) fn check_integrity(connection: &Connection) -> Result<(), StoreError> {
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(StoreError::Corrupt(found));
    }
    let orphans: bool = connection.prepare("PRAGMA foreign_key_check")?.exists([])?;
    if orphans { Err(StoreError::Corrupt("a row refers to another that is missing".to_owned())) } else { Ok(()) }
}
