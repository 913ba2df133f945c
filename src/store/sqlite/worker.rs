//! The thread that owns the connection, and how others hand it work: it does one thing after the other.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::super::StoreError;
use super::Sqlite;
use super::unrecorded::{self, Done};

/// Work that may stand in the queue before askers wait for a place in it.
const QUEUE: usize = 64;

/// Work for the store's thread.
type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The store's thread, which ends with the last who can hand it work.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: Option<mpsc::SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(super) fn start(connection: Connection) -> io::Result<Self> {
        let (jobs, work) = mpsc::sync_channel::<Job>(QUEUE);
        let thread = thread::Builder::new().name("store".to_owned()).spawn(move || serve(connection, &work))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }
}

/// Works until nobody can hand in more.
fn serve(mut connection: Connection, work: &mpsc::Receiver<Job>) {
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
        self.worker.jobs.as_ref().ok_or(StoreError::Stopped)?.send(job).map_err(|_| StoreError::Stopped)?;
        answer.recv().map_err(|_| StoreError::Stopped)?
    }

    /// Runs `work` in one transaction that others will follow.
    pub(super) fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Done + Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.write_unannounced(move |transaction| {
            let done = work(transaction)?;
            transaction.prepare_cached("UPDATE changes SET counter = counter + 1")?.execute([])?;
            Ok(done)
        })
    }

    /// Runs `work` in one transaction that nobody needs to follow. What it did is written down in the same one, when this is
    /// the store of an act.
    pub(super) fn write_unannounced<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Done + Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let deed = self.deed.as_ref().map(Arc::clone);
        self.read(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Dropped without a commit, a transaction is rolled back.
            let done = work(&transaction)?;
            if let Some(deed) = deed {
                unrecorded::note(&transaction, &deed, done.receipts())?;
            }
            transaction.commit()?;
            Ok(done)
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // Only a panic makes this an error, and that was printed by the thread itself.
            let _ = thread.join();
        }
    }
}
