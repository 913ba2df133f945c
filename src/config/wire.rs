//! The shape of proxy.toml. The doc comments are what `proxy.schema.json` tells an editor, and the schema made from here
//! is what the parser itself checks a file against: a key exists in both or in neither.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::ServiceRecord;

/// The configuration of sidekey. Every table may be left out; relative paths start at the file's own folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileRecord {
    /// Where sidekey listens.
    pub(super) listen: ListenRecord,
    /// Where sealed keys, users, grants and the audit's index are kept.
    pub(super) store: StoreRecord,
    /// The key that seals all others: exactly one of the four.
    pub(super) master_key: Option<MasterKeyRecord>,
    /// How workflows prove who they are.
    pub(super) callers: CallersRecord,
    /// What happens to hosts that belong to no service.
    pub(super) unmatched: UnmatchedRecord,
    /// How `https` calls through a proxy setting are opened.
    pub(super) intercept: InterceptRecord,
    /// Where events go besides the log, the metrics and the audit.
    pub(super) events: EventsRecord,
    /// The numbers by which the gates of all services work.
    pub(super) gates: GatesRecord,
    /// Services: tables named as in the built-in catalogue override it key by key, others are custom APIs.
    pub(super) service: BTreeMap<String, ServiceRecord>,
    /// Keys declared here instead of sealed in the store. Their values are never written in this file.
    pub(super) credential: BTreeMap<String, CredentialRecord>,
}

/// Where sidekey listens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ListenRecord {
    /// `ADDRESS:PORT`, `unix:/path`, or a list of them. Default: `127.0.0.1:8080`.
    pub(super) proxy: Option<OneOrMany>,
    /// Metrics and probes: `ADDRESS:PORT`, `unix:/path`, or `off`. Default: `127.0.0.1:8081`.
    pub(super) console: Option<String>,
    /// How many threads carry requests; 0 is one for each core. Default: 0.
    #[schemars(range(min = 0, max = 1024))]
    pub(super) threads: Option<u32>,
    /// Web pages that may call the proxy, such as `https://app.example.com`. Default: none.
    pub(super) browser_origins: Option<Vec<String>>,
}

/// One text or a list of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// Where things are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StoreRecord {
    /// `sqlite:PATH`. Default: `sqlite:data/sidekey.db`.
    pub(super) url: Option<String>,
}

/// Where the key is kept that opens the store: exactly one of the four.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MasterKeyRecord {
    /// A file; created when absent, refused when others can read it. Default: `data/master.key`.
    pub(super) file: Option<String>,
    /// An environment variable with 32 bytes in base64.
    pub(super) env: Option<String>,
    /// An environment variable with a passphrase, which Argon2id turns into the key.
    pub(super) passphrase_env: Option<String>,
    /// A program and its arguments; it prints 32 bytes in base64 on its standard output.
    pub(super) command: Option<Vec<String>>,
}

/// How workflows prove who they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CallersRecord {
    /// `open`: no proof is needed, on loopback and Unix sockets only. `token`: every caller shows its token.
    /// Default: `open`.
    pub(super) mode: Option<ModeRecord>,
}

/// How callers prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ModeRecord {
    Open,
    Token,
}

/// What happens to hosts that belong to no service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UnmatchedRecord {
    /// `deny`: they are refused. `tunnel`: they pass unopened and without a key. Default: `deny`.
    pub(super) policy: Option<PolicyRecord>,
}

/// What happens to hosts that belong to no service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum PolicyRecord {
    Deny,
    Tunnel,
}

/// How `https` calls through a proxy setting are opened with sidekey's own certificate authority.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct InterceptRecord {
    /// The only hosts that are opened, such as `api.example.com` or `*.example.com`; the next certificate authority is
    /// limited to them. Default: every host that belongs to a service.
    pub(super) hosts: Option<Vec<String>>,
}

/// Where events go: what an operator should look at, such as failed authentications.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EventsRecord {
    /// A URL to which each event is posted as JSON. Default: none.
    pub(super) webhook: Option<String>,
    /// Which kinds are posted. Default: all.
    pub(super) kinds: Option<Vec<KindRecord>>,
    /// What the posts are signed with (HMAC-SHA256). Default: they are not signed.
    pub(super) secret: Option<SigningRecord>,
    /// The webhook may be at a private or loopback address. Default: false.
    pub(super) allow_private: Option<bool>,
}

