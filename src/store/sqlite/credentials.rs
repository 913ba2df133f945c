//! Changing credentials: each function is the body of one transaction and returns its receipt.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::domain::{Credential, CredentialId, QuotaUse, Sealed, Share, Shared, UserId};

use super::super::{Act, CredentialEdit, Receipt, StoreError, Verified};
use super::{codec, master, people};

/// A living credential's row, as far as changes need it.
struct Row {
    id: CredentialId,
    name: String,
    owner: UserId,
    current: u32,
}

impl Row {
    fn receipt(self, act: Act, at: i64) -> Receipt {
        let (id, version) = (self.id.to_string(), Some(self.current));
        Receipt { act, id, name: self.name, owner: Some(self.owner), version, with: None, details: Vec::new(), at }
    }
}

pub(super) fn add(
    transaction: &Transaction<'_>,
    credential: &Credential,
    rotate_every: Option<i64>,
    at: i64,
) -> Result<Receipt, StoreError> {
    let name = credential.name.as_str();
    let sealed = credential.sealed.as_ref().ok_or_else(|| StoreError::Unsealed(name.to_owned()))?;
    people::require(transaction, "user", credential.owner.as_str())?;
    refuse_taken(transaction, credential.owner.as_str(), name)?;
    transaction.execute(
        "INSERT INTO credentials (id, name, owner, service, environment, variables, expires_at, created_at, current,
             rotate_every, limit_owner, pool)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            credential.id.as_str(),
            name,
            credential.owner.as_str(),
            credential.service.as_str(),
            credential.environment.as_ref().map(AsRef::<str>::as_ref),
            codec::variables_to_text(&credential.variables)?,
            credential.expires,
            at,
            credential.version,
            rotate_every,
            credential.limit_owner.as_ref().map(AsRef::<str>::as_ref),
            credential.pool.as_ref().map(AsRef::<str>::as_ref),
        ],
    )?;
    insert_version(transaction, &credential.id, credential.version, None, sealed, at)?;
    for share in &credential.shares {
        insert_share(transaction, &credential.id, share, at)?;
    }
    Ok(find(transaction, &credential.id)?.receipt(Act::CredentialAdded, at))
}

pub(super) fn rotate(
    transaction: &Transaction<'_>,
    id: &CredentialId,
    number: u32,
    sealed: &Sealed,
    overlap_until: Option<i64>,
    at: i64,
) -> Result<Receipt, StoreError> {
    let row = find(transaction, id)?;
    let highest: i64 =
        transaction.query_row("SELECT max(number) FROM versions WHERE credential = ?1", [id.as_str()], |r| r.get(0))?;
    if i64::from(number) != highest + 1 {
        return Err(StoreError::Moved(row.name));
    }
    insert_version(transaction, id, number, Some(row.current), sealed, at)?;
    let row = make_current(transaction, row, number, at)?;
    let overlap = "UPDATE credentials SET overlap_until = ?2 WHERE id = ?1";
    transaction.execute(overlap, params![id.as_str(), overlap_until])?;
    Ok(row.receipt(Act::CredentialRotated, at))
}

pub(super) fn note_verified(
    transaction: &Transaction<'_>,
    id: &CredentialId,
    verified: &Verified,
) -> Result<(), StoreError> {
    transaction.execute(
        "UPDATE credentials SET verified_at = ?2, verified_version = ?3, verdict = ?4 WHERE id = ?1",
        params![id.as_str(), verified.at, verified.version, verified.verdict],
    )?;
    Ok(())
}

pub(super) fn roll_back(transaction: &Transaction<'_>, id: &CredentialId, at: i64) -> Result<Receipt, StoreError> {
    let row = find(transaction, id)?;
    let before: Option<i64> = transaction.query_row(
        "SELECT replaced FROM versions WHERE credential = ?1 AND number = ?2",
        params![id.as_str(), row.current],
        |r| r.get(0),
    )?;
    let Some(before) = before else {
        return Err(StoreError::NothingBefore { name: row.name, version: row.current });
    };
    make_current(transaction, row, codec::number(before)?, at).map(|row| row.receipt(Act::CredentialRolledBack, at))
}

