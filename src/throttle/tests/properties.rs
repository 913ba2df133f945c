//! What holds for every answer: no panic, no wait before a hint, none for a limit that has something left.

use proptest::prelude::*;

use super::*;

/// Names that mean something to some family.
const NAMES: [&str; 30] = [
    "retry-after",
    "retry-after-ms",
    "x-ms-retry-after-ms",
    "grpc-retry-pushback-ms",
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-reset-after",
    "x-ratelimit-used",
    "x-ratelimit-bucket",
    "x-ratelimit-remaining-tokens-day",
    "x-ratelimit-reset-tokens-day",
    "x-ratelimit-requests-remaining",
    "x-ratelimit-requests-reset",
    "x-rate-limit-remaining",
    "x-rate-limit-reset",
    "anthropic-ratelimit-unified-status",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
    "x-hubspot-ratelimit-daily-remaining",
    "x-hubspot-ratelimit-interval-milliseconds",
    "x-shopify-shop-api-call-limit",
    "x-sentry-rate-limit-concurrentremaining",
    "date",
    "age",
];

fn value() -> impl Strategy<Value = HeaderValue> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40)
            .prop_filter_map("no value", |bytes| HeaderValue::from_bytes(&bytes).ok()),
        "[-+0-9.eETZ:smhuµ,;=\"/ ]{0,24}".prop_filter_map("no value", |text| HeaderValue::from_str(&text).ok()),
        any::<i64>().prop_map(HeaderValue::from),
        (0u64..4_000_000_000).prop_map(HeaderValue::from),
        Just(HeaderValue::from_static("0")),
        Just(HeaderValue::from_static("\"a\";r=0;t=99999999999999999999")),
        Just(HeaderValue::from_static("limit=1, remaining=0, reset=5")),
        Just(HeaderValue::from_static("Sun, 01 Mar 2026 10:00:30 GMT")),
    ]
}

fn any_family() -> impl Strategy<Value = Option<HeaderFamily>> {
    prop::option::of(prop::sample::select(HeaderFamily::ALL))
}

fn answer() -> impl Strategy<Value = (StatusCode, HeaderMap)> {
    let line = (prop::sample::select(&NAMES[..]), value());
    let status = prop::sample::select(vec![200u16, 304, 400, 401, 403, 429, 500, 502, 503, 529]);
    (status, prop::collection::vec(line, 0..12)).prop_map(|(status, lines)| {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), value);
        }
        (StatusCode::from_u16(status).unwrap(), headers)
    })
}

proptest! {
    #[test]
    fn garbage_never_panics_and_what_has_something_left_is_never_the_wait(
        (status, headers) in answer(),
        family in any_family(),
        now in 0u64..5_000_000_000,
        body in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
    ) {
        let family = Family::new(&signals(family));
        let sample = Sample { status, headers: &headers, now: Duration::from_secs(now), body: body.as_deref() };
        let reading = family.read(&sample);
        prop_assert!(reading.wait.is_none_or(|wait| !wait.is_zero()));
        prop_assert!(reading.dimensions.len() <= 16);
        if reading.class == Class::Fine {
            let spent = reading.dimensions.iter().filter(|d| d.is_exhausted() && d.unit != Unit::Concurrency);
            prop_assert_eq!(reading.wait, spent.filter_map(|dimension| dimension.reset).max());
        }
        prop_assert!(!(status == StatusCode::FORBIDDEN && headers.is_empty()) || reading.class == Class::Auth);
    }

    #[test]
    fn a_retry_after_is_never_undercut(after in 1u32..2_000_000, left in 0u32..3, reset in 0u64..4_000_000) {
        let lines = format!("retry-after: {after}\nx-ratelimit-remaining: {left}\nx-ratelimit-reset: {reset}");
        let reading = read(&signals(Some(HeaderFamily::XRateLimit)), 429, &lines);
        prop_assert_eq!(reading.wait, Some(Duration::from_secs(after.into())));
    }

    #[test]
    fn a_reset_is_never_undercut_by_either_clock(ahead in 1u64..900, skew in 0u64..80_000, nanos in 0u32..1_000_000_000) {
        // The server says at which second of its own clock there is more; it is somewhere within its second.
        let server = NOW + skew;
        let mut headers = headers(&format!("x-ratelimit-remaining: 0\nx-ratelimit-reset: {}", server + ahead));
        let date = std::time::UNIX_EPOCH + Duration::from_secs(server);
        headers.insert("date", HeaderValue::from_str(&httpdate::fmt_http_date(date)).unwrap());
        let sample = Sample { status: StatusCode::OK, headers: &headers, now: Duration::new(NOW, nanos), body: None };
        let reading = Family::new(&signals(Some(HeaderFamily::XRateLimit))).read(&sample);
        let wait = reading.wait.unwrap();
        prop_assert!(wait >= Duration::from_secs(ahead) && wait <= Duration::from_secs(ahead + 1), "{wait:?}");
    }

    #[test]
    fn the_longest_of_those_used_up_is_the_wait(resets in prop::collection::vec((0u64..2, 1u64..800), 1..8)) {
        let line = |(i, (left, reset)): (usize, &(u64, u64))| {
            format!("x-ratelimit-remaining-d{i}: {left}\nx-ratelimit-reset-d{i}: {reset}")
        };
        let lines: Vec<_> = resets.iter().enumerate().map(line).collect();
        let reading = read(&signals(Some(HeaderFamily::XRateLimit)), 429, &lines.join("\n"));
        let longest = resets.iter().filter(|(left, _)| *left == 0).map(|(_, reset)| *reset).max();
        prop_assert_eq!(reading.wait, longest.map(Duration::from_secs));
    }
}
