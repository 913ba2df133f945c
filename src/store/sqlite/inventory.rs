//! Reading: the whole inventory at once, lists, and one credential with its history.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, Params, Row, params};

use crate::domain::{Credential, CredentialId, Name, Shared, Source, UserId};

use super::super::{
    Changes, CredentialFilter, CredentialHistory, Former, Inventory, ListedCredential, StoreError, Verified, VersionRow,
};
use super::{authorities, callers, codec, people, runs, services};

const CREDENTIALS: &str =
    "SELECT c.id, c.name, c.owner, c.service, c.environment, c.variables, c.expires_at, c.current,
    v.master, v.wrapped_key, v.fields, c.created_at, v.created_at, c.deleted_at, c.overlap_until, c.rotate_every,
    c.verified_at, c.verified_version, c.verdict, c.verify_every, c.limit_owner, c.pool
    FROM credentials c CROSS JOIN versions v ON v.credential = c.id AND v.number = c.current";

/// Of so many credentials, shares are asked for one by one; of more, all are read.
const FEW: usize = 1_000;

/// The version that the current one replaced, in the place of the current one.
const FORMERS: &str = "SELECT c.id, c.name, c.owner, c.service, c.environment, c.variables, c.expires_at, f.number,
    f.master, f.wrapped_key, f.fields, c.created_at, f.created_at, c.deleted_at, c.overlap_until, c.rotate_every,
    c.verified_at, c.verified_version, c.verdict, c.verify_every, c.limit_owner, c.pool
    FROM credentials c JOIN versions v ON v.credential = c.id AND v.number = c.current
    JOIN versions f ON f.credential = c.id AND f.number = v.replaced
    WHERE c.deleted_at IS NULL AND c.overlap_until IS NOT NULL AND f.destroyed_at IS NULL";

pub(super) fn change_counter(connection: &Connection) -> Result<u64, StoreError> {
    let counter: i64 = connection.prepare_cached("SELECT counter FROM changes")?.query_row([], |row| row.get(0))?;
    Ok(counter.cast_unsigned())
}

/// One read transaction, so that everything is of one moment.
pub(super) fn load(connection: &mut Connection) -> Result<Inventory, StoreError> {
    let transaction = connection.transaction()?;
    let listed = select(&transaction, "WHERE c.deleted_at IS NULL ORDER BY c.id", [])?;
    let formers = formers(&transaction, "", [])?;
    inventory(&transaction, listed, formers)
}

/// What was touched since, and the whole of what is little.
pub(super) fn since(connection: &mut Connection, counter: u64) -> Result<Changes, StoreError> {
    const TOUCHED: &str = "c.id IN (SELECT credential FROM touched WHERE counter > ?1)";
    let counter = counter.cast_signed();
    let transaction = connection.transaction()?;
    let mut touched = transaction.prepare_cached("SELECT credential FROM touched WHERE counter > ?1")?;
    let touched = touched.query_and_then([counter], |row| codec::credential_id(row, 0))?.collect::<Result<_, _>>()?;
    let rest = format!("WHERE c.deleted_at IS NULL AND {TOUCHED} ORDER BY c.id");
    let listed = select(&transaction, &rest, [counter])?;
    let formers = formers(&transaction, &format!(" AND {TOUCHED}"), [counter])?;
    Ok(Changes { inventory: inventory(&transaction, listed, formers)?, touched })
}

fn inventory(
    connection: &Connection,
    listed: Vec<ListedCredential>,
    formers: Vec<Former>,
) -> Result<Inventory, StoreError> {
    Ok(Inventory {
        users: people::users(connection)?.into_iter().map(|listed| listed.user).collect(),
        teams: people::teams(connection)?.into_iter().map(|listed| listed.team).collect(),
        callers: callers::list(connection)?.into_iter().map(|listed| listed.caller).collect(),
        credentials: listed.into_iter().map(|listed| listed.credential).collect(),
        formers,
        runs: runs::all(connection)?,
        services: services::services(connection)?,
        authorities: authorities::all(connection)?,
        change_counter: change_counter(connection)?,
    })
}

pub(super) fn credentials(
    connection: &mut Connection,
    filter: &CredentialFilter,
) -> Result<Vec<ListedCredential>, StoreError> {
    let text = |name: &Option<Name>| name.as_ref().map(ToString::to_string);
    let owner = filter.owner.as_ref().map(ToString::to_string);
    // What is not asked for does not stand in the question, so that an index can answer it.
    let asked = |column: &str, place: u8, is_asked: bool| {
        if is_asked { format!(" AND c.{column} = ?{place}") } else { format!(" AND ?{place} IS NULL") }
    };
    let rest = format!(
        "WHERE c.deleted_at IS {}NULL{}{}{}{} ORDER BY c.name, c.id",
        if filter.deleted { "NOT " } else { "" },
        asked("name", 1, filter.name.is_some()),
        asked("owner", 2, filter.owner.is_some()),
        asked("service", 3, filter.service.is_some()),
        asked("environment", 4, filter.environment.is_some()),
    );
    let values = params![text(&filter.name), owner, text(&filter.service), text(&filter.environment)];
    let transaction = connection.transaction()?;
    select(&transaction, &rest, values)
}

