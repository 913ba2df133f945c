//! Services: reading and changing their records, which are opaque here. Each changing function is the body of one
//! transaction.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::domain::ServiceName;

use super::super::{Act, InUse, LabelledValue, Receipt, StoreError, StoredService};
use super::{codec, master};

pub(super) fn services(connection: &Connection) -> Result<Vec<StoredService>, StoreError> {
    let sql = "SELECT s.name, s.record, s.revision, s.created_at, s.updated_at, l.label, l.master, l.sealed
        FROM services s LEFT JOIN labelled l ON l.label = ?1 || s.name ORDER BY s.name";
    connection.prepare_cached(sql)?.query_and_then([StoredService::LABEL], stored)?.collect()
}

fn stored(row: &Row<'_>) -> Result<StoredService, StoreError> {
    let label: Option<String> = row.get(5)?;
    let proof = label.map(|label| {
        Ok::<_, StoreError>(LabelledValue { label, master: codec::number(row.get(6)?)?, sealed: row.get(7)? })
    });
    Ok(StoredService {
        name: codec::name(codec::text(row, 0)?)?,
        record: codec::text(row, 1)?.to_owned(),
        proof: proof.transpose()?,
        revision: codec::number(row.get(2)?)?,
        created_at: row.get(3)?,
        updated_at: row.get(4)?,
    })
}

pub(super) fn add(transaction: &Transaction<'_>, service: &StoredService, at: i64) -> Result<Receipt, StoreError> {
    let name = &service.name;
    if revision(transaction, name)?.is_some() {
        return Err(StoreError::NameTaken { what: "service", name: name.to_string() });
    }
    let sql = "INSERT INTO services (name, record, revision, created_at, updated_at) VALUES (?1, ?2, 1, ?3, ?3)";
    transaction.execute(sql, params![name.as_str(), service.record, at])?;
    keep_proof(transaction, service)?;
    Ok(receipt(Act::ServiceAdded, name, 1, at))
}

pub(super) fn change(transaction: &Transaction<'_>, service: &StoredService, at: i64) -> Result<Receipt, StoreError> {
    let name = &service.name;
    let found = revision(transaction, name)?.ok_or_else(|| unknown(name))?;
    if found != service.revision {
        return Err(StoreError::Moved(name.to_string()));
    }
    let next = found.saturating_add(1);
    let sql = "UPDATE services SET record = ?2, revision = ?3, updated_at = ?4 WHERE name = ?1";
    transaction.execute(sql, params![name.as_str(), service.record, next, at])?;
    keep_proof(transaction, service)?;
    Ok(receipt(Act::ServiceChanged, name, next, at))
}

/// In the place of the former one.
fn keep_proof(transaction: &Transaction<'_>, service: &StoredService) -> Result<(), StoreError> {
    drop_proof(transaction, &service.name)?;
    service.proof.as_ref().map_or(Ok(()), |proof| master::keep_labelled(transaction, proof))
}

fn drop_proof(transaction: &Transaction<'_>, name: &ServiceName) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM labelled WHERE label = ?1", [StoredService::label(name)])?;
    Ok(())
}

pub(super) fn delete(
    transaction: &Transaction<'_>,
    name: &ServiceName,
    in_use: InUse,
    at: i64,
) -> Result<Receipt, StoreError> {
    let found = revision(transaction, name)?.ok_or_else(|| unknown(name))?;
    let sql = "SELECT name FROM credentials WHERE service = ?1 AND deleted_at IS NULL ORDER BY name";
    let keys: Vec<String> =
        transaction.prepare(sql)?.query_map([name.as_str()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if in_use == InUse::Refuse && !keys.is_empty() {
        return Err(StoreError::InUse { service: name.to_string(), keys });
    }
    transaction.execute("DELETE FROM services WHERE name = ?1", [name.as_str()])?;
    drop_proof(transaction, name)?;
    Ok(receipt(Act::ServiceDeleted, name, found, at))
}

fn revision(connection: &Connection, name: &ServiceName) -> Result<Option<u32>, StoreError> {
    let sql = "SELECT revision FROM services WHERE name = ?1";
    let found: Option<i64> = connection.query_row(sql, [name.as_str()], |row| row.get(0)).optional()?;
    found.map(codec::number).transpose()
}

fn unknown(name: &ServiceName) -> StoreError {
    StoreError::Unknown { what: "stored service", which: name.to_string() }
}

/// A service is known by its name, for ever.
fn receipt(act: Act, name: &ServiceName, revision: u32, at: i64) -> Receipt {
    let text = name.to_string();
    Receipt {
        act,
        id: text.clone(),
        name: text,
        owner: None,
        version: Some(revision),
        with: None,
        details: Vec::new(),
        at,
    }
}
