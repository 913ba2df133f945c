//! Certificate authorities: reading and changing their rows. Each changing function is the body of one transaction.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::super::{Act, LabelledValue, Receipt, StoreError, StoredAuthority};
use super::{codec, master};

const SELECT: &str =
    "SELECT a.fingerprint, a.name, a.certificate, a.hosts, a.created_at, a.signs_from, a.expires_at, l.label, l.master,
    l.sealed FROM authorities a JOIN labelled l ON l.label = 'authority/' || lower(hex(a.fingerprint))";

pub(super) fn all(connection: &Connection) -> Result<Vec<StoredAuthority>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} ORDER BY a.number"))?;
    statement.query_and_then([], stored)?.collect()
}

fn stored(row: &Row<'_>) -> Result<StoredAuthority, StoreError> {
    let hosts = codec::text(row, 3)?;
    Ok(StoredAuthority {
        fingerprint: row.get(0)?,
        name: row.get(1)?,
        certificate: row.get(2)?,
        hosts: hosts.split_whitespace().map(str::to_owned).collect(),
        created_at: row.get(4)?,
        signs_from: row.get(5)?,
        expires_at: row.get(6)?,
        key: LabelledValue { label: row.get(7)?, master: codec::number(row.get(8)?)?, sealed: row.get(9)? },
    })
}

pub(super) fn add(
    transaction: &Transaction<'_>,
    authority: &StoredAuthority,
    after: Option<&[u8; 32]>,
) -> Result<Receipt, StoreError> {
    let newest = "SELECT fingerprint FROM authorities ORDER BY number DESC LIMIT 1";
    let newest: Option<[u8; 32]> = transaction.query_row(newest, [], |row| row.get(0)).optional()?;
    if newest.as_ref() != after {
        return Err(StoreError::Moved("the certificate authority".to_owned()));
    }
    transaction.execute(
        "INSERT INTO authorities (fingerprint, name, certificate, hosts, created_at, signs_from, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            authority.fingerprint,
            authority.name,
            authority.certificate,
            authority.hosts.join(" "),
            authority.created_at,
            authority.signs_from,
            authority.expires_at,
        ],
    )?;
    master::keep_labelled(transaction, &authority.key)?;
    Ok(receipt(Act::AuthorityAdded, &authority.fingerprint, authority.name.clone(), authority.created_at))
}

pub(super) fn hasten(transaction: &Transaction<'_>, fingerprint: &[u8; 32], at: i64) -> Result<Receipt, StoreError> {
    let sql = "UPDATE authorities SET signs_from = ?2 WHERE fingerprint = ?1 RETURNING name";
    let name = transaction.query_row(sql, params![fingerprint, at], |row| row.get(0)).optional()?;
    Ok(receipt(Act::AuthorityHastened, fingerprint, name.ok_or_else(|| unknown(fingerprint))?, at))
}

pub(super) fn retire(transaction: &Transaction<'_>, fingerprint: &[u8; 32], at: i64) -> Result<Receipt, StoreError> {
    let sql = "DELETE FROM authorities WHERE fingerprint = ?1 RETURNING name";
    let name = transaction.query_row(sql, [fingerprint], |row| row.get(0)).optional()?;
    transaction.execute("DELETE FROM labelled WHERE label = ?1", [StoredAuthority::label(fingerprint)])?;
    Ok(receipt(Act::AuthorityRetired, fingerprint, name.ok_or_else(|| unknown(fingerprint))?, at))
}

fn unknown(fingerprint: &[u8; 32]) -> StoreError {
    StoreError::Unknown { what: "certificate authority", which: StoredAuthority::label(fingerprint) }
}

fn receipt(act: Act, fingerprint: &[u8; 32], name: String, at: i64) -> Receipt {
    let id = crate::crypto::digest::hex(fingerprint);
    Receipt { act, id, name, owner: None, version: None, with: None, details: Vec::new(), at }
}
