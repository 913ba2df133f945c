//! From the headers of an answer to the limits they tell of: which header is which part of which limit is told by its name,
//! since services put the parts in every order. It judges nothing.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::{HeaderFamily, OwnHeaders, Rate, ResetUnit};

use super::reading::{Dimension, Dimensions, Scope, Unit, Word};
use super::structured;
use super::when::{self, Clocks};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A full bucket of Shopify is empty after this, on every plan: 40 at 2 a second, 80 at 4, 400 at 20, 800 at 40
/// (shopify.dev/docs/api/usage/limits).
const SHOPIFYS: Duration = Duration::from_secs(20);
/// The name of a limit that has none.
const UNNAMED: &str = "requests";

/// Signs that an answer may tell of limits: one look over the names instead of a search for each.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a sign of its own")]
pub(super) struct Spotted {
    /// Some header of limits.
    pub(super) limits: bool,
    /// A hint when to come back.
    pub(super) hint: bool,
    /// A status of gRPC.
    pub(super) grpc: bool,
    /// An `Age` above 0: the answer is from a cache.
    pub(super) aged: bool,
}

impl Spotted {
    /// Looks over `headers`.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut out = Self::default();
        for (name, value) in headers {
            let name = name.as_str();
            match name.as_bytes().first() {
                Some(b'r') if name.starts_with("ratelimit") => out.limits = true,
                Some(b'r') if name.starts_with("retry-after") => out.hint = true,
                Some(b'x') if name == "x-ms-retry-after-ms" || name == "x-ratelimit-retry-after" => out.hint = true,
                Some(b'x') if name.starts_with("x-rate") || is_vendors(name) => out.limits = true,
                Some(b'a') if name == "age" => out.aged |= value != "0",
                Some(b'a') if name.starts_with("anthropic-ratelimit-") => out.limits = true,
                Some(b's') if name == "stripe-rate-limited-reason" => out.limits = true,
                Some(b'g') if name == "grpc-retry-pushback-ms" => out.hint = true,
                Some(b'g') if name == "grpc-status" => out.grpc = true,
                _ => {}
            }
        }
        out
    }
}

fn is_vendors(name: &str) -> bool {
    ["x-shopify-shop-api", "x-hubspot-ratelimit", "x-sentry-rate-limit"].iter().any(|start| name.starts_with(start))
}

/// What the headers of one answer tell.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) dimensions: Dimensions,
    pub(super) bucket: Option<Word>,
    pub(super) scope: Option<Scope>,
    /// Whether the service says that it turned the request down for a limit it keeps by its own rules.
    pub(super) rejected: bool,
    /// The limits whose reset was given as a time from now, by index: these are exact.
    exact: u16,
    used: Option<(usize, u64)>,
}

/// How one service's headers are looked at.
pub(super) struct Look<'a> {
    pub(super) family: Option<HeaderFamily>,
    pub(super) reset: Option<ResetUnit>,
    pub(super) own: &'a [OwnHeaders],
    pub(super) leak: Option<Rate>,
}

/// A part of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Limit,
    Used,
    Remaining,
    Reset,
    ResetAfter,
    /// The window, in units of so many milliseconds.
    Window(u64),
    Status,
}