pub(super) fn credential(connection: &mut Connection, id: &CredentialId) -> Result<CredentialHistory, StoreError> {
    let transaction = connection.transaction()?;
    let sql = format!("{CREDENTIALS} WHERE c.id = ?1");
    let mut one = transaction.prepare_cached(&sql)?;
    let mut same = Same::default();
    let found = one.query_and_then([id.as_str()], |row| listed(row, &mut same))?.next().transpose()?;
    let Some(mut listed) = found else {
        return Err(StoreError::Unknown { what: "credential", which: id.to_string() });
    };
    listed.credential.shares = shares_of(&transaction, id)?;
    let mut versions = transaction.prepare_cached(
        "SELECT number, replaced, created_at, retired_at, destroyed_at FROM versions WHERE credential = ?1 ORDER BY number",
    )?;
    let versions = versions
        .query_and_then([id.as_str()], |row| {
            Ok(VersionRow {
                number: codec::number(row.get(0)?)?,
                replaced: row.get::<_, Option<i64>>(1)?.map(codec::number).transpose()?,
                created_at: row.get(2)?,
                retired_at: row.get(3)?,
                destroyed_at: row.get(4)?,
            })
        })?
        .collect::<Result<_, StoreError>>()?;
    Ok(CredentialHistory { listed, versions })
}

fn formers(connection: &Connection, rest: &str, values: impl Params) -> Result<Vec<Former>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{FORMERS}{rest}"))?;
    let former =
        |listed: ListedCredential| Some(Former { until: listed.overlap_until?, credential: listed.credential });
    let mut same = Same::default();
    let rows = statement.query_and_then(values, |row| listed(row, &mut same))?;
    rows.filter_map(|row| row.map(former).transpose()).collect()
}

/// The credentials that the rest of the question leaves, with their shares.
pub(super) fn select(
    connection: &Connection,
    rest: &str,
    values: impl Params,
) -> Result<Vec<ListedCredential>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{CREDENTIALS} {rest}"))?;
    let mut same = Same::default();
    let rows = statement.query_and_then(values, |row| listed(row, &mut same))?;
    let mut out = rows.collect::<Result<Vec<_>, StoreError>>()?;
    if out.len() > FEW {
        let mut shares = shares(connection)?;
        for listed in &mut out {
            listed.credential.shares = shares.remove(listed.credential.id.as_str()).unwrap_or_default();
        }
        return Ok(out);
    }
    for listed in &mut out {
        listed.credential.shares = shares_of(connection, &listed.credential.id)?;
    }
    Ok(out)
}

fn shares_of(connection: &Connection, id: &CredentialId) -> Result<Vec<Shared>, StoreError> {
    let mut shares = connection.prepare_cached("SELECT kind, target, bounds FROM shares WHERE credential = ?1")?;
    shares.query_and_then([id.as_str()], |row| codec::shared(row, 0))?.collect()
}

/// Texts that many rows have: kept once for all of them.
#[derive(Default)]
struct Same {
    names: HashSet<Name>,
    users: HashMap<String, UserId>,
}

impl Same {
    fn name(&mut self, text: &str) -> Result<Name, StoreError> {
        if let Some(known) = self.names.get(text) {
            return Ok(known.clone());
        }
        let name = codec::name(text)?;
        self.names.insert(name.clone());
        Ok(name)
    }

    fn user(&mut self, text: &str) -> UserId {
        if let Some(known) = self.users.get(text) {
            return known.clone();
        }
        self.users.entry(text.to_owned()).or_insert_with(|| UserId::new(text)).clone()
    }
}

fn listed(row: &Row<'_>, same: &mut Same) -> Result<ListedCredential, StoreError> {
    let environment: Option<String> = row.get(4)?;
    let credential = Credential {
        id: codec::credential_id(row, 0)?,
        name: codec::name(codec::text(row, 1)?)?,
        owner: same.user(codec::text(row, 2)?),
        service: same.name(codec::text(row, 3)?)?,
        environment: environment.as_deref().map(|text| same.name(text)).transpose()?,
        shares: Vec::new(),
        variables: codec::variables(codec::text(row, 5)?)?,
        expires: row.get(6)?,
        limit_owner: codec::optional_name(row, 20)?,
        pool: codec::optional_name(row, 21)?,
        version: codec::number(row.get(7)?)?,
        sealed: codec::sealed(row, 8)?,
        source: Source::Store,
    };
    let verified =
        |at| Ok::<_, StoreError>(Verified { at, version: codec::number(row.get(17)?)?, verdict: row.get(18)? });
    Ok(ListedCredential {
        credential,
        created_at: row.get(11)?,
        value_since: row.get(12)?,
        deleted_at: row.get(13)?,
        overlap_until: row.get(14)?,
        rotate_every: row.get(15)?,
        verify_every: row.get(19)?,
        verified: row.get::<_, Option<i64>>(16)?.map(verified).transpose()?,
    })
}

fn shares(connection: &Connection) -> Result<HashMap<String, Vec<Shared>>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT credential, kind, target, bounds FROM shares")?;
    let mut out: HashMap<String, Vec<Shared>> = HashMap::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        out.entry(row.get(0)?).or_default().push(codec::shared(row, 1)?);
    }
    Ok(out)
}
