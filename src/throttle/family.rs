//! How the answers of one service are read: compiled once from what its record declares, then used for every answer. An
//! answer without a sign of a limit costs one look over its headers' names.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use crate::domain::{HeaderFamily, OwnHeaders, Rate, ResetUnit, RouteBucket, Signals, Verdict};

use super::body::{self, Said};
use super::grpc;
use super::quote;
use super::reading::{Bucket, Class, Dimension, Reading, Scope, Unit, Word};
use super::scan::{self, Look, Spotted, Told};
use super::when::{self, Clocks};

/// A window from here on is that of a quota, which waiting does not bring back soon.
const QUOTA_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// How long it is before a quota is tried again of which nobody says when it comes back.
const QUOTA_PROBE: Duration = Duration::from_secs(300);
/// The rate of a longer window is kept on the average, and says nothing of the next request.
const POLICY_WINDOW: Duration = Duration::from_secs(60 * 60);

/// One answer, as far as it is looked at.
#[derive(Clone, Copy)]
pub struct Sample<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// When it was received, since the Unix epoch.
    pub now: Duration,
    /// Its whole body as it came, when that is small and [`Family::wants_body`] asked for it.
    pub body: Option<&'a [u8]>,
}

/// How the answers of one service are read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Family {
    signals: Signals,
    buckets: Vec<Option<Bucket>>,
}

/// Of the limits that are used up, the one that takes longest. Of an answer that was turned down and says of no limit that
/// it is used up, those count of which it does not say what is left.
fn longest(dimensions: &[Dimension], turned_down: bool) -> Option<Dimension> {
    let of_time = || dimensions.iter().filter(|dimension| dimension.unit != Unit::Concurrency);
    let used_up = of_time().filter(|dimension| dimension.is_exhausted()).max_by_key(|dimension| dimension.reset);
    let silent = |dimension: &&Dimension| turned_down && dimension.remaining.is_none() && dimension.reset.is_some();
    let unsaid = || of_time().filter(silent).max_by_key(|dimension| dimension.reset);
    used_up.or_else(unsaid).copied()
}

/// The time between two requests at the rate of the shortest window that is told with its limit.
fn spacing(dimensions: &[Dimension]) -> Option<Duration> {
    let of_requests = dimensions.iter().filter(|dimension| dimension.unit == Unit::Requests);
    let told = of_requests.filter_map(|dimension| Some((dimension.window?, dimension.limit?)));
    let (window, limit) = told.filter(|(window, _)| *window <= POLICY_WINDOW).min()?;
    window.checked_div(u32::try_from(limit).ok()?)
}

/// The same at a published rate.
fn interval(rate: Rate) -> Option<Duration> {
    (rate.period <= POLICY_WINDOW).then(|| rate.period / rate.count.get())
}

fn says(headers: &HeaderMap, name: &str, value: &str) -> bool {
    headers.get(name).and_then(scan::text).is_some_and(|text| text.eq_ignore_ascii_case(value))
}

/// Hints in an answer when to come back.
#[derive(Debug, Clone, Copy, Default)]
struct Hints {
    /// `Retry-After` or one of its kind.
    after: Option<Duration>,
    /// `grpc-retry-pushback-ms`, when it does not forbid another try.
    pushback: Option<Duration>,
}

impl Family {
    /// Compiles what a record declares.
    pub fn new(signals: &Signals) -> Self {
        let buckets = signals.buckets.iter().map(|bucket| Word::new(&bucket.name)).collect();
        Self { signals: signals.clone(), buckets }
    }

    /// What was declared.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Whether the catalogue, or the operator, says which headers this service sends.
    pub fn is_known(&self) -> bool {
        self.signals.family.is_some()
    }

    /// The declared bucket to which a route belongs.
    pub fn bucket(&self, method: &str, path: &str) -> Option<Bucket> {
        let admits = |bucket: &RouteBucket| bucket.routes.iter().any(|rule| rule.admits(method, path));
        match self.signals.buckets.iter().position(admits) {
            Some(at) => *self.buckets.get(at)?,
            None if self.signals.by_path => Word::new(path),
            None => None,
        }
    }