impl Look<'_> {
    /// The beginnings of the names that this family uses.
    fn prefixes(&self) -> &'static [&'static str] {
        use HeaderFamily as F;
        match self.family {
            None | Some(F::RetryAfter) => &["x-ratelimit-", "x-rate-limit-", "ratelimit-"],
            Some(F::Ietf06 | F::Ietf07 | F::Ietf08 | F::GitLab | F::DockerHub) => &["ratelimit-"],
            Some(F::XRateLimit | F::OpenAi | F::GitHub | F::Linear | F::Discord | F::Reddit) => &["x-ratelimit-"],
            Some(F::XRateDashLimit) => &["x-rate-limit-"],
            Some(F::Anthropic) => &["anthropic-ratelimit-"],
            Some(F::HubSpot) => &["x-hubspot-ratelimit-"],
            Some(F::Sentry) => &["x-sentry-rate-limit-"],
            Some(F::Shopify | F::Stripe | F::Twilio | F::Vendor) => &[],
        }
    }

    fn is_structured(&self) -> bool {
        use HeaderFamily as F;
        matches!(self.family, None | Some(F::RetryAfter | F::Ietf06 | F::Ietf07 | F::Ietf08))
    }

    /// Reads `headers`.
    pub(super) fn read(&self, headers: &HeaderMap, clocks: &Clocks<'_>) -> Told {
        let mut told = Told::default();
        if self.is_structured() {
            let structured = structured::read(headers);
            told.bucket = structured.partition;
            structured.dimensions.into_iter().for_each(|dimension| told.dimensions.push(dimension));
        }
        if let Some(size) = (self.family == Some(HeaderFamily::Shopify)).then(|| self.call_limit(headers)).flatten() {
            told.dimensions.push(size);
        }
        let mut last: Option<&HeaderName> = None;
        for (name, value) in headers {
            // Of a name that has one value, the first line counts.
            let again = last.replace(name) == Some(name);
            let rest = self.prefixes().iter().find_map(|prefix| name.as_str().strip_prefix(prefix));
            if let (Some(rest), Some(text), false) = (rest, text(value), again) {
                self.part(rest, text, clocks, &mut told);
            }
        }
        for own in self.own {
            self.own(own, headers, clocks, &mut told);
        }
        if self.prefixes().contains(&"ratelimit-")
            && let Some(policies) = headers.get("ratelimit-policy").and_then(text)
        {
            told.policies(policies);
        }
        if self.fills() {
            told.dimensions.fill();
        }
        told.finish()
    }

    /// Whether the resets of this family are those at which a limit that fills up steadily is full: OpenAI's and Groq's "until
    /// the rate limit resets to its initial state", Anthropic's "fully replenished", Linear's leaky bucket.
    fn fills(&self) -> bool {
        matches!(self.family, Some(HeaderFamily::OpenAi | HeaderFamily::Anthropic | HeaderFamily::Linear))
    }

    /// One header of which the beginning of the name is known.
    fn part(&self, rest: &str, value: &str, clocks: &Clocks<'_>, told: &mut Told) {
        match rest {
            "resource" | "bucket" | "name" => told.bucket = told.bucket.or_else(|| Word::new(value)),
            "global" if value.eq_ignore_ascii_case("true") => told.scope = Some(Scope::Owner),
            "scope" => match value {
                "global" => told.scope = Some(Scope::Owner),
                "shared" => told.scope = Some(Scope::Shared),
                _ => {}
            },
            "policy" | "reason" => {}
            _ => {
                let bare = self.family == Some(HeaderFamily::HubSpot);
                let Some((part, name)) = part_of(rest, bare) else { return };
                self.note(part, name, value, clocks, told);
            }
        }
    }

    fn own(&self, own: &OwnHeaders, headers: &HeaderMap, clocks: &Clocks<'_>, told: &mut Told) {
        let parts = [(Part::Limit, &own.limit), (Part::Remaining, &own.remaining), (Part::Reset, &own.reset)];
        // It is named by what its headers have that the word for the part does not say.
        let named = own.remaining.as_ref().or(own.limit.as_ref()).or(own.reset.as_ref());
        let name = named.and_then(|name| Word::new(name.as_str())).unwrap_or_default();
        for (part, header) in parts {
            let value = header.as_ref().and_then(|name| headers.get(name)).and_then(text);
            if let Some(value) = value {
                self.note(part, name, value, clocks, told);
            }
        }
    }

    fn note(&self, part: Part, name: Word, value: &str, clocks: &Clocks<'_>, told: &mut Told) {
        let exact = told.exact;
        let Some((index, dimension)) = told.dimension(name) else { return };
        match part {
            Part::Limit => {
                let (limit, window) = quota(value);
                dimension.limit = dimension.limit.or(limit);
                dimension.window = dimension.window.or(window);
            }
            Part::Remaining => dimension.remaining = dimension.remaining.or_else(|| self.remaining(value)),
            Part::Used => told.used = count(value).map(|used| (index, used)),
            Part::Window(unit) => {
                dimension.window = count(value).and_then(|n| n.checked_mul(unit)).map(Duration::from_millis);
            }
            Part::Status => told.rejected |= name.as_str() == "unified" && value == "rejected",
            Part::Reset if exact & (1 << index) != 0 => {}
            Part::Reset => {
                let reset = when::moment(value, self.reset).and_then(|moment| clocks.until_reset(moment));
                dimension.reset = dimension.reset.or(reset);
            }
            Part::ResetAfter => {
                let reset = when::moment(value, Some(ResetUnit::DeltaSeconds));
                dimension.reset = reset.and_then(|moment| clocks.until_reset(moment)).or(dimension.reset);
                told.exact |= 1 << index;
            }
        }
    }

    /// How many are left; less than one is none. Azure's −1 stands for unknown.
    fn remaining(&self, value: &str) -> Option<u64> {
        if let Some(below) = value.strip_prefix('-') {
            return when::number(below).and_then(|_| (self.family != Some(HeaderFamily::OpenAi)).then_some(0));
        }
        count(value).or_else(|| structured::quota(value).map(|(count, _)| count))
    }

    /// Shopify's `32/40`: so many of a leaky bucket of that size are taken.
    fn call_limit(&self, headers: &HeaderMap) -> Option<Dimension> {
        let (used, size) = text(headers.get("x-shopify-shop-api-call-limit")?)?.split_once('/')?;
        let (used, size) = (count(used)?, count(size)?);
        let window = self.leak.map(|leak| leak.period.mul_f64(ratio(size, u64::from(leak.count.get()))));
        let window = Some(window.unwrap_or(SHOPIFYS));
        let remaining = Some(size.saturating_sub(used));
        Some(Dimension { limit: Some(size), remaining, window, leaky: true, ..Dimension::new(UNNAMED) })
    }
}

