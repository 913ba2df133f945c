//! An upstream that we know: where it is, what belongs to it, how it wants its key, and what callers may do there.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use http::{HeaderName, Method};

use super::{
    Allowed, Gating, Host, HostPattern, Level, Limits, Name, Placement, Retry, ServiceName, Signals, Template, Timeouts,
};

/// How sidekey speaks to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Plain HTTP. A key goes over it only to loopback, or with `allow_plaintext`.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// The port when none is named.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// As it stands in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Where a connection goes: the pool's key and what the dialer sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// TLS or not.
    pub scheme: Scheme,
    /// Who.
    pub host: Host,
    /// Which port.
    pub port: u16,
}

impl Origin {
    /// `host` or `host:port` as it stands in a `Host` header: the scheme's own port is left out (RFC 9110 §7.2).
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// A service's base URL. Its host may have tenant holes that a credential pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// TLS or not.
    pub scheme: Scheme,
    /// The host, possibly with holes.
    pub host: Template,
    /// The port.
    pub port: u16,
    /// The path, either empty or starting with `/` and not ending with one; possibly with holes.
    pub path: Template,
}

/// Whether HTTP/2 is spoken upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Http2 {
    /// What ALPN agrees on; HTTP/1.1 without TLS.
    #[default]
    Auto,
    /// Always; by prior knowledge without TLS.
    Always,
    /// Never.
    Never,
}

/// How to reach an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamOptions {
    /// A PEM file with more certificate authorities to trust.
    pub ca: Option<PathBuf>,
    /// Dial this instead of resolving the host; the name in TLS and `Host` stays.
    pub connect_to: Option<ConnectTo>,
    /// HTTP/2 or not.
    pub http2: Http2,
    /// Private, loopback and link-local addresses may be dialled.
    pub allow_private: bool,
}

/// The address of `connect_to`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ConnectTo {
    /// An address as it stands.
    Address(SocketAddr),
    /// A name to resolve, and a port.
    Name(Host, u16),
}

/// A tenant variable: part of the host, the base path or a fixed header, pinned per credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name in the templates.
    pub name: Name,
    /// What to ask a person for.
    pub title: String,
    /// A value that shows the form.
    pub example: Option<String>,
    /// Used when none is given.
    pub default: Option<String>,
    /// When not empty, the only values there are.
    pub choices: Vec<String>,
}

/// A harmless call that tells whether a key works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verify {
    /// The method.
    pub method: Method,
    /// Path and query below the base URL's host (the base path is not added).
    pub path: Template,
    /// A JSON body to send, if any.
    pub body: Option<String>,
    /// The statuses that mean that the key works.
    pub expect: Vec<u16>,
    /// When set, the answer's JSON must also have this member with the value `true` (Slack answers 200 with `ok: false`).
    pub expect_true: Option<String>,
}

/// Everything that is known of a service. Built from a catalogue file, a record of the store, a `[service.*]` table, or one
/// laid over the other.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "where it is from is a fact for each place")]
pub struct Service {
    /// The name that callers and files use.
    pub name: ServiceName,
    /// What people call it.
    pub title: String,
    /// Whether it comes from the built-in catalogue (possibly overridden) or is custom.
    pub built_in: bool,
    /// Whether proxy.toml has a table for it.
    pub declared: bool,
    /// The store has a record of it: of the whole of it, or of what differs from the built-in one.
    pub stored: bool,
    /// Where requests go; none for a self-hosted service until its host is pinned by a variable or given in proxy.toml.
    pub base: BaseUrl,
    /// The hosts that belong to it at the proxy doors, each with the ports besides 80, 443 and the base URL's.
    pub hosts: Vec<(HostPattern, Option<u16>)>,
    /// When several services share a host: only paths with one of these prefixes belong to this one; empty = all.
    pub paths: Vec<Box<str>>,
    /// Where the key goes.
    pub auth: Vec<Placement>,
    /// Fixed headers, added when the caller sent none of that name, with their wire spelling.
    pub headers: Vec<(HeaderName, Template)>,
    /// What callers may do.
    pub allowed: Allowed,
    /// Preventive limits.
    pub limits: Limits,
    /// How its gates work.
    pub gating: Gating,
    /// Attempts.
    pub retry: Retry,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// How to reach it.
    pub upstream: UpstreamOptions,
    /// A key may go over plain HTTP to a host that is not loopback.
    pub allow_plaintext: bool,
    /// Tenant variables.
    pub variables: Vec<Variable>,
    /// How to try a key.
    pub verify: Option<Verify>,
    /// How it tells of its limits.
    pub signals: Signals,
    /// Where its documentation is.
    pub docs: Option<String>,
    /// Where a person gets a key.
    pub key_url: Option<String>,
    /// How a person gets a key, in a sentence.
    pub key_help: Option<String>,
    /// Environment variables from which its SDKs read a key.
    pub env: Vec<String>,
    /// Other names people search for.
    pub aliases: Vec<String>,
    /// What kind of service it is.
    pub category: Option<String>,
}