    /// Whether the record says what belongs to this bucket: its routes, or that every path is one.
    pub fn declares(&self, bucket: &str) -> bool {
        self.buckets.iter().flatten().any(|declared| declared.as_str() == bucket)
            || (self.signals.by_path && bucket.starts_with('/'))
    }

    /// What of a path sets requests of one bucket apart: Discord counts each channel, guild and webhook by itself
    /// (discord.com/developers/docs/topics/rate-limits).
    pub fn major(&self, path: &str) -> Option<Bucket> {
        if self.signals.family != Some(HeaderFamily::Discord) {
            return None;
        }
        let mut parts = path.split('/').skip_while(|part| !["channels", "guilds", "webhooks"].contains(part));
        parts.nth(1).and_then(Word::new)
    }

    /// Whether the service counts, against whoever sends it, what it refuses ([`super::Invalid`]).
    pub fn counts_invalid(&self) -> bool {
        self.signals.family == Some(HeaderFamily::Discord)
    }

    /// The rate that holds for all requests of an owner together, whatever their bucket is, where it is one by the second and
    /// the service's headers do not tell of it.
    pub fn overall(&self) -> Option<Rate> {
        self.signals.rate.filter(|_| self.signals.family == Some(HeaderFamily::Discord))
    }

    /// Whether the service counts tokens.
    pub fn counts_tokens(&self) -> bool {
        matches!(self.signals.family, Some(HeaderFamily::OpenAi | HeaderFamily::Anthropic))
    }

    /// Whether it counts those that an answer may have at most when it lets a request in, as OpenAI does
    /// (platform.openai.com/docs/guides/rate-limits: the larger of `max_tokens` and what the length is taken for).
    pub fn counts_most_tokens(&self) -> bool {
        self.signals.family == Some(HeaderFamily::OpenAi)
    }

    /// Whether any rule looks at bodies.
    pub fn has_body_rules(&self) -> bool {
        !self.signals.bodies.is_empty()
    }

    /// Whether the body of this answer must be known to read it: a rule looks at such answers, and the body is legible
    /// JSON of at most [`super::LARGEST_BODY`] bytes, or of unknown length.
    pub fn wants_body(&self, status: StatusCode, headers: &HeaderMap, method: &str, path: &str) -> bool {
        let looks = |rule: &crate::domain::BodyRule| {
            rule.statuses.contains(&status.as_u16())
                && (rule.routes.is_empty() || rule.routes.iter().any(|route| route.admits(method, path)))
        };
        self.signals.bodies.iter().any(looks) && body::is_legible(headers)
    }

    /// Reads one answer.
    pub fn read(&self, sample: &Sample<'_>) -> Reading {
        let spotted = Spotted::of(sample.headers);
        let tells =
            spotted.limits || spotted.grpc || spotted.hint || sample.body.is_some() || !self.signals.own.is_empty();
        let mut reading = if tells || !(sample.status.is_success() && self.signals.statuses.is_empty()) {
            self.read_in_full(sample, spotted)
        } else {
            Reading::plain(Class::Fine)
        };
        reading.current = !spotted.aged;
        reading.uncounted = sample.status == StatusCode::NOT_MODIFIED;
        reading
    }

