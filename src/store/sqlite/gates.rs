//! The gates of the running proxy, the limits that are pinned on them and what was used of quotas, as rows.

use std::time::Duration;

use rusqlite::{Connection, Row, Transaction, params};

use crate::domain::{GateReset, NotedGate, OwnerQuotaUse, Period, Pin, PinnedTo, Rate, ServiceName};

use super::super::{Act, Learnt, Receipt, StoreError};
use super::{Sqlite, codec};

impl Learnt for Sqlite {
    fn note_gates(&self, gates: &[NotedGate], at: i64) -> Result<(), StoreError> {
        let gates = gates.to_vec();
        self.write_unannounced(move |transaction| note(transaction, &gates, at))
    }

    fn noted_gates(&self) -> Result<(Option<i64>, Vec<NotedGate>), StoreError> {
        self.read(|connection| noted(connection))
    }

    fn order_gate_reset(&self, reset: &GateReset, at: i64) -> Result<Receipt, StoreError> {
        let reset = reset.clone();
        self.write(move |transaction| order_reset(transaction, &reset, at))
    }

    fn take_gate_resets(&self) -> Result<Vec<GateReset>, StoreError> {
        self.write_unannounced(take_resets)
    }

    fn pin(&self, pin: &Pin, at: i64) -> Result<Receipt, StoreError> {
        let pin = pin.clone();
        self.write(move |transaction| set_pin(transaction, &pin, at))
    }

    fn unpin(&self, to: &PinnedTo, at: i64) -> Result<Receipt, StoreError> {
        let to = to.clone();
        self.write(move |transaction| take_pin(transaction, &to, at))
    }

    fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        self.read(|connection| pins(connection))
    }

    fn note_owner_quota_uses(&self, uses: &[OwnerQuotaUse]) -> Result<(), StoreError> {
        let uses = uses.to_vec();
        self.write_unannounced(move |transaction| note_quota_uses(transaction, &uses))
    }

    fn owner_quota_uses(&self) -> Result<Vec<OwnerQuotaUse>, StoreError> {
        self.read(|connection| quota_uses(connection))
    }
}

fn note(transaction: &Transaction<'_>, gates: &[NotedGate], at: i64) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM gates", [])?;
    let mut statement = transaction.prepare_cached(
        "INSERT OR REPLACE INTO gates (service, owner, bucket, until, wait, shown) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for gate in gates {
        let NotedGate { service, owner, bucket, until, wait, shown } = gate;
        statement.execute(params![service.as_str(), owner, bucket, until, wait, shown])?;
    }
    transaction
        .execute("INSERT INTO gates_noted (one, at) VALUES (1, ?1) ON CONFLICT DO UPDATE SET at = excluded.at", [at])?;
    Ok(())
}

fn noted(connection: &Connection) -> Result<(Option<i64>, Vec<NotedGate>), StoreError> {
    let mut at = connection.prepare_cached("SELECT at FROM gates_noted")?;
    let at = at.query_map([], |row| row.get(0))?.next().transpose()?;
    let mut statement = connection.prepare_cached(
        "SELECT service, owner, bucket, until, wait, shown FROM gates ORDER BY service, owner, bucket",
    )?;
    let gates = statement.query_and_then([], |row| {
        Ok::<_, StoreError>(NotedGate {
            service: codec::name(codec::text(row, 0)?)?,
            owner: row.get(1)?,
            bucket: row.get(2)?,
            until: row.get(3)?,
            wait: row.get(4)?,
            shown: row.get(5)?,
        })
    })?;
    Ok((at, gates.collect::<Result<_, _>>()?))
}

fn order_reset(transaction: &Transaction<'_>, reset: &GateReset, at: i64) -> Result<Receipt, StoreError> {
    let GateReset { service, owner, bucket } = reset;
    transaction.execute(
        "INSERT INTO gate_resets (service, owner, bucket) VALUES (?1, ?2, ?3)",
        params![service.as_str(), owner, bucket],
    )?;
    Ok(receipt(Act::GateReset, service, at))
}

fn receipt(act: Act, service: &ServiceName, at: i64) -> Receipt {
    let text = service.to_string();
    Receipt { act, id: text.clone(), name: text, owner: None, version: None, with: None, details: Vec::new(), at }
}

