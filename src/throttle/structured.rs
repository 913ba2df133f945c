//! `RateLimit` and `RateLimit-Policy` as the IETF drafts define them: a dictionary in draft 07, a list of items from draft 08
//! on. What is malformed is ignored, as the drafts demand.

use std::time::Duration;

use http::HeaderMap;
use sfv::{BareItem, Dictionary, Item, List, ListEntry, Parameters, Parser};

use super::reading::{Dimension, Unit, Word};

/// What the two fields say.
#[derive(Debug, Default)]
pub(super) struct Structured {
    pub(super) dimensions: Vec<Dimension>,
    /// The partition that the first item names.
    pub(super) partition: Option<Word>,
}

/// Reads both fields.
pub(super) fn read(headers: &HeaderMap) -> Structured {
    let Some(field) = whole(headers, "ratelimit") else { return Structured::default() };
    if let Some(dimension) = dictionary(&field) {
        return Structured { dimensions: vec![dimension], partition: None };
    }
    let Ok(list) = Parser::new(&field).parse::<List>() else { return Structured::default() };
    let policies = whole(headers, "ratelimit-policy").and_then(|field| Parser::new(&field).parse::<List>().ok());
    let policies: Vec<&Item> = policies.iter().flatten().filter_map(item).collect();
    let items = || list.iter().filter_map(item);
    let dimensions = items().filter_map(|limit| dimension(limit, &policies)).collect();
    let partition = items().find_map(|item| match item.params.get("pk")? {
        BareItem::ByteSequence(bytes) => Word::new(&base64(bytes)),
        BareItem::String(text) => Word::new(text.as_str()),
        BareItem::Token(text) => Word::new(text.as_str()),
        _ => None,
    });
    Structured { dimensions, partition }
}

/// All lines of a field in one (RFC 9651 §4.2).
fn whole(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut lines = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("\u{0}"));
    let first = lines.next()?.to_owned();
    Some(lines.fold(first, |all, line| all + ", " + line))
}

/// Draft 07: `limit=100, remaining=50, reset=30`.
fn dictionary(field: &str) -> Option<Dimension> {
    let dictionary = Parser::new(field).parse::<Dictionary>().ok()?;
    let of = |key| match dictionary.get(key)? {
        ListEntry::Item(item) => whole_number(&item.bare_item),
        ListEntry::InnerList(_) => None,
    };
    let (limit, remaining) = (of("limit"), of("remaining"));
    if limit.is_none() && remaining.is_none() {
        return None;
    }
    let reset = of("reset").filter(|seconds| *seconds > 0).map(Duration::from_secs);
    Some(Dimension { limit, remaining, reset, ..Dimension::new("requests") })
}

/// Draft 08 and later: `"default";r=50;t=30`, with `"default";q=100;qu="requests";w=60` in the policy.
fn dimension(item: &Item, policies: &[&Item]) -> Option<Dimension> {
    let name = name(item)?;
    let remaining = parameter(&item.params, "r")?;
    let reset = parameter(&item.params, "t").filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let policy = policies.iter().find(|policy| self::name(policy) == Some(name)).map(|policy| &policy.params);
    let window = policy.and_then(|policy| parameter(policy, "w")).map(Duration::from_secs);
    let unit = match policy.and_then(|policy| policy.get("qu")) {
        None => Unit::Requests,
        Some(BareItem::String(text)) => unit(text.as_str()),
        Some(BareItem::Token(text)) => unit(text.as_str()),
        Some(_) => Unit::Amounts,
    };
    // Only what counts requests is a reason to wait: the drafts' other units say nothing of the next request.
    let reset = reset.filter(|_| unit == Unit::Requests);
    let limit = policy.and_then(|policy| parameter(policy, "q"));
    Some(Dimension { unit, limit, remaining: Some(remaining), reset, window, ..Dimension::new(name) })
}

fn unit(text: &str) -> Unit {
    match text {
        "requests" => Unit::Requests,
        "concurrent-requests" => Unit::Concurrency,
        _ => Unit::Amounts,
    }
}

fn item(entry: &ListEntry) -> Option<&Item> {
    match entry {
        ListEntry::Item(item) => Some(item),
        ListEntry::InnerList(_) => None,
    }
}

fn name(item: &Item) -> Option<&str> {
    match &item.bare_item {
        BareItem::String(text) => Some(text.as_str()),
        BareItem::Token(text) => Some(text.as_str()),
        _ => None,
    }
}

fn parameter(parameters: &Parameters, key: &str) -> Option<u64> {
    whole_number(parameters.get(key)?)
}

fn whole_number(item: &BareItem) -> Option<u64> {
    match item {
        BareItem::Integer(number) => u64::try_from(i64::from(*number)).ok(),
        _ => None,
    }
}

/// A list of quotas with their windows, as drafts up to 06 and Docker Hub write it: `100, 100;w=60` or `100;w=21600`; the
/// first quota and its window. A plain number needs no list.
pub(super) fn quota(field: &str) -> Option<(u64, Option<Duration>)> {
    let list = Parser::new(field).parse::<List>().ok()?;
    let quotas =
        || list.iter().filter_map(item).filter_map(|item| Some((whole_number(&item.bare_item)?, &item.params)));
    let (first, _) = quotas().next()?;
    let window = quotas().filter(|(quota, _)| *quota == first).find_map(|(_, params)| parameter(params, "w"));
    Some((first, window.map(Duration::from_secs)))
}

/// Of quotas with their windows the one of `limit`; the first when that is unknown.
pub(super) fn policy(field: &str, limit: Option<u64>) -> Option<(u64, Duration)> {
    let list = Parser::new(field).parse::<List>().ok()?;
    let windows = || {
        let items = list.iter().filter_map(item);
        items.filter_map(|item| Some((whole_number(&item.bare_item)?, parameter(&item.params, "w")?)))
    };
    let of_limit = windows().find(|(quota, _)| limit.is_none_or(|limit| *quota == limit));
    of_limit.map(|(quota, window)| (quota, Duration::from_secs(window)))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
