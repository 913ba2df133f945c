//! What the body of an answer says of a limit, by the rules that a record declares. Looks at small JSON bodies alone, and
//! at none unless a rule asks for it; everything else streams past untouched.

use std::io::Read as _;
use std::time::Duration;

use flate2::read::GzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::domain::{BodyRule, HeaderFamily, ResetUnit, Verdict};

use super::when::{self, Moment};

/// The largest body that is looked at, as it comes, in bytes.
pub const LARGEST_BODY: usize = 64 * 1024;
/// The most that it may unpack to.
const LARGEST_UNPACKED: u64 = 512 * 1024;
/// No body makes a request wait longer than this.
const LONGEST: f64 = 31.0 * 24.0 * 3600.0;

/// How many tokens the answer to a request may have, as its JSON asks for: `max_tokens` (chat completions of many vendors),
/// `max_completion_tokens` or `max_output_tokens` (OpenAI). `start` is as much of the request's body as is there. It is looked
/// for as text, since an estimate is all that comes of it.
pub fn most_tokens(start: &[u8]) -> Option<u32> {
    let after = memchr::memmem::find_iter(start, b"_tokens\"").filter_map(|at| {
        let (before, after) = (start.get(..at)?, start.get(at + b"_tokens\"".len()..)?);
        let is_it = [&b"\"max"[..], b"\"max_completion", b"\"max_output"].iter().any(|name| before.ends_with(name));
        let value = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = value.get(..digits).filter(|_| is_it)?;
        std::str::from_utf8(text).ok()?.parse().ok()
    });
    after.max()
}

/// What a body says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) verdict: Verdict,
    /// How long to wait, when it says so.
    pub(super) wait: Option<Duration>,
    /// How long to wait when nothing else says so.
    pub(super) fallback: Option<Duration>,
    /// Which limit was met, when it says so.
    pub(super) reason: Option<Box<str>>,
}

/// Whether a body with this head is worth looking at: JSON, small or of unknown size, and not packed but by gzip.
pub(super) fn is_legible(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text(CONTENT_TYPE).and_then(|kind| kind.split(';').next()).unwrap_or("").trim();
    let json = kind.eq_ignore_ascii_case("application/json") || kind.to_ascii_lowercase().ends_with("+json");
    // AWS calls its JSON by a version, Google and others by a charset.
    let json = json || kind.starts_with("application/x-amz-json");
    let small = text(CONTENT_LENGTH).is_none_or(|length| length.parse().is_ok_and(|n: usize| n <= LARGEST_BODY));
    json && small && (packing(headers) != Packing::Other)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Other,
}

fn packing(headers: &HeaderMap) -> Packing {
    match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase()).as_deref() {
        None | Some(b"" | b"identity") => Packing::None,
        Some(b"gzip" | b"x-gzip") => Packing::Gzip,
        Some(_) => Packing::Other,
    }
}

/// What `body` says by `rules`; the first that fits counts.
pub(super) fn read(
    rules: &[BodyRule],
    family: Option<HeaderFamily>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<Said> {
    let mut rules = rules.iter().filter(|rule| rule.statuses.contains(&status.as_u16())).peekable();
    rules.peek()?;
    let json = parse(headers, body)?;
    let rule = rules.find(|rule| values(&json, &rule.path).any(|value| fits(rule, value)))?;
    let told = rule.wait_at.as_ref().and_then(|path| values(&json, path).find_map(seconds));
    let leak = if family == Some(HeaderFamily::Shopify) { restored_in(&json) } else { None };
    let reason = rule.reason_at.as_ref().and_then(|path| values(&json, path).find_map(Value::as_str));
    Some(Said { verdict: rule.verdict, wait: told.or(leak), fallback: rule.wait, reason: reason.map(Into::into) })
}

fn parse(headers: &HeaderMap, body: &[u8]) -> Option<Value> {
    if body.len() > LARGEST_BODY || !is_legible(headers) {
        return None;
    }
    match packing(headers) {
        Packing::None => serde_json::from_slice(body).ok(),
        Packing::Gzip => {
            let mut unpacked = Vec::new();
            GzDecoder::new(body).take(LARGEST_UNPACKED).read_to_end(&mut unpacked).ok()?;
            serde_json::from_slice(&unpacked).ok()
        }
        Packing::Other => None,
    }
}

/// The values at the end of a path; `*` goes into each element of an array.
fn values<'a>(json: &'a Value, path: &'a [Box<str>]) -> Box<dyn Iterator<Item = &'a Value> + 'a> {
    let Some((member, rest)) = path.split_first() else { return Box::new(std::iter::once(json)) };
    match (json, &**member) {
        (Value::Array(elements), "*") => Box::new(elements.iter().flat_map(|element| values(element, rest))),
        (Value::Object(members), member) => {
            Box::new(members.get(member).into_iter().flat_map(|value| values(value, rest)))
        }
        _ => Box::new(std::iter::empty()),
    }
}

fn fits(rule: &BodyRule, value: &Value) -> bool {
    match value {
        Value::String(text) => rule.values.iter().any(|pattern| resembles(text, pattern)),
        Value::Number(number) => rule.values.iter().any(|pattern| **pattern == number.to_string()),
        _ => false,
    }
}

/// Whether `text` is `pattern`, without regard to case; a `*` at either end of it stands for anything.
fn resembles(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.to_ascii_lowercase(), pattern.to_ascii_lowercase());
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => text.contains(pattern.trim_matches('*')),
        (Some(end), None) => text.ends_with(end),
        (None, Some(start)) => text.starts_with(start),
        (None, None) => text == pattern,
    }
}

/// A time from now: a number of seconds, as a number or as text, or a text with a unit such as `34.07s`.
fn seconds(value: &Value) -> Option<Duration> {
    if let Some(number) = value.as_f64() {
        return wait(number);
    }
    match when::moment(value.as_str()?, Some(ResetUnit::DeltaSeconds))? {
        Moment::In(time) => wait(time.as_secs_f64()),
        Moment::At { .. } => None,
    }
}

fn wait(seconds: f64) -> Option<Duration> {
    (seconds > 0.0 && seconds <= LONGEST).then(|| Duration::from_secs_f64(seconds))
}

/// When Shopify's bucket of query cost has enough again for what was asked (`extensions.cost`).
fn restored_in(json: &Value) -> Option<Duration> {
    let cost = json.get("extensions")?.get("cost")?;
    let status = cost.get("throttleStatus")?;
    let of = |value: &Value, key: &str| value.get(key)?.as_f64();
    let missing = of(cost, "requestedQueryCost")? - of(status, "currentlyAvailable")?;
    let rate = of(status, "restoreRate").filter(|rate| *rate > 0.0)?;
    wait(missing / rate)
}
