//! What was noticed and what of it was told: one row for each subject of a kind. A subject is told at most once an hour; what
//! happens to it meanwhile is counted and told together. What happens once is told once.

use rusqlite::{OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use super::rows::signed;
use super::{Ledger, LedgerError};
use crate::domain::EventKind;
use crate::usage::detect::{Event, Recurrence};

/// How long a subject is not told again.
const QUIET: i64 = 60 * 60;

/// An event to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What.
    pub event: EventRow,
    /// How often it happened since it was told last.
    pub count: u64,
}

/// What was noticed of one subject. An empty text stands for nobody or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The kind.
    pub kind: EventKind,
    /// The key's identifier.
    pub credential: String,
    /// Its name.
    pub credential_name: String,
    /// The caller's identifier.
    pub caller: String,
    /// Its name.
    pub caller_name: String,
    /// The service.
    pub service: String,
    /// What happened last, for people.
    pub message: String,
    /// When first, in Unix seconds.
    pub first_at: i64,
    /// When last, in Unix seconds.
    pub last_at: i64,
    /// How often in all.
    pub total: u64,
}

const COLUMNS: &str =
    "kind, credential, credential_name, caller, caller_name, service, message, first_at, last_at, total";

impl Ledger {
    /// Notes events, all of them or none, and returns which are to be told now: at most `room`; what finds none is told by
    /// [`Self::due`].
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn raise(&mut self, events: &[Event], room: usize) -> Result<Vec<Told>, LedgerError> {
        let mut told = Vec::new();
        if events.is_empty() {
            return Ok(told);
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for event in events {
            told.extend(raise(&transaction, event, room.saturating_sub(told.len()))?);
        }
        transaction.commit()?;
        Ok(told)
    }

    /// At most `room` of what has happened since it was told and may be told again.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn due(&mut self, now: i64, room: usize) -> Result<Vec<Told>, LedgerError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let text = "SELECT kind, subject FROM events WHERE untold > 0 AND told_at <= ?1 ORDER BY last_at LIMIT ?2";
        let keys = {
            let mut statement = transaction.prepare_cached(text)?;
            let rows =
                statement.query_map(params![now - QUIET, signed(room as u64)], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<Vec<(String, String)>, _>>()?
        };
        let told = keys.iter().map(|(kind, subject)| tell(&transaction, kind, subject, now));
        let told = told.collect::<Result<Vec<Option<Told>>, LedgerError>>()?;
        transaction.commit()?;
        Ok(told.into_iter().flatten().collect())
    }

    /// What was noticed at `from` or later, the latest first.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn events(&self, from: i64) -> Result<Vec<EventRow>, LedgerError> {
        let text = format!("SELECT {COLUMNS} FROM events WHERE last_at >= ?1 ORDER BY last_at DESC, kind, subject");
        let mut statement = self.connection.prepare_cached(&text)?;
        let rows = statement.query_map([from], event_row)?.collect::<Result<Vec<_>, _>>()?;
        // A kind that a later version knew and this one does not is passed over.
        Ok(rows.into_iter().flatten().collect())
    }
}

fn raise(transaction: &Transaction<'_>, event: &Event, room: usize) -> Result<Option<Told>, LedgerError> {
    let (kind, subject) = (event.kind.as_str(), event.subject.as_str());
    let known = "SELECT told_at FROM events WHERE kind = ?1 AND subject = ?2";
    let known: Option<i64> =
        transaction.prepare_cached(known)?.query_row([kind, subject], |row| row.get(0)).optional()?;
    if known.is_some() && event.recurrence == Recurrence::Once {
        return Ok(None);
    }
    let [credential, credential_name, caller, caller_name, service] = event.who.texts();
    let text = "INSERT INTO events (kind, subject, credential, credential_name, caller, caller_name, service, message,
            first_at, last_at, total, told_at, untold)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, 0, ?10)
        ON CONFLICT (kind, subject) DO UPDATE SET credential_name = excluded.credential_name, caller = excluded.caller,
            caller_name = excluded.caller_name, message = excluded.message, last_at = excluded.last_at,
            total = total + excluded.total, untold = untold + excluded.untold";
    let values = params![
        kind,
        subject,
        credential,
        credential_name,
        caller,
        caller_name,
        service,
        event.message,
        event.at,
        signed(event.count)
    ];
    transaction.prepare_cached(text)?.execute(values)?;
    if room == 0 || known.is_some_and(|told_at| told_at > event.at - QUIET) {
        return Ok(None);
    }
    tell(transaction, kind, subject, event.at)
}

/// Marks it as told, with how often it happened since the last time.
fn tell(transaction: &Transaction<'_>, kind: &str, subject: &str, now: i64) -> Result<Option<Told>, LedgerError> {
    let text = format!("SELECT {COLUMNS}, untold FROM events WHERE kind = ?1 AND subject = ?2");
    let (event, count) = transaction
        .prepare_cached(&text)?
        .query_row([kind, subject], |row| Ok((event_row(row)?, row.get::<_, i64>(10)?.cast_unsigned())))?;
    transaction
        .prepare_cached("UPDATE events SET told_at = ?3, untold = 0 WHERE kind = ?1 AND subject = ?2")?
        .execute(params![kind, subject, now])?;
    Ok(event.map(|event| Told { event, count }))
}

fn event_row(row: &Row<'_>) -> rusqlite::Result<Option<EventRow>> {
    let kind: String = row.get(0)?;
    let Some(kind) = EventKind::of(&kind) else { return Ok(None) };
    Ok(Some(EventRow {
        kind,
        credential: row.get(1)?,
        credential_name: row.get(2)?,
        caller: row.get(3)?,
        caller_name: row.get(4)?,
        service: row.get(5)?,
        message: row.get(6)?,
        first_at: row.get(7)?,
        last_at: row.get(8)?,
        total: row.get::<_, i64>(9)?.cast_unsigned(),
    }))
}
