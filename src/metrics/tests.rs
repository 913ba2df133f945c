//! The numbers are right, and Prometheus can read them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{
    AnsweredBy, Delivery, Format, GATE_STATES, GateLevels, Metrics, Observation, ServiceMetrics, names, position,
};
use crate::domain::{Code, EventKind, Name};
use crate::throttle::Met;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn metrics() -> Metrics {
    Metrics::new(2, Duration::from_millis(1_700_000_000_500))
}

fn seen(status: u16, total_ms: u64) -> Observation {
    Observation {
        status,
        answered_by: AnsweredBy::Upstream,
        resends: 0,
        bytes_in: 10,
        bytes_out: 100,
        wait: Duration::ZERO,
        upstream: Duration::from_millis(total_ms),
        total: Duration::from_millis(total_ms),
    }
}

/// Reads an exposition strictly: every sample belongs to the family announced last, every family is announced once with
/// help and type, every value is a number. Returns the samples in thousandths, which are whole numbers here.
fn parse(text: &str) -> BTreeMap<String, i64> {
    let mut samples = BTreeMap::new();
    let mut families = BTreeMap::new();
    let mut family = String::new();
    let mut helped = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped = rest.split_once(' ').unwrap().0.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(helped, name, "help comes before type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is announced once");
            name.clone_into(&mut family);
        } else if line != "# EOF" {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let sample = series.split('{').next().unwrap();
            let suffix = sample.strip_prefix(&family).unwrap_or_else(|| panic!("{sample} is not of {family}"));
            assert!(["", "_total", "_sum", "_count", "_bucket"].contains(&suffix), "{line}");
            assert!(samples.insert(series.to_owned(), thousandths(value)).is_none(), "{series} is there once");
        }
    }
    samples
}

#[allow(clippy::cast_possible_truncation, reason = "the tests' values are small")]
fn thousandths(value: &str) -> i64 {
    (value.parse::<f64>().unwrap() * 1000.0).round() as i64
}

