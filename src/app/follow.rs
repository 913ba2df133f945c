//! Following what changes: the store, proxy.toml, the files of declared credentials, signals. Runs on a thread of its own
//! and swaps snapshots; a change that cannot be used is reported and the old state stays.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::{Changed, Config, Environment, Loaded, Watch};
use crate::domain::{Clock, SystemClock};
use crate::listen::Bound;

use super::apart::apart;
use super::declared::Commands;
use super::parts::{Parts, Seen};
use super::supervisor::Pulses;
use super::upkeep::Upkeep;
use super::{console, gates, observer, supervisor};

/// How often the store is asked whether it changed.
const STORE: Duration = Duration::from_millis(250);

/// How often it is written down when callers were last seen.
const SIGHTINGS: Duration = Duration::from_secs(60);
/// How often it is written down what was used of quotas: as much may be used again after a crash.
const QUOTAS: Duration = Duration::from_secs(5);

/// Starts the control thread.
pub(super) fn start(
    follower: Follower,
    watch: (Watch, mpsc::Receiver<Changed>),
    console: Option<Bound>,
    stop: &CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stop = stop.clone();
    let control = move || {
        runtime.block_on(async move {
            if let Some(bound) = console {
                let environment = follower.environment.clone();
                tokio::spawn(console::serve(bound, Arc::clone(&follower.parts), environment, stop.clone()));
            }
            tokio::spawn(observer::watch(Arc::clone(&follower.parts)));
            tokio::spawn(gates::watch(Arc::clone(&follower.parts)));
            if let Err(error) = follower.run(watch, stop).await {
                tracing::error!(error = format!("{error:#}"), "changes are not followed any more; restart to mend it");
            }
        });
    };
    std::thread::Builder::new().name("control".into()).spawn(control).context("cannot start a thread")
}

/// Who follows.
pub(super) struct Follower {
    pub(super) parts: Arc<Parts>,
    pub(super) loaded: Loaded,
    pub(super) environment: Environment,
    /// What the current snapshot stands for.
    pub(super) seen: Seen,
    pub(super) upkeep: Upkeep,
    /// Why the last change could not be taken up: said once, though it is tried again and again.
    pub(super) failed: Option<String>,
    /// Whether something that was done could not be recorded the last time.
    pub(super) unrecorded: bool,
    /// Whether the cores work.
    pub(super) pulses: Arc<Pulses>,
}