    #[inline(never)]
    fn read_in_full(&self, sample: &Sample<'_>, spotted: Spotted) -> Reading {
        let clocks = Clocks::new(sample.now, sample.headers);
        let grpc = if spotted.grpc { grpc::status(sample.headers) } else { None };
        let mut hints = if spotted.hint { Hints::of(sample.headers, &clocks) } else { Hints::default() };
        hints.after = hints.after.or(grpc.and_then(|grpc| grpc.wait));
        let told = if spotted.limits || !self.signals.own.is_empty() {
            self.look().read(sample.headers, &clocks)
        } else {
            Told::default()
        };
        let Signals { bodies, family, .. } = &self.signals;
        let said = sample.body.and_then(|body| body::read(bodies, *family, sample.status, sample.headers, body));
        let declared = said.as_ref().map(|said| said.verdict).or_else(|| self.declared(sample.status)).map(Class::from);
        let class = declared.unwrap_or_else(|| class(sample.status, &hints, &told, grpc));
        let mut reading = Reading::plain(class);
        reading.dimensions = told.dimensions;
        reading.bucket = told.bucket;
        self.weigh(&mut reading, &hints, said.as_ref(), told.rejected);
        let policy = spacing(&reading.dimensions).filter(|_| self.is_known() && !reading.foreign);
        reading.policy = policy.or_else(|| self.signals.rate.and_then(interval));
        reading.scope = self.scope(&reading, told.scope, sample.headers);
        reading.is_invalid = self.counts_invalid()
            && matches!(sample.status.as_u16(), 401 | 403 | 429)
            && reading.scope != Scope::Shared;
        reading.concurrency = self.is_concurrency(&reading, sample.headers, &hints);
        reading.settle();
        let is_own = |name: &str| {
            let of_one = |own: &OwnHeaders| {
                [&own.limit, &own.remaining, &own.reset].into_iter().flatten().any(|other| other == name)
            };
            self.signals.own.iter().any(of_one)
        };
        let reason = said.and_then(|said| said.reason);
        let quoted = || quote::of(sample.status, sample.headers, is_own, reason.as_deref());
        reading.quoted = reading.class.closes().then(quoted);
        reading
    }

    fn look(&self) -> Look<'_> {
        let Signals { family, reset, own, leak, .. } = &self.signals;
        Look { family: *family, reset: *reset, own, leak: *leak }
    }

    fn declared(&self, status: StatusCode) -> Option<Verdict> {
        self.signals.statuses.iter().find(|(code, _)| *code == status.as_u16()).map(|(_, verdict)| *verdict)
    }

    /// How long to wait: what the answer says for all its limits, else the longest of those that are used up, else what is
    /// known of the service. Never the shortest, and never a limit that has something left.
    fn weigh(&self, reading: &mut Reading, hints: &Hints, said: Option<&Said>, rejected: bool) {
        let turned_down = matches!(reading.class, Class::Throttled | Class::Exhausted);
        if turned_down && rejected {
            reading.class = Class::Exhausted;
            reading.dimensions.reject("unified");
        }
        reading.trusted = self.is_known();
        // `Retry-After` is everybody's; the other headers are vouched for only where the family has them.
        reading.foreign = self.signals.family == Some(HeaderFamily::RetryAfter);
        let longest = longest(&reading.dimensions, turned_down);
        reading.met = longest.map(|dimension| dimension.name);
        let reset = longest.and_then(|dimension| dimension.reset);
        let told = match reading.class {
            Class::Fine => reset,
            Class::Throttled | Class::Exhausted => {
                let pushback = hints.pushback.filter(|wait| !wait.is_zero());
                hints.after.max(pushback).or(said.and_then(|said| said.wait).max(reset))
            }
            Class::Overloaded | Class::Transient => hints.pushback.max(hints.after).filter(|wait| !wait.is_zero()),
            Class::Auth => None,
        };
        let known = || said.and_then(|said| said.fallback).or(self.signals.default_wait);
        reading.told = told.is_some();
        reading.wait = if turned_down { told.or_else(known) } else { told };
        if reset.is_some() && reading.wait == reset && hints.after != reset {
            reading.trusted &= !reading.foreign;
        }
        let is_quota = |dimension: Dimension| dimension.window.is_some_and(|window| window >= QUOTA_WINDOW);
        if reading.class == Class::Throttled
            && hints.after.is_none()
            && reset.is_none()
            && longest.is_some_and(is_quota)
        {
            // The quota of a day comes back at midnight, which no default is long enough for.
            reading.class = Class::Exhausted;
            reading.wait = Some(QUOTA_PROBE);
        }
    }

    fn scope(&self, reading: &Reading, told: Option<Scope>, headers: &HeaderMap) -> Scope {
        // GitHub's secondary limits know no bucket, and leave the primary ones as they are.
        let secondary = self.signals.family == Some(HeaderFamily::GitHub)
            && reading.class == Class::Throttled
            && !reading.dimensions.iter().any(Dimension::is_exhausted);
        match told {
            _ if reading.class == Class::Overloaded || secondary => Scope::Owner,
            Some(scope) => scope,
            None if reading.class != Class::Fine && self.is_of_endpoint(headers) => Scope::Route,
            // Jira's bursts are counted by method and endpoint (developer.atlassian.com/cloud/jira/platform/rate-limiting).
            None if reading.class != Class::Fine && says(headers, "ratelimit-reason", "jira-burst-based") => {
                Scope::Route
            }
            None => Scope::Bucket,
        }
    }

    /// Whether Stripe says that it is the endpoint's own limit (docs.stripe.com/rate-limits).
    fn is_of_endpoint(&self, headers: &HeaderMap) -> bool {
        self.signals.family == Some(HeaderFamily::Stripe)
            && ["endpoint-rate", "endpoint-concurrency"]
                .iter()
                .any(|reason| says(headers, "stripe-rate-limited-reason", reason))
    }

    fn is_concurrency(&self, reading: &Reading, headers: &HeaderMap, hints: &Hints) -> bool {
        if reading.class != Class::Throttled || hints.after.is_some() {
            return false;
        }
        match self.signals.family {
            Some(HeaderFamily::Stripe) => {
                let reason = headers.get("stripe-rate-limited-reason").and_then(scan::text);
                reason.is_some_and(|reason| reason.ends_with("-concurrency"))
            }
            Some(HeaderFamily::Twilio) => true,
            _ => {
                let mut used_up = reading.dimensions.iter().filter(|dimension| dimension.is_exhausted()).peekable();
                used_up.peek().is_some() && used_up.all(|dimension| dimension.unit == Unit::Concurrency)
            }
        }
    }
}

