//! Every metric's name and value, and their exposition for Prometheus. Counting is a few relaxed additions on lines that
//! belong to the counting core; reading adds the cores up. It decides nothing and knows nobody who counts.
//!
//! No label's value comes from the wire: a service is a configured name, a code or class one of a fixed set.

mod cores;
mod exposition;
mod gates;
mod handshake;
pub mod names;
mod service;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use cores::Gauge;
pub use exposition::Format;
pub use gates::{GATE_STATES, GateLevels};
pub use handshake::Handshake;
pub use service::{AnsweredBy, Distribution, Observation, Resend, ServiceMetrics, Totals};

use crate::domain::{Code, EventKind, Name};
use cores::PerCore;
use gates::GateCounts;

/// What a stored credential may need, in the order of [`Metrics::set_keys_in_state`].
pub const KEY_STATES: [&str; 5] = ["ok", "rotation_due", "expires_soon", "refused", "expired"];

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    inner: Arc<Inner>,
    registry: Registry,
}

#[derive(Debug)]
struct Inner {
    cores: usize,
    services: Mutex<BTreeMap<Name, Arc<ServiceMetrics>>>,
    refusals: PerCore<[AtomicU64; Code::ALL.len()]>,
    handshakes: PerCore<[AtomicU64; Handshake::ALL.len()]>,
    in_flight: Gauge,
    client_connections: Gauge,
    upstream_connections: Gauge,
    upstream_idle: Gauge,
    gates: GateCounts,
    events: [AtomicU64; EventKind::ALL.len()],
    deliveries: [AtomicU64; Delivery::ALL.len()],
    audit_waiting: AtomicU64,
    audit_failures: AtomicU64,
    audit_lost: AtomicU64,
    config_loads: AtomicU64,
    config_failures: AtomicU64,
    config_ok: AtomicBool,
    config_time_us: AtomicU64,
    keys: AtomicU64,
    keys_in_state: [AtomicU64; KEY_STATES.len()],
    start_time_us: u64,
}

/// How an event's way to the webhook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The webhook took it.
    Ok,
    /// It was tried as often as it is tried.
    Failed,
    /// Too many waited before it.
    Dropped,
}

impl Delivery {
    /// All of them, in the order of the variants.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Failed, Self::Dropped];

