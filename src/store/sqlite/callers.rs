//! Callers: reading and changing them. Each changing function is the body of one transaction.

use rusqlite::{Connection, Row, Transaction, params};

use crate::domain::{Caller, CallerId, FormerToken, Perimeter, UserId, Weight};

use super::super::{Act, CallerEdit, LOCAL, ListedCaller, Receipt, StoreError};
use super::codec;
use super::people::{refuse_taken, require};

pub(super) fn add(transaction: &Transaction<'_>, caller: &Caller, at: i64) -> Result<Receipt, StoreError> {
    require(transaction, "user", caller.owner.as_str())?;
    refuse_taken(transaction, "caller", caller.name.as_str())?;
    transaction.execute(
        "INSERT INTO callers (id, name, owner, environment, token_digest, perimeter, created_at, weight)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            caller.id.as_str(),
            caller.name.as_str(),
            caller.owner.as_str(),
            caller.environment.as_ref().map(AsRef::<str>::as_ref),
            caller.token_digest.as_ref().map(<[u8; 32]>::as_slice),
            caller.perimeter.to_string(),
            at,
            caller.weight.get(),
        ],
    )?;
    receipt(transaction, Act::CallerAdded, &caller.id, at)
}

pub(super) fn rotate(
    transaction: &Transaction<'_>,
    id: &CallerId,
    token_digest: [u8; 32],
    overlap_until: Option<i64>,
    at: i64,
) -> Result<Receipt, StoreError> {
    let receipt = receipt(transaction, Act::CallerRotated, id, at)?;
    // Only a token can go on, and a caller may have had none.
    transaction.execute(
        "UPDATE callers SET token_digest = ?2,
             former_digest = CASE WHEN ?3 IS NOT NULL THEN token_digest END,
             former_until = CASE WHEN token_digest IS NOT NULL THEN ?3 END WHERE id = ?1",
        params![id.as_str(), token_digest.as_slice(), overlap_until],
    )?;
    Ok(receipt)
}

pub(super) fn edit(
    transaction: &Transaction<'_>,
    id: &CallerId,
    edit: &CallerEdit,
    at: i64,
) -> Result<Receipt, StoreError> {
    let receipt = receipt(transaction, Act::CallerEdited, id, at)?;
    if let Some(environment) = &edit.environment {
        let environment = environment.as_ref().map(AsRef::<str>::as_ref);
        transaction.execute("UPDATE callers SET environment = ?2 WHERE id = ?1", params![id.as_str(), environment])?;
    }
    if let Some(perimeter) = &edit.perimeter {
        let perimeter = perimeter.to_string();
        transaction.execute("UPDATE callers SET perimeter = ?2 WHERE id = ?1", params![id.as_str(), perimeter])?;
    }
    if let Some(weight) = edit.weight {
        let weight = params![id.as_str(), weight.get()];
        transaction.execute("UPDATE callers SET weight = ?2 WHERE id = ?1", weight)?;
    }
    Ok(receipt)
}

pub(super) fn delete(transaction: &Transaction<'_>, id: &CallerId, at: i64) -> Result<Receipt, StoreError> {
    if id.as_str() == LOCAL {
        return Err(StoreError::Fixed(LOCAL.to_owned()));
    }
    let receipt = receipt(transaction, Act::CallerDeleted, id, at)?;
    transaction.execute(
        "UPDATE callers SET deleted_at = ?2, token_digest = NULL, former_digest = NULL, former_until = NULL
         WHERE id = ?1",
        params![id.as_str(), at],
    )?;
    transaction.execute("DELETE FROM run_tokens WHERE caller = ?1", [id.as_str()])?;
    transaction.execute("DELETE FROM shares WHERE kind = 'caller' AND target = ?1", [id.as_str()])?;
    Ok(receipt)
}

pub(super) fn list(connection: &Connection) -> Result<Vec<ListedCaller>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT c.id, c.name, c.owner, c.environment, c.token_digest, c.former_digest, c.former_until, c.perimeter,
             u.name, c.created_at, c.last_used_at, c.weight
         FROM callers c JOIN users u ON u.id = c.owner WHERE c.deleted_at IS NULL ORDER BY c.name",
    )?;
    statement
        .query_and_then([], |row| {
            let owner_name = codec::name(codec::text(row, 8)?)?;
            Ok(ListedCaller { caller: caller(row)?, owner_name, created_at: row.get(9)?, last_used_at: row.get(10)? })
        })?
        .collect()
}

fn caller(row: &Row<'_>) -> Result<Caller, StoreError> {
    let former: (Option<[u8; 32]>, Option<i64>) = (row.get(5)?, row.get(6)?);
    Ok(Caller {
        id: CallerId::new(codec::text(row, 0)?),
        name: codec::name(codec::text(row, 1)?)?,
        owner: codec::user_id(row, 2)?,
        environment: codec::optional_name(row, 3)?,
        token_digest: row.get(4)?,
        former: former.0.zip(former.1).map(|(digest, until)| FormerToken { digest, until }),
        perimeter: Perimeter::parse(codec::text(row, 7)?).map_err(|_| codec::damaged("perimeter"))?,
        weight: Weight::new(row.get(11)?).ok_or_else(|| codec::damaged("weight"))?,
    })
}

pub(super) fn note_used(transaction: &Transaction<'_>, seen: &[(CallerId, i64)]) -> Result<(), StoreError> {
    let sql = "UPDATE callers SET last_used_at = max(coalesce(last_used_at, 0), ?2) WHERE id = ?1";
    let mut statement = transaction.prepare_cached(sql)?;
    for (id, at) in seen {
        statement.execute(params![id.as_str(), at])?;
    }
    Ok(())
}

pub(super) fn receipt(connection: &Connection, act: Act, id: &CallerId, at: i64) -> Result<Receipt, StoreError> {
    let name = require(connection, "caller", id.as_str())?;
    let owner: String = connection.query_row("SELECT owner FROM callers WHERE id = ?1", [id.as_str()], |r| r.get(0))?;
    let owner = Some(UserId::new(&owner));
    Ok(Receipt { act, id: id.to_string(), name, owner, version: None, with: None, details: Vec::new(), at })
}
