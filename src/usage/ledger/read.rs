//! Reading: who, how much, when, which endpoints. It groups nothing and decides nothing about who may see what.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{Row, params};

use super::rows::{COLUMNS, Span, counts};
use super::{Ledger, LedgerError};
use crate::usage::counts::Counts;

/// Who calls what with which key. An empty text stands for nobody or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairRow {
    /// Its number.
    pub id: i64,
    /// The key's identifier.
    pub credential: String,
    /// Its name when it was last used.
    pub credential_name: String,
    /// The caller's identifier.
    pub caller: String,
    /// Its name when it called last.
    pub caller_name: String,
    /// The service.
    pub service: String,
    /// When it was first seen, in Unix seconds.
    pub first_seen: i64,
    /// When it was last seen, in Unix seconds.
    pub last_seen: i64,
}

/// An endpoint of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointRow {
    /// The pair's number.
    pub pair: i64,
    /// The method; empty for endpoints beyond those that are told apart.
    pub method: String,
    /// The shape of its path.
    pub shape: String,
    /// How often it was called since it was first seen.
    pub calls: u64,
    /// When it was first seen, in Unix seconds.
    pub first_seen: i64,
    /// When it was last seen, in Unix seconds.
    pub last_seen: i64,
}

/// How one caller used a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The caller's name.
    pub caller: String,
    /// How many of its calls went upstream.
    pub sent: u64,
    /// When it called last, in Unix seconds.
    pub last: i64,
}

impl Ledger {
    /// Since when it is kept, since the Unix epoch.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn begun_at(&self) -> Result<Duration, LedgerError> {
        let begun: i64 = self.connection.query_row("SELECT begun_us FROM ledger", [], |row| row.get(0))?;
        Ok(Duration::from_micros(begun.unsigned_abs()))
    }

    /// Everybody who called something.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn pairs(&self) -> Result<Vec<PairRow>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, credential, credential_name, caller, caller_name, service, first_seen, last_seen FROM pairs",
        )?;
        let row = |row: &Row<'_>| {
            Ok(PairRow {
                id: row.get(0)?,
                credential: row.get(1)?,
                credential_name: row.get(2)?,
                caller: row.get(3)?,
                caller_name: row.get(4)?,
                service: row.get(5)?,
                first_seen: row.get(6)?,
                last_seen: row.get(7)?,
            })
        };
        Ok(statement.query_map([], row)?.collect::<Result<_, _>>()?)
    }

    /// Shows `visit` every sum of a span that begins at `from` or later: the pair's number, when it began, the sums.
    ///
    /// # Errors
    /// When SQLite fails, or what stands there is damaged.
    pub fn sums(&self, span: Span, from: i64, mut visit: impl FnMut(i64, i64, Counts)) -> Result<(), LedgerError> {
        let columns = COLUMNS.join(", ");
        let text = format!("SELECT pair, start, {columns}, latency FROM rollups WHERE span = ?1 AND start >= ?2");
        let mut statement = self.connection.prepare_cached(&text)?;
        let mut rows = statement.query([span.seconds(), from])?;
        while let Some(row) = rows.next()? {
            visit(row.get(0)?, row.get(1)?, counts(row, 2)?);
        }
        Ok(())
    }

    /// The endpoints that were called at `from` or later.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn endpoints(&self, from: i64) -> Result<Vec<EndpointRow>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT pair, method, shape, calls, first_seen, last_seen FROM endpoints WHERE last_seen >= ?1",
        )?;
        let row = |row: &Row<'_>| {
            Ok(EndpointRow {
                pair: row.get(0)?,
                method: row.get(1)?,
                shape: row.get(2)?,
                calls: row.get::<_, i64>(3)?.cast_unsigned(),
                first_seen: row.get(4)?,
                last_seen: row.get(5)?,
            })
        };
        Ok(statement.query_map([from], row)?.collect::<Result<_, _>>()?)
    }

    /// Which callers sent a key upstream since `since`, exact to the hour, the most frequent first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn uses(&self, credential: &str, since: i64) -> Result<Vec<Use>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT p.caller_name, sum(r.answered_none + r.answered_1xx + r.answered_2xx + r.answered_3xx + r.answered_4xx
                + r.answered_5xx + r.failed) AS sent, max(p.last_seen)
            FROM pairs p JOIN rollups r ON r.pair = p.id
            WHERE p.credential = ?1 AND r.span = ?2 AND r.start >= ?3
            GROUP BY p.caller_name HAVING sent > 0 ORDER BY sent DESC",
        )?;
        let row = |row: &Row<'_>| {
            Ok(Use { caller: row.get(0)?, sent: row.get::<_, i64>(1)?.cast_unsigned(), last: row.get(2)? })
        };
        let from = Span::Hour.start(since);
        let rows = statement.query_map(params![credential, Span::Hour.seconds(), from], row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// When each key was last used, by its identifier, in Unix seconds.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn last_used(&self) -> Result<HashMap<String, i64>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT credential, max(last_seen) FROM pairs WHERE credential <> '' GROUP BY credential",
        )?;
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        Ok(statement.query_map([], row)?.collect::<Result<_, _>>()?)
    }

    /// When these keys were last used, by their identifiers.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn last_used_of<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Result<HashMap<String, i64>, LedgerError> {
        let mut statement = self.connection.prepare_cached("SELECT max(last_seen) FROM pairs WHERE credential = ?1")?;
        let mut found = HashMap::new();
        for id in ids {
            let last: Option<i64> = statement.query_row([id], |row| row.get(0))?;
            found.extend(last.map(|last| (id.to_owned(), last)));
        }
        Ok(found)
    }

    /// How many calls a pair made around the hour that begins at `hour`, on each of the `days` before: the most of that hour
    /// and its two neighbours.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn same_hours_before(&self, pair: i64, hour: i64, days: u32) -> Result<Vec<u64>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT coalesce(max(answered_none + answered_1xx + answered_2xx + answered_3xx + answered_4xx + answered_5xx
                + failed + refused), 0) FROM rollups WHERE span = ?1 AND pair = ?2 AND start IN (?3, ?4, ?5)",
        )?;
        let (span, day) = (Span::Hour.seconds(), Span::Day.seconds());
        let mut of_day = |days_ago: u32| {
            let at = hour - i64::from(days_ago) * day;
            let calls = statement.query_row([span, pair, at - span, at, at + span], |row| row.get::<_, i64>(0));
            Ok(calls?.cast_unsigned())
        };
        (1..=days).map(&mut of_day).collect()
    }
}
