//! Users and callers: reading and changing them. Each changing function is the body of one transaction.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::domain::{Caller, CallerId, TeamId, User, UserId};

use super::super::{Act, LOCAL, ListedCaller, Receipt, StoreError};
use super::codec;

/// The name of a living user, team or caller, or [`StoreError::Unknown`]. `what` is one of these three words.
pub(super) fn require(connection: &Connection, what: &'static str, id: &str) -> Result<String, StoreError> {
    let sql = format!("SELECT name FROM {what}s WHERE id = ?1 AND deleted_at IS NULL");
    let found = connection.prepare_cached(&sql)?.query_row([id], |row| row.get(0)).optional()?;
    found.ok_or_else(|| StoreError::Unknown { what, which: id.to_owned() })
}

fn refuse_taken(connection: &Connection, what: &'static str, name: &str) -> Result<(), StoreError> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM {what}s WHERE name = ?1 AND deleted_at IS NULL)");
    let taken: bool = connection.prepare_cached(&sql)?.query_row([name], |row| row.get(0))?;
    if taken { Err(StoreError::NameTaken { what, name: name.to_owned() }) } else { Ok(()) }
}

pub(super) fn add_user(transaction: &Transaction<'_>, user: &User, at: i64) -> Result<Receipt, StoreError> {
    refuse_taken(transaction, "user", user.name.as_str())?;
    transaction.execute(
        "INSERT INTO users (id, name, created_at) VALUES (?1, ?2, ?3)",
        params![user.id.as_str(), user.name.as_str(), at],
    )?;
    let (id, name) = (user.id.to_string(), user.name.to_string());
    Ok(Receipt { act: Act::UserAdded, id, name, owner: None, version: None, with: None, at })
}

pub(super) fn users(connection: &Connection) -> Result<Vec<User>, StoreError> {
    let mut teams: HashMap<String, Vec<TeamId>> = HashMap::new();
    let mut members = connection.prepare_cached(
        "SELECT m.user, m.team FROM team_members m JOIN teams t ON t.id = m.team AND t.deleted_at IS NULL ORDER BY t.name",
    )?;
    let pairs = members.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    for pair in pairs {
        let (user, team) = pair?;
        teams.entry(user).or_default().push(TeamId::new(&team));
    }
    let mut statement =
        connection.prepare_cached("SELECT id, name FROM users WHERE deleted_at IS NULL ORDER BY name")?;
    statement
        .query_and_then([], |row| {
            let id = codec::text(row, 0)?;
            let teams = teams.remove(id).unwrap_or_default();
            Ok(User { id: UserId::new(id), name: codec::name(codec::text(row, 1)?)?, teams })
        })?
        .collect()
}

pub(super) fn add_caller(transaction: &Transaction<'_>, caller: &Caller, at: i64) -> Result<Receipt, StoreError> {
    require(transaction, "user", caller.owner.as_str())?;
    refuse_taken(transaction, "caller", caller.name.as_str())?;
    transaction.execute(
        "INSERT INTO callers (id, name, owner, environment, token_digest, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            caller.id.as_str(),
            caller.name.as_str(),
            caller.owner.as_str(),
            caller.environment.as_ref().map(AsRef::<str>::as_ref),
            caller.token_digest.as_ref().map(<[u8; 32]>::as_slice),
            at,
        ],
    )?;
    receipt(transaction, Act::CallerAdded, &caller.id, at)
}

pub(super) fn rotate_caller(
    transaction: &Transaction<'_>,
    id: &CallerId,
    token_digest: [u8; 32],
    at: i64,
) -> Result<Receipt, StoreError> {
    let receipt = receipt(transaction, Act::CallerRotated, id, at)?;
    transaction
        .execute("UPDATE callers SET token_digest = ?2 WHERE id = ?1", params![id.as_str(), token_digest.as_slice()])?;
    Ok(receipt)
}

pub(super) fn delete_caller(transaction: &Transaction<'_>, id: &CallerId, at: i64) -> Result<Receipt, StoreError> {
    if id.as_str() == LOCAL {
        return Err(StoreError::Fixed(LOCAL.to_owned()));
    }
    let receipt = receipt(transaction, Act::CallerDeleted, id, at)?;
    transaction
        .execute("UPDATE callers SET deleted_at = ?2, token_digest = NULL WHERE id = ?1", params![id.as_str(), at])?;
    transaction.execute("DELETE FROM shares WHERE kind = 'caller' AND target = ?1", [id.as_str()])?;
    Ok(receipt)
}

pub(super) fn callers(connection: &Connection) -> Result<Vec<ListedCaller>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT c.id, c.name, c.owner, c.environment, c.token_digest, u.name, c.created_at, c.last_used_at
         FROM callers c JOIN users u ON u.id = c.owner WHERE c.deleted_at IS NULL ORDER BY c.name",
    )?;
    statement
        .query_and_then([], |row| {
            let caller = Caller {
                id: CallerId::new(codec::text(row, 0)?),
                name: codec::name(codec::text(row, 1)?)?,
                owner: codec::user_id(row, 2)?,
                environment: codec::optional_name(row, 3)?,
                token_digest: row.get(4)?,
            };
            let owner_name = codec::name(codec::text(row, 5)?)?;
            Ok(ListedCaller { caller, owner_name, created_at: row.get(6)?, last_used_at: row.get(7)? })
        })?
        .collect()
}

pub(super) fn note_callers_used(transaction: &Transaction<'_>, seen: &[(CallerId, i64)]) -> Result<(), StoreError> {
    let sql = "UPDATE callers SET last_used_at = max(coalesce(last_used_at, 0), ?2) WHERE id = ?1";
    let mut statement = transaction.prepare_cached(sql)?;
    for (id, at) in seen {
        statement.execute(params![id.as_str(), at])?;
    }
    Ok(())
}

fn receipt(connection: &Connection, act: Act, id: &CallerId, at: i64) -> Result<Receipt, StoreError> {
    let name = require(connection, "caller", id.as_str())?;
    let owner: String = connection.query_row("SELECT owner FROM callers WHERE id = ?1", [id.as_str()], |r| r.get(0))?;
    let owner = Some(UserId::new(&owner));
    Ok(Receipt { act, id: id.to_string(), name, owner, version: None, with: None, at })
}
