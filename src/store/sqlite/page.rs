//! Reading a part of a large store: a page of credentials, the names that stand in it, how much each user owns.

use std::collections::HashMap;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use crate::domain::{Name, Share, TeamId, UserId};

use super::super::{CredentialPage, ListedCredential, Named, Owned, StoreError, Viewer};
use super::{codec, inventory};

/// What a user sees: what it owns, and what is shared with it, its teams, its callers or everyone.
const SEEN: &str = " AND c.id IN (
    SELECT id FROM credentials WHERE owner = ?V AND deleted_at IS NULL
    UNION SELECT credential FROM shares WHERE kind = 'everyone'
    UNION SELECT credential FROM shares WHERE kind = 'user' AND target = ?V
    UNION SELECT credential FROM shares WHERE kind = 'team' AND target IN (SELECT value FROM json_each(?T))
    UNION SELECT credential FROM shares WHERE kind = 'caller'
        AND target IN (SELECT id FROM callers WHERE owner = ?V AND deleted_at IS NULL))";

pub(super) fn credentials(
    connection: &mut Connection,
    page: &CredentialPage,
) -> Result<Vec<ListedCredential>, StoreError> {
    let mut values: Vec<Value> = Vec::new();
    let mut put = |value: &str| {
        values.push(Value::Text(value.to_owned()));
        format!("?{}", values.len())
    };
    // The order of the tables is said, since nobody counts for SQLite how much is in them.
    let mut rest = " CROSS JOIN users u ON u.id = c.owner WHERE c.deleted_at IS NULL".to_owned();
    let filter = &page.filter;
    let environment = filter.environment.as_ref().map(Name::as_str);
    for (column, wanted) in [
        ("name", filter.name.as_ref().map(Name::as_str)),
        ("owner", filter.owner.as_ref().map(UserId::as_str)),
        ("service", filter.service.as_ref().map(Name::as_str)),
        ("environment", environment),
    ] {
        let wanted = wanted.map(|text| format!(" AND c.{column} = {}", put(text)));
        rest.push_str(&wanted.unwrap_or_default());
    }
    if let Some(Viewer { user, teams }) = &page.viewer {
        let teams: Vec<&str> = teams.iter().map(TeamId::as_str).collect();
        let teams = serde_json::to_string(&teams).map_err(|_| codec::damaged("list of teams"))?;
        let (user, teams) = (put(user.as_str()), put(&teams));
        rest.push_str(&SEEN.replace("?V", &user).replace("?T", &teams));
    }
    if let Some((name, owner, id)) = &page.after {
        let (name, owner, id) = (put(name), put(owner), put(id));
        // The first of these two lets the index begin at the right place.
        let later = format!(" AND c.name >= {name} AND (c.name > {name} OR (u.name, c.id) > ({owner}, {id}))");
        rest.push_str(&later);
    }
    let rest = format!("{rest} ORDER BY c.name, u.name, c.id LIMIT {}", page.most);
    let transaction = connection.transaction()?;
    inventory::select(&transaction, &rest, params_from_iter(values))
}

pub(super) fn named(connection: &mut Connection, shares: &[Share]) -> Result<Vec<Named>, StoreError> {
    let transaction = connection.transaction()?;
    let mut out = Vec::new();
    for share in shares {
        let (table, id) = match share {
            Share::User(id) => ("users", id.as_str()),
            Share::Team(id) => ("teams", id.as_str()),
            Share::Caller(id) => ("callers", id.as_str()),
            Share::Everyone => continue,
        };
        let owner = if table == "callers" { "owner" } else { "NULL" };
        let sql = format!("SELECT name, {owner} FROM {table} WHERE id = ?1 AND deleted_at IS NULL");
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?));
        let Some((name, owner)) = transaction.prepare_cached(&sql)?.query_row([id], row).optional()? else { continue };
        let owner = owner.as_deref().map(UserId::new);
        out.push(Named { share: share.clone(), name: codec::name(&name)?, owner });
    }
    Ok(out)
}

pub(super) fn owned(connection: &mut Connection, users: &[UserId]) -> Result<HashMap<UserId, Owned>, StoreError> {
    let transaction = connection.transaction()?;
    let count = |table: &str, user: &UserId| -> Result<usize, StoreError> {
        let sql = format!("SELECT count(*) FROM {table} WHERE owner = ?1 AND deleted_at IS NULL");
        let count: i64 = transaction.prepare_cached(&sql)?.query_row([user.as_str()], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    };
    let owned = |user: &UserId| {
        let owned = Owned { keys: count("credentials", user)?, callers: count("callers", user)? };
        Ok((user.clone(), owned))
    };
    users.iter().map(owned).collect()
}
