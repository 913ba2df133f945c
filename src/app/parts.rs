//! The parts that live as long as the process, and the making of a snapshot from them and a configuration.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use zeroize::Zeroizing;

use crate::access::Callers;
use crate::audit;
use crate::config::{CallersMode, Config, DeclaredCredential, Environment, MasterKey, Unmatched, ValueSource};
use crate::crypto::digest;
use crate::domain::{CallerId, Clock, Credential, Http2, Name, SystemClock, Timeouts, UpstreamOptions};
use crate::gate::Gates;
use crate::keys::MasterKeySource;
use crate::listen;
use crate::metrics::{Format, Metrics};
use crate::pipeline::{self, Line, Snapshot, Sources};
use crate::store::{LOCAL, Sqlite};
use crate::upstream::{self, Approach, Dialer, Guard, Parent, ParentSettings, TlsConfigs, Upstream};
use crate::vault::Vault;
use crate::vault::declared::{Declared, DeclaredValue};

/// The folder of the audit segments, in the data folder.
pub const AUDIT_FOLDER: &str = "audit";

/// What lives as long as the process.
pub(super) struct Parts {
    pub(super) line: Arc<Line>,
    pub(super) vault: Arc<Vault>,
    pub(super) audit: audit::Log,
    pub(super) metrics: Arc<Metrics>,
    gates: Gates,
    tls: TlsConfigs,
    /// Counts re-readings of declared credentials: their version.
    declared_version: Mutex<u32>,
}

impl Parts {
    /// Opens the store, the vault and the audit, and builds the first snapshot; with the change counter that it stands for.
    pub(super) fn open(
        config: &Config,
        environment: &Environment,
        cores: usize,
        own: Vec<SocketAddr>,
    ) -> anyhow::Result<(Self, u64)> {
        let vault = Arc::new(open_vault(config, environment)?);
        let audit = audit::Log::open(&config.data.join(AUDIT_FOLDER)).context("the audit log cannot be opened")?;
        let metrics = Arc::new(Metrics::new(cores, SystemClock.wall()));
        let (tls, trust) = TlsConfigs::system();
        for problem in &trust.problems {
            tracing::warn!(problem, "some of the system's certificate authorities cannot be used");
        }
        if trust.fallback {
            tracing::warn!("this system has no certificate authorities: the built-in ones are used");
        }
        let parent = parent(config, &tls)?;
        let defaults = Timeouts::default();
        let strangers = Approach::new(&UpstreamOptions::default(), defaults.connect, &tls)?;
        let upstream = Upstream::new(Dialer::new(Guard::new(own), parent), strangers);
        let gates = Gates::default();
        let (first, _) = Snapshot::build(Sources {
            services: Vec::new(),
            callers: Callers::new(Vec::new(), Vec::new(), None, digest::sha256),
            credentials: Vec::new(),
            unmatched: pipeline::Unmatched::Deny,
            browser_origins: Vec::new(),
            gates: &gates,
            metrics: &metrics,
        });
        let line = Arc::new(Line::new(first, Arc::clone(&vault), upstream, Arc::new(SystemClock)));
        let parts = Self { line, vault, audit, metrics, gates, tls, declared_version: Mutex::new(0) };
        let seen = parts.refresh(config, environment)?;
        Ok((parts, seen))
    }

    /// Builds a snapshot from the store and `config`, and swaps it in. Returns the store's change counter it stands for.
    pub(super) fn refresh(&self, config: &Config, environment: &Environment) -> anyhow::Result<u64> {
        let inventory = self.vault.inventory().context("the store cannot be read")?;
        let mut credentials = inventory.credentials;
        credentials.extend(self.declared(config, environment));
        let services = config.services.iter().map(|entry| {
            let service = entry.service.clone();
            let approach = Approach::new(&service.upstream, service.timeouts.connect, &self.tls)
                .with_context(|| format!("service `{}`", service.name))?;
            Ok((service, approach))
        });
        let mut services = services.collect::<anyhow::Result<Vec<_>>>()?;
        // What the operator declared wins a host over the catalogue.
        services.sort_by_key(|(service, _)| !service.declared);
        let unproven = (config.callers == CallersMode::Open).then(|| CallerId::new(LOCAL));
        let (snapshot, unusable) = Snapshot::build(Sources {
            services,
            callers: Callers::new(inventory.users, inventory.callers, unproven.as_ref(), digest::sha256),
            credentials,
            unmatched: match config.unmatched {
                Unmatched::Deny => pipeline::Unmatched::Deny,
                Unmatched::Tunnel => pipeline::Unmatched::Tunnel,
            },
            browser_origins: config.listen.browser_origins.clone(),
            gates: &self.gates,
            metrics: &self.metrics,
        });
        for left_out in unusable {
            tracing::warn!(credential = %left_out.credential, why = left_out.why, "a credential cannot be used");
        }
        self.metrics.set_keys(snapshot.credentials.count() as u64);
        self.line.swap(snapshot);
        self.tls.forget_unused();
        self.metrics.forget_unused();
        Ok(inventory.change_counter)
    }