    /// The text of the label.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

impl Metrics {
    /// For a process with `cores` counting cores that started at `start`, since the Unix epoch.
    pub fn new(cores: usize, start: Duration) -> Self {
        let inner = Arc::new(Inner {
            cores,
            services: Mutex::default(),
            refusals: PerCore::new(cores),
            handshakes: PerCore::new(cores),
            in_flight: Gauge::new(cores),
            client_connections: Gauge::new(cores),
            upstream_connections: Gauge::new(cores),
            upstream_idle: Gauge::new(cores),
            gates: GateCounts::default(),
            events: Default::default(),
            deliveries: Default::default(),
            audit_waiting: AtomicU64::new(0),
            audit_failures: AtomicU64::new(0),
            audit_lost: AtomicU64::new(0),
            config_loads: AtomicU64::new(0),
            config_failures: AtomicU64::new(0),
            config_ok: AtomicBool::new(false),
            config_time_us: AtomicU64::new(0),
            keys: AtomicU64::new(0),
            keys_in_state: Default::default(),
            start_time_us: micros(start),
        });
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&inner)));
        Self { inner, registry }
    }

    /// The counters of the service called `name`: the same ones whenever it is asked for, so that they survive a reload.
    /// Takes a lock, so ask when a service is compiled, not for each request.
    pub fn service(&self, name: &Name) -> Arc<ServiceMetrics> {
        let mut services = self.inner.services.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(ServiceMetrics::new(name.clone(), self.inner.cores));
        Arc::clone(services.entry(name.clone()).or_insert_with(new))
    }

    /// Forgets the services that nobody holds any more and that were never called. Call it after a reload.
    pub fn forget_unused(&self) {
        let mut services = self.inner.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.retain(|_, service| Arc::strong_count(service) > 1 || service.totals().is_some());
    }

    /// What was counted for each service that was called, in the order of their names.
    pub fn totals(&self) -> Vec<(Name, Totals)> {
        let services = self.inner.services();
        services.iter().filter_map(|service| Some((service.name().clone(), service.totals()?))).collect()
    }

    /// Counts a tunnel that was opened, or was not.
    #[inline]
    pub fn shook_hands(&self, core: usize, how: Handshake) {
        let count = self.inner.handshakes.of(core).and_then(|counts| counts.get(how as usize));
        if let Some(count) = count {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Counts a request that sidekey answered itself.
    #[inline]
    pub fn refused(&self, core: usize, why: Code) {
        if let Some(count) = self.inner.refusals.of(core).and_then(|counts| counts.get(position(why))) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Requests that are under way.
    pub fn in_flight(&self) -> &Gauge {
        &self.inner.in_flight
    }

    /// Connections from clients that are open.
    pub fn client_connections(&self) -> &Gauge {
        &self.inner.client_connections
    }

    /// Connections to upstreams that are open, idle ones included.
    pub fn upstream_connections(&self) -> &Gauge {
        &self.inner.upstream_connections
    }

    /// Connections to upstreams that are open and carry nothing.
    pub fn upstream_idle(&self) -> &Gauge {
        &self.inner.upstream_idle
    }

    /// Counts an event that was told.
    pub fn event(&self, kind: EventKind) {
        if let Some(count) = self.inner.events.get(kind as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Counts an event whose way to the webhook has ended.
    pub fn delivery(&self, delivery: Delivery) {
        if let Some(count) = self.inner.deliveries.get(delivery as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// A gate of `service` closed.
    pub fn gate_closed(&self, service: &Name, reason: &'static str) {
        *self.inner.gates.lock().closures.entry((service.clone(), reason)).or_default() += 1;
    }

    /// The circuit in front of an upstream of `service` opened.
    pub fn circuit_opened(&self, service: &Name) {
        *self.inner.gates.lock().circuits.entry(service.clone()).or_default() += 1;
    }

    /// Four fifths or all of a quota of `service` was used.
    pub fn quota_alerted(&self, service: &Name, what: &'static str) {
        *self.inner.gates.lock().quotas.entry((service.clone(), what)).or_default() += 1;
    }

    /// What the gates look like; set before [`Metrics::encode`].
    pub fn set_gates(&self, levels: GateLevels) {
        self.inner.gates.lock().levels = levels;
    }

    /// How the audit log fares; set before [`Metrics::encode`].
    pub fn set_audit(&self, waiting_bytes: u64, failures: u64, lost: u64) {
        self.inner.audit_waiting.store(waiting_bytes, Relaxed);
        self.inner.audit_failures.store(failures, Relaxed);
        self.inner.audit_lost.store(lost, Relaxed);
    }

    /// The configuration was read and is in use since `at`, since the Unix epoch.
    pub fn config_loaded(&self, at: Duration) {
        self.inner.config_loads.fetch_add(1, Relaxed);
        self.inner.config_ok.store(true, Relaxed);
        self.inner.config_time_us.store(micros(at), Relaxed);
    }

    /// The configuration was read and not taken; the one before stays in use.
    pub fn config_failed(&self) {
        self.inner.config_failures.fetch_add(1, Relaxed);
        self.inner.config_ok.store(false, Relaxed);
    }

    /// How many credentials there are.
    pub fn set_keys(&self, count: u64) {
        self.inner.keys.store(count, Relaxed);
    }

    /// How many stored credentials are in which of [`KEY_STATES`].
    pub fn set_keys_in_state(&self, counts: [u64; KEY_STATES.len()]) {
        for (level, count) in self.inner.keys_in_state.iter().zip(counts) {
            level.store(count, Relaxed);
        }
    }

    /// Everything, as Prometheus reads it. Send it with [`Format::content_type`].
    pub fn encode(&self, format: Format) -> String {
        let mut out = String::with_capacity(16 << 10);
        // Writing to a string cannot fail; were it to, the missing end mark makes the scrape fail and not lie.
        let _ = text::encode(&mut out, &self.registry);
        format.convert(out)
    }
}

impl Inner {
    fn services(&self) -> Vec<Arc<ServiceMetrics>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect()
    }

    fn handshakes(&self, how: Handshake) -> u64 {
        self.handshakes.iter().filter_map(|counts| counts.get(how as usize)).map(|count| count.load(Relaxed)).sum()
    }

    fn refusals(&self, code: Code) -> u64 {
        self.refusals.iter().filter_map(|counts| counts.get(position(code))).map(|count| count.load(Relaxed)).sum()
    }
}

/// Where a code's counter is: in the order of `Code::ALL`, which is that of its variants.
fn position(code: Code) -> usize {
    code as usize
}

fn micros(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(duration.subsec_micros()))
}

#[cfg(test)]
mod tests;
