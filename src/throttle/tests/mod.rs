//! What answers say, by tables of samples: what a vendor documents or was seen to send, and the exact wait that follows.

mod bodies;
mod budget;
mod families;
mod grpc;
mod moments;
mod properties;
mod resend;

use std::time::Duration;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::*;
use crate::domain::{HeaderFamily, Signals};

/// 2026-03-01T10:00:00Z, a Sunday: the time at which the samples were received.
const NOW: u64 = 1_772_359_200;

fn seconds(count: f64) -> Duration {
    Duration::from_secs_f64(count)
}

/// Headers from `name: value` lines.
fn headers(text: &str) -> HeaderMap {
    let mut out = HeaderMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line}"));
        let name = HeaderName::try_from(name.trim().to_ascii_lowercase()).unwrap();
        out.append(name, HeaderValue::from_str(value.trim()).unwrap());
    }
    out
}

fn signals(family: Option<HeaderFamily>) -> Signals {
    Signals { family, ..Signals::default() }
}

fn read(signals: &Signals, status: u16, lines: &str) -> Reading {
    read_with(signals, status, lines, None)
}

fn read_with(signals: &Signals, status: u16, lines: &str, body: Option<&[u8]>) -> Reading {
    let (status, headers) = (StatusCode::from_u16(status).unwrap(), headers(lines));
    Family::new(signals).read(&Sample { status, headers: &headers, now: Duration::from_secs(NOW), body })
}

#[test]
fn a_word_is_short_visible_and_never_cut() {
    assert_eq!(Word::new("search").unwrap().as_str(), "search");
    assert!(Word::new(&"a".repeat(63)).is_some());
    for text in [String::new(), "a".repeat(64), "a b".into(), "ü".into()] {
        assert_eq!(Word::new(&text), None, "{text}");
    }
    assert_eq!(Word::new("tokens").unwrap().joined("day").unwrap().as_str(), "tokens-day");
    assert_eq!(Word::new(&"a".repeat(61)).unwrap().joined("day"), None);
}

#[test]
fn an_answer_is_classed_by_its_status_and_its_hints() {
    let cases = [
        (200, "", Class::Fine),
        (404, "", Class::Fine),
        (500, "retry-after: 5", Class::Fine),
        (202, "retry-after: 5", Class::Fine),
        (429, "", Class::Throttled),
        (403, "", Class::Auth),
        (401, "retry-after: 5", Class::Auth),
        (403, "retry-after: 5", Class::Throttled),
        (403, "x-ratelimit-remaining: 0", Class::Auth),
        (403, "x-ratelimit-remaining: 3\nx-ratelimit-reset: 60", Class::Auth),
        (403, "x-ratelimit-remaining: 0\nx-ratelimit-reset: 60", Class::Throttled),
        (503, "", Class::Transient),
        (503, "retry-after: 5", Class::Overloaded),
        (529, "", Class::Overloaded),
        (502, "", Class::Transient),
        (504, "", Class::Transient),
        (200, "grpc-retry-pushback-ms: 250", Class::Overloaded),
        (503, "grpc-retry-pushback-ms: 0", Class::Overloaded),
        (503, "grpc-retry-pushback-ms: -1", Class::Transient),
        (429, "retry-after: 900", Class::Exhausted),
        (402, "", Class::Fine),
    ];
    for (status, lines, class) in cases {
        assert_eq!(read(&Signals::default(), status, lines).class, class, "{status} {lines}");
    }
}

#[test]
fn what_is_over_its_cap_is_exhausted_and_keeps_its_hint() {
    let known = signals(Some(HeaderFamily::RetryAfter));
    for (signals, after, class) in [
        (Signals::default(), 300, Class::Throttled),
        (Signals::default(), 301, Class::Exhausted),
        (known.clone(), 900, Class::Throttled),
        (known.clone(), 901, Class::Exhausted),
        (known, 8 * 86_400, Class::Exhausted),
    ] {
        let reading = read(&signals, 429, &format!("retry-after: {after}"));
        assert_eq!((reading.class, reading.wait), (class, Some(Duration::from_secs(after))), "{after}");
        assert_eq!(reading.trusted, signals.family.is_some());
        assert_eq!(reading.cap().as_secs(), if reading.trusted { 7 * 86_400 } else { 300 });
    }
}

