//! Passes of the admin API: keeping and ending them. Each changing function is the body of one transaction. Nothing that a
//! running proxy must follow, so no change is counted.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::domain::UserId;

use super::super::{Act, Pass, PassKind, Receipt, StoreError};
use super::codec;
use super::people::require;

pub(super) fn add(transaction: &Transaction<'_>, pass: &Pass) -> Result<Receipt, StoreError> {
    require(transaction, "user", pass.user.as_str())?;
    transaction.execute("DELETE FROM passes WHERE expires_at <= ?1", [pass.created_at])?;
    if pass.kind == PassKind::Token {
        let sql = "SELECT EXISTS (SELECT 1 FROM passes WHERE kind = 'token' AND name = ?1)";
        if transaction.query_row(sql, [pass.name.as_str()], |row| row.get(0))? {
            return Err(StoreError::NameTaken { what: "token", name: pass.name.to_string() });
        }
    }
    let sql = "INSERT INTO passes (id, kind, name, user, digest, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let (id, kind, name) = (&pass.id, pass.kind.as_str(), pass.name.as_str());
    let (user, digest) = (pass.user.as_str(), pass.digest.as_slice());
    transaction.execute(sql, params![id, kind, name, user, digest, pass.created_at, pass.expires_at])?;
    Ok(receipt(Act::PassAdded, pass, pass.created_at))
}

pub(super) fn redeem(transaction: &Transaction<'_>, code: [u8; 32], session: Pass) -> Result<Receipt, StoreError> {
    let sql = "DELETE FROM passes WHERE kind = 'code' AND digest = ?1 AND expires_at > ?2 RETURNING user";
    let values = params![code.as_slice(), session.created_at];
    let user: Option<String> = transaction.query_row(sql, values, |row| row.get(0)).optional()?;
    let user = user.ok_or_else(|| unknown("code", "that was shown"))?;
    add(transaction, &Pass { user: UserId::new(&user), ..session })
}

pub(super) fn end(transaction: &Transaction<'_>, id: &str, at: i64) -> Result<Receipt, StoreError> {
    let sql = "DELETE FROM passes WHERE id = ?1 RETURNING id, kind, name, user, digest, created_at, expires_at";
    let ended = transaction.prepare(sql)?.query_and_then([id], pass)?.next().transpose()?;
    Ok(receipt(Act::PassEnded, &ended.ok_or_else(|| unknown("pass", id))?, at))
}

pub(super) fn list(connection: &Connection, at: i64) -> Result<Vec<Pass>, StoreError> {
    let sql = "SELECT p.id, p.kind, p.name, p.user, p.digest, p.created_at, p.expires_at
         FROM passes p JOIN users u ON u.id = p.user
         WHERE u.deleted_at IS NULL AND (p.expires_at IS NULL OR p.expires_at > ?1) ORDER BY p.id";
    connection.prepare_cached(sql)?.query_and_then([at], pass)?.collect()
}

fn pass(row: &Row<'_>) -> Result<Pass, StoreError> {
    let written = codec::text(row, 1)?;
    let kind = [PassKind::Token, PassKind::Code, PassKind::Session].into_iter().find(|kind| kind.as_str() == written);
    Ok(Pass {
        id: codec::text(row, 0)?.to_owned(),
        kind: kind.ok_or_else(|| codec::damaged("kind"))?,
        name: codec::name(codec::text(row, 2)?)?,
        user: codec::user_id(row, 3)?,
        digest: row.get(4)?,
        created_at: row.get(5)?,
        expires_at: row.get(6)?,
    })
}

fn unknown(what: &'static str, which: &str) -> StoreError {
    StoreError::Unknown { what, which: which.to_owned() }
}

fn receipt(act: Act, pass: &Pass, at: i64) -> Receipt {
    let (id, name, owner) = (pass.id.clone(), pass.name.to_string(), Some(pass.user.clone()));
    Receipt { act, id, name, owner, version: None, with: None, details: Vec::new(), at }
}
