//! The acts that the audit log may not have yet: written with the change itself, forgotten when the log has them.

use std::time::Duration;

use rusqlite::{Connection, Transaction, params};

use super::super::{Deed, LogEnd, MasterRecord, Receipt, StoreError, Unrecorded};
use super::codec;
use crate::domain::GateReset;

/// What a transaction yields, and the receipts that the audit has to know of.
pub(super) trait Done {
    fn receipts(&self) -> &[Receipt];
}

impl Done for Receipt {
    fn receipts(&self) -> &[Receipt] {
        std::slice::from_ref(self)
    }
}

impl Done for Vec<Receipt> {
    fn receipts(&self) -> &[Receipt] {
        self
    }
}

impl Done for () {
    fn receipts(&self) -> &[Receipt] {
        &[]
    }
}

impl Done for Vec<GateReset> {
    fn receipts(&self) -> &[Receipt] {
        &[]
    }
}

impl Done for MasterRecord {
    fn receipts(&self) -> &[Receipt] {
        &[]
    }
}

/// Writes a deed down for each receipt. Two changes of one deed are a mistake of ours, and the second fails.
pub(super) fn note(transaction: &Transaction<'_>, deed: &Deed, receipts: &[Receipt]) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO unrecorded (id, time_us, actor, act, object, object_id, details, segment, log_offset)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let time = i64::try_from(deed.time.as_micros()).unwrap_or(i64::MAX);
    let (segment, offset) = (deed.log_end.segment.cast_signed(), deed.log_end.offset.cast_signed());
    for (number, receipt) in receipts.iter().enumerate() {
        let id = if number == 0 { deed.id.clone() } else { format!("{}-{number}", deed.id) };
        let mut details = deed.details.clone();
        details.extend_from_slice(&receipt.details);
        details.extend(receipt.version.map(|version| ("version".to_owned(), version.to_string())));
        let details = serde_json::to_string(&details).map_err(|_| codec::damaged("list of details"))?;
        let (name, of) = (&receipt.name, &receipt.id);
        statement.execute(params![id, time, deed.actor, deed.act, name, of, details, segment, offset])?;
    }
    Ok(())
}

pub(super) fn all(connection: &Connection) -> Result<Vec<Unrecorded>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, time_us, actor, act, object, object_id, details, segment, log_offset FROM unrecorded ORDER BY rowid",
    )?;
    statement
        .query_and_then([], |row| {
            let (segment, offset) = (row.get::<_, i64>(7)?.cast_unsigned(), row.get::<_, i64>(8)?.cast_unsigned());
            Ok(Unrecorded {
                id: row.get(0)?,
                time: Duration::from_micros(row.get::<_, i64>(1)?.try_into().unwrap_or(0)),
                actor: row.get(2)?,
                act: row.get(3)?,
                object: row.get(4)?,
                object_id: row.get(5)?,
                details: serde_json::from_str(codec::text(row, 6)?).map_err(|_| codec::damaged("list of details"))?,
                log_end: LogEnd { segment, offset },
            })
        })?
        .collect()
}

pub(super) fn forget(transaction: &Transaction<'_>, ids: &[String]) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached("DELETE FROM unrecorded WHERE id = ?1")?;
    for id in ids {
        statement.execute([id])?;
    }
    Ok(())
}