    /// The declared credentials, read and sealed. One that cannot be read has no value, and says why in the log.
    fn declared(&self, config: &Config, environment: &Environment) -> Vec<Credential> {
        let mut version = self.declared_version.lock().unwrap_or_else(PoisonError::into_inner);
        *version = version.saturating_add(1);
        config.credentials.iter().map(|declared| self.declare(declared, environment, *version)).collect()
    }

    fn declare(&self, declared: &DeclaredCredential, environment: &Environment, version: u32) -> Credential {
        let mut credential = declared.credential(version);
        let sealed = source_of(declared, environment).and_then(|source| {
            let fields = source.read()?;
            Ok(self.vault.seal_declared(&credential, &fields)?)
        });
        match sealed {
            Ok(sealed) => credential.sealed = Some(Arc::new(sealed)),
            Err(error) => {
                tracing::error!(credential = %declared.name, error = format!("{error:#}"), "a declared credential has no value");
            }
        }
        credential
    }

    /// Everything for Prometheus.
    pub(super) fn exposition(&self, format: Format) -> String {
        let health = self.audit.health();
        self.metrics.set_audit(health.waiting_bytes, health.failures, health.lost);
        let counted = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.client_connections().set(counted(listen::clients()));
        self.metrics.upstream_connections().set(counted(upstream::GAUGES.open.load(Ordering::Relaxed)));
        self.metrics.upstream_idle().set(counted(upstream::GAUGES.idle.load(Ordering::Relaxed)));
        self.metrics.encode(format)
    }

    /// Writes out what is still in memory.
    pub(super) fn close(&self) {
        if let Err(error) = self.audit.close() {
            tracing::error!(%error, "the last audit entries could not be written");
        }
    }
}

/// Opens the store with its master key, making what is missing.
///
/// # Errors
/// When the store or the key cannot be had; the message says what to do.
pub fn open_vault(config: &Config, environment: &Environment) -> anyhow::Result<Vault> {
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
    let value = |name: &str| {
        let text = environment.filled(name).map(|text| Zeroizing::new(text.to_owned()));
        text.with_context(|| format!("[master_key] names the environment variable `{name}`, which is not set"))
    };
    Ok(match &config.master_key {
        MasterKey::File(path) => MasterKeySource::File(path.clone()),
        MasterKey::Env(name) => MasterKeySource::Env { name: name.clone(), value: value(name)? },
        MasterKey::PassphraseEnv(name) => MasterKeySource::Passphrase { name: name.clone(), value: value(name)? },
        MasterKey::Command(argv) => MasterKeySource::Command(argv.clone()),
    })
}

fn source_of(declared: &DeclaredCredential, environment: &Environment) -> anyhow::Result<Declared> {
    let place = |(field, source): &(Name, ValueSource)| {
        let value = match source {
            ValueSource::Env(name) => {
                let found = environment.filled(name);
                let value = found.with_context(|| format!("the environment variable `{name}` is not set"))?;
                DeclaredValue::Env { name: name.clone(), value: Zeroizing::new(value.to_owned()) }
            }
            ValueSource::File(path) => DeclaredValue::File(path.clone()),
            ValueSource::Command(argv) => DeclaredValue::Command(argv.clone()),
        };
        Ok((field.clone(), value))
    };
    let fields = declared.fields.iter().map(place).collect::<anyhow::Result<_>>()?;
    Ok(Declared { name: declared.name.clone(), service: declared.service.clone(), fields })
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
