//! Adding what was counted, and forgetting what is old or too much.

use std::sync::LazyLock;

use rusqlite::{OptionalExtension as _, Statement, Transaction, TransactionBehavior, params, params_from_iter};

use super::rows::{COLUMNS, Span, numbers, signed};
use super::{Kept, Ledger, LedgerError};
use crate::usage::counts::Counts;
use crate::usage::handover::{Activity, Who};
use crate::usage::latency::Latency;
use crate::usage::tally::MOST_SHAPES;

/// What the ledger knows of a pair after something was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// The pair's number in the ledger.
    pub pair: i64,
    /// When it was first seen, in Unix seconds.
    pub first_seen: i64,
    /// How many calls it had made before.
    pub calls_before: u64,
    /// How many endpoints were known before.
    pub shapes_before: usize,
    /// How many calls it has made in the hour of what was added.
    pub calls_this_hour: u64,
    /// The endpoints that were not known before.
    pub new_endpoints: Vec<NewEndpoint>,
}

/// An endpoint that was called for the first time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewEndpoint {
    /// The method.
    pub method: &'static str,
    /// The shape of its path.
    pub shape: String,
}

static ADD: LazyLock<String> = LazyLock::new(|| {
    let columns = COLUMNS.join(", ");
    let sums = COLUMNS.map(|column| format!("{column} = {column} + excluded.{column}")).join(", ");
    let values = vec!["?"; COLUMNS.len() + 4].join(", ");
    format!(
        "INSERT INTO rollups (span, start, pair, latency, {columns}) VALUES ({values})
        ON CONFLICT (span, start, pair) DO UPDATE SET {sums}, latency = excluded.latency
        RETURNING answered_none + answered_1xx + answered_2xx + answered_3xx + answered_4xx + answered_5xx
            + failed + refused"
    )
});

impl Ledger {
    /// Adds what was counted, all of it or nothing. Returns what is known of each, in the same order.
    ///
    /// # Errors
    /// When SQLite fails, or what stands there is damaged.
    pub fn add(&mut self, activities: &[Activity]) -> Result<Vec<Noted>, LedgerError> {
        let tells_apart = !self.endpoints_full;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let added = activities.iter().map(|activity| add(&transaction, activity, tells_apart));
        let noted = added.collect::<Result<Vec<Noted>, LedgerError>>()?;
        transaction.commit()?;
        Ok(noted)
    }

    /// Forgets what is older than is kept, and the oldest of what is too much. Takes at most about a second.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn prune(&mut self, now: i64) -> Result<(), LedgerError> {
        let Kept { minutes, hours, days, endpoints, events } = self.kept;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (span, bounds) in [(Span::Minute, minutes), (Span::Hour, hours), (Span::Day, days)] {
            let newest = "SELECT start FROM rollups WHERE span = ?1 ORDER BY start DESC, pair DESC LIMIT 1 OFFSET ?2";
            let beyond = transaction
                .prepare_cached(newest)?
                .query_row(params![span.seconds(), bounds.rows], |row| row.get::<_, i64>(0))
                .optional()?;
            let before = beyond.map_or(i64::MIN, |start| start + 1).max(now - bounds.age);
            transaction
                .prepare_cached("DELETE FROM rollups WHERE span = ?1 AND start < ?2")?
                .execute([span.seconds(), before])?;
        }
        transaction.prepare_cached("DELETE FROM pairs WHERE last_seen < ?1")?.execute([now - endpoints.age])?;
        transaction.prepare_cached("DELETE FROM events WHERE last_at < ?1")?.execute([now - events.age])?;
        let too_many = "DELETE FROM events WHERE (kind, subject) IN
            (SELECT kind, subject FROM events ORDER BY last_at DESC LIMIT -1 OFFSET ?1)";
        transaction.prepare_cached(too_many)?.execute([events.rows])?;
        let found: i64 = transaction.query_row("SELECT count(*) FROM endpoints", [], |row| row.get(0))?;
        transaction.commit()?;
        self.endpoints_full = found >= i64::from(endpoints.rows);
        Ok(())
    }
}

fn add(transaction: &Transaction<'_>, activity: &Activity, tells_apart: bool) -> Result<Noted, LedgerError> {
    let calls = activity.counts.calls();
    let (pair, first_seen, all) = touch(transaction, activity, calls)?;
    let mut calls_this_hour = 0;
    for span in Span::ALL {
        let sum = roll(transaction, span, pair, activity)?;
        if span == Span::Hour {
            calls_this_hour = sum;
        }
    }
    let (shapes_before, new_endpoints) = add_endpoints(transaction, pair, activity, tells_apart)?;
    let calls_before = all.saturating_sub(calls);
    Ok(Noted { pair, first_seen, calls_before, shapes_before, calls_this_hour, new_endpoints })
}

