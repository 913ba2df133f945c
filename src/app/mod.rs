//! The roof: the only place that knows how the concrete parts fit together. From a configuration to a running proxy, and
//! back to a clean end. It carries no request itself.

mod apart;
mod console;
mod cores;
mod declared;
mod follow;
mod harden;
mod observer;
mod parts;
mod stored;
mod tables;
mod upkeep;
mod webhook;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Environment, ListenAddress, Loaded, Watch};
use crate::listen::Bound;

pub use apart::apart;
pub use declared::{declared_value, look_at_declared};
pub use harden::{harden, prefer_small_pages};
pub use parts::{master_key_source, open_vault, probe};
pub use tables::{Beside, tables};

use parts::Parts;

/// How long requests under way may take after the proxy was told to stop.
const DRAIN: Duration = Duration::from_secs(30);

/// A proxy that serves.
pub struct Running {
    addresses: Vec<String>,
    console: Option<String>,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    control: Option<JoinHandle<()>>,
    parts: Arc<Parts>,
}

impl Running {
    /// Opens everything that `loaded` names and serves. When it returns, the doors are open.
    ///
    /// # Errors
    /// When a part cannot be opened: the message says which and what to do.
    pub fn start(loaded: Loaded, environment: &Environment) -> anyhow::Result<Self> {
        let cores = cores::count(loaded.config.listen.threads);
        let listeners = bind(&loaded.config, cores)?;
        let addresses: Vec<String> =
            listeners.iter().filter_map(|of_core| of_core.first()).map(Bound::address).collect();
        let console = loaded.config.listen.console.as_ref().map(console::bind).transpose()?;
        let own = listeners.iter().flatten().chain(&console).filter_map(Bound::socket_address).collect();
        let console_address = console.as_ref().map(Bound::address);
        // Watched from before it is read, so that no change falls between.
        let watch = Watch::start(&loaded).context("the configuration cannot be watched")?;
        let (parts, seen) = Parts::open(&loaded.config, environment, cores, own)?;
        let parts = Arc::new(parts);
        let stop = CancellationToken::new();
        let threads = cores::start(&parts, listeners, cores, &stop)?;
        let upkeep = upkeep::Upkeep::default();
        let follower = follow::Follower {
            parts: Arc::clone(&parts),
            loaded,
            environment: environment.clone(),
            seen,
            upkeep,
            failed: None,
            unrecorded: false,
        };
        let control = follow::start(follower, watch, console, &stop)?;
        Ok(Self { addresses, console: console_address, stop, threads, control: Some(control), parts })
    }

    /// Where the proxy listens, with real port numbers.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Where the console listens.
    pub fn console(&self) -> Option<&str> {
        self.console.as_deref()
    }

    /// Told to stop, by whoever holds a clone.
    pub fn stopper(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits until the proxy was told to stop and has finished what was under way.
    pub fn wait(mut self) {
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that carried requests ended by a panic");
            }
        }
        self.stop.cancel();
        if let Some(control) = self.control.take()
            && control.join().is_err()
        {
            tracing::error!("the control thread ended by a panic");
        }
        self.parts.close();
    }
}

/// Opens every proxy address, once per core.
fn bind(config: &Config, cores: usize) -> anyhow::Result<Vec<Vec<Bound>>> {
    let open = |address: &ListenAddress| match address {
        ListenAddress::Tcp(address) => crate::listen::bind(*address, cores),
        ListenAddress::Unix(path) => Bound::unix(path, cores),
    };
    config
        .listen
        .proxy
        .iter()
        .map(|address| {
            open(address).with_context(|| {
                format!("cannot listen on {address}; another process may have it, or choose another under [listen]")
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
