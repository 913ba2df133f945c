//! The parts that live as long as the process, and the making of a snapshot from them and a configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use zeroize::Zeroizing;

use crate::access::{Callers, Sightings};
use crate::audit;
use crate::config::{Config, Environment, ListenAddress};
use crate::crypto::digest;
use crate::domain::{Clock, Http2, KeyPlace, Service, SystemClock, Timeouts, UpstreamOptions};
use crate::gate::Gates;
use crate::intercept::Mint;
use crate::keys::MasterKeySource;
use crate::listen;
use crate::metrics::{Format, Metrics};
use crate::operations::{self, Actor, Acts, Operations, Probe};
use crate::pipeline::{self, Line, Snapshot, Sources, Unusable};
use crate::store::{Sqlite, StoredService};
use crate::throttle::set_numbers;
use crate::upstream::{self, Approach, Dialer, Guard, Parent, ParentSettings, TlsConfigs, Upstream};
use crate::vault::Vault;

use super::declared::{Commands, DeclaredKeys};
use super::observer::Observer;
use super::tables::{Beside, amended, tables};
use super::{gates, limits};

/// What lives as long as the process.
pub(super) struct Parts {
    pub(super) line: Arc<Line>,
    pub(super) mint: Arc<Mint>,
    pub(super) vault: Arc<Vault>,
    pub(super) audit: Arc<audit::Log>,
    pub(super) metrics: Arc<Metrics>,
    /// What administrators do; it follows the configuration as the line does.
    pub(super) operations: Arc<Operations>,
    /// The way on which keys are tried.
    pub(super) probe: Arc<Probe>,
    pub(super) observer: Observer,
    pub(super) gates: Gates,
    sightings: Sightings,
    pub(super) tls: TlsConfigs,
    declared: DeclaredKeys,
    base: Mutex<Option<Base>>,
    /// Former snapshots that requests may still use.
    retired: Mutex<Vec<Arc<Snapshot>>>,
}

/// What a snapshot rests on: when it is another, everything is made anew.
#[derive(PartialEq)]
struct Base {
    services: Vec<StoredService>,
    master: u32,
}

/// What a snapshot stands for.
pub(super) struct Seen {
    /// The store's change counter.
    pub(super) counter: u64,
    /// The files whose content matters, of the configuration with the services of the store.
    pub(super) files: Vec<PathBuf>,
}

impl Parts {
    /// Opens the store, the vault and the audit, and builds the first snapshot; with what it stands for.
    pub(super) fn open(
        config: &Config,
        environment: &Environment,
        cores: usize,
        own: Vec<SocketAddr>,
    ) -> anyhow::Result<(Self, Seen)> {
        let vault = Arc::new(open_vault(config, environment)?);
        operations::sweep_left(config);
        let audit = audit::Log::open(&operations::audit_folder(config)).context("the audit log cannot be opened")?;
        let (audit, first) = (Arc::new(audit), Arc::new(config.clone()));
        let acts = Acts::sharing(config, Arc::clone(&audit));
        let operations = Arc::new(Operations::new(first, Arc::clone(&vault), acts, Arc::new(SystemClock)));
        operations.ensure_authority(&Actor::proxy()).context("no certificate authority can be made")?;
        let mint = Arc::new(Mint::new().context("TLS cannot be set up")?);
        let metrics = Arc::new(Metrics::new(cores, SystemClock.wall()));
        let (probing, trusted) = outward(config, own.clone())?;
        let probe = Arc::new(Probe::new(probing, trusted));
        let (upstream, tls) = outward(config, own)?;
        set_numbers(config.gates);
        let (gates, sightings) = (Gates::default(), Sightings::default());
        let (first, _) = Snapshot::build(Sources {
            services: Vec::new(),
            callers: Callers::new(Vec::new(), Vec::new(), None, digest::sha256, &sightings),
            credentials: Vec::new(),
            formers: Vec::new(),
            unmatched: pipeline::Unmatched::Deny,
            browser_origins: Vec::new(),
            gates: &gates,
            metrics: &metrics,
        });
        let line = Arc::new(Line::new(first, Arc::clone(&vault), upstream, Arc::new(SystemClock)));
        let (observer, declared) = (Observer::open(&config.data), DeclaredKeys::default());
        let (base, retired) = (Mutex::default(), Mutex::default());
        let parts = Self {
            line,
            mint,
            vault,
            audit,
            metrics,
            operations,
            probe,
            observer,
            gates,
            sightings,
            tls,
            declared,
            base,
            retired,
        };
        gates::resume(&parts.gates, &parts.vault).context("the store cannot be read")?;
        let seen = parts.refresh(config, environment, Commands::All)?;
        Ok((parts, seen))
    }

