//! One runtime per core: a thread, its listeners, its connections, its upstream pool. Nothing on the request path crosses
//! from one to another.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::crypto::random;
use crate::domain::{Clock as _, SystemClock};
use crate::listen::{self, Bound, Latecomers, Shared};
use crate::pipeline::Core;
use crate::upstream;
use crate::usage;

use super::DRAIN;
use super::parts::Parts;
use super::supervisor::Pulses;

/// How long a connection that was accepted just before the end may still bring its request.
const LATECOMERS: Duration = Duration::from_secs(2);

/// How many cores carry requests; `configured` 0 means all.
pub(super) fn count(configured: usize) -> usize {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    if configured == 0 { available } else { configured }
}

/// Starts a thread per core, as many as there are pulses. `listeners` has a list per address, with one listener per core.
pub(super) fn start(
    parts: &Arc<Parts>,
    listeners: Vec<Vec<Bound>>,
    pulses: &Arc<Pulses>,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut per_core: Vec<Vec<Bound>> = (0..pulses.cores()).map(|_| Vec::new()).collect();
    for of_address in listeners {
        for (core, bound) in per_core.iter_mut().zip(of_address) {
            core.push(bound);
        }
    }
    let spawn = |(index, bound): (usize, Vec<Bound>)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let origin = u64::from_le_bytes(random::bytes()?);
        let (parts, pulses, stop) = (Arc::clone(parts), Arc::clone(pulses), stop.clone());
        std::thread::Builder::new()
            .name(format!("core-{index}"))
            .spawn(move || runtime.block_on(serve(index, origin, &parts, bound, &pulses, stop)))
            .context("cannot start a thread")
    };
    per_core.into_iter().enumerate().map(spawn).collect()
}

async fn serve(index: usize, origin: u64, parts: &Parts, bound: Vec<Bound>, pulses: &Pulses, stop: CancellationToken) {
    parts.observer.enter();
    Core::enter(index, origin, parts.audit.recorder(), Arc::clone(&parts.metrics));
    let shared = Arc::new(Shared { line: Arc::clone(&parts.line), mint: Arc::clone(&parts.mint) });
    for listener in bound {
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(async move {
            if let Err(error) = listen::run(listener, shared, stop).await {
                tracing::error!(%error, "a listener ended");
            }
        });
    }
    let second = Duration::from_secs(1);
    while tokio::time::timeout(second, stop.cancelled()).await.is_err() {
        upstream::sweep();
        listen::sweep();
        usage::sweep();
        pulses.beat(index, SystemClock.now());
    }
    drain().await;
}

/// Lets requests under way finish, closing connections as they become idle.
async fn drain() {
    let step = Duration::from_millis(50);
    let mut passed = Duration::ZERO;
    loop {
        let latecomers = if passed < LATECOMERS { Latecomers::Wait } else { Latecomers::Close };
        if listen::drain(latecomers) == 0 || passed >= DRAIN {
            return;
        }
        tokio::time::sleep(step).await;
        passed += step;
    }
}
