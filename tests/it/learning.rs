//! What answers teach, service family by service family, through the real program: what is certainly not carried out goes out
//! again, a bucket that an answer names is waited for, and what only looks like a limit holds nobody.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;

use crate::world::{Answer, FakeUpstream, Reply, World};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;

fn keyed(upstream: &FakeUpstream, more: &str) -> World {
    let world = World::new().listen("threads = 1").service("api", upstream, AUTH).toml(more);
    world.key("api", "prod", "s3cret").serve()
}

fn once(world: &World, method: &str, path: &str) -> Reply {
    world.ask(method, path).header("Sidekey-Retry", "off").reply()
}

#[test]
fn a_stream_that_was_refused_and_one_above_the_last_go_out_again_whatever_the_method() {
    for goes_away in [false, true] {
        let upstream = FakeUpstream::tls();
        let world = keyed(&upstream, "");
        if goes_away {
            upstream.goes_away_once();
        } else {
            upstream.then(Answer::refuse());
        }
        for method in ["POST", "PATCH", "GET"] {
            let reply = world.ask(method, "/api/v1").body("order").reply();
            assert_eq!(reply.status, 200, "{method} {goes_away} {reply:?}");
        }
        let seen = upstream.requests();
        assert_eq!(seen.len(), 4, "one twice, the others once: {seen:?}");
        assert_eq!((&*seen[1].method, seen[1].text().as_str(), &*seen[1].version), ("POST", "order", "HTTP/2"));
        assert_eq!(seen[1].values("x-api-key"), ["s3cret"]);
    }
}

#[test]
fn a_stream_that_broke_after_it_was_sent_is_not_repeated_for_a_post() {
    let upstream = FakeUpstream::tls();
    let world = keyed(&upstream, "");
    upstream.then(Answer::hang_up());
    assert_eq!(world.ask("POST", "/api/v1").body("order").reply().code(), "upstream_broken");
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_grpc_call_that_is_refused_for_a_limit_waits_and_goes_out_again_and_its_stream_passes_whole() {
    let upstream = FakeUpstream::tls();
    let world = keyed(&upstream, "");
    let exhausted = || Answer::status(200).header("content-type", "application/grpc").header("grpc-status", "8");
    upstream.then(exhausted().header("grpc-retry-pushback-ms", "400"));
    let (answer, feed) = Answer::fed(200, "application/grpc");
    upstream.then(answer);
    feed.send("\0\0\0\0\x02ok");
    // A refusal at the end of a stream that has begun passes: there is nothing left to wait for.
    feed.end_with(&[("grpc-status", "8"), ("grpc-message", "enough")]);
    let client = world.h2();
    let call = || {
        let ask = client.ask("POST", "/api/pkg.Service/Call").header("te", "trailers");
        let ask = ask.header("content-type", "application/grpc");
        client.send(ask.body(Full::new(Bytes::from_static(b"\0\0\0\0\x02hi"))).unwrap())
    };
    let began = Instant::now();
    let reply = call();
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"\0\0\0\0\x02ok"[..]));
    assert_eq!(reply.trailers[0], ("grpc-status".to_owned(), "8".to_owned()));
    assert_eq!(upstream.requests().len(), 2);
    // A pushback that forbids it is passed on, with the status.
    upstream.then(exhausted().header("grpc-retry-pushback-ms", "-1"));
    let reply = call();
    assert_eq!((reply.value("grpc-status"), upstream.requests().len()), (Some("8"), 3));
}