pub(super) fn edit(
    transaction: &Transaction<'_>,
    id: &CredentialId,
    edit: &CredentialEdit,
    at: i64,
) -> Result<Receipt, StoreError> {
    let row = find(transaction, id)?;
    if let Some(name) = edit.name.as_ref().filter(|name| name.as_str() != row.name) {
        refuse_taken(transaction, row.owner.as_str(), name.as_str())?;
        transaction.execute("UPDATE credentials SET name = ?2 WHERE id = ?1", [id.as_str(), name.as_str()])?;
    }
    if let Some(environment) = &edit.environment {
        let environment = environment.as_ref().map(AsRef::<str>::as_ref);
        transaction
            .execute("UPDATE credentials SET environment = ?2 WHERE id = ?1", params![id.as_str(), environment])?;
    }
    if let Some(expires) = edit.expires {
        transaction.execute("UPDATE credentials SET expires_at = ?2 WHERE id = ?1", params![id.as_str(), expires])?;
    }
    if let Some(owner) = &edit.limit_owner {
        let owner = owner.as_ref().map(AsRef::<str>::as_ref);
        transaction.execute("UPDATE credentials SET limit_owner = ?2 WHERE id = ?1", params![id.as_str(), owner])?;
    }
    if let Some(pool) = &edit.pool {
        let pool = pool.as_ref().map(AsRef::<str>::as_ref);
        transaction.execute("UPDATE credentials SET pool = ?2 WHERE id = ?1", params![id.as_str(), pool])?;
    }
    if let Some(every) = edit.rotate_every {
        transaction.execute("UPDATE credentials SET rotate_every = ?2 WHERE id = ?1", params![id.as_str(), every])?;
    }
    if let Some(every) = edit.verify_every {
        transaction.execute("UPDATE credentials SET verify_every = ?2 WHERE id = ?1", params![id.as_str(), every])?;
    }
    Ok(find(transaction, id)?.receipt(Act::CredentialEdited, at))
}

pub(super) fn delete(transaction: &Transaction<'_>, id: &CredentialId, at: i64) -> Result<Receipt, StoreError> {
    let row = find(transaction, id)?;
    transaction.execute("UPDATE credentials SET deleted_at = ?2 WHERE id = ?1", params![id.as_str(), at])?;
    Ok(row.receipt(Act::CredentialDeleted, at))
}

pub(super) fn restore(transaction: &Transaction<'_>, id: &CredentialId, at: i64) -> Result<Receipt, StoreError> {
    let (row, destroyed) = select(transaction, id, "c.deleted_at IS NOT NULL")?;
    if destroyed {
        return Err(StoreError::Destroyed(row.name));
    }
    people::require(transaction, "user", row.owner.as_str())?;
    refuse_taken(transaction, row.owner.as_str(), &row.name)?;
    transaction.execute("UPDATE credentials SET deleted_at = NULL WHERE id = ?1", [id.as_str()])?;
    Ok(row.receipt(Act::CredentialRestored, at))
}

pub(super) fn purge(transaction: &Transaction<'_>, deleted_before: i64, at: i64) -> Result<Vec<Receipt>, StoreError> {
    let mut due = transaction.prepare(
        "SELECT id, name, owner, current, service, deleted_at FROM credentials c WHERE deleted_at < ?1
         AND EXISTS (SELECT 1 FROM versions WHERE credential = c.id AND destroyed_at IS NULL) ORDER BY deleted_at, id",
    )?;
    let due = due
        .query_and_then([deleted_before], |r| {
            let (id, owner) = (codec::credential_id(r, 0)?, codec::user_id(r, 2)?);
            let row = Row { id, name: r.get(1)?, owner, current: codec::number(r.get(3)?)? };
            let deleted_at = jiff::Timestamp::from_second(r.get(5)?).unwrap_or_default().to_string();
            let details = vec![("service".to_owned(), r.get(4)?), ("deleted_at".to_owned(), deleted_at)];
            Ok(Receipt { details, ..row.receipt(Act::CredentialDestroyed, at) })
        })?
        .collect::<Result<Vec<_>, StoreError>>()?;
    transaction.execute(
        "UPDATE versions SET master = NULL, wrapped_key = NULL, fields = NULL, destroyed_at = ?2
         WHERE destroyed_at IS NULL AND credential IN (SELECT id FROM credentials WHERE deleted_at < ?1)",
        params![deleted_before, at],
    )?;
    Ok(due)
}

pub(super) fn share(
    transaction: &Transaction<'_>,
    id: &CredentialId,
    shared: &Shared,
    at: i64,
) -> Result<Receipt, StoreError> {
    let row = find(transaction, id)?;
    insert_share(transaction, id, shared, at)?;
    Ok(Receipt { with: Some(written(&shared.with)), ..row.receipt(Act::CredentialShared, at) })
}

pub(super) fn unshare(
    transaction: &Transaction<'_>,
    id: &CredentialId,
    with: &Share,
    at: i64,
) -> Result<Receipt, StoreError> {
    let row = find(transaction, id)?;
    let (kind, target) = codec::share_to_columns(with);
    let ended = transaction.execute(
        "DELETE FROM shares WHERE credential = ?1 AND kind = ?2 AND target = ?3",
        params![id.as_str(), kind, target],
    )?;
    if ended == 0 {
        return Err(StoreError::Unknown { what: "share", which: format!("{} with {}", row.name, written(with)) });
    }
    Ok(Receipt { with: Some(written(with)), ..row.receipt(Act::CredentialUnshared, at) })
}

