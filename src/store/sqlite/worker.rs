//! The thread that owns the connection, and how others hand it work: it does one thing after the other.

use std::sync::mpsc;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::super::StoreError;
use super::Sqlite;

/// Work for the store's thread.
pub(super) type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Works until nobody can hand in more.
pub(super) fn serve(mut connection: Connection, work: &mpsc::Receiver<Job>) {
    while let Ok(job) = work.recv() {
        job(&mut connection);
    }
    // Closing the last connection copies the WAL into the database; a failure leaves it for the next opening.
    let _ = connection.close();
}

impl Sqlite {
    /// Runs `work` on the store's thread and waits for what it returns.
    pub(super) fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |connection| {
            // Nobody waits any more only when the asker's thread ended; the work itself is done.
            let _ = reply.send(work(connection));
        });
        self.jobs.as_ref().ok_or(StoreError::Stopped)?.send(job).map_err(|_| StoreError::Stopped)?;
        answer.recv().map_err(|_| StoreError::Stopped)?
    }

    /// Runs `work` in one transaction that others will follow.
    pub(super) fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.write_unannounced(move |transaction| {
            let done = work(transaction)?;
            transaction.prepare_cached("UPDATE changes SET counter = counter + 1")?.execute([])?;
            Ok(done)
        })
    }

    /// Runs `work` in one transaction that nobody needs to follow.
    pub(super) fn write_unannounced<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.read(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Dropped without a commit, a transaction is rolled back.
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // Only a panic makes this an error, and that was printed by the thread itself.
            let _ = thread.join();
        }
    }
}
