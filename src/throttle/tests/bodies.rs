//! What bodies say, by the rules of the built-in services' kinds.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::domain::{BodyRule, Rule, Verdict};

use super::*;

const JSON: &str = "content-type: application/json; charset=utf-8";

fn rule(statuses: &[u16], path: &str, values: &[&str], verdict: Verdict) -> BodyRule {
    BodyRule {
        statuses: statuses.to_vec(),
        path: path.split('.').map(Into::into).collect(),
        values: values.iter().map(|value| (*value).into()).collect(),
        verdict,
        wait_at: None,
        wait: None,
        reason_at: None,
        routes: Vec::new(),
    }
}

fn with(family: HeaderFamily, rules: Vec<BodyRule>) -> Signals {
    Signals { bodies: rules, default_wait: Some(seconds(60.0)), ..signals(Some(family)) }
}

fn github() -> Signals {
    with(HeaderFamily::GitHub, vec![rule(&[403, 429], "message", &["*secondary rate*"], Verdict::Throttled)])
}

#[test]
fn githubs_secondary_limit_is_told_from_a_permission() {
    // docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api
    let secondary =
        br#"{"message":"You have exceeded a secondary rate limit. Please wait a few minutes.","status":"403"}"#;
    let reading = read_with(&github(), 403, JSON, Some(secondary));
    assert_eq!((reading.class, reading.wait, reading.scope), (Class::Throttled, Some(seconds(60.0)), Scope::Owner));
    let bare = br#"{"message":"Resource not accessible by personal access token","status":"403"}"#;
    let reading = read_with(&github(), 403, JSON, Some(bare));
    assert_eq!((reading.class, reading.wait), (Class::Auth, None));
}

