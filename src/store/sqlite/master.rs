//! The master key as the store knows it, putting everything under another one, and looking for damage.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::domain::SlotKind;

use super::super::{Act, LabelledValue, MasterRecord, Receipt, SealedContents, SealedVersion, Slot, StoreError};
use super::codec;

/// The master key with its slots, from one moment.
pub(super) fn read(connection: &mut Connection) -> Result<Option<MasterRecord>, StoreError> {
    current(&connection.transaction()?)
}

fn current(transaction: &Transaction<'_>) -> Result<Option<MasterRecord>, StoreError> {
    let sql = "SELECT id, check_value, derivation FROM master_keys ORDER BY id DESC LIMIT 1";
    let found = transaction
        .query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?, row.get(2)?)))
        .optional()?;
    let Some((id, check, derivation)) = found else { return Ok(None) };
    let mut statement = transaction.prepare(
        "SELECT name, kind, derivation, wrapped, place, created_at FROM slots WHERE master = ?1 ORDER BY name",
    )?;
    let slots = statement.query_and_then([id], slot)?.collect::<Result<_, StoreError>>()?;
    Ok(Some(MasterRecord { id: codec::number(id)?, check, derivation, slots }))
}

fn slot(row: &Row<'_>) -> Result<Slot, StoreError> {
    Ok(Slot {
        name: codec::name(codec::text(row, 0)?)?,
        kind: SlotKind::parse(codec::text(row, 1)?).ok_or_else(|| codec::damaged("kind of slot"))?,
        derivation: row.get(2)?,
        wrapped: row.get(3)?,
        place: row.get(4)?,
        created_at: row.get(5)?,
    })
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
    insert_slots(transaction, record)
}

fn insert_slots(transaction: &Transaction<'_>, record: &MasterRecord) -> Result<(), StoreError> {
    let mut insert = transaction.prepare(
        "INSERT INTO slots (name, master, kind, derivation, wrapped, place, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for Slot { name, kind, derivation, wrapped, place, created_at } in &record.slots {
        insert.execute(params![name.as_str(), record.id, kind.as_str(), derivation, wrapped, place, created_at])?;
    }
    Ok(())
}

pub(super) fn change_slots(
    transaction: &Transaction<'_>,
    former: &MasterRecord,
    record: &MasterRecord,
    at: i64,
) -> Result<Receipt, StoreError> {
    if former.id != record.id || current(transaction)?.as_ref() != Some(former) {
        return Err(moved());
    }
    transaction.execute("DELETE FROM slots", [])?;
    transaction
        .execute("UPDATE master_keys SET derivation = ?2 WHERE id = ?1", params![record.id, record.derivation])?;
    insert_slots(transaction, record)?;
    let ended = former.slots.iter().find(|slot| record.slots.iter().all(|other| other.name != slot.name));
    let made = record.slots.iter().find(|slot| former.slots.iter().all(|other| other.name != slot.name));
    let (act, slot) = match (ended, made) {
        (Some(ended), None) => (Act::SlotRemoved, ended.name.to_string()),
        (_, made) => (Act::SlotAdded, made.map(|made| made.name.to_string()).unwrap_or_default()),
    };
    Ok(Receipt { act, id: slot.clone(), name: slot, owner: None, version: None, with: None, details: Vec::new(), at })
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
    former: &MasterRecord,
    record: &MasterRecord,
    rewrapped: &SealedContents,
    at: i64,
) -> Result<Receipt, StoreError> {
    if former.id >= record.id || current(transaction)?.as_ref() != Some(former) {
        return Err(moved());
    }
    transaction.execute("DELETE FROM slots", [])?;
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
    let now: Option<i64> = connection.query_row("SELECT max(id) FROM master_keys", [], |row| row.get(0))?;
    if now == Some(i64::from(id)) { Ok(()) } else { Err(moved()) }
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