#[allow(clippy::cast_precision_loss, reason = "sizes of buckets are small")]
fn ratio(size: u64, leak: u64) -> f64 {
    (size as f64 / leak.max(1) as f64).min(1e6)
}

impl Told {
    /// The limit of this name, which is begun when it is new; none when there are too many.
    fn dimension(&mut self, name: Word) -> Option<(usize, &mut Dimension)> {
        self.dimensions.of(name, || {
            let text = name.as_str();
            Dimension { unit: unit(text), window: window(text), ..Dimension::named(name) }
        })
    }

    /// The drafts up to 06 tell the windows beside the limit: `RateLimit-Policy: 10;w=1, 1000;w=3600`.
    fn policies(&mut self, value: &str) {
        let Some(name) = Word::new(UNNAMED) else { return };
        let known = self.dimensions.iter().find(|dimension| dimension.name == name);
        let Some((limit, window)) = structured::policy(value, known.and_then(|known| known.limit)) else { return };
        if let Some((_, dimension)) = self.dimension(name) {
            dimension.limit = Some(limit);
            dimension.window = dimension.window.or(Some(window));
        }
    }

    fn finish(mut self) -> Self {
        if let Some((index, used)) = self.used
            && let Some(dimension) = self.dimensions.get_mut(index)
        {
            dimension.remaining = dimension.remaining.or(dimension.limit.map(|limit| limit.saturating_sub(used)));
        }
        self
    }
}

/// Which part of which limit a header is, told by its name without the beginning; `bare` says that a name without a word
/// for the part is that of a limit.
fn part_of(rest: &str, bare: bool) -> Option<(Part, Word)> {
    let (mut part, mut name) = (None, Word::default());
    for token in rest.split('-') {
        let found = match token {
            "limit" | "max" => Some(Part::Limit),
            "remaining" | "left" => Some(Part::Remaining),
            "reset" | "resets" | "resettime" => Some(Part::Reset),
            "after" if part == Some(Part::Reset) => Some(Part::ResetAfter),
            "used" => Some(Part::Used),
            "status" => Some(Part::Status),
            "interval" | "period" | "window" => Some(Part::Window(1000)),
            "milliseconds" | "ms" if matches!(part, Some(Part::Window(_))) => Some(Part::Window(1)),
            "concurrentlimit" | "concurrentremaining" => {
                name = name.joined("concurrent")?;
                Some(if token == "concurrentlimit" { Part::Limit } else { Part::Remaining })
            }
            _ => None,
        };
        match found {
            // `limit-user-remaining` is what remains of the limit of a user.
            Some(Part::Limit) if part.is_some() => {}
            Some(found) => part = Some(found),
            None => name = name.joined(token)?,
        }
    }
    let part = part.or(bare.then_some(Part::Limit))?;
    let name = if name == Word::default() { Word::new(UNNAMED)? } else { name };
    Some((part, name))
}

fn unit(name: &str) -> Unit {
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["concurren"]) {
        Unit::Concurrency
    } else if has(&["token", "complexity", "point", "byte", "credit", "cost", "unified"]) {
        Unit::Amounts
    } else {
        Unit::Requests
    }
}

/// The window that a limit's name tells of.
fn window(name: &str) -> Option<Duration> {
    name.split('-').find_map(|word| match word {
        "second" | "secondly" => Some(Duration::from_secs(1)),
        "minute" => Some(Duration::from_secs(60)),
        "hour" => Some(Duration::from_secs(3600)),
        "day" | "daily" => Some(DAY),
        _ => None,
    })
}

/// How many, and in which window when the value says so.
fn quota(value: &str) -> (Option<u64>, Option<Duration>) {
    if let Some(count) = count(value) {
        return (Some(count), None);
    }
    structured::quota(value).map_or((None, None), |(count, window)| (Some(count), window))
}

/// A number of things; of a fraction, the whole ones.
fn count(value: &str) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is not negative, and saturates")]
    when::number(value).map(|number| number as u64)
}

/// A header's value as text, when there is any.
pub(super) fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
}
