//! What reading an answer costs: on every request, with no header of limits, and with those of a language model.

#![allow(missing_docs, clippy::expect_used, reason = "a bench may stop at what it was given")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sidekey::domain::{HeaderFamily, Signals};
use sidekey::throttle::{Class, Family, Sample};

const NOW: Duration = Duration::from_secs(1_772_359_200);

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let common = [
        ("date", "Sun, 01 Mar 2026 10:00:00 GMT"),
        ("content-type", "application/json"),
        ("content-length", "512"),
        ("connection", "keep-alive"),
        ("cache-control", "no-cache, no-store"),
        ("access-control-allow-origin", "*"),
        ("strict-transport-security", "max-age=63072000; includeSubDomains; preload"),
        ("request-id", "req_0123456789abcdef"),
        ("x-content-type-options", "nosniff"),
        ("vary", "Origin"),
        ("server", "nginx"),
        ("etag", "W/\"0123456789abcdef\""),
    ];
    let all = common.iter().chain(lines);
    all.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn reading(c: &mut Criterion) {
    let openai = [
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "2000000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "1999000"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", "30ms"),
    ];
    for (title, family, lines, status, class) in [
        ("no sign of a limit", None, &[][..], 200, Class::Fine),
        ("no sign, known family", Some(HeaderFamily::GitHub), &[], 200, Class::Fine),
        ("two limits with something left", Some(HeaderFamily::OpenAi), &openai, 200, Class::Fine),
        ("turned down", Some(HeaderFamily::RetryAfter), &[("retry-after", "30")], 429, Class::Throttled),
    ] {
        let family = Family::new(&Signals { family, ..Signals::default() });
        let headers = headers(lines);
        let status = StatusCode::from_u16(status).expect("a status");
        let sample = Sample { status, headers: &headers, now: NOW, body: None };
        assert_eq!(family.read(&sample).class, class);
        c.bench_function(&format!("throttle/{title}"), |b| b.iter(|| family.read(black_box(&sample))));
    }
}

criterion_group!(benches, reading);
criterion_main!(benches);
