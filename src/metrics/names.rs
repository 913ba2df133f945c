//! Every metric: its name, what it says and how it counts. Names never change their meaning; units are base units and
//! stand last. Counters are named without `_total`, which the exposition adds. No label's value comes from the wire: they
//! are configured services, codes, classes and fixed words.

use prometheus_client::metrics::MetricType;

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name, without `_total`.
    pub name: &'static str,
    /// What it says, for people.
    pub help: &'static str,
    /// How it counts.
    pub(super) kind: MetricType,
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, help, kind: MetricType::Counter }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, help, kind: MetricType::Gauge }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric { name, help, kind: MetricType::Histogram }
}

/// By `service` and `class` (`1xx` to `5xx`, `none` when the client left before an answer).
pub const REQUESTS: Metric =
    counter("sidekey_requests", "Requests that were for a known service, by the answer's class");
/// By `service` and `status` (`401`, `403`).
pub const AUTH_FAILURES: Metric =
    counter("sidekey_upstream_auth_failures", "Answers by which the upstream did not accept the credential");
/// By `service`, `status` (`429`, `403`, `other`) and `dimension` (`requests`, `tokens`, `concurrency`, `daily`, `other`, `none`).
pub const THROTTLED: Metric =
    counter("sidekey_upstream_throttled", "Answers by which the upstream turned a request down for a limit");
/// By `service`.
pub const RESENDS: Metric = counter("sidekey_resends", "Attempts after the first");
/// By `service`, `class` (`throttled`, `overloaded`, `transient`) and `result` (`ok`, `failed`).
pub const RESEND_RESULTS: Metric =
    counter("sidekey_resend_results", "Attempts that were made again, by why and by what became of them");
/// By `service`.
pub const REQUEST_BYTES: Metric = counter("sidekey_request_bytes", "Bytes of request bodies");
/// By `service`.
pub const RESPONSE_BYTES: Metric = counter("sidekey_response_bytes", "Bytes of response bodies");
/// By `service`.
pub const REQUEST_SECONDS: Metric =
    histogram("sidekey_request_duration_seconds", "From a request's first byte to the end of its answer");
/// By `service`.
pub const UPSTREAM_SECONDS: Metric =
    histogram("sidekey_upstream_duration_seconds", "How long the upstream took, all attempts together");
/// By `service`; only requests that waited.
pub const WAIT_SECONDS: Metric = histogram("sidekey_gate_wait_seconds", "How long requests waited for their turn");
/// By `service`, `bucket` (`all`, `declared`, `learnt`) and `state` (`open`, `closed`, `probing`, `slow_start`).
pub const GATES: Metric = gauge("sidekey_gates", "Gates that keep what upstreams allow, by how they stand");
/// By `service` and `reason` (`throttled`, `exhausted`, `overloaded`).
pub const GATE_CLOSURES: Metric = counter("sidekey_gate_closures", "Times that a gate closed, by why");
/// By `service`: of the limit of which least is left.
pub const LIMIT_LEFT: Metric = gauge("sidekey_limit_left_ratio", "What an upstream's limit has left, from 0 to 1");
/// By `service`: of the limit owner of which least is left.
pub const QUOTA_LEFT: Metric =
    gauge("sidekey_quota_left_ratio", "What a quota of the day or month has left, from 0 to 1");
/// By `service` and `what` (`nearly_used_up`, `used_up`).
pub const QUOTA_ALERTS: Metric =
    counter("sidekey_quota_alerts", "Times that four fifths or all of a quota of the day or month was used");
/// By `service`: of the limit owner of which least is left.
pub const BUDGET_LEFT: Metric =
    gauge("sidekey_resend_budget_tokens", "What the budget for sending again has left, of 500");
/// Over all services.
pub const GATE_PINS: Metric = gauge("sidekey_gate_pins", "Limits that are pinned");
/// By `service`.
pub const GATE_WAITING: Metric = gauge("sidekey_gate_waiting_requests", "Requests that wait for their turn");
/// By `service` and `reason` (`deadline`, `queue_full`, `process_full`, `upstream_overload`, `in_flight`).
pub const GATE_REJECTIONS: Metric =
    counter("sidekey_gate_rejections", "Requests that were sent away before they were sent");
/// By `service`.
pub const CIRCUITS_OPENED: Metric =
    counter("sidekey_circuits_opened", "Times that nothing was sent to an upstream for a while because it failed");
