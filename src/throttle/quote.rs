//! What a refusal's headers said of limits, as text for people. The upstream wrote it: it is shown and never read again.

use std::fmt::Write as _;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use super::scan::text;

/// So many headers are quoted at most.
const MOST: usize = 16;
/// Of each value, so many characters.
const LONGEST: usize = 80;

/// The status and the headers of limits, one a line.
pub(super) fn of(status: StatusCode, headers: &HeaderMap, is_own: impl Fn(&str) -> bool) -> Arc<str> {
    let mut out = status.as_str().to_owned();
    let found = headers.iter().filter(|(name, _)| tells_of_limits(name.as_str()) || is_own(name.as_str()));
    for (name, value) in found.take(MOST) {
        let value: String = text(value).unwrap_or_default().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        let _never_fails = write!(out, "\n{name}: {value}");
    }
    out.into()
}

fn tells_of_limits(name: &str) -> bool {
    ["ratelimit", "rate-limit", "retry-after", "call-limit", "concurrent-requests", "retry-pushback"]
        .iter()
        .any(|part| name.contains(part))
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
        headers.insert("ratelimit-policy", "x".repeat(500).parse().unwrap());
        let quoted = of(StatusCode::TOO_MANY_REQUESTS, &headers, |name| name == "x-plan-left");
        let lines: Vec<&str> = quoted.lines().collect();
        assert_eq!(lines.first(), Some(&"429"));
        assert!(lines.contains(&"retry-after: 30") && lines.contains(&"x-plan-left: 0"), "{quoted}");
        assert!(!quoted.contains("canary") && lines.len() == 6, "{quoted}");
        assert!(lines.iter().all(|line| line.len() <= LONGEST + 40), "{quoted}");
        for number in 0..100 {
            let name = format!("x-ratelimit-{number}").parse::<http::HeaderName>().unwrap();
            headers.insert(name, "1".parse().unwrap());
        }
        assert_eq!(of(StatusCode::TOO_MANY_REQUESTS, &headers, |_| false).lines().count(), MOST + 1);
    }
}
