//! The shape of a service record in TOML. Every key is optional so that one record can be laid over another.
//! The doc comments and the `schemars` attributes are what `proxy.schema.json` tells an editor; `compile` has the last
//! word on values, and a test holds the two together. A text that holds `${VAR}` fits every pattern.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A service: in the catalogue, as `[service.NAME]` in proxy.toml, or in the store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceRecord {
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Other names to find it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aliases: Option<Vec<String>>,
    /// What kind of service it is, for example `payments`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Where its documentation is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Where a person gets a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_url: Option<String>,
    /// How a person gets a key, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_help: Option<String>,
    /// Environment variables from which its SDKs read a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// Where requests go: scheme, host, optional port and path. `{name}` stands for a tenant variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// What belongs to it at the forward and intercept doors: `host`, `*.suffix`, `{tenant}.suffix`, each with an
    /// optional `:port`. Default: the base URL's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// When several services share a host: only paths with one of these prefixes belong to this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// Where the key goes; a list places several at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthList>,
    /// Fixed headers, added when the caller sent none of that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    /// Least privilege: `METHOD /pattern`; `*` is one segment, `**` any number. Absent = everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// Only methods that change nothing (RFC 9110 §9.2.1): GET, HEAD and OPTIONS. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// Preventive limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateRecord>,
    /// How often a request may be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryRecord>,
    /// How long each stage may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<TimeoutsRecord>,
    /// How to reach it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamRecord>,
    /// A key may go over plain HTTP to a host that is not loopback. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_plaintext: Option<bool>,
    /// Tenant variables: parts of the host, the path or a fixed header that each credential pins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vars: Option<BTreeMap<String, VariableRecord>>,
    /// A harmless call that tells whether a key works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyRecord>,
    /// What is known of its rate limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsRecord>,
}

/// One place, or several at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AuthList {
    /// One place.
    One(Auth),
    /// Several places, all filled from the same credential.
    Several(Vec<Auth>),
}

/// One place for a key. Which other keys are needed follows from `location`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// `header`, `query`, `bearer`, `basic`, `cookie` or `path`.
    #[schemars(extend("enum" = ["header", "query", "bearer", "basic", "cookie", "path"]))]
    pub location: Option<String>,
    /// The header's, query parameter's or cookie's name.
    pub name: Option<String>,
    /// What stands before the value, for example `Token `. Header only.
    pub prefix: Option<String>,
    /// The value; default `{key}`. `{field}` names a field of a credential with several values.
    pub value: Option<String>,
    /// Basic: the user name; may hold `{field}`. Default: empty.
    pub username: Option<String>,
    /// Basic: the password; may hold `{field}`. Default: empty.
    pub password: Option<String>,
    /// Path: the segments to insert, for example `/bot{key}`.
    pub template: Option<String>,
}