#[test]
fn what_comes_from_a_cache_teaches_nothing() {
    let spent = "x-ratelimit-remaining: 0\nx-ratelimit-reset: 60";
    assert!(read(&Signals::default(), 200, spent).current);
    assert!(read(&Signals::default(), 200, &format!("{spent}\nage: 0")).current);
    assert!(!read(&Signals::default(), 200, &format!("{spent}\nage: 12")).current);
    assert!(!read(&Signals::default(), 200, "age: 12").current);
    assert!(!read(&Signals::default(), 304, "age: 12").current);
    // An origin's own "nothing changed" was let through; what it says of limits may be a cache's.
    for (status, uncounted) in [(304, true), (200, false)] {
        let reading = read(&Signals::default(), status, spent);
        assert_eq!((reading.current, reading.uncounted), (true, uncounted));
    }
}

#[test]
fn a_declared_status_means_what_was_declared() {
    use crate::domain::Verdict;
    let signals = Signals {
        statuses: vec![(402, Verdict::Exhausted), (420, Verdict::Throttled), (509, Verdict::Overloaded)],
        default_wait: Some(seconds(7.0)),
        ..Signals::default()
    };
    assert_eq!(read(&signals, 402, "").class, Class::Exhausted);
    let throttled = read(&signals, 420, "");
    assert_eq!((throttled.class, throttled.wait), (Class::Throttled, Some(seconds(7.0))));
    assert_eq!(read(&signals, 509, "").class, Class::Overloaded);
    assert_eq!(read(&signals, 403, "").class, Class::Auth);
}

#[test]
fn a_route_belongs_to_the_first_bucket_that_has_it() {
    use crate::domain::{RouteBucket, Rule};
    let bucket = |name: &str, rule: &str| RouteBucket { name: name.into(), routes: vec![Rule::parse(rule).unwrap()] };
    let buckets = vec![bucket("search", "GET /search/**"), bucket("write", "POST /**")];
    let family = Family::new(&Signals { buckets, ..Signals::default() });
    assert_eq!(family.bucket("GET", "/search/code").unwrap().as_str(), "search");
    assert_eq!(family.bucket("POST", "/repos").unwrap().as_str(), "write");
    assert_eq!(family.bucket("GET", "/repos"), None);
    // Each method of Slack has a limit of its own.
    let slack = Family::new(&Signals { by_path: true, ..Signals::default() });
    assert_eq!(slack.bucket("POST", "/api/chat.postMessage").unwrap().as_str(), "/api/chat.postMessage");
    assert_eq!(slack.bucket("POST", &"/long".repeat(13)), None);
}

#[test]
fn milliseconds_are_preferred_and_a_hint_of_nothing_is_none() {
    for (lines, wait) in [
        ("retry-after-ms: 1500\nretry-after: 2", Some(1.5)),
        ("x-ms-retry-after-ms: 250\nretry-after: 1", Some(0.25)),
        ("retry-after-ms: soon\nretry-after: 2", Some(2.0)),
        // developers.mailerlite.com/docs
        ("x-ratelimit-retry-after: 59\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 3", Some(59.0)),
        ("retry-after: 0", None),
        ("retry-after:", None),
        ("retry-after: -5", None),
        ("retry-after: 2\nretry-after: 60", Some(2.0)),
        // RFC 9110 §10.2.3, with §5.6.7's three forms of a date.
        ("retry-after: Sun, 01 Mar 2026 10:00:30 GMT", Some(30.0)),
        ("retry-after: Sunday, 01-Mar-26 10:00:30 GMT", Some(30.0)),
        ("retry-after: Sun Mar  1 10:00:30 2026", Some(30.0)),
        // The server's clock is five minutes ahead of ours.
        ("retry-after: Sun, 01 Mar 2026 10:05:30 GMT\ndate: Sun, 01 Mar 2026 10:05:00 GMT", Some(30.0)),
        // Its clock is two days off, so it is not one.
        ("retry-after: Sun, 01 Mar 2026 10:00:30 GMT\ndate: Fri, 27 Feb 2026 10:05:00 GMT", Some(30.0)),
        ("retry-after: Sun, 01 Mar 2026 09:00:00 GMT", None),
    ] {
        assert_eq!(read(&Signals::default(), 429, lines).wait, wait.map(seconds), "{lines}");
    }
}
