//! Users and teams: reading and changing them. Each changing function is the body of one transaction.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::domain::{Role, Team, TeamId, User, UserId};

use super::super::{Act, Inheritance, LOCAL, ListedTeam, ListedUser, Receipt, StoreError};
use super::{codec, master};

/// The name of a living user, team or caller, or [`StoreError::Unknown`]. `what` is one of these three words.
pub(super) fn require(connection: &Connection, what: &'static str, id: &str) -> Result<String, StoreError> {
    let sql = format!("SELECT name FROM {what}s WHERE id = ?1 AND deleted_at IS NULL");
    let found = connection.prepare_cached(&sql)?.query_row([id], |row| row.get(0)).optional()?;
    found.ok_or_else(|| StoreError::Unknown { what, which: id.to_owned() })
}

pub(super) fn refuse_taken(connection: &Connection, what: &'static str, name: &str) -> Result<(), StoreError> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM {what}s WHERE name = ?1 AND deleted_at IS NULL)");
    let taken: bool = connection.prepare_cached(&sql)?.query_row([name], |row| row.get(0))?;
    if taken { Err(StoreError::NameTaken { what, name: name.to_owned() }) } else { Ok(()) }
}

fn receipt(connection: &Connection, act: Act, what: &'static str, id: &str, at: i64) -> Result<Receipt, StoreError> {
    let name = require(connection, what, id)?;
    Ok(Receipt { act, id: id.to_owned(), name, owner: None, version: None, with: None, details: Vec::new(), at })
}

pub(super) fn add_user(transaction: &Transaction<'_>, user: &User, at: i64) -> Result<Receipt, StoreError> {
    refuse_taken(transaction, "user", user.name.as_str())?;
    transaction.execute(
        "INSERT INTO users (id, name, role, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![user.id.as_str(), user.name.as_str(), user.role.as_str(), at],
    )?;
    receipt(transaction, Act::UserAdded, "user", user.id.as_str(), at)
}

pub(super) fn set_role(transaction: &Transaction<'_>, id: &UserId, role: Role, at: i64) -> Result<Receipt, StoreError> {
    refuse_fixed(id)?;
    let receipt = receipt(transaction, Act::UserRoleChanged, "user", id.as_str(), at)?;
    transaction.execute("UPDATE users SET role = ?2 WHERE id = ?1", params![id.as_str(), role.as_str()])?;
    Ok(receipt)
}

pub(super) fn delete_user(
    transaction: &Transaction<'_>,
    id: &UserId,
    inheritance: Option<&Inheritance>,
    at: i64,
) -> Result<Receipt, StoreError> {
    refuse_fixed(id)?;
    let mut receipt = receipt(transaction, Act::UserDeleted, "user", id.as_str(), at)?;
    match inheritance {
        Some(inheritance) => {
            give(transaction, id, inheritance)?;
            receipt.with = Some(format!("user:{}", inheritance.heir));
        }
        None => refuse_owner(transaction, id, &receipt.name)?,
    }
    transaction.execute("DELETE FROM team_members WHERE user = ?1", [id.as_str()])?;
    transaction.execute("DELETE FROM shares WHERE kind = 'user' AND target = ?1", [id.as_str()])?;
    transaction.execute("UPDATE users SET deleted_at = ?2 WHERE id = ?1", params![id.as_str(), at])?;
    Ok(receipt)
}

fn refuse_fixed(id: &UserId) -> Result<(), StoreError> {
    if id.as_str() == LOCAL { Err(StoreError::Fixed(LOCAL.to_owned())) } else { Ok(()) }
}

/// What lives may not lose its owner.
fn refuse_owner(transaction: &Transaction<'_>, id: &UserId, user: &str) -> Result<(), StoreError> {
    let names = |table: &str| -> Result<Vec<String>, StoreError> {
        let sql = format!("SELECT name FROM {table} WHERE owner = ?1 AND deleted_at IS NULL ORDER BY name");
        Ok(transaction.prepare(&sql)?.query_map([id.as_str()], |row| row.get(0))?.collect::<Result<_, _>>()?)
    };
    let (keys, callers) = (names("credentials")?, names("callers")?);
    if keys.is_empty() && callers.is_empty() {
        return Ok(());
    }
    Err(StoreError::StillOwns { user: user.to_owned(), keys, callers })
}