impl Follower {
    async fn run(
        mut self,
        (watch, mut notices): (Watch, mpsc::Receiver<Changed>),
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        self.parts.metrics.config_loaded(SystemClock.wall());
        let mut watchdog = supervisor::watchdog().map(tokio::time::interval);
        watch.follow(&self.loaded, &self.seen.files);
        let (mut sightings, mut quotas) = (tokio::time::interval(SIGHTINGS), tokio::time::interval(QUOTAS));
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    self.parts.gates.close();
                    return Ok(());
                }
                _ = hangup.recv() => {
                    tracing::info!("SIGHUP: reading the configuration again");
                    supervisor::reloading();
                    self.reload(&watch, Commands::All);
                    supervisor::ready();
                }
                notice = notices.recv() => {
                    notice.context("the watch ended")?;
                    self.reload(&watch, Commands::Changed);
                }
                _ = sightings.tick() => self.parts.note_callers(),
                _ = quotas.tick() => self.parts.note_quotas(),
                () = due(watchdog.as_mut()) => self.watch_cores(),
                () = tokio::time::sleep(STORE) => self.look_at_store(&watch),
            }
        }
    }

    /// The store changed by another process, most likely the command line: within a second it counts.
    fn look_at_store(&mut self, watch: &Watch) {
        match self.parts.vault.change_counter() {
            Ok(counter) => {
                self.parts.line.set_unready(None);
                if counter != self.seen.counter {
                    self.follow_store(watch);
                }
                self.parts.drop_retired();
                self.record_left();
                self.upkeep.look(&self.parts);
            }
            Err(error) => {
                self.parts.line.set_unready(Some(format!("the store cannot be read: {error}")));
            }
        }
    }

    /// Takes up what changed in the store: that alone when it can, else everything anew.
    fn follow_store(&mut self, watch: &Watch) {
        match apart(|| self.parts.amend(&self.loaded.config, &self.environment, self.seen.counter)) {
            Ok(Some(counter)) => {
                self.seen.counter = counter;
                self.failed = None;
            }
            // What keeps it from being amended is said by the attempt to make it anew.
            Ok(None) | Err(_) => self.refresh(watch, Commands::Changed),
        }
    }

    /// Records what a command that was killed did and could not record.
    fn record_left(&mut self) {
        let failed = self.parts.operations.record_left().err();
        if let Some(error) = failed.as_ref().filter(|_| !self.unrecorded) {
            tracing::error!(%error, "what was done cannot be recorded; it is tried until it can");
        }
        self.unrecorded = failed.is_some();
    }

    /// A process of which a core does not work any more is better ended by whoever watches it.
    fn watch_cores(&self) {
        match self.pulses.stuck(SystemClock.now()) {
            None => supervisor::alive(),
            Some(core) => tracing::error!(core, "a core does not work any more; the watchdog is not told otherwise"),
        }
    }

    fn refresh(&mut self, watch: &Watch, commands: Commands) {
        match apart(|| self.parts.refresh(&self.loaded.config, &self.environment, commands)) {
            Ok(seen) => {
                let followed = std::mem::replace(&mut self.seen, seen);
                if followed.files != self.seen.files {
                    watch.follow(&self.loaded, &self.seen.files);
                }
                self.failed = None;
            }
            Err(error) => {
                let error = format!("{error:#}");
                if self.failed.as_ref() != Some(&error) {
                    tracing::error!(error, "the change could not be taken up; the former state stays");
                }
                self.failed = Some(error);
            }
        }
    }

    /// Reads proxy.toml and what it names again; `commands` are run even when it is the same. A bad one is reported and the
    /// old one stays.
    fn reload(&mut self, watch: &Watch, commands: Commands) {
        let Some(path) = self.loaded.path.clone() else { return self.refresh(watch, commands) };
        let taken_up = apart(|| {
            let loaded = Config::load(Some(&path), &self.environment);
            Ok(loaded
                .map_err(|errors| errors.render(false))
                .and_then(|loaded| self.take_up(loaded, commands).map_err(|error| format!("{error:#}"))))
        });
        let taken_up = taken_up.unwrap_or_else(|error| Err(format!("{error:#}")));
        match taken_up {
            Ok(()) => {
                self.parts.metrics.config_loaded(SystemClock.wall());
                watch.follow(&self.loaded, &self.seen.files);
            }
            Err(why) => {
                self.parts.metrics.config_failed();
                tracing::error!("the new configuration is refused; the old one stays\n{why}");
            }
        }
    }

    fn take_up(&mut self, new: Loaded, commands: Commands) -> anyhow::Result<()> {
        let is_new = new.text_digest != self.loaded.text_digest;
        let commands = if is_new { Commands::All } else { commands };
        self.seen = self.parts.refresh(&new.config, &self.environment, commands)?;
        let former = std::mem::replace(&mut self.loaded, new);
        if is_new {
            tracing::info!("the configuration was reloaded");
        }
        warn_of_restart(&former.config, &self.loaded.config);
        Ok(())
    }
}

/// The next tick; never, when there is nothing to wait for.
async fn due(interval: Option<&mut tokio::time::Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

/// What is opened at start stays until the next one.
fn warn_of_restart(old: &Config, new: &Config) {
    let changed = [
        ("[listen] proxy", old.listen.proxy != new.listen.proxy),
        ("[listen] console", old.listen.console != new.listen.console),
        ("[listen] threads", old.listen.threads != new.listen.threads),
        ("[store] url", old.store != new.store),
        ("[master_key]", old.master_key != new.master_key),
        ("[gates]", old.gates != new.gates),
    ];
    for (key, _) in changed.iter().filter(|(_, changed)| *changed) {
        tracing::warn!(key, "this change takes effect at the next start");
    }
}