#[test]
fn requests_are_counted_by_service_and_class_over_all_cores() {
    let metrics = metrics();
    let stripe = metrics.service(&name("stripe"));
    stripe.observe(0, &seen(200, 3));
    stripe.observe(1, &seen(204, 3));
    stripe.observe(7, &seen(503, 3));
    stripe.observe(0, &seen(0, 3));
    let samples = parse(&metrics.encode(Format::OpenMetrics));
    assert_eq!(samples[r#"sidekey_requests_total{service="stripe",class="2xx"}"#], 2_000);
    assert_eq!(samples[r#"sidekey_requests_total{service="stripe",class="5xx"}"#], 1_000);
    assert_eq!(samples[r#"sidekey_requests_total{service="stripe",class="none"}"#], 1_000);
    assert_eq!(samples[r#"sidekey_requests_total{service="stripe",class="4xx"}"#], 0);
    assert_eq!(samples[r#"sidekey_request_bytes_total{service="stripe"}"#], 40_000);
    assert_eq!(samples[r#"sidekey_response_bytes_total{service="stripe"}"#], 400_000);
}

#[test]
fn only_the_upstreams_own_refusals_count_as_failed_authentication() {
    let metrics = metrics();
    let stripe = metrics.service(&name("stripe"));
    for status in [401, 401, 403, 429] {
        stripe.observe(0, &seen(status, 1));
        stripe.observe(0, &Observation { answered_by: AnsweredBy::Sidekey, ..seen(status, 1) });
    }
    let totals = stripe.totals().unwrap();
    assert_eq!((totals.unauthorized, totals.forbidden), (2, 1));
    assert_eq!(totals.classes, [0, 0, 0, 0, 8, 0]);
}

#[test]
fn durations_fall_into_their_buckets() {
    let metrics = metrics();
    let stripe = metrics.service(&name("stripe"));
    stripe.observe(0, &Observation { wait: Duration::from_secs(2), resends: 2, ..seen(200, 1) });
    stripe.observe(1, &seen(200, 2));
    stripe.observe(1, &seen(200, 61_000));
    let samples = parse(&metrics.encode(Format::OpenMetrics));
    let bucket =
        |le: &str| samples[&format!(r#"sidekey_request_duration_seconds_bucket{{le="{le}",service="stripe"}}"#)];
    assert_eq!([bucket("0.001"), bucket("0.0025"), bucket("60.0"), bucket("+Inf")], [1000, 2000, 2000, 3000]);
    assert_eq!(samples[r#"sidekey_request_duration_seconds_count{service="stripe"}"#], 3_000);
    assert_eq!(samples[r#"sidekey_request_duration_seconds_sum{service="stripe"}"#], 61_003);
    assert_eq!(samples[r#"sidekey_gate_wait_seconds_count{service="stripe"}"#], 1_000);
    assert_eq!(samples[r#"sidekey_resends_total{service="stripe"}"#], 2_000);
}

#[test]
fn a_service_that_is_not_called_shows_nothing_and_is_forgotten_when_nobody_holds_it() {
    let metrics = metrics();
    let held: Arc<ServiceMetrics> = metrics.service(&name("held"));
    metrics.service(&name("dropped"));
    metrics.service(&name("called")).observe(0, &seen(200, 1));
    assert!(!metrics.encode(Format::OpenMetrics).contains("held"));
    metrics.forget_unused();
    assert_eq!(metrics.inner.services().len(), 2);
    assert!(Arc::ptr_eq(&held, &metrics.service(&name("held"))), "a reload finds the same counters");
    assert_eq!(metrics.totals().len(), 1);
}

#[test]
fn what_is_turned_down_is_told_apart_by_status_and_by_what_the_limit_counts() {
    let metrics = metrics();
    let openai = metrics.service(&name("openai"));
    openai.observe(0, &seen(200, 1));
    for (status, met, times) in [(429, Met::Tokens, 3), (429, Met::Daily, 2), (403, Met::None, 1), (503, Met::Other, 4)]
    {
        (0..times).for_each(|_| openai.turned_down(StatusCode::from_u16(status).unwrap(), met));
    }
    let samples = parse(&metrics.encode(Format::OpenMetrics));
    let counted: Vec<(&str, i64)> = samples
        .iter()
        .filter_map(|(series, count)| Some((series.strip_prefix("sidekey_upstream_throttled_total")?, *count)))
        .collect();
    assert_eq!(
        counted,
        [
            (r#"{service="openai",status="403",dimension="none"}"#, 1_000),
            (r#"{service="openai",status="429",dimension="daily"}"#, 2_000),
            (r#"{service="openai",status="429",dimension="tokens"}"#, 3_000),
            (r#"{service="openai",status="other",dimension="other"}"#, 4_000),
        ]
    );
}

#[test]
fn gates_are_told_by_service_kind_of_bucket_and_state() {
    let metrics = metrics();
    let (service, mut levels) = (name("github"), GateLevels::default());
    levels.gates.insert((service.clone(), "all"), [1, 2, 3, 4]);
    levels.gates.insert((service.clone(), "learnt"), [5, 0, 0, 0]);
    levels.waiting.insert(service.clone(), 7);
    levels.rejections = vec![(service.clone(), "queue_full", 8), (service.clone(), "process_full", 9)];
    levels.left.insert(service, 0.25);
    metrics.set_gates(levels);
    let samples = parse(&metrics.encode(Format::OpenMetrics));
    let of = |labels: &str| samples[&format!("sidekey_gates{{service=\"github\",{labels}}}")];
    let states = GATE_STATES.map(|state| of(&format!("bucket=\"all\",state=\"{state}\"")));
    assert_eq!(states, [1_000, 2_000, 3_000, 4_000]);
    assert_eq!(of(r#"bucket="learnt",state="open""#), 5_000);
    assert_eq!(samples[r#"sidekey_gate_waiting_requests{service="github"}"#], 7_000);
    assert_eq!(samples[r#"sidekey_gate_rejections_total{service="github",reason="queue_full"}"#], 8_000);
    assert_eq!(samples[r#"sidekey_gate_rejections_total{service="github",reason="process_full"}"#], 9_000);
    assert_eq!(samples[r#"sidekey_limit_left_ratio{service="github"}"#], 250);
}

#[test]
fn every_code_has_its_own_counter() {
    let metrics = metrics();
    for (i, code) in Code::ALL.into_iter().enumerate() {
        assert_eq!(position(code), i, "{code:?}");
        metrics.refused(i % 2, code);
    }
    metrics.refused(1, Code::RateLimited);
    let samples = parse(&metrics.encode(Format::OpenMetrics));
    assert_eq!(samples[r#"sidekey_refusals_total{code="rate_limited"}"#], 2_000);
    assert_eq!(samples[r#"sidekey_refusals_total{code="upstream_timeout"}"#], 1_000);
}

#[test]
fn every_kind_of_event_and_every_delivery_has_its_own_counter() {
    let metrics = metrics();
    for (i, kind) in EventKind::ALL.into_iter().enumerate() {
        (0..=i).for_each(|_| metrics.event(kind));
    }
    for (i, delivery) in Delivery::ALL.into_iter().enumerate() {
        (0..=i).for_each(|_| metrics.delivery(delivery));
    }
    let samples = parse(&metrics.encode(Format::OpenMetrics));
    assert_eq!(samples[r#"sidekey_events_total{kind="new_endpoint"}"#], 1_000);
    assert_eq!(samples[r#"sidekey_events_total{kind="unknown_callers"}"#], 8_000);
    assert_eq!(samples[r#"sidekey_webhook_deliveries_total{result="ok"}"#], 1_000);
    assert_eq!(samples[r#"sidekey_webhook_deliveries_total{result="dropped"}"#], 3_000);
}

#[test]
fn gauges_add_up_over_cores_that_count_up_and_down_apart() {
    let metrics = metrics();
    metrics.in_flight().up(0);
    metrics.in_flight().up(0);
    metrics.in_flight().down(1);
    metrics.client_connections().up(5);
    metrics.set_audit(512, 3, 1);
    metrics.set_keys(4);
    metrics.config_loaded(Duration::from_secs(1_700_000_100));
    metrics.config_failed();
    let samples = parse(&metrics.encode(Format::OpenMetrics));
    assert_eq!(samples["sidekey_requests_in_flight"], 1_000);
    assert_eq!(samples["sidekey_client_connections"], 1_000);
    assert_eq!(samples["sidekey_audit_waiting_bytes"], 512_000);
    assert_eq!(samples["sidekey_audit_failures_total"], 3_000);
    assert_eq!(samples["sidekey_audit_lost_entries_total"], 1_000);
    assert_eq!(samples["sidekey_keys"], 4_000);
    assert_eq!(samples["sidekey_config_last_load_successful"], 0);
    assert_eq!(samples["sidekey_config_last_success_timestamp_seconds"], 1_700_000_100_000);
    assert_eq!(samples["sidekey_start_time_seconds"], 1_700_000_000_500);
    assert_eq!(samples[r#"sidekey_config_loads_total{result="failed"}"#], 1_000);
}

#[test]
fn both_formats_hold_the_same_samples_and_every_metric() {
    let metrics = metrics();
    metrics.service(&name("a.b-c_d")).observe(0, &seen(200, 1));
    let (open, text) = (metrics.encode(Format::OpenMetrics), metrics.encode(Format::Text));
    assert_eq!(parse(&open), parse(&text));
    assert!(open.ends_with("# EOF\n") && !text.contains("# EOF"));
    for metric in names::ALL {
        assert!(metric.name.starts_with("sidekey_"), "{}", metric.name);
        assert!(open.contains(&format!("# TYPE {} ", metric.name)), "{}", metric.name);
    }
    assert!(text.contains("# TYPE sidekey_requests_total counter\n"));
    assert!(open.contains("# TYPE sidekey_requests counter\n"));
}

#[test]
fn labels_are_escaped() {
    // A service's name cannot hold any of these; the encoder is checked all the same.
    let mut registry = Registry::default();
    let family = Family::<[(&str, &str); 1], Counter>::default();
    family.get_or_create(&[("service", "a\"b\\c\nd")]).inc();
    registry.register("x", "y", family);
    let mut out = String::new();
    text::encode(&mut out, &registry).unwrap();
    assert!(out.contains(r#"x_total{service="a\"b\\c\nd"} 1"#), "{out}");
}

#[test]
fn the_format_follows_the_accept_header() {
    let open = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
    assert_eq!(Format::from_accept(Some(open)), Format::OpenMetrics);
    assert_eq!(Format::from_accept(Some("application/openmetrics-text;q=0, text/plain")), Format::Text);
    assert_eq!(Format::from_accept(Some("text/html,*/*;q=0.8")), Format::Text);
    assert_eq!(Format::from_accept(None), Format::Text);
}