/// Everything of `from` becomes the heir's: deleted keys too, since they can be restored.
fn give(transaction: &Transaction<'_>, from: &UserId, inheritance: &Inheritance) -> Result<(), StoreError> {
    let (from, heir) = (from.as_str(), inheritance.heir.as_str());
    if from == heir {
        return Err(StoreError::Unknown { what: "user", which: heir.to_owned() });
    }
    let heir_name = require(transaction, "user", heir)?;
    let twice = "SELECT name FROM credentials WHERE owner = ?1 AND deleted_at IS NULL AND name IN
        (SELECT name FROM credentials WHERE owner = ?2 AND deleted_at IS NULL) ORDER BY name LIMIT 1";
    if let Some(name) = transaction.query_row(twice, [from, heir], |row| row.get(0)).optional()? {
        return Err(StoreError::NameTaken { what: "credential", name });
    }
    let moved = || StoreError::Moved(format!("what goes to {heir_name}"));
    let with_value = "SELECT count(*) FROM versions v JOIN credentials c ON c.id = v.credential
        WHERE c.owner = ?1 AND v.destroyed_at IS NULL";
    let expected: i64 = transaction.query_row(with_value, [from], |row| row.get(0))?;
    if usize::try_from(expected) != Ok(inheritance.versions.len()) {
        return Err(moved());
    }
    let mut update = transaction.prepare(
        "UPDATE versions SET master = ?3, wrapped_key = ?4, fields = ?5 WHERE credential = ?1 AND number = ?2
         AND destroyed_at IS NULL AND credential IN (SELECT id FROM credentials WHERE owner = ?6)",
    )?;
    for version in &inheritance.versions {
        let sealed = &version.sealed;
        master::require(transaction, sealed.master)?;
        let (id, fields) = (version.credential.as_str(), codec::fields_to_blob(sealed)?);
        let values = params![id, version.number, sealed.master, &*sealed.wrapped_key, fields, from];
        if update.execute(values)? != 1 {
            return Err(moved());
        }
    }
    let pointless = "DELETE FROM shares WHERE kind = 'user' AND target = ?2
        AND credential IN (SELECT id FROM credentials WHERE owner = ?1)";
    transaction.execute(pointless, [from, heir])?;
    transaction.execute("UPDATE credentials SET owner = ?2 WHERE owner = ?1", [from, heir])?;
    transaction.execute("UPDATE callers SET owner = ?2 WHERE owner = ?1", [from, heir])?;
    Ok(())
}

pub(super) fn user(connection: &Connection, id: &UserId) -> Result<Option<User>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT m.team FROM team_members m JOIN teams t ON t.id = m.team
         WHERE m.user = ?1 AND t.deleted_at IS NULL ORDER BY t.name",
    )?;
    let teams = statement.query_and_then([id.as_str()], |row| Ok(TeamId::new(codec::text(row, 0)?)))?;
    let teams = teams.collect::<Result<Vec<_>, StoreError>>()?;
    let mut statement =
        connection.prepare_cached("SELECT name, role FROM users WHERE id = ?1 AND deleted_at IS NULL")?;
    let user = |row: &Row<'_>| {
        let role = Role::parse(codec::text(row, 1)?).ok_or_else(|| codec::damaged("role"))?;
        Ok(User { id: id.clone(), name: codec::name(codec::text(row, 0)?)?, role, teams: teams.clone() })
    };
    statement.query_and_then([id.as_str()], user)?.next().transpose()
}

pub(super) fn users(connection: &Connection) -> Result<Vec<ListedUser>, StoreError> {
    let mut teams: HashMap<UserId, Vec<TeamId>> = HashMap::new();
    for (team, user) in memberships(connection)? {
        teams.entry(user).or_default().push(team);
    }
    let mut statement = connection
        .prepare_cached("SELECT id, name, role, created_at FROM users WHERE deleted_at IS NULL ORDER BY name")?;
    statement
        .query_and_then([], |row| {
            let id = codec::user_id(row, 0)?;
            let role = Role::parse(codec::text(row, 2)?).ok_or_else(|| codec::damaged("role"))?;
            let teams = teams.remove(&id).unwrap_or_default();
            let user = User { id, name: codec::name(codec::text(row, 1)?)?, role, teams };
            Ok(ListedUser { user, created_at: row.get(3)? })
        })?
        .collect()
}

