//! Laying one record over another: what a `[service.*]` table does to a catalogue record. Pure key-by-key precedence; it
//! checks nothing.

use super::{
    LimitsRecord, RateRecord, RetryRecord, ServiceRecord, TimeoutsRecord, UpstreamRecord, VariableRecord, VerifyRecord,
};

/// Something whose keys can be overridden one by one.
trait Overlay {
    /// `self` with every key that `upper` sets taken from there.
    #[must_use]
    fn overlaid(self, upper: Self) -> Self;
}

/// Implements [`Overlay`] for a table of optional values: each value is replaced as a whole.
macro_rules! per_key {
    ($table:ident { $($key:ident),* $(,)? }) => {
        impl Overlay for $table {
            fn overlaid(self, upper: Self) -> Self {
                Self { $($key: upper.$key.or(self.$key)),* }
            }
        }
    };
}

per_key!(RateRecord {
    limit,
    burst,
    concurrency,
    max_wait,
    mode,
    per_caller,
    per_team,
    per_credential,
    per_route,
    per_owner,
    quota,
    quota_timezone,
    costs
});
per_key!(RetryRecord { attempts, max_body, throttle_safe, idempotency_header, generate_idempotency_key });
per_key!(TimeoutsRecord { connect, first_byte, idle });
per_key!(UpstreamRecord { ca, connect_to, http2, allow_private });
per_key!(VariableRecord { title, example, default, choices });
per_key!(VerifyRecord { method, path, body, expect, expect_true });
per_key!(LimitsRecord {
    family,
    reset,
    headers,
    published,
    rate,
    concurrency,
    leak,
    owner,
    default_wait,
    statuses,
    bodies,
    buckets,
    bucket_by,
});

/// Both present: the inner keys are overlaid; else whichever is there.
fn merged<T: Overlay>(lower: Option<T>, upper: Option<T>) -> Option<T> {
    match (lower, upper) {
        (Some(lower), Some(upper)) => Some(lower.overlaid(upper)),
        (lower, upper) => upper.or(lower),
    }
}

impl ServiceRecord {
    /// This record with `upper` laid over it: `upper`'s keys win one by one.
    ///
    /// `rate`, `retry`, `timeouts`, `upstream`, `vars`, `verify`, `limits` and `headers` are overlaid per inner key
    /// (header names without regard to case); `auth`, `hosts`, `paths`, `allow` and all lists are replaced. When `upper`
    /// sets `base_url` and not `hosts`, the lower hosts are dropped, so that the new base URL's host is what belongs to
    /// the service and its key is not sent for the old one.
    #[must_use]
    pub fn overlaid(self, upper: Self) -> Self {
        let hosts = if upper.base_url.is_some() { upper.hosts } else { upper.hosts.or(self.hosts) };
        let headers = match (self.headers, upper.headers) {
            (Some(mut lower), Some(upper)) => {
                lower.retain(|name, _| !upper.keys().any(|key| key.eq_ignore_ascii_case(name)));
                lower.extend(upper);
                Some(lower)
            }
            (lower, upper) => upper.or(lower),
        };
        let vars = match (self.vars, upper.vars) {
            (Some(mut lower), Some(upper)) => {
                for (name, variable) in upper {
                    let below = lower.remove(&name).unwrap_or_default();
                    lower.insert(name, below.overlaid(variable));
                }
                Some(lower)
            }
            (lower, upper) => upper.or(lower),
        };
        Self {
            title: upper.title.or(self.title),
            aliases: upper.aliases.or(self.aliases),
            category: upper.category.or(self.category),
            docs: upper.docs.or(self.docs),
            key_url: upper.key_url.or(self.key_url),
            key_help: upper.key_help.or(self.key_help),
            env: upper.env.or(self.env),
            base_url: upper.base_url.or(self.base_url),
            hosts,
            paths: upper.paths.or(self.paths),
            auth: upper.auth.or(self.auth),
            headers,
            allow: upper.allow.or(self.allow),
            read_only: upper.read_only.or(self.read_only),
            rate: merged(self.rate, upper.rate),
            retry: merged(self.retry, upper.retry),
            timeouts: merged(self.timeouts, upper.timeouts),
            upstream: merged(self.upstream, upper.upstream),
            allow_plaintext: upper.allow_plaintext.or(self.allow_plaintext),
            vars,
            verify: merged(self.verify, upper.verify),
            limits: merged(self.limits, upper.limits),
        }
    }
}