#[test]
fn a_permission_that_is_missing_holds_nobody_and_a_secondary_limit_holds_for_a_minute() {
    let upstream = FakeUpstream::plain();
    let world = keyed(
        &upstream,
        r#"
[service.api.limits]
family = "github"
default_wait = "60s"

[[service.api.limits.bodies]]
statuses = [403, 429]
path = "message"
values = ["*secondary rate limit*"]
verdict = "throttled"
"#,
    );
    // docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api
    let missing = Answer::json(403, r#"{"message":"Resource not accessible by personal access token"}"#)
        .header("X-RateLimit-Remaining", "4999")
        .header("X-RateLimit-Reset", "4102444800");
    upstream.then(missing);
    let passed = once(&world, "GET", "/api/repos");
    assert!(passed.status == 403 && passed.text().contains("not accessible"), "{passed:?}");
    assert!(passed.value("retry-after").is_none() && passed.values("proxy-status").is_empty(), "{passed:?}");
    assert_eq!(world.ask("GET", "/api/repos").header("Prefer", "wait=0").reply().status, 200, "the gate is open");
    let secondary = r#"{"message":"You have exceeded a secondary rate limit. Please wait a few minutes."}"#;
    upstream.then(Answer::json(403, secondary));
    let passed = once(&world, "GET", "/api/repos");
    assert!(passed.status == 403 && passed.text() == secondary, "{passed:?}");
    let held = world.ask("GET", "/api/repos").reply();
    assert_eq!(held.code(), "rate_limited");
    let seconds: u64 = held.value("retry-after").unwrap().parse().unwrap();
    assert!((50..=63).contains(&seconds), "{held:?}");
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn who_waits_for_all_moves_to_the_bucket_that_an_answer_names_meanwhile() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, "[service.api.limits]\nfamily = \"discord\"\n");
    let began = Instant::now();
    let times: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let noted = Arc::clone(&times);
    upstream.always(move |_| {
        noted.lock().unwrap().push(began.elapsed());
        let answer = Answer::json(200, "{}").header("X-RateLimit-Bucket", "abcd1234").header("X-RateLimit-Limit", "1");
        answer.header("X-RateLimit-Remaining", "0").header("X-RateLimit-Reset-After", "3")
    });
    upstream.then(Answer::throttled("1").header("X-RateLimit-Global", "true"));
    assert_eq!(once(&world, "POST", "/api/channels/1/messages").status, 429);
    let waiting: Vec<_> = (0..2).map(|_| world.ask("POST", "/api/channels/1/messages").reply_later()).collect();
    let other = world.ask("POST", "/api/channels/2/messages").reply_later();
    for reply in waiting {
        assert_eq!(reply.join().unwrap().status, 200);
    }
    assert_eq!(other.join().unwrap().status, 200);
    let times = times.lock().unwrap();
    let spread = times[2].saturating_sub(times[0]);
    assert!(spread >= Duration::from_millis(2_900), "the second of its channel waits for the bucket: {times:?}");
    assert!(
        times[1].saturating_sub(times[0]) < Duration::from_millis(2_900),
        "another channel has a bucket of its own: {times:?}"
    );
}

#[test]
fn an_overloaded_service_closes_for_its_hint_and_a_veto_has_nothing_sent_again() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, "");
    for (status, header, times) in [
        (503, ("Retry-After", "1"), 2),
        (529, ("Retry-After", "1"), 2),
        (529, ("X-Should-Retry", "false"), 1),
        (503, ("Stripe-Should-Retry", "false"), 1),
    ] {
        upstream.forget();
        upstream.then(Answer::json(status, "{}").header(header.0, header.1));
        let began = Instant::now();
        let reply = world.get("/api/v1");
        assert_eq!(
            (reply.status, upstream.requests().len()),
            (if times == 2 { 200 } else { status }, times),
            "{header:?}"
        );
        assert!(times == 1 || began.elapsed() >= Duration::from_secs(1), "{header:?}");
        // What a veto left closed is waited for.
        assert_eq!(world.get("/api/v1").status, 200);
        upstream.forget();
        upstream.then(Answer::json(status, "{}").header(header.0, header.1));
        let post = world.ask("POST", "/api/v1").body("x").reply();
        assert_eq!((post.status, upstream.requests().len()), (status, 1), "it may have been carried out");
        assert_eq!(world.get("/api/v1").status, 200);
    }
}