fn take_resets(transaction: &Transaction<'_>) -> Result<Vec<GateReset>, StoreError> {
    let mut statement = transaction.prepare_cached("DELETE FROM gate_resets RETURNING service, owner, bucket")?;
    let resets = statement.query_and_then([], |row| {
        Ok(GateReset { service: codec::name(codec::text(row, 0)?)?, owner: row.get(1)?, bucket: row.get(2)? })
    })?;
    resets.collect()
}

fn set_pin(transaction: &Transaction<'_>, pin: &Pin, at: i64) -> Result<Receipt, StoreError> {
    transaction.execute("DELETE FROM pins WHERE until <= ?1", [at])?;
    let Pin { to: PinnedTo { service, owner, bucket }, rate, concurrency, until } = pin;
    let count = rate.map(|rate| rate.count.get());
    let period = rate.map(|rate| i64::try_from(rate.period.as_secs()).unwrap_or(i64::MAX));
    let (owner, bucket) = (owner.as_deref().unwrap_or_default(), bucket.as_deref().unwrap_or_default());
    let places = concurrency.map(std::num::NonZero::get);
    transaction.execute(
        "INSERT OR REPLACE INTO pins (service, owner, bucket, count, period_s, places, until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![service.as_str(), owner, bucket, count, period, places, until],
    )?;
    Ok(receipt(Act::GatePinned, service, at))
}

fn take_pin(transaction: &Transaction<'_>, to: &PinnedTo, at: i64) -> Result<Receipt, StoreError> {
    let PinnedTo { service, owner, bucket } = to;
    let (owner, bucket) = (owner.as_deref().unwrap_or_default(), bucket.as_deref().unwrap_or_default());
    let taken = transaction.execute(
        "DELETE FROM pins WHERE service = ?1 AND owner = ?2 AND bucket = ?3",
        params![service.as_str(), owner, bucket],
    )?;
    if taken == 0 {
        return Err(StoreError::Unknown { what: "pinned limit", which: service.to_string() });
    }
    Ok(receipt(Act::GateUnpinned, service, at))
}

fn pins(connection: &Connection) -> Result<Vec<Pin>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT service, owner, bucket, count, period_s, places, until FROM pins ORDER BY service, owner, bucket",
    )?;
    statement.query_and_then([], pinned)?.collect()
}

fn pinned(row: &Row<'_>) -> Result<Pin, StoreError> {
    let some = |text: String| (!text.is_empty()).then_some(text);
    let to =
        PinnedTo { service: codec::name(codec::text(row, 0)?)?, owner: some(row.get(1)?), bucket: some(row.get(2)?) };
    let (count, period): (Option<u32>, Option<u64>) =
        (row.get(3)?, row.get::<_, Option<i64>>(4)?.and_then(|p| p.try_into().ok()));
    let count = count.and_then(std::num::NonZeroU32::new);
    let rate = count.zip(period).map(|(count, period)| Rate { count, period: Duration::from_secs(period) });
    let concurrency = row.get::<_, Option<u32>>(5)?.and_then(std::num::NonZeroU32::new);
    Ok(Pin { to, rate, concurrency, until: row.get(6)? })
}

fn note_quota_uses(transaction: &Transaction<'_>, uses: &[OwnerQuotaUse]) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(
        "INSERT OR REPLACE INTO owner_quota_uses (service, owner, per, period, used) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for OwnerQuotaUse { service, owner, per, period, used } in uses {
        statement.execute(params![service.as_str(), owner, per.as_str(), period, used])?;
    }
    Ok(())
}

fn quota_uses(connection: &Connection) -> Result<Vec<OwnerQuotaUse>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT service, owner, per, period, used FROM owner_quota_uses ORDER BY service, owner, per",
    )?;
    let uses = statement.query_and_then([], |row| {
        Ok::<_, StoreError>(OwnerQuotaUse {
            service: codec::name(codec::text(row, 0)?)?,
            owner: row.get(1)?,
            per: Period::parse(codec::text(row, 2)?).ok_or_else(|| codec::damaged("quota"))?,
            period: row.get(3)?,
            used: row.get(4)?,
        })
    })?;
    uses.collect()
}