    /// Builds a snapshot from the store and `config`, and swaps it in. Returns what it stands for.
    pub(super) fn refresh(
        &self,
        config: &Config,
        environment: &Environment,
        commands: Commands,
    ) -> anyhow::Result<Seen> {
        // Nothing is amended of what fails half-way.
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let source = master_key_source(config, environment)?;
        self.vault.refresh_master(&source).context("the rotated master key cannot be taken up")?;
        let mut inventory = self.vault.inventory().context("the store cannot be read")?;
        let counter = inventory.change_counter;
        self.follow_authorities(std::mem::take(&mut inventory.authorities), &config.intercept);
        let stored = std::mem::take(&mut inventory.services);
        let base = Base { services: stored.clone(), master: self.vault.master_number() };
        let config = self.with_stored(config, stored)?;
        let approach = |service: &Service| {
            Approach::new(&service.upstream, service.timeouts.connect, &self.tls)
                .with_context(|| format!("service `{}`", service.name))
        };
        let declared = self.declared.read(&config, environment, &self.vault, commands);
        let beside = Beside { gates: &self.gates, sightings: &self.sightings, metrics: &self.metrics };
        let (snapshot, unusable) = tables(&config, inventory, declared, approach, &beside)?;
        limits::tell(&self.line.view(), &snapshot, &self.audit);
        self.take_up(snapshot, unusable);
        self.observer.webhook.follow(&config, environment, &self.tls);
        self.tls.forget_unused();
        self.metrics.forget_unused();
        self.operations.follow(&config).context("the store cannot be read")?;
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(base);
        Ok(Seen { counter, files: config.watched_files() })
    }

    /// Follows what changed in the store since its change counter was `seen`, with what did not change shared; returns the
    /// counter afterwards. None when services or the master key changed, with which everything is made anew.
    pub(super) fn amend(&self, config: &Config, environment: &Environment, seen: u64) -> anyhow::Result<Option<u64>> {
        let source = master_key_source(config, environment)?;
        self.vault.refresh_master(&source).context("the rotated master key cannot be taken up")?;
        let mut changes = self.vault.changes_since(seen).context("the store cannot be read")?;
        let counter = changes.inventory.change_counter;
        self.follow_authorities(std::mem::take(&mut changes.inventory.authorities), &config.intercept);
        let now = Base { services: changes.inventory.services.clone(), master: self.vault.master_number() };
        if counter < seen || self.base.lock().unwrap_or_else(PoisonError::into_inner).as_ref() != Some(&now) {
            return Ok(None);
        }
        let beside = Beside { gates: &self.gates, sightings: &self.sightings, metrics: &self.metrics };
        let (snapshot, unusable) = amended(&self.line.view(), config, changes, &beside);
        self.take_up(snapshot, unusable);
        Ok(Some(counter))
    }

    fn take_up(&self, snapshot: Snapshot, unusable: Vec<Unusable>) {
        for left_out in unusable {
            tracing::warn!(credential = %left_out.credential, why = left_out.why, "a credential cannot be used");
        }
        self.metrics.set_keys(snapshot.credentials.count() as u64);
        self.observer.follow(snapshot.credentials.all().map(|held| &held.credential));
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).push(self.line.view());
        self.line.swap(snapshot);
        self.gates.sweep();
    }

    /// Drops former snapshots that no request uses any more: here and not on a core, since a large one takes its time.
    pub(super) fn drop_retired(&self) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
    }

    /// Everything for Prometheus.
    pub(super) fn exposition(&self, format: Format) -> String {
        let health = self.audit.health();
        self.metrics.set_audit(health.waiting_bytes, health.failures, health.lost);
        let counted = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.client_connections().set(counted(listen::clients()));
        self.metrics.upstream_connections().set(counted(upstream::GAUGES.open.load(Ordering::Relaxed)));
        self.metrics.upstream_idle().set(counted(upstream::GAUGES.idle.load(Ordering::Relaxed)));
        self.metrics.set_gates(gates::levels(&self.gates, &self.line.view()));
        self.metrics.encode(format)
    }

    /// Writes into the store what was used of quotas.
    pub(super) fn note_quotas(&self) {
        let (shares, owners) = (self.gates.shares().collect(), self.gates.quotas().collect());
        let of_shares = if shares.is_empty() { Ok(()) } else { self.vault.note_quota_uses(&shares) };
        let of_owners = if owners.is_empty() { Ok(()) } else { self.vault.note_owner_quota_uses(&owners) };
        if let Err(error) = of_shares.and(of_owners) {
            tracing::warn!(error = %error, "what was used of quotas could not be noted");
        }
    }

    /// Writes into the store when callers were last seen.
    pub(super) fn note_callers(&self) {
        let seen = self.sightings.collect();
        if !seen.is_empty()
            && let Err(error) = self.vault.note_callers_used(&seen)
        {
            tracing::warn!(error = %error, "when callers were last seen could not be noted");
        }
    }

    /// Writes out what is still in memory.
    pub(super) fn close(&self) {
        self.observer.end(&self.metrics, &self.audit);
        self.note_callers();
        self.note_quotas();
        gates::note(self);
        if let Err(error) = self.audit.close() {
            tracing::error!(%error, "the last audit entries could not be written");
        }
    }
}