/// The numbers by which the gates of all services work. They count from the next start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GatesRecord {
    /// Requests under way in the process, 1 to 1000000. Default: 20000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) max_in_flight: Option<u32>,
    /// Requests that wait in the process, 0 to 1000000. Default: 10000.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(super) max_waiting: Option<u32>,
    /// Requests that wait before one gate, 0 to 1000000. Default: 1000.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(super) max_waiting_per_gate: Option<u32>,
    /// Those of one caller, once the queue is half full, 1 to 1000000. Default: 100.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) max_waiting_per_caller: Option<u32>,
    /// A closure for longer is a limit that is used up, `1s` to `7d`. Default: `15m`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub(super) exhausted_after: Option<String>,
    /// The longest that headers are believed for which nobody vouches, `1s` to `7d`. Default: `5m`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub(super) longest_unvouched: Option<String>,
    /// The longest that those are believed which the catalogue knows, `1s` to `31d`. Default: `7d`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub(super) longest_vouched: Option<String>,
    /// The most that a gate opens later than it could, so that not all open in one moment, `0s` to `1m`; a tenth of the
    /// closure at most. Default: `2s`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub(super) longest_jitter: Option<String>,
    /// The longest closure that nobody asked for, `1s` to `1d`. Default: `5m`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub(super) longest_backoff: Option<String>,
    /// The time between the first requests after a closure where no rate is known, `1ms` to `1m`. Default: `250ms`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub(super) slow_start_step: Option<String>,
    /// The longest slow start after a closure, `1s` to `1d`. Default: `10m`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub(super) longest_slow_start: Option<String>,
    /// Below this part of a limit, in percent, what is left is spread over the time that is left; 0 to 100. Default: 20.
    #[schemars(range(min = 0, max = 100))]
    pub(super) scarce_percent: Option<u32>,
    /// What the budget of each limit owner for sending again holds, 0 to 1000000. Default: 500.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(super) resend_quota: Option<u32>,
    /// What sending again after a failure costs of it, 0 to 1000000. Default: 14.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(super) resend_cost: Option<u32>,
    /// What it costs after a limit that no closed gate holds, 0 to 1000000. Default: 5.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(super) resend_cost_throttled: Option<u32>,
    /// How much of the requests of the last ten seconds may be sent again, in percent; 0 to 100. Default: 20.
    #[schemars(range(min = 0, max = 100))]
    pub(super) resend_percent: Option<u32>,
    /// And how many a second besides, 0 to 100000. Default: 10.
    #[schemars(range(min = 0, max = 100_000))]
    pub(super) resend_per_second: Option<u32>,
    /// The longest pause before a request is first sent again after a failure, `0s` to `1m`; it doubles. Default: `50ms`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub(super) first_pause: Option<String>,
    /// The same after a limit of which nobody says how long, `0s` to `1m`. Default: `1s`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub(super) first_pause_throttled: Option<String>,
    /// The longest of these pauses, `0s` to `2m`. Default: `20s`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub(super) longest_pause: Option<String>,
    /// So many failures in a row open a circuit, 1 to 1000000. Default: 5.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) circuit_failures: Option<u32>,
    /// So many requests within ten seconds of which half failed open it, 2 to 1000000. Default: 20.
    #[schemars(range(min = 2, max = 1_000_000))]
    pub(super) circuit_requests: Option<u32>,
    /// For how long a circuit opens the first time, `1ms` to `1h`; it doubles. Default: `5s`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub(super) circuit_open: Option<String>,
    /// For how long at most, `1ms` to `1d`. Default: `1m`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub(super) longest_circuit_open: Option<String>,
    /// Requests in ten minutes that a service calls invalid before nothing is sent to it, 1 to 1000000 (Discord shuts out at
    /// 10000). Default: 5000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) max_invalid: Option<u32>,
}

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum KindRecord {
    NewEndpoint,
    AuthFailures,
    UpstreamThrottled,
    UnusualVolume,
    KeyExpiring,
    KeyExpired,
    RotationDue,
    UnknownCallers,
}

/// Where the secret for signatures comes from: exactly one of the two.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SigningRecord {
    /// An environment variable.
    pub(super) env: Option<String>,
    /// A file, which is read again when it changes. One line end at its end is not part of it.
    pub(super) file: Option<String>,
}

/// A key declared in the file: for which service it is, and where its value comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CredentialRecord {
    /// The service that it is for.
    pub(super) service: Option<String>,
    /// Only callers of this environment, or of none, see it. Default: everyone.
    pub(super) environment: Option<String>,
    /// Whom the service counts when this key is used: keys with the same name here share what is learnt of its limits.
    /// Default: the key itself.
    pub(super) limit_owner: Option<String>,
    /// Keys with the same name here stand in for each other: another is used when the limit of the first is used up. Default:
    /// none.
    pub(super) pool: Option<String>,
    /// The value is in this environment variable.
    pub(super) env: Option<String>,
    /// The value is in this file, which is read again when it changes. One line end at its end is not part of it.
    pub(super) file: Option<String>,
    /// The value is what this program prints on its standard output: the program and its arguments.
    pub(super) command: Option<Vec<String>>,
    /// For a service whose credential has several values: where each of them comes from, by field name.
    pub(super) fields: Option<BTreeMap<String, FieldRecord>>,
    /// The values of the service's tenant variables.
    pub(super) vars: Option<BTreeMap<String, String>>,
}

/// Where one field's value comes from: exactly one of the three.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FieldRecord {
    /// An environment variable.
    pub(super) env: Option<String>,
    /// A file, which is read again when it changes.
    pub(super) file: Option<String>,
    /// A program and its arguments, whose standard output is the value.
    pub(super) command: Option<Vec<String>>,
}