/// Preventive limits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateRecord {
    /// `COUNT/s`, `/min`, `/h` or `/d`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?/ ?(s|sec|second|m|min|minute|h|hour|d|day)$|\$\{"))]
    pub limit: Option<String>,
    /// How many may come at once after a pause, before the limit spaces them, at least 1.
    #[schemars(range(min = 1))]
    pub burst: Option<u32>,
    /// How many may be under way, at least 1.
    #[schemars(range(min = 1))]
    pub concurrency: Option<u32>,
    /// How long a request may wait for its turn, for example `30s`; at most `2m`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub max_wait: Option<String>,
    /// How far sidekey follows what the service says of its limits: `off`, `observe` (waits when it refuses) or `enforce`
    /// (also before). Default: `enforce` when it is known which headers the service sends, else `observe`.
    #[schemars(extend("pattern" = r"^(off|observe|enforce)$|\$\{"))]
    pub mode: Option<String>,
    /// What each caller may: as `limit`, with a burst: `100/s burst 20`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?/ ?(s|sec|second|m|min|minute|h|hour|d|day)( burst [0-9]+)?$|\$\{"))]
    pub per_caller: Option<String>,
    /// What the callers of each team may together: as `per_caller`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?/ ?(s|sec|second|m|min|minute|h|hour|d|day)( burst [0-9]+)?$|\$\{"))]
    pub per_team: Option<String>,
    /// For how much each credential is used: as `per_caller`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?/ ?(s|sec|second|m|min|minute|h|hour|d|day)( burst [0-9]+)?$|\$\{"))]
    pub per_credential: Option<String>,
    /// How often certain requests are sent with the keys of each limit owner: by rules as in `allow`, each a rate as
    /// `per_caller`. The first rule that admits a request counts it.
    pub per_route: Option<BTreeMap<String, String>>,
    /// What is sent with the keys of each limit owner together: as `per_caller`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?/ ?(s|sec|second|m|min|minute|h|hour|d|day)( burst [0-9]+)?$|\$\{"))]
    pub per_owner: Option<String>,
    /// How much each limit owner may in a calendar period: `COUNT/day` and `COUNT/month`, at most one of each. For keys of one
    /// limit owner together; kept over restarts.
    #[schemars(inner(regex(pattern = r"^[0-9]+ ?/ ?(d|day|month)$|\$\{")))]
    pub quota: Option<Vec<String>>,
    /// In which time zone these days and months begin, as in the IANA database: `Europe/Berlin`. Default: `UTC`.
    pub quota_timezone: Option<String>,
    /// Requests that count for more than one, by rules as in `allow`: 1 to 100.
    pub costs: Option<BTreeMap<String, u32>>,
}

/// How often a request may be sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRecord {
    /// Attempts in total, 1 to 8.
    #[schemars(range(min = 1, max = 8))]
    pub attempts: Option<u32>,
    /// The largest request body that is kept for another attempt, for example `256KiB`; at most `16MiB`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?([kKmMgG][iI]?[bB]|[bB])?$|\$\{"))]
    pub max_body: Option<String>,
    /// Whether a request that was turned down for a limit was certainly not carried out, so that any may be sent again.
    /// Default: true.
    pub throttle_safe: Option<bool>,
    /// The header by which the service knows a request again, so that it may be sent twice. Default: `Idempotency-Key`.
    pub idempotency_header: Option<String>,
    /// Whether sidekey makes up such a header for a POST or PATCH that has none. Default: false.
    pub generate_idempotency_key: Option<bool>,
}

/// How long each stage may take.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeoutsRecord {
    /// Resolving, connecting and the TLS handshake.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub connect: Option<String>,
    /// From the request's end to the answer's first byte.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub first_byte: Option<String>,
    /// Without a byte in either direction.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub idle: Option<String>,
}

/// How to reach the upstream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamRecord {
    /// A PEM file with more certificate authorities to trust, relative to the file that names it.
    pub ca: Option<String>,
    /// Dial this `host:port` instead of resolving the base URL's host.
    pub connect_to: Option<String>,
    /// `auto` (ALPN), `always` or `never`.
    #[schemars(extend("enum" = ["auto", "always", "never"]))]
    pub http2: Option<String>,
    /// Private, loopback and link-local addresses may be dialled. Default: false.
    pub allow_private: Option<bool>,
}

/// A tenant variable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariableRecord {
    /// What to ask a person for.
    pub title: Option<String>,
    /// A value that shows the form.
    pub example: Option<String>,
    /// Used when none is given.
    pub default: Option<String>,
    /// The only values there are.
    pub choices: Option<Vec<String>>,
}

/// A harmless call that tells whether a key works.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRecord {
    /// The method; default `GET`.
    pub method: Option<String>,
    /// Path and query on the base URL's host.
    pub path: Option<String>,
    /// A JSON body to send.
    pub body: Option<String>,
    /// The statuses that mean that the key works; default 200.
    pub expect: Option<Vec<u16>>,
    /// A member of the JSON answer that must be `true`.
    pub expect_true: Option<String>,
}