/// The way to the services, as `config` and the system have it. `own` are addresses that are never dialled.
fn outward(config: &Config, own: Vec<SocketAddr>) -> anyhow::Result<(Upstream, TlsConfigs)> {
    let (tls, trust) = TlsConfigs::system();
    for problem in &trust.problems {
        tracing::warn!(problem, "some of the system's certificate authorities cannot be used");
    }
    if trust.fallback {
        tracing::warn!("this system has no certificate authorities: the built-in ones are used");
    }
    let parent = parent(config, &tls)?;
    let strangers = Approach::new(&UpstreamOptions::default(), Timeouts::default().connect, &tls)?;
    Ok((Upstream::new(Dialer::new(Guard::new(own), parent), strangers), tls))
}

/// The way to the services for a command, which may run beside the proxy.
///
/// # Errors
/// When the parent proxy in the environment cannot be used.
pub fn probe(config: &Config) -> anyhow::Result<Probe> {
    let tcp = |address: &ListenAddress| match address {
        ListenAddress::Tcp(address) => Some(*address),
        ListenAddress::Unix(_) => None,
    };
    let own = config.listen.proxy.iter().chain(&config.listen.console).filter_map(tcp).collect();
    let (upstream, tls) = outward(config, own)?;
    Ok(Probe::new(upstream, tls))
}

/// Opens the store with its master key, making what is missing.
///
/// # Errors
/// When the store or the key cannot be had; the message says what to do.
pub fn open_vault(config: &Config, environment: &Environment) -> anyhow::Result<Vault> {
    operations::finish_restore(config).context("a restore was cut off and cannot be finished")?;
    let store = Sqlite::open(&config.store).context("the store cannot be opened")?;
    let source = master_key_source(config, environment)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Vault::open(Arc::new(store), &source, clock).context("the vault cannot be opened")
}

/// Where the master key comes from, with the environment's part filled in.
///
/// # Errors
/// When a variable is not set.
pub fn master_key_source(config: &Config, environment: &Environment) -> anyhow::Result<MasterKeySource> {
    key_source(&config.master_key, environment).context("the place that [master_key] names has no key")
}

/// A place where a key is kept, with the environment's part filled in.
///
/// # Errors
/// When a variable is not set.
pub fn key_source(place: &KeyPlace, environment: &Environment) -> anyhow::Result<MasterKeySource> {
    let value = |name: &str| {
        let text = environment.filled(name).map(|text| Zeroizing::new(text.to_owned()));
        text.with_context(|| format!("the environment variable `{name}` is not set"))
    };
    Ok(match place {
        KeyPlace::File(path) => MasterKeySource::File(path.clone()),
        KeyPlace::Env(name) => MasterKeySource::Env { name: name.clone(), value: value(name)? },
        KeyPlace::PassphraseEnv(name) => MasterKeySource::Passphrase { name: name.clone(), value: value(name)? },
        KeyPlace::Command(argv) => MasterKeySource::Command(argv.clone()),
    })
}

/// The proxy that sidekey itself goes through, if its environment names one.
fn parent(config: &Config, tls: &TlsConfigs) -> anyhow::Result<Option<Parent>> {
    let settings = ParentSettings {
        https: config.parents.https.clone(),
        http: config.parents.http.clone(),
        all: config.parents.all.clone(),
        no: config.parents.no.clone(),
    };
    let to_proxy = tls.config(None, Http2::Never)?;
    Parent::new(&settings, to_proxy).context("the parent proxy in the environment cannot be used")
}