pub(super) fn add_team(transaction: &Transaction<'_>, team: &Team, at: i64) -> Result<Receipt, StoreError> {
    refuse_taken(transaction, "team", team.name.as_str())?;
    transaction.execute(
        "INSERT INTO teams (id, name, created_at) VALUES (?1, ?2, ?3)",
        params![team.id.as_str(), team.name.as_str(), at],
    )?;
    receipt(transaction, Act::TeamAdded, "team", team.id.as_str(), at)
}

pub(super) fn delete_team(transaction: &Transaction<'_>, id: &TeamId, at: i64) -> Result<Receipt, StoreError> {
    let receipt = receipt(transaction, Act::TeamDeleted, "team", id.as_str(), at)?;
    transaction.execute("UPDATE teams SET deleted_at = ?2 WHERE id = ?1", params![id.as_str(), at])?;
    transaction.execute("DELETE FROM team_members WHERE team = ?1", [id.as_str()])?;
    transaction.execute("DELETE FROM shares WHERE kind = 'team' AND target = ?1", [id.as_str()])?;
    Ok(receipt)
}

pub(super) fn add_member(
    transaction: &Transaction<'_>,
    team: &TeamId,
    user: &UserId,
    at: i64,
) -> Result<Receipt, StoreError> {
    let receipt = receipt(transaction, Act::MemberAdded, "team", team.as_str(), at)?;
    require(transaction, "user", user.as_str())?;
    transaction.execute(
        "INSERT INTO team_members (team, user, created_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![team.as_str(), user.as_str(), at],
    )?;
    Ok(Receipt { with: Some(format!("user:{user}")), ..receipt })
}

pub(super) fn remove_member(
    transaction: &Transaction<'_>,
    team: &TeamId,
    user: &UserId,
    at: i64,
) -> Result<Receipt, StoreError> {
    let receipt = receipt(transaction, Act::MemberRemoved, "team", team.as_str(), at)?;
    let name = require(transaction, "user", user.as_str())?;
    let ended = transaction
        .execute("DELETE FROM team_members WHERE team = ?1 AND user = ?2", [team.as_str(), user.as_str()])?;
    if ended == 0 {
        return Err(StoreError::Unknown { what: "member", which: format!("{name} of {}", receipt.name) });
    }
    Ok(Receipt { with: Some(format!("user:{user}")), ..receipt })
}

pub(super) fn teams(connection: &Connection) -> Result<Vec<ListedTeam>, StoreError> {
    let mut members: HashMap<TeamId, Vec<UserId>> = HashMap::new();
    for (team, user) in memberships(connection)? {
        members.entry(team).or_default().push(user);
    }
    let mut statement =
        connection.prepare_cached("SELECT id, name, created_at FROM teams WHERE deleted_at IS NULL ORDER BY name")?;
    statement
        .query_and_then([], |row| {
            let team = Team { id: TeamId::new(codec::text(row, 0)?), name: codec::name(codec::text(row, 1)?)? };
            let members = members.remove(&team.id).unwrap_or_default();
            Ok(ListedTeam { team, members, created_at: row.get(2)? })
        })?
        .collect()
}

/// Who is in which living team, by the names of both.
fn memberships(connection: &Connection) -> Result<Vec<(TeamId, UserId)>, StoreError> {
    let mut statement = connection.prepare_cached(
        // From the members on: by the names of both, SQLite would look at every team with every user.
        "SELECT m.team, m.user FROM team_members m CROSS JOIN teams t ON t.id = m.team CROSS JOIN users u ON u.id = m.user
         WHERE t.deleted_at IS NULL AND u.deleted_at IS NULL ORDER BY t.name, u.name",
    )?;
    statement.query_and_then([], |row| Ok((TeamId::new(codec::text(row, 0)?), codec::user_id(row, 1)?)))?.collect()
}
