//! The gates of the running proxy, as rows.

use rusqlite::{Connection, Transaction, params};

use crate::domain::{GateReset, NotedGate};

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
    let GateReset { service, owner } = reset;
    transaction
        .execute("INSERT INTO gate_resets (service, owner) VALUES (?1, ?2)", params![service.as_str(), owner])?;
    let text = service.to_string();
    Ok(Receipt {
        act: Act::GateReset,
        id: text.clone(),
        name: text,
        owner: None,
        version: None,
        with: None,
        details: Vec::new(),
        at,
    })
}

fn take_resets(transaction: &Transaction<'_>) -> Result<Vec<GateReset>, StoreError> {
    let mut statement = transaction.prepare_cached("DELETE FROM gate_resets RETURNING service, owner")?;
    statement
        .query_and_then([], |row| Ok(GateReset { service: codec::name(codec::text(row, 0)?)?, owner: row.get(1)? }))?
        .collect()
}