/// What is known of a service's rate limits: how its answers tell of them, and what is published.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsRecord {
    /// The family of headers it sends.
    #[schemars(extend("enum" = [
        "retry-after", "ietf-06", "ietf-07", "ietf-08", "x-ratelimit", "x-rate-limit", "openai", "anthropic", "github",
        "gitlab", "linear", "shopify", "hubspot", "stripe", "twilio", "discord", "reddit", "sentry", "docker-hub", "vendor"
    ]))]
    pub family: Option<String>,
    /// What its reset header means; default: what the form of its value gives away.
    #[schemars(extend("enum" = [
        "epoch-s", "epoch-ms", "delta-s", "delta-ms", "duration", "rfc3339", "http-date", "js-date"
    ]))]
    pub reset: Option<String>,
    /// The names of its limit, remaining and reset headers when they are its own; the second of a kind begins another limit.
    pub headers: Option<Vec<String>>,
    /// Its published rate, in words.
    pub published: Option<String>,
    /// Its published rate: `COUNT/s`, `/min`, `/h` or `/d`. It is not enforced; after a limit was met, requests keep to it.
    #[schemars(extend("pattern" = r"^[0-9]+ ?/ ?(s|sec|second|m|min|minute|h|hour|d|day)$|\$\{"))]
    pub rate: Option<String>,
    /// How many requests it publishes to carry at once, at least 1.
    #[schemars(range(min = 1))]
    pub concurrency: Option<u32>,
    /// How fast its leaky bucket empties: `COUNT/s`, `/min`, `/h` or `/d`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?/ ?(s|sec|second|m|min|minute|h|hour|d|day)$|\$\{"))]
    pub leak: Option<String>,
    /// Whom it counts, in words, for example `account` or `user`.
    pub owner: Option<String>,
    /// How long to wait after a limit whose answer does not say how long, for example `60s`; at most `1d`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub default_wait: Option<String>,
    /// Statuses that mean something else than they usually do: `throttled`, `exhausted`, `overloaded`, `transient` or `fine`.
    pub statuses: Option<BTreeMap<String, String>>,
    /// What bodies say of a limit; the first rule that fits counts.
    pub bodies: Option<Vec<BodyRuleRecord>>,
    /// Routes with a limit of their own: for each name, rules like those of `allow`.
    pub buckets: Option<BTreeMap<String, Vec<String>>>,
    /// `path` when each path has a limit of its own, as each method of Slack has. Only for APIs with a fixed set of paths.
    #[schemars(extend("enum" = ["path"]))]
    pub bucket_by: Option<String>,
}

/// A rule on the JSON body of an answer, of up to 64 KiB.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BodyRuleRecord {
    /// The statuses on whose answers it looks.
    pub statuses: Option<Vec<u16>>,
    /// The routes on whose answers it looks, as rules like those of `allow`. Absent = all.
    pub routes: Option<Vec<String>>,
    /// Where the value stands: members joined by `.`, with `*` for each element of a list, such as `errors.*.code`.
    pub path: Option<String>,
    /// The texts or numbers of which it must be one, without regard to case; a `*` at either end stands for anything.
    pub values: Option<Vec<String>>,
    /// What it means then.
    #[schemars(extend("enum" = ["throttled", "exhausted", "overloaded", "transient", "fine"]))]
    pub verdict: Option<String>,
    /// How long to wait when the answer does not say so, for example `60s`; at most `1d`.
    #[schemars(extend("pattern" = r"^[0-9]+ ?(ms|s|m|min|h|d)$|\$\{"))]
    pub wait: Option<String>,
    /// Where in the body a number of seconds to wait stands, as a path.
    pub wait_at: Option<String>,
    /// Where in the body stands which limit was met, as a path. It is shown by `limits list`, and changes nothing.
    pub reason_at: Option<String>,
}