/// Its number, when it was first seen, and how many calls it has made.
fn touch(transaction: &Transaction<'_>, activity: &Activity, calls: u64) -> Result<(i64, i64, u64), LedgerError> {
    let [credential, credential_name, caller, caller_name, service] = activity.who.texts();
    let mut statement = transaction.prepare_cached(
        "INSERT INTO pairs (credential, caller, service, credential_name, caller_name, first_seen, last_seen, calls)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)
        ON CONFLICT (credential, caller, service) DO UPDATE SET credential_name = excluded.credential_name,
            caller_name = excluded.caller_name, first_seen = min(first_seen, excluded.first_seen),
            last_seen = max(last_seen, excluded.last_seen), calls = calls + excluded.calls
        RETURNING id, first_seen, calls",
    )?;
    let values = params![credential, caller, service, credential_name, caller_name, activity.last, signed(calls)];
    let found = statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?)))?;
    Ok((found.0, found.1, found.2.cast_unsigned()))
}

/// Adds to the sums of one span; returns its calls afterwards.
fn roll(transaction: &Transaction<'_>, span: Span, pair: i64, activity: &Activity) -> Result<u64, LedgerError> {
    let start = span.start(activity.minute);
    let mut known =
        transaction.prepare_cached("SELECT latency FROM rollups WHERE span = ?1 AND start = ?2 AND pair = ?3")?;
    let latency = merged(&mut known, [span.seconds(), start, pair], &activity.counts)?;
    let head = [span.seconds(), start, pair].map(rusqlite::types::Value::Integer);
    let numbers = numbers(&activity.counts).map(rusqlite::types::Value::Integer);
    let values = head.into_iter().chain([rusqlite::types::Value::Blob(latency)]).chain(numbers);
    let calls: i64 = transaction.prepare_cached(&ADD)?.query_row(params_from_iter(values), |row| row.get(0))?;
    Ok(calls.cast_unsigned())
}

/// The histogram that is there, with that of `counts` added.
fn merged(known: &mut Statement<'_>, key: [i64; 3], counts: &Counts) -> Result<Vec<u8>, LedgerError> {
    let found = known.query_row(key, |row| row.get::<_, Vec<u8>>(0)).optional()?;
    let Some(bytes) = found else { return Ok(counts.latency.to_bytes()) };
    let mut latency = Latency::from_bytes(&bytes).ok_or(LedgerError::Damaged("a histogram"))?;
    latency.merge(&counts.latency);
    Ok(latency.to_bytes())
}

/// Adds the endpoints; returns how many were known before, and the new ones.
fn add_endpoints(
    transaction: &Transaction<'_>,
    pair: i64,
    activity: &Activity,
    tells_apart: bool,
) -> Result<(usize, Vec<NewEndpoint>), LedgerError> {
    let count = "SELECT count(*) FROM endpoints WHERE pair = ?1 AND method <> ''";
    let before: i64 = transaction.prepare_cached(count)?.query_row([pair], |row| row.get(0))?;
    let before = usize::try_from(before).unwrap_or(usize::MAX);
    let mut update = transaction.prepare_cached(
        "UPDATE endpoints SET calls = calls + ?4, last_seen = max(last_seen, ?5)
        WHERE pair = ?1 AND method = ?2 AND shape = ?3",
    )?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO endpoints (pair, method, shape, calls, first_seen, last_seen) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
        ON CONFLICT (pair, method, shape) DO UPDATE SET calls = calls + excluded.calls,
            last_seen = max(last_seen, excluded.last_seen)",
    )?;
    let (mut new, mut others) = (Vec::new(), activity.others);
    for ((method, shape), calls) in &activity.endpoints {
        let values = params![pair, method, shape, signed(*calls), activity.last];
        if update.execute(values)? > 0 {
            continue;
        }
        if tells_apart && before + new.len() < MOST_SHAPES {
            insert.execute(values)?;
            new.push(NewEndpoint { method, shape: shape.clone() });
        } else {
            others += calls;
        }
    }
    if others > 0 {
        insert.execute(params![pair, "", "", signed(others), activity.last])?;
    }
    new.sort();
    Ok((before, new))
}

impl Who {
    /// As columns: the key's identifier and name, the caller's, the service; empty for nobody and nothing.
    pub(in crate::usage) fn texts(&self) -> [&str; 5] {
        let credential = self.credential.as_ref().map_or(("", ""), |(id, name)| (id.as_str(), name.as_str()));
        let caller = self.caller.as_ref().map_or(("", ""), |(id, name)| (id.as_str(), name.as_str()));
        let service = self.service.as_ref().map_or("", |name| name.as_str());
        [credential.0, credential.1, caller.0, caller.1, service]
    }
}
