//! The roof: the only place that knows how the concrete parts fit together. From a configuration to a running proxy, and
//! back to a clean end. It carries no request itself.

mod apart;
mod console;
mod cores;
mod declared;
mod follow;
mod gates;
mod harden;
mod limits;
mod observer;
mod parts;
mod stored;
mod supervisor;
mod tables;
mod upkeep;
mod webhook;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Environment, ListenAddress, Loaded, Watch};
use crate::domain::{Clock as _, SystemClock};
use crate::listen::{Bound, Inherited};

pub use apart::apart;
pub use declared::{declared_value, look_at_declared};
pub use gates::resume;
pub use harden::{harden, prefer_small_pages};
pub use parts::{key_source, master_key_source, open_vault, probe};
pub use supervisor::stopping;
pub use tables::{Beside, tables};

use parts::Parts;
use supervisor::Pulses;

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
        let mut inherited = Inherited::take().context("[listen]")?;
        let listeners = bind(&loaded.config, cores, &mut inherited)?;
        let addresses: Vec<String> =
            listeners.iter().filter_map(|of_core| of_core.first()).map(Bound::address).collect();
        let console = loaded.config.listen.console.as_ref();
        let console = console.map(|address| console::bind(address, &mut inherited)).transpose()?;
        refuse_unclaimed(&inherited)?;
        let own = listeners.iter().flatten().chain(&console).filter_map(Bound::socket_address).collect();
        let console_address = console.as_ref().map(Bound::address);
        // Watched from before it is read, so that no change falls between.
        let watch = Watch::start(&loaded).context("the configuration cannot be watched")?;
        let (parts, seen) = Parts::open(&loaded.config, environment, cores, own)?;
        let parts = Arc::new(parts);
        let stop = CancellationToken::new();
        let pulses = Arc::new(Pulses::new(cores, SystemClock.now()));
        let threads = cores::start(&parts, listeners, &pulses, &stop)?;
        let upkeep = upkeep::Upkeep::default();
        let follower = follow::Follower {
            parts: Arc::clone(&parts),
            loaded,
            environment: environment.clone(),
            seen,
            upkeep,
            failed: None,
            unrecorded: false,
            pulses,
        };
        let control = follow::start(follower, watch, console, &stop)?;
        supervisor::ready();
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

/// Opens an address, once per core; takes the socket that this process was given for it, when there is one.
fn open(address: &ListenAddress, cores: usize, inherited: &mut Inherited) -> std::io::Result<Vec<Bound>> {
    match address {
        ListenAddress::Tcp(address) => match inherited.tcp(*address, cores)? {
            Some(given) => Ok(given),
            None => crate::listen::bind(*address, cores),
        },
        ListenAddress::Unix(path) => match inherited.unix(path, cores)? {
            Some(given) => Ok(given),
            None => Bound::unix(path, cores),
        },
    }
}

/// Who connects to a socket that nobody accepts from would wait for ever.
fn refuse_unclaimed(inherited: &Inherited) -> anyhow::Result<()> {
    let unclaimed = inherited.unclaimed();
    anyhow::ensure!(
        unclaimed.is_empty(),
        "this process was given a socket that listens at {}, which is no address under [listen]; write the same address \
         in both places",
        unclaimed.join(" and at ")
    );
    Ok(())
}

/// Opens every proxy address, once per core.
fn bind(config: &Config, cores: usize, inherited: &mut Inherited) -> anyhow::Result<Vec<Vec<Bound>>> {
    config
        .listen
        .proxy
        .iter()
        .map(|address| {
            open(address, cores, inherited).with_context(|| {
                format!("cannot listen on {address}; another process may have it, or choose another under [listen]")
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