pub(super) fn note_quota_uses(transaction: &Transaction<'_>, uses: &[QuotaUse]) -> Result<(), StoreError> {
    // A share may have ended since.
    let mut statement = transaction.prepare_cached(
        "INSERT INTO quota_uses (credential, kind, target, period, used)
         SELECT credential, kind, target, ?4, ?5 FROM shares WHERE credential = ?1 AND kind = ?2 AND target = ?3
         ON CONFLICT DO UPDATE SET period = excluded.period, used = excluded.used",
    )?;
    for QuotaUse { credential, share, period, used } in uses {
        let (kind, target) = codec::share_to_columns(share);
        statement.execute(params![credential.as_str(), kind, target, period, used])?;
    }
    Ok(())
}

pub(super) fn quota_uses(connection: &Connection) -> Result<Vec<QuotaUse>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT credential, kind, target, period, used FROM quota_uses")?;
    statement
        .query_and_then([], |row| {
            let share = codec::share(codec::text(row, 1)?, codec::text(row, 2)?)?;
            let (period, used) = (codec::number(row.get(3)?)?, codec::number(row.get(4)?)?);
            Ok(QuotaUse { credential: codec::credential_id(row, 0)?, share, period, used })
        })?
        .collect()
}

/// As the audit writes it.
fn written(share: &Share) -> String {
    match codec::share_to_columns(share) {
        (kind, "") => kind.to_owned(),
        (kind, target) => format!("{kind}:{target}"),
    }
}

fn find(transaction: &Transaction<'_>, id: &CredentialId) -> Result<Row, StoreError> {
    select(transaction, id, "c.deleted_at IS NULL").map(|(row, _)| row)
}

/// The row and whether its current value was destroyed. `condition` is one of our own texts.
fn select(transaction: &Transaction<'_>, id: &CredentialId, condition: &str) -> Result<(Row, bool), StoreError> {
    let sql = format!(
        "SELECT c.name, c.owner, c.current, v.destroyed_at IS NOT NULL FROM credentials c
         JOIN versions v ON v.credential = c.id AND v.number = c.current WHERE c.id = ?1 AND {condition}"
    );
    let found = transaction
        .prepare_cached(&sql)?
        .query_row([id.as_str()], |r| Ok((r.get(0)?, r.get::<_, String>(1)?, r.get::<_, i64>(2)?, r.get(3)?)))
        .optional()?;
    let Some((name, owner, current, destroyed)) = found else {
        return Err(StoreError::Unknown { what: "credential", which: id.to_string() });
    };
    let row = Row { id: id.clone(), name, owner: UserId::new(&owner), current: codec::number(current)? };
    Ok((row, destroyed))
}

fn refuse_taken(transaction: &Transaction<'_>, owner: &str, name: &str) -> Result<(), StoreError> {
    let taken: bool = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM credentials WHERE owner = ?1 AND name = ?2 AND deleted_at IS NULL)",
        [owner, name],
        |r| r.get(0),
    )?;
    if taken { Err(StoreError::NameTaken { what: "credential", name: name.to_owned() }) } else { Ok(()) }
}

fn insert_version(
    transaction: &Transaction<'_>,
    id: &CredentialId,
    number: u32,
    replaced: Option<u32>,
    sealed: &Sealed,
    at: i64,
) -> Result<(), StoreError> {
    master::require(transaction, sealed.master)?;
    transaction.execute(
        "INSERT INTO versions (credential, number, replaced, master, wrapped_key, fields, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![id.as_str(), number, replaced, sealed.master, &*sealed.wrapped_key, codec::fields_to_blob(sealed)?, at],
    )?;
    Ok(())
}

/// The former current version is retired at `at`, and `number` is not any more.
fn make_current(transaction: &Transaction<'_>, row: Row, number: u32, at: i64) -> Result<Row, StoreError> {
    let id = row.id.as_str();
    let retire = "UPDATE versions SET retired_at = ?3 WHERE credential = ?1 AND number = ?2";
    transaction.execute(retire, params![id, row.current, at])?;
    transaction.execute(retire, params![id, number, None::<i64>])?;
    let current = "UPDATE credentials SET current = ?2, overlap_until = NULL WHERE id = ?1";
    transaction.execute(current, params![id, number])?;
    Ok(Row { current: number, ..row })
}

fn insert_share(transaction: &Transaction<'_>, id: &CredentialId, shared: &Shared, at: i64) -> Result<(), StoreError> {
    let (kind, target) = codec::share_to_columns(&shared.with);
    if shared.with != Share::Everyone {
        people::require(transaction, kind, target)?;
    }
    let bounds = shared.bounds.as_deref().map(codec::bounds_to_text).transpose()?;
    transaction.execute(
        "INSERT INTO shares (credential, kind, target, bounds, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET bounds = excluded.bounds",
        params![id.as_str(), kind, target, bounds, at],
    )?;
    Ok(())
}