#[test]
fn errors_in_lists_and_depths_are_found() {
    // developers.google.com/drive/api/guides/handle-errors
    let google = with(
        HeaderFamily::RetryAfter,
        vec![
            rule(&[403], "error.errors.*.reason", &["rateLimitExceeded", "userRateLimitExceeded"], Verdict::Throttled),
            rule(&[403], "error.errors.*.reason", &["dailyLimitExceeded", "quotaExceeded"], Verdict::Exhausted),
        ],
    );
    let body =
        |reason: &str| format!(r#"{{"error":{{"code":403,"errors":[{{"domain":"x"}},{{"reason":"{reason}"}}]}}}}"#);
    for (reason, class) in [
        ("rateLimitExceeded", Class::Throttled),
        ("userRateLimitExceeded", Class::Throttled),
        ("quotaExceeded", Class::Exhausted),
        ("insufficientPermissions", Class::Auth),
    ] {
        assert_eq!(read_with(&google, 403, JSON, Some(body(reason).as_bytes())).class, class, "{reason}");
    }
    // platform.openai.com/docs/guides/error-codes
    let openai =
        with(HeaderFamily::OpenAi, vec![rule(&[429], "error.code", &["insufficient_quota"], Verdict::Exhausted)]);
    let spent = br#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#;
    assert_eq!(read_with(&openai, 429, JSON, Some(spent)).class, Class::Exhausted);
    let fast = br#"{"error":{"message":"Rate limit reached","code":"rate_limit_exceeded"}}"#;
    assert_eq!(read_with(&openai, 429, JSON, Some(fast)).class, Class::Throttled);
    // docs.aws.amazon.com: the type may stand behind a namespace.
    let aws = with(HeaderFamily::RetryAfter, vec![rule(&[400], "__type", &["*Throttling*"], Verdict::Throttled)]);
    let amz = "content-type: application/x-amz-json-1.1";
    let throttled = br#"{"__type":"com.amazonaws.x#ThrottlingException","message":"Rate exceeded"}"#;
    assert_eq!(read_with(&aws, 400, amz, Some(throttled)).class, Class::Throttled);
    assert_eq!(read_with(&aws, 400, amz, Some(br#"{"__type":"ValidationException"}"#)).class, Class::Fine);
    // linear.app/developers/rate-limiting
    let linear = with(
        HeaderFamily::Linear,
        vec![rule(&[400], "errors.*.extensions.code", &["RATELIMITED"], Verdict::Throttled)],
    );
    let body = br#"{"errors":[{"message":"Rate limit exceeded","extensions":{"code":"RATELIMITED"}}]}"#;
    let lines = format!("{JSON}\nx-ratelimit-requests-remaining: 0\nx-ratelimit-requests-reset: 1772359230000");
    let reading = read_with(&linear, 400, &lines, Some(body));
    assert_eq!((reading.class, reading.wait), (Class::Throttled, Some(seconds(31.0))));
    // docs.stripe.com/rate-limits#object-lock-timeouts
    let stripe = with(HeaderFamily::Stripe, vec![rule(&[429], "error.code", &["lock_timeout"], Verdict::Transient)]);
    let locked = read_with(&stripe, 429, JSON, Some(br#"{"error":{"code":"lock_timeout"}}"#));
    assert_eq!((locked.class, locked.wait), (Class::Transient, None));
}

#[test]
fn shopifys_cost_says_when_there_is_enough_again() {
    // shopify.dev/docs/api/usage/rate-limits: 70 asked, 20 there, 50 a second.
    let shopify =
        with(HeaderFamily::Shopify, vec![rule(&[200], "errors.*.extensions.code", &["THROTTLED"], Verdict::Throttled)]);
    let body = br#"{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":
        {"requestedQueryCost":70,"actualQueryCost":null,
         "throttleStatus":{"maximumAvailable":1000.0,"currentlyAvailable":20,"restoreRate":50.0}}}}"#;
    let reading = read_with(&shopify, 200, JSON, Some(body));
    assert_eq!((reading.class, reading.wait), (Class::Throttled, Some(seconds(1.0))));
    let fine = br#"{"data":{"shop":{"name":"THROTTLED"}},"extensions":{"cost":{"requestedQueryCost":3}}}"#;
    assert_eq!(read_with(&shopify, 200, JSON, Some(fine)).class, Class::Fine);
}

#[test]
fn a_wait_in_the_body_is_read_and_a_header_overrides_it() {
    // core.telegram.org/bots/api#responseparameters
    let mut rule = rule(&[429], "error_code", &["429"], Verdict::Throttled);
    rule.wait_at = Some(vec!["parameters".into(), "retry_after".into()]);
    let telegram = with(HeaderFamily::RetryAfter, vec![rule]);
    let body = br#"{"ok":false,"error_code":429,"parameters":{"retry_after":35}}"#;
    assert_eq!(read_with(&telegram, 429, JSON, Some(body)).wait, Some(seconds(35.0)));
    assert_eq!(read_with(&telegram, 429, &format!("{JSON}\nretry-after: 36"), Some(body)).wait, Some(seconds(36.0)));
}

#[test]
fn what_is_refused_for_one_telephone_number_is_no_limit_of_the_account() {
    // twilio.com/docs/api/errors: 20429, 60203, 60212
    let twilio = with(HeaderFamily::Twilio, vec![rule(&[429], "code", &["60202", "60203", "60212"], Verdict::Fine)]);
    let told = |code: u32| {
        let body = format!(r#"{{"code":{code},"message":"Too many requests","status":429}}"#);
        let reading = read_with(&twilio, 429, JSON, Some(body.as_bytes()));
        (reading.class, reading.concurrency)
    };
    assert_eq!(told(20429), (Class::Throttled, true));
    assert_eq!([told(60203), told(60212)], [(Class::Fine, false); 2]);
}

#[test]
fn the_limit_that_a_body_names_is_quoted() {
    // developers.notion.com/reference/request-limits
    let mut rule = rule(&[429], "code", &["rate_limited"], Verdict::Throttled);
    rule.reason_at = Some(vec!["additional_data".into(), "rate_limit_reason".into()]);
    let notion = with(HeaderFamily::RetryAfter, vec![rule]);
    let quoted = |body: &str| {
        let reading = read_with(&notion, 429, &format!("{JSON}\nretry-after: 90"), Some(body.as_bytes()));
        assert_eq!((reading.class, reading.wait), (Class::Throttled, Some(seconds(90.0))));
        reading.quoted.unwrap().to_string()
    };
    let named = r#"{"object":"error","code":"rate_limited","additional_data":{"rate_limit_reason":"workspace"}}"#;
    assert_eq!(quoted(named), "429\nretry-after: 90\nreason: workspace");
    assert_eq!(quoted(r#"{"object":"error","code":"rate_limited"}"#), "429\nretry-after: 90");
}

#[test]
fn a_wait_in_the_body_may_have_a_unit() {
    // ai.google.dev/gemini-api/docs/troubleshooting; google.rpc.RetryInfo
    let mut rule = rule(&[429], "error.status", &["RESOURCE_EXHAUSTED"], Verdict::Throttled);
    rule.wait_at = Some(vec!["error".into(), "details".into(), "*".into(), "retryDelay".into()]);
    let gemini = with(HeaderFamily::RetryAfter, vec![rule]);
    let body =
        br#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"@type":"x"},{"retryDelay":"34.07s"}]}}"#;
    assert_eq!(read_with(&gemini, 429, JSON, Some(body)).wait, Some(seconds(34.07)));
}

#[test]
fn bodies_are_wanted_only_where_a_rule_looks_and_can_read() {
    let mut graphql = rule(&[200], "errors.*.extensions.code", &["THROTTLED"], Verdict::Throttled);
    graphql.routes = vec![Rule::parse("POST /**/graphql.json").unwrap()];
    let family = Family::new(&with(HeaderFamily::Shopify, vec![graphql]));
    let wants = |status, lines: &str, method, path| {
        family.wants_body(StatusCode::from_u16(status).unwrap(), &headers(lines), method, path)
    };
    let path = "/admin/api/2026-01/graphql.json";
    assert!(wants(200, JSON, "POST", path));
    assert!(wants(200, "content-type: application/problem+json\ncontent-length: 65536", "POST", path));
    assert!(!wants(200, JSON, "GET", "/admin/api/2026-01/products.json"));
    assert!(!wants(500, JSON, "POST", path));
    for lines in [
        "content-type: text/event-stream",
        "content-length: 5",
        "content-type: application/json\ncontent-length: 65537",
        "content-type: application/json\ncontent-encoding: br",
    ] {
        assert!(!wants(200, lines, "POST", path), "{lines}");
    }
    let plain = Family::new(&signals(Some(HeaderFamily::Stripe)));
    assert!(!plain.wants_body(StatusCode::TOO_MANY_REQUESTS, &headers(JSON), "GET", "/"));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn packed_bodies_are_unpacked_within_bounds() {
    let secondary = br#"{"message":"You have exceeded a secondary rate limit"}"#;
    let lines = format!("{JSON}\ncontent-encoding: gzip");
    assert_eq!(read_with(&github(), 403, &lines, Some(&gzip(secondary))).class, Class::Throttled);
    let identity = format!("{JSON}\ncontent-encoding: identity");
    assert_eq!(read_with(&github(), 403, &identity, Some(secondary)).class, Class::Throttled, "not packed at all");
    assert_eq!(read_with(&github(), 403, &identity, Some(&gzip(secondary))).class, Class::Auth);
    // Sixteen megabytes of blanks in front of it are not unpacked.
    let mut bomb = vec![b' '; 16 << 20];
    bomb.extend_from_slice(secondary);
    let packed = gzip(&bomb);
    assert!(packed.len() < LARGEST_BODY);
    assert_eq!(read_with(&github(), 403, &lines, Some(&packed)).class, Class::Auth);
    for broken in [&b"not gzip"[..], b"", &gzip(secondary)[..20]] {
        assert_eq!(read_with(&github(), 403, &lines, Some(broken)).class, Class::Auth);
    }
}

#[test]
fn the_most_tokens_of_an_answer_are_found_in_the_request_that_asks_for_it() {
    let table: [(&str, Option<u32>); 12] = [
        (r#"{"model":"m","max_tokens":4096}"#, Some(4096)),
        (r#"{"max_completion_tokens" : 7, "messages": []}"#, Some(7)),
        ("{\"max_output_tokens\":\n 12}", Some(12)),
        (r#"{"max_tokens":100,"max_completion_tokens":200}"#, Some(200)),
        (r#"{"messages":[{"content":"say \"max_tokens\": 9"}]}"#, None),
        (r#"{"max_tokens":null}"#, None),
        (r#"{"max_tokens":"100"}"#, None),
        (r#"{"max_tokens":-1}"#, None),
        (r#"{"min_tokens":5}"#, None),
        (r#"{"max_tokens":99999999999}"#, None),
        (r#"{"max_tokens""#, None),
        ("", None),
    ];
    for (body, most) in table {
        assert_eq!(super::super::most_tokens(body.as_bytes()), most, "{body}");
    }
}
