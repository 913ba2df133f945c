//! The admin API: `/api/v1` on the console's listener, over the same operations as the command line. It decides nothing about
//! who may do what and changes nothing itself; it reads requests, finds out who asks, and writes answers.
//!
//! Invariants: no answer, error or log line holds a key's value; every answer under `/api` that is no success is a problem
//! document (RFC 9457); what blocks runs on threads that may wait, and only so many at once.

mod answer;
mod api;
mod ask;
mod describe;
mod finish;
mod origin;
mod page;
mod problem;
mod stream;
mod welcome;
mod who;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa_axum::router::OpenApiRouter;

use crate::domain::{Clock, RequestId};
use crate::operations::{Actor, Look, OperationError, Operations, Probe};
use crate::pipeline::Line;

use problem::Problem;
use who::Who;

pub use describe::document;

/// Where the API is.
const BASE: &str = "/api/v1";
/// How many acts may be under way at once; the store does one at a time anyway.
const MOST_AT_WORK: usize = 8;
/// How many backups, restores, verifications and exports may be under way at once: each reads everything, or takes as much
/// room on the disk.
const MOST_AT_LENGTH: usize = 2;
/// How long a request may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The admin API's own state. Lives as long as the process.
pub struct Admin {
    operations: Arc<Operations>,
    line: Arc<Line>,
    probe: Arc<Probe>,
    look: Arc<Look>,
    clock: Arc<dyn Clock>,
    turns: Semaphore,
    long_turns: Arc<Semaphore>,
    is_local: fn(&str) -> bool,
    origin: u64,
    count: AtomicU64,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("operations", &self.operations).finish_non_exhaustive()
    }
}

impl Admin {
    /// Answers with these parts of the running process. `is_local` tells whether a `Host` is an address or a name that no
    /// stranger can register; `look` looks where keys to the master key are kept; `origin` is random, the first half of every request's identifier.
    pub fn new(
        operations: Arc<Operations>,
        line: Arc<Line>,
        probe: Arc<Probe>,
        look: Arc<Look>,
        clock: Arc<dyn Clock>,
        is_local: fn(&str) -> bool,
        origin: u64,
    ) -> Self {
        let (turns, count) = (Semaphore::new(MOST_AT_WORK), AtomicU64::new(0));
        let long_turns = Arc::new(Semaphore::new(MOST_AT_LENGTH));
        Self { operations, line, probe, look, clock, turns, long_turns, is_local, origin, count }
    }

    /// Everything that it answers: the API, and the plain pages for people who come with a browser.
    pub fn router(self: Arc<Self>) -> Router {
        let (open, guarded) = (OpenApiRouter::new().merge(api::open()), OpenApiRouter::new().merge(api::guarded()));
        let guarded = guarded.layer(from_fn_with_state(Arc::clone(&self), who::admit));
        let (api, _) = open.merge(guarded).split_for_parts();
        let api = api
            .layer(DefaultBodyLimit::disable())
            .layer(from_fn_with_state(Arc::clone(&self), origin::refuse_strangers));
        Router::new()
            .nest(BASE, api)
            .merge(welcome::pages())
            .fallback(welcome::nothing_here)
            .layer(from_fn_with_state(Arc::clone(&self), finish::finish))
            .with_state(self)
    }

    /// Runs what blocks where it may, for whoever asks.
    async fn act<T: Send + 'static>(
        self: &Arc<Self>,
        who: &Who,
        act: impl FnOnce(&Operations, &Actor) -> Result<T, OperationError> + Send + 'static,
    ) -> Result<T, Problem> {
        let actor = who.actor.clone();
        self.work(move |operations| act(operations, &actor)).await
    }

    /// Runs what blocks where it may.
    async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Operations) -> Result<T, OperationError> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = tokio::time::timeout(PATIENCE, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(Problem::busy()) };
        self.wait_for(act).await
    }

    /// A turn for what takes long.
    async fn long_turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.long_turns).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(Problem::busy)
    }

    /// Runs what takes long, with the turn that it has.
    async fn act_at_length<T: Send + 'static>(
        self: &Arc<Self>,
        who: &Who,
        turn: OwnedSemaphorePermit,
        act: impl FnOnce(&Operations, &Actor) -> Result<T, OperationError> + Send + 'static,
    ) -> Result<(T, OwnedSemaphorePermit), Problem> {
        let actor = who.actor.clone();
        // The turn is over when the work is, also where nobody waits for it any more.
        self.wait_for(move |operations| act(operations, &actor).map(|done| (done, turn))).await
    }

    async fn wait_for<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Operations) -> Result<T, OperationError> + Send + 'static,
    ) -> Result<T, Problem> {
        let operations = Arc::clone(&self.operations);
        let done = tokio::task::spawn_blocking(move || act(&operations)).await;
        done.map_err(|error| Problem::internal(&error))?.map_err(|error| Problem::of(&error))
    }

    /// The time in Unix seconds.
    fn now(&self) -> i64 {
        i64::try_from(self.clock.wall().as_secs()).unwrap_or(i64::MAX)
    }

    fn next_id(&self) -> RequestId {
        RequestId::new(self.origin, self.count.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests;
