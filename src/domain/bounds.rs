//! What a share may be used for: the least that its user needs.

use std::fmt;
use std::time::Duration;

use super::{Quota, Rate, Rule};

/// What a share may be used for. Nothing set: everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Requests that one of these rules admits; when absent, all.
    pub allow: Option<Vec<Rule>>,
    /// Only methods that change nothing (RFC 9110 §9.2.1): GET, HEAD and OPTIONS.
    pub read_only: bool,
    /// How often, on top of the service's own limit.
    pub rate: Option<Rate>,
    /// How much in a day or a month.
    pub quota: Option<Quota>,
}

impl Bounds {
    /// Whether it bounds nothing.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// Whether what may be requested is bounded, and not only how often.
    pub fn has_rules(&self) -> bool {
        self.read_only || self.allow.is_some()
    }

    /// Whether `method` and `path` (without the query, as sent) are within the rules.
    pub fn admits(&self, method: &str, path: &str) -> bool {
        (!self.read_only || matches!(method, "GET" | "HEAD" | "OPTIONS"))
            && self.allow.as_ref().is_none_or(|rules| rules.iter().any(|rule| rule.admits(method, path)))
    }
}

/// As people read it: `read-only, GET /v1/**, 10/s, 1000/day`.
impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.read_only.then(|| "read-only".to_owned()));
        parts.extend(self.allow.iter().flatten().map(ToString::to_string));
        parts.extend(self.rate.map(|rate| rate.to_string()));
        parts.extend(self.quota.map(|quota| quota.to_string()));
        f.write_str(&parts.join(", "))
    }
}

/// As people write it: `10/s`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [(1, "s"), (60, "min"), (3600, "h"), (86400, "day")];
        match named.into_iter().find(|(seconds, _)| self.period == Duration::from_secs(*seconds)) {
            Some((_, unit)) => write!(f, "{}/{unit}", self.count),
            None => write!(f, "{}/{}s", self.count, self.period.as_secs_f64()),
        }
    }
}