/// By `code`.
pub const REFUSALS: Metric = counter("sidekey_refusals", "Requests that sidekey answered itself, by code");
/// By `result`.
pub const HANDSHAKES: Metric =
    counter("sidekey_intercept_handshakes", "Tunnels to hosts of services, by how the handshake with the client ended");

/// Over all cores.
pub const IN_FLIGHT: Metric = gauge("sidekey_requests_in_flight", "Requests that are under way");
/// Over all cores.
pub const CLIENT_CONNECTIONS: Metric = gauge("sidekey_client_connections", "Connections from clients that are open");
/// Over all cores.
pub const UPSTREAM_CONNECTIONS: Metric =
    gauge("sidekey_upstream_connections", "Connections to upstreams that are open");
/// By `service`.
pub const FALLBACKS: Metric = counter(
    "sidekey_key_fallbacks",
    "Requests that the former version of a key carried, because the upstream refused the new one",
);
/// By `service`.
pub const FAILOVERS: Metric = counter(
    "sidekey_pool_failovers",
    "Requests for which a key stood in for another of its pool, because the limit of that was used up",
);
/// By `state`.
pub const KEYS_IN_STATE: Metric = gauge("sidekey_keys_in_state", "Stored credentials by what they need");
/// Over all cores.
pub const UPSTREAM_IDLE: Metric =
    gauge("sidekey_upstream_idle_connections", "Connections to upstreams that are open and carry nothing");

/// By `kind`.
pub const EVENTS: Metric = counter("sidekey_events", "Events that were told: what an operator should look at");
/// By `result` (`ok`, `failed`, `dropped` when too many waited).
pub const WEBHOOK: Metric = counter("sidekey_webhook_deliveries", "Events by how their way to the webhook ended");

/// Of the audit log.
pub const AUDIT_WAITING: Metric = gauge("sidekey_audit_waiting_bytes", "Bytes of audit entries that wait for the disk");
/// Of the audit log.
pub const AUDIT_FAILURES: Metric = counter("sidekey_audit_failures", "Writes and syncs of the audit log that failed");
/// Of the audit log.
pub const AUDIT_LOST: Metric = counter("sidekey_audit_lost_entries", "Audit entries for which there was no room");

/// By `result` (`ok`, `failed`).
pub const CONFIG_LOADS: Metric = counter("sidekey_config_loads", "Times that the configuration was read");
/// 1 or 0.
pub const CONFIG_OK: Metric = gauge("sidekey_config_last_load_successful", "Whether the last reading succeeded");
/// Its age is `time()` minus this.
pub const CONFIG_TIME: Metric =
    gauge("sidekey_config_last_success_timestamp_seconds", "When the configuration in use was read");
/// How many.
pub const KEYS: Metric = gauge("sidekey_keys", "Credentials that are stored or declared");
/// Always 1, by `version`.
pub const BUILD: Metric = gauge("sidekey_build_info", "Which version this is");
/// When.
pub const START_TIME: Metric = gauge("sidekey_start_time_seconds", "When this process started, since the Unix epoch");

/// All of them, for tests and documentation.
pub const ALL: [Metric; 40] = [
    REQUESTS,
    AUTH_FAILURES,
    THROTTLED,
    RESENDS,
    RESEND_RESULTS,
    FALLBACKS,
    FAILOVERS,
    REQUEST_BYTES,
    RESPONSE_BYTES,
    REQUEST_SECONDS,
    UPSTREAM_SECONDS,
    WAIT_SECONDS,
    GATES,
    GATE_CLOSURES,
    LIMIT_LEFT,
    QUOTA_LEFT,
    QUOTA_ALERTS,
    BUDGET_LEFT,
    GATE_PINS,
    GATE_WAITING,
    GATE_REJECTIONS,
    CIRCUITS_OPENED,
    REFUSALS,
    HANDSHAKES,
    IN_FLIGHT,
    CLIENT_CONNECTIONS,
    UPSTREAM_CONNECTIONS,
    UPSTREAM_IDLE,
    EVENTS,
    WEBHOOK,
    AUDIT_WAITING,
    AUDIT_FAILURES,
    AUDIT_LOST,
    CONFIG_LOADS,
    CONFIG_OK,
    CONFIG_TIME,
    KEYS,
    KEYS_IN_STATE,
    BUILD,
    START_TIME,
];
