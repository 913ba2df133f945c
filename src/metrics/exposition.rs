//! Writing the metrics for Prometheus: OpenMetrics text, or the older text format for who asks for that.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::exemplar::Exemplar;

use super::names::{self, Metric};
use super::service::{BUCKETS, CLASSES, Distribution, Resend, THROTTLED, Totals};
use super::{Delivery, GATE_STATES, Handshake, Inner, ServiceMetrics};
use crate::domain::{Code, EventKind};
use crate::throttle::Met;

/// The shape of an exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's text format 0.0.4, which browsers and `curl` get too.
    Text,
}

impl Format {
    /// What the `Accept` header asks for. OpenMetrics only when it is named and not refused by `q=0`.
    pub fn from_accept(accept: Option<&str>) -> Self {
        let asks = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/openmetrics-text"));
            named && !parts.any(|p| p.strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0)))
        };
        if accept.is_some_and(|accept| accept.split(',').any(asks)) { Self::OpenMetrics } else { Self::Text }
    }

    /// The `Content-Type` of the exposition.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Turns OpenMetrics into this format. The older one wants a counter's family to be named as its samples are, and
    /// knows no units and no end mark.
    pub(super) fn convert(self, open_metrics: String) -> String {
        if self == Self::OpenMetrics {
            return open_metrics;
        }
        let mut text = String::with_capacity(open_metrics.len() + 1024);
        let mut help = "";
        for line in open_metrics.lines() {
            if line.starts_with("# HELP ") {
                help = line;
                continue;
            }
            if line == "# EOF" {
                continue;
            }
            if let Some(name) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()) {
                let suffix = if line.ends_with(" counter") { "_total" } else { "" };
                push_renamed(&mut text, help, name, suffix);
                push_renamed(&mut text, line, name, suffix);
                continue;
            }
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// Adds a `# HELP` or `# TYPE` line with the suffix after the family's name.
fn push_renamed(text: &mut String, line: &str, name: &str, suffix: &str) {
    let end = "# HELP ".len() + name.len();
    text.push_str(line.get(..end).unwrap_or_default());
    text.push_str(suffix);
    text.push_str(line.get(end..).unwrap_or_default());
    text.push('\n');
}

type NoExemplar<'a> = Option<&'a Exemplar<NoLabelSet, f64>>;

/// A counter of services and where its value is.
type Counted = (&'static Metric, fn(&Totals) -> u64);
/// A histogram of services and where its values are.
type Timed = (&'static Metric, fn(&Totals) -> &Distribution);

/// One family being written: each of its values with its labels.
struct Family<'a>(MetricEncoder<'a>);

impl<'a> Family<'a> {
    fn begin(encoder: &'a mut DescriptorEncoder<'_>, metric: &'a Metric) -> Result<Self, fmt::Error> {
        encoder.encode_descriptor(metric.name, metric.help, None, metric.kind).map(Self)
    }

    fn count(&mut self, labels: &impl EncodeLabelSet, value: u64) -> fmt::Result {
        let none: NoExemplar<'_> = None;
        self.0.encode_family(labels)?.encode_counter(&value, none)
    }

    fn sole_count(&mut self, value: u64) -> fmt::Result {
        let none: NoExemplar<'_> = None;
        self.0.encode_counter(&value, none)
    }

    fn sole_level(&mut self, value: &impl EncodeGaugeValue) -> fmt::Result {
        self.0.encode_gauge(value)
    }

    fn level(&mut self, labels: &impl EncodeLabelSet, value: &impl EncodeGaugeValue) -> fmt::Result {
        self.0.encode_family(labels)?.encode_gauge(value)
    }

    fn spread(&mut self, labels: &impl EncodeLabelSet, seen: &Distribution) -> fmt::Result {
        let bounds = BUCKETS.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(seen.buckets).collect();
        let mut encoder = self.0.encode_family(labels)?;
        encoder.encode_histogram::<NoLabelSet>(seconds(seen.sum_us), seen.count(), &buckets, None)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a sum of 285 years is exact to the microsecond, longer ones nearly")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

impl Collector for Inner {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_services(&mut encoder)?;
        self.encode_gates(&mut encoder)?;
        self.encode_refusals(&mut encoder)?;
        self.encode_gauges(&mut encoder)?;
        self.encode_events(&mut encoder)?;
        self.encode_state(&mut encoder)
    }
}

impl Inner {
    fn encode_services(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let services = self.services();
        let used = services.iter().filter_map(|service: &std::sync::Arc<ServiceMetrics>| {
            service.totals().map(|totals| (service.name().as_str(), totals))
        });
        let used: Vec<(&str, Totals)> = used.collect();
        let mut family = Family::begin(encoder, &names::REQUESTS)?;
        for (name, totals) in &used {
            for (class, count) in CLASSES.iter().zip(totals.classes) {
                family.count(&[("service", *name), ("class", *class)], count)?;
            }
        }
        let mut family = Family::begin(encoder, &names::AUTH_FAILURES)?;
        for (name, totals) in &used {
            family.count(&[("service", *name), ("status", "401")], totals.unauthorized)?;
            family.count(&[("service", *name), ("status", "403")], totals.forbidden)?;
        }
        let mut family = Family::begin(encoder, &names::THROTTLED)?;
        for (name, totals) in &used {
            for (status, counts) in THROTTLED.iter().zip(totals.throttled) {
                let counts = Met::ALL.iter().zip(counts).filter(|(_, count)| *count > 0);
                for (met, count) in counts {
                    family.count(&[("service", *name), ("status", *status), ("dimension", met.as_str())], count)?;
                }
            }
        }
        let mut family = Family::begin(encoder, &names::RESEND_RESULTS)?;
        for (name, totals) in &used {
            for (why, results) in Resend::ALL.iter().zip(totals.resent) {
                for (result, count) in Resend::RESULTS.iter().zip(results) {
                    let labels = [("service", *name), ("class", why.as_str()), ("result", *result)];
                    family.count(&labels, count)?;
                }
            }
        }
        let counters: [Counted; 5] = [
            (&names::RESENDS, |totals| totals.resends),
            (&names::FALLBACKS, |totals| totals.fallbacks),
            (&names::FAILOVERS, |totals| totals.failovers),
            (&names::REQUEST_BYTES, |totals| totals.bytes_in),
            (&names::RESPONSE_BYTES, |totals| totals.bytes_out),
        ];
        for (metric, value) in counters {
            let mut family = Family::begin(encoder, metric)?;
            for (name, totals) in &used {
                family.count(&[("service", *name)], value(totals))?;
            }
        }
        let histograms: [Timed; 3] = [
            (&names::REQUEST_SECONDS, |totals| &totals.total),
            (&names::UPSTREAM_SECONDS, |totals| &totals.upstream),
            (&names::WAIT_SECONDS, |totals| &totals.wait),
        ];
        for (metric, value) in histograms {
            let mut family = Family::begin(encoder, metric)?;
            for (name, totals) in &used {
                family.spread(&[("service", *name)], value(totals))?;
            }
        }
        Ok(())
    }

    fn encode_gates(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counted = self.gates.lock();
        let mut family = Family::begin(encoder, &names::GATES)?;
        for ((service, bucket), counts) in &counted.levels.gates {
            for (state, count) in GATE_STATES.iter().zip(counts) {
                family.level(&[("service", service.as_str()), ("bucket", *bucket), ("state", *state)], count)?;
            }
        }
        let mut family = Family::begin(encoder, &names::GATE_CLOSURES)?;
        for ((service, reason), count) in &counted.closures {
            family.count(&[("service", service.as_str()), ("reason", *reason)], *count)?;
        }
        let ratios = [
            (&names::LIMIT_LEFT, &counted.levels.left),
            (&names::QUOTA_LEFT, &counted.levels.quotas),
            (&names::BUDGET_LEFT, &counted.levels.budgets),
        ];
        for (metric, levels) in ratios {
            let mut family = Family::begin(encoder, metric)?;
            for (service, left) in levels {
                family.level(&[("service", service.as_str())], left)?;
            }
        }
        Family::begin(encoder, &names::GATE_PINS)?.sole_level(&counted.levels.pins)?;
        let mut family = Family::begin(encoder, &names::QUOTA_ALERTS)?;
        for ((service, what), count) in &counted.quotas {
            family.count(&[("service", service.as_str()), ("what", *what)], *count)?;
        }
        let mut family = Family::begin(encoder, &names::GATE_WAITING)?;
        for (service, count) in &counted.levels.waiting {
            family.level(&[("service", service.as_str())], count)?;
        }
        let mut family = Family::begin(encoder, &names::GATE_REJECTIONS)?;
        for (service, reason, count) in &counted.levels.rejections {
            family.count(&[("service", service.as_str()), ("reason", *reason)], *count)?;
        }
        let mut family = Family::begin(encoder, &names::CIRCUITS_OPENED)?;
        for (service, count) in &counted.circuits {
            family.count(&[("service", service.as_str())], *count)?;
        }
        Ok(())
    }

    fn encode_refusals(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family::begin(encoder, &names::REFUSALS)?;
        for code in Code::ALL {
            family.count(&[("code", code.as_str())], self.refusals(code))?;
        }
        let mut family = Family::begin(encoder, &names::HANDSHAKES)?;
        for how in Handshake::ALL {
            family.count(&[("result", how.as_str())], self.handshakes(how))?;
        }
        Ok(())
    }

    fn encode_gauges(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let gauges = [
            (&names::IN_FLIGHT, &self.in_flight),
            (&names::CLIENT_CONNECTIONS, &self.client_connections),
            (&names::UPSTREAM_CONNECTIONS, &self.upstream_connections),
            (&names::UPSTREAM_IDLE, &self.upstream_idle),
        ];
        for (metric, gauge) in gauges {
            Family::begin(encoder, metric)?.sole_level(&gauge.value())?;
        }
        Ok(())
    }

    fn encode_events(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family::begin(encoder, &names::EVENTS)?;
        for (kind, count) in EventKind::ALL.iter().zip(&self.events) {
            family.count(&[("kind", kind.as_str())], count.load(Relaxed))?;
        }
        let mut family = Family::begin(encoder, &names::WEBHOOK)?;
        for (delivery, count) in Delivery::ALL.iter().zip(&self.deliveries) {
            family.count(&[("result", delivery.as_str())], count.load(Relaxed))?;
        }
        Ok(())
    }

    fn encode_state(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        Family::begin(encoder, &names::AUDIT_WAITING)?.sole_level(&self.audit_waiting.load(Relaxed))?;
        Family::begin(encoder, &names::AUDIT_FAILURES)?.sole_count(self.audit_failures.load(Relaxed))?;
        Family::begin(encoder, &names::AUDIT_LOST)?.sole_count(self.audit_lost.load(Relaxed))?;
        let mut loads = Family::begin(encoder, &names::CONFIG_LOADS)?;
        loads.count(&[("result", "ok")], self.config_loads.load(Relaxed))?;
        loads.count(&[("result", "failed")], self.config_failures.load(Relaxed))?;
        let ok = u32::from(self.config_ok.load(Relaxed));
        Family::begin(encoder, &names::CONFIG_OK)?.sole_level(&ok)?;
        Family::begin(encoder, &names::CONFIG_TIME)?.sole_level(&seconds(self.config_time_us.load(Relaxed)))?;
        Family::begin(encoder, &names::KEYS)?.sole_level(&self.keys.load(Relaxed))?;
        let mut family = Family::begin(encoder, &names::KEYS_IN_STATE)?;
        for (state, count) in super::KEY_STATES.iter().zip(&self.keys_in_state) {
            family.level(&[("state", *state)], &count.load(Relaxed))?;
        }
        Family::begin(encoder, &names::BUILD)?.level(&[("version", env!("CARGO_PKG_VERSION"))], &1_u32)?;
        Family::begin(encoder, &names::START_TIME)?.sole_level(&seconds(self.start_time_us))
    }
}