impl Service {
    /// Its rank where several claim one host, the first first: the file's, then the store's, then the built-in ones.
    pub const fn precedence(&self) -> u8 {
        match (self.declared, self.stored) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        }
    }

    /// Whether a key for the one goes to the same hosts, by the same way and to the same place, as a key for the other.
    pub fn keeps_keys_alike(&self, other: &Self) -> bool {
        self.base == other.base
            && self.hosts == other.hosts
            && self.auth == other.auth
            && self.upstream == other.upstream
            && self.allow_plaintext == other.allow_plaintext
    }

    /// Whether a key may go to `origin` on this service: over TLS, to loopback, or where the operator allows plain text.
    pub fn may_carry_key_to(&self, origin: &Origin) -> bool {
        origin.scheme == Scheme::Https
            || self.allow_plaintext
            || origin.host.as_str() == "localhost"
            || origin.host.ip().is_some_and(|ip| ip.is_loopback())
    }

    /// Its limits in words, with how long a request waits for them and how far its gates follow it where that is set; empty when
    /// there are none: `100/s burst 20, 25 under way, 5/h for each caller, a request waits at most 30 s`.
    pub fn limits_in_words(&self) -> String {
        let mut parts = self.own_limits();
        if !parts.is_empty() || self.limits.max_wait != Limits::default().max_wait {
            parts.push(format!("a request waits at most {} s", self.limits.max_wait.as_secs_f64()));
        }
        parts.extend(self.gating.mode.map(|mode| format!("mode {}", mode.as_str())));
        parts.join(", ")
    }

    /// Its limits alone, one by one in words.
    pub fn own_limits(&self) -> Vec<String> {
        let (limits, gating) = (&self.limits, &self.gating);
        let of_all = limits.rate.map(|rate| Level { rate, burst: limits.burst }.to_string());
        let mut parts: Vec<String> = of_all.into_iter().collect();
        parts.extend(limits.concurrency.map(|most| format!("{most} under way")));
        let each = [
            ("caller", gating.per_caller),
            ("team", gating.per_team),
            ("key", gating.per_credential),
            ("limit owner", gating.per_owner),
        ];
        parts.extend(each.iter().filter_map(|(whom, rate)| rate.map(|rate| format!("{rate} for each {whom}"))));
        let routes = gating.per_route.iter();
        parts.extend(routes.map(|(rule, rate)| format!("{rate} of {rule} for each limit owner")));
        parts.extend(gating.costs.iter().map(|(rule, cost)| format!("{rule} counts {cost} times")));
        let zone = gating.quotas.zone.iana_name().unwrap_or("UTC");
        parts.extend(gating.quotas.each.iter().map(|quota| format!("{quota} for each limit owner ({zone})")));
        parts
    }

    /// The names of the secret fields, each once, in the order of the placements.
    pub fn fields(&self) -> Vec<&Name> {
        let mut out: Vec<&Name> = Vec::new();
        for field in self.auth.iter().flat_map(Placement::fields) {
            let variable = self.variables.iter().any(|v| v.name == *field);
            if !variable && !out.contains(&field) {
                out.push(field);
            }
        }
        out
    }
}