/// The class of an answer of which nothing else is declared. What gRPC says in a head that HTTP calls fine stands for it.
fn class(status: StatusCode, hints: &Hints, told: &Told, grpc: Option<grpc::Status>) -> Class {
    let reset = |dimension: &Dimension| dimension.is_exhausted() && dimension.reset.is_some();
    match (status.as_u16(), grpc.map(|grpc| grpc.class)) {
        (429, _) | (200, Some(Class::Throttled)) => Class::Throttled,
        _ if hints.pushback.is_some() => Class::Overloaded,
        (200, Some(class)) => class,
        (403, _) if hints.after.is_some() || told.dimensions.iter().any(reset) => Class::Throttled,
        (401 | 403, _) => Class::Auth,
        (503, _) if hints.after.is_some() => Class::Overloaded,
        (529, _) => Class::Overloaded,
        (502..=504, _) => Class::Transient,
        _ => Class::Fine,
    }
}

impl Hints {
    /// The milliseconds are preferred where both are sent, since the seconds are rounded. A hint of nothing is none.
    fn of(headers: &HeaderMap, clocks: &Clocks<'_>) -> Self {
        let of = |name: &str, unit| {
            let value = headers.get(name).and_then(scan::text)?;
            clocks.until(when::moment(value, unit)?)
        };
        let milliseconds = Some(ResetUnit::DeltaMillis);
        let after = of("retry-after-ms", milliseconds).or_else(|| of("x-ms-retry-after-ms", milliseconds));
        let pushback = headers.get("grpc-retry-pushback-ms").and_then(scan::text);
        let pushback = pushback.and_then(|value| value.parse().ok()).map(Duration::from_millis);
        let after = after.or_else(|| of(RETRY_AFTER.as_str(), None)).or_else(|| of("x-ratelimit-retry-after", None));
        Self { after, pushback }
    }
}

impl From<Verdict> for Class {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Throttled => Self::Throttled,
            Verdict::Exhausted => Self::Exhausted,
            Verdict::Overloaded => Self::Overloaded,
            Verdict::Transient => Self::Transient,
            Verdict::Fine => Self::Fine,
        }
    }
}
