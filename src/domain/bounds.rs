//! What a share may be used for: the least that its user needs.

use std::fmt;
use std::time::Duration;

use super::{Allowed, Level, Quota, Rate};

/// What a share may be used for. Nothing set: everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Which requests.
    pub allowed: Allowed,
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
}

/// As people read it: `read-only, GET /v1/**, 10/s, 1000/day`.
impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.allowed.read_only.then(|| "read-only".to_owned()));
        parts.extend(self.allowed.rules.iter().flatten().map(ToString::to_string));
        parts.extend(self.rate.map(|rate| rate.to_string()));
        parts.extend(self.quota.map(|quota| quota.to_string()));
        f.write_str(&parts.join(", "))
    }
}

/// As people write it: `10/s burst 5`.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rate)?;
        self.burst.map_or(Ok(()), |burst| write!(f, " burst {burst}"))
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