/// What built-in services say of a limit in their own words, by their own records: the status and the body, and what follows.
/// Sources stand in the records. What is used up comes last of its service, since its gate is closed then.
const WORDS: [(&str, &str, u16, &str, Follows); 15] = [
    (
        "alpha-vantage",
        "/query",
        200,
        r#"{"Information":"Please consider spreading out your free API requests … (25 requests per day)"}"#,
        Follows::Again,
    ),
    ("alpha-vantage", "/query", 200, r#"{"Meta Data":{"1. Information":"Daily Prices"}}"#, Follows::Nothing),
    (
        "alpha-vantage",
        "/query",
        200,
        r#"{"Information":"… our standard API rate limit is 25 requests per day."}"#,
        Follows::Closed,
    ),
    (
        "etherscan",
        "/v2/api",
        200,
        r#"{"status":"0","result":"Max calls per sec rate limit reached (3/sec)"}"#,
        Follows::Again,
    ),
    ("etherscan", "/v2/api", 200, r#"{"status":"1","message":"OK","result":"1"}"#, Follows::Nothing),
    ("etherscan", "/v2/api", 200, r#"{"status":"0","result":"Max daily rate limit reached"}"#, Follows::Closed),
    ("facebook-graph", "/v25.0/me", 400, r#"{"error":{"code":4}}"#, Follows::Again),
    ("facebook-graph", "/v25.0/me", 400, r#"{"error":{"code":100}}"#, Follows::Nothing),
    ("whatsapp-business", "/v25.0/1/messages", 400, r#"{"error":{"code":130429}}"#, Follows::Again),
    (
        "anthropic",
        "/v1/models",
        429,
        r#"{"error":{"type":"rate_limit_error","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
        Follows::Closed,
    ),
    (
        "openai",
        "/v1/models",
        429,
        r#"{"error":{"type":"insufficient_quota","code":"credit_balance_exhausted"}}"#,
        Follows::Closed,
    ),
    ("deepseek", "/models", 402, r#"{"error":{"message":"Insufficient Balance"}}"#, Follows::Closed),
    ("openrouter", "/api/v1/models", 402, r#"{"error":{"code":402}}"#, Follows::Closed),
    ("google-gemini", "/v1beta/models", 402, r#"{"error":{"status":"RESOURCE_EXHAUSTED"}}"#, Follows::Closed),
    (
        "youtube-data",
        "/youtube/v3/videos",
        403,
        r#"{"error":{"errors":[{"reason":"quotaExceeded"}]}}"#,
        Follows::Closed,
    ),
];

/// What follows an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    /// It is passed on, and the gate stays open.
    Nothing,
    /// The gate closes for a moment, and the request goes out again.
    Again,
    /// It is passed on, and the gate is closed.
    Closed,
}

#[test]
fn services_of_the_catalogue_are_understood_in_their_own_words() {
    let upstream = FakeUpstream::tls();
    let mut names: Vec<&str> = WORDS.iter().map(|(name, ..)| *name).collect();
    names.dedup();
    let world = names.iter().fold(World::new().listen("threads = 1"), |world, name| world.catalogued(name, &upstream));
    let world = names.iter().fold(world, |world, name| world.key(name, name, "s3cret")).serve();
    for (name, path, status, body, follows) in WORDS {
        upstream.forget();
        upstream.then(Answer::json(status, body));
        let target = format!("/{name}{path}");
        let reply = world.ask("GET", &target).header("Prefer", "wait=10").reply();
        let times = upstream.requests().len();
        if follows == Follows::Again {
            assert_eq!((reply.status, times), (200, 2), "{name} {body}");
            continue;
        }
        assert_eq!((reply.status, reply.text().as_str(), times), (status, body, 1), "{name}");
        let wait = if follows == Follows::Closed { "wait=0" } else { "wait=10" };
        let next = world.ask("GET", &target).header("Prefer", wait).reply();
        assert_eq!(next.status, if follows == Follows::Closed { 429 } else { 200 }, "{name} {body}: {next:?}");
    }
}

#[test]
fn few_tokens_are_kept_for_who_asks_for_no_more_than_there_are() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, "[service.api.limits]\nfamily = \"openai\"\n");
    let left = |tokens: &str, full: &str| {
        let answer = Answer::json(200, "{}").header("x-ratelimit-limit-tokens", "60000");
        answer.header("x-ratelimit-remaining-tokens", tokens).header("x-ratelimit-reset-tokens", full)
    };
    let ask =
        |body: &str| world.ask("POST", "/api/v1/chat").header("Content-Type", "application/json").body(body).reply();
    let queued = |reply: &Reply| reply.value("server-timing").map(str::to_owned);
    let large = r#"{"max_tokens":30000,"messages":[{"role":"user","content":"hello"}]}"#;
    upstream.then(left("56000", "4s"));
    assert_eq!(ask(large).status, 200);
    upstream.then(left("26000", "34s"));
    assert_eq!(queued(&ask(large)), None, "nothing is looked for while there is plenty");
    upstream.then(left("29000", "31s"));
    let waited = ask(large);
    let milliseconds: f64 = queued(&waited)
        .and_then(|timing| timing.strip_prefix("queue;dur=")?.split(',').next()?.parse().ok())
        .unwrap_or_else(|| panic!("it did not wait: {waited:?}"));
    assert!((700.0..10_000.0).contains(&milliseconds), "four thousand tokens come back in four seconds: {waited:?}");
    assert_eq!(upstream.requests()[2].text(), large, "what was looked into goes out as it came");
    upstream.then(left("29000", "31s"));
    assert_eq!(queued(&ask(r#"{"max_tokens":100}"#)), None);
}
