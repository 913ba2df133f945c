//! What a refusal said of limits, as text for people. The upstream wrote it, and may repeat a key there: what does not
//! look like a number, a time or plain words is left out.

use std::fmt::Write as _;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use super::scan::text;

/// So many headers are quoted at most.
const MOST: usize = 16;
/// Of a longer value nothing is shown.
const LONGEST: usize = 80;
/// The longest plain word, and the longest number.
const LONGEST_WORD: usize = 19;

/// The status, the headers of limits and the reason that the body gives, one a line.
pub(super) fn of(
    status: StatusCode,
    headers: &HeaderMap,
    is_own: impl Fn(&str) -> bool,
    reason: Option<&str>,
) -> Arc<str> {
    let mut out = status.as_str().to_owned();
    let found = headers.iter().filter(|(name, _)| tells_of_limits(name.as_str()) || is_own(name.as_str()));
    let found = found.take(MOST).map(|(name, value)| (name.as_str(), text(value)));
    for (name, value) in found.chain(reason.map(|reason| ("reason", Some(reason)))) {
        let value = value.filter(|value| is_of_limits(value)).unwrap_or("…");
        let _never_fails = write!(out, "\n{name}: {value}");
    }
    out.into()
}

fn tells_of_limits(name: &str) -> bool {
    ["ratelimit", "rate-limit", "retry-after", "call-limit", "concurrent-requests", "retry-pushback"]
        .iter()
        .any(|part| name.contains(part))
}

/// Whether a value is of numbers, times and plain words alone. A key has letters and digits in one word, or a longer word.
fn is_of_limits(value: &str) -> bool {
    let is_plain = |word: &str| {
        let of_time = |c: char| c.is_ascii_digit() || "hmsdTZ".contains(c);
        word.len() <= LONGEST_WORD && (word.chars().all(of_time) || word.chars().all(|c| c.is_ascii_alphabetic()))
    };
    value.len() <= LONGEST && value.split(|c: char| !c.is_ascii_alphanumeric()).all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_refusal_the_headers_of_limits_are_quoted_and_nothing_else() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("set-cookie", "session=canary"),
            ("retry-after", "30"),
            ("x-ratelimit-remaining", "0"),
            ("x-plan-left", "0"),
            ("anthropic-ratelimit-tokens-reset", "2026-03-01T10:15:00Z"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        headers.insert("ratelimit-policy", "x ".repeat(500).trim().parse().unwrap());
        headers.insert("x-ratelimit-key", "sk_live_4eC39HqLyjWDarjtT1zdp7dc".parse().unwrap());
        let quoted = of(StatusCode::TOO_MANY_REQUESTS, &headers, |name| name == "x-plan-left", Some("workspace_limit"));
        let lines: Vec<&str> = quoted.lines().collect();
        assert_eq!(lines.first(), Some(&"429"));
        assert!(lines.contains(&"retry-after: 30") && lines.contains(&"x-plan-left: 0"), "{quoted}");
        assert!(lines.contains(&"anthropic-ratelimit-tokens-reset: 2026-03-01T10:15:00Z"), "{quoted}");
        assert!(lines.contains(&"ratelimit-policy: …") && lines.contains(&"x-ratelimit-key: …"), "{quoted}");
        assert_eq!(lines.last(), Some(&"reason: workspace_limit"));
        assert!(!quoted.contains("canary") && lines.len() == 8, "{quoted}");
        for number in 0..100 {
            let name = format!("x-ratelimit-{number}").parse::<http::HeaderName>().unwrap();
            headers.insert(name, "1".parse().unwrap());
        }
        let many = of(StatusCode::TOO_MANY_REQUESTS, &headers, |_| false, Some("sk_live_4eC39HqLyjWDarjtT1zdp7dc"));
        assert_eq!((many.lines().count(), many.lines().last()), (MOST + 2, Some("reason: …")));
    }

    #[test]
    fn a_value_that_may_be_a_key_is_not_quoted() {
        for value in [
            "30",
            "2.5",
            "0",
            "6m0s",
            "1h23m45s",
            "32/40",
            "1772360100000",
            "2026-03-01T10:15:00.123456Z",
            "Sun, 01 Mar 2026 10:15:00 GMT",
            "limit=100, remaining=0, reset=30",
            "\"burst\";q=100;w=60",
            "endpoint-concurrency",
            "-1",
            "",
        ] {
            assert!(is_of_limits(value), "{value}");
        }
        for value in [
            "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
            "c0ffee12-9b1d-4f3a-8c2e-5d6f7a8b9c0d",
            "Bearer abcd1234",
            "AIzaSyD-9tSrke72PouQMnMX",
            "ghp_abcdefghijklmnopqrstuvwxyzabcdefghij",
            "abcdefghijklmnopqrst",
            "12345678901234567890",
            "remaining 0 for key a1b2c3",
        ] {
            assert!(!is_of_limits(value), "{value}");
        }
    }
}
