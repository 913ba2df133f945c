//! What a service turns down for a moment goes out once more, through the doors of the real program: what may, after which
//! pause, with which bytes; and what may not.

use std::time::{Duration, Instant};

use crate::world::{Answer, FakeUpstream, World, eventually};

const KEY: &str = r#"auth = { location = "header", name = "X-Api-Key" }"#;

/// The service `api` in front of `upstream`.
fn keyed(upstream: &FakeUpstream, more: &str) -> World {
    let world = World::new().listen("threads = 1").service("api", upstream, &format!("{KEY}\n{more}"));
    world.key("api", "api-prod", "s3cret").serve()
}

/// Without gates, so that each answer has its effect on its own request alone.
fn ungated(upstream: &FakeUpstream, more: &str) -> World {
    keyed(upstream, &format!("rate = {{ mode = \"off\" }}\n{more}"))
}

/// 429, and more after so many milliseconds.
fn throttled(milliseconds: u32) -> Answer {
    Answer::json(429, r#"{"error":"slow down"}"#).header("Retry-After-Ms", &milliseconds.to_string())
}

#[test]
fn a_post_without_a_key_is_sent_once_on_502_and_again_on_429_to_the_byte() {
    for upstream in [FakeUpstream::plain(), FakeUpstream::tls_h1(), FakeUpstream::tls()] {
        for mode in ["off", "observe", "enforce"] {
            let world = keyed(&upstream, &format!("rate = {{ mode = \"{mode}\" }}"));
            upstream.forget();
            upstream.then(Answer::json(502, "{}"));
            assert_eq!(world.ask("POST", "/api/v1").body("order").reply().status, 502);
            assert_eq!(upstream.requests().len(), 1);
            upstream.forget();
            upstream.then(throttled(300));
            let body = "0123456789".repeat(5_000);
            let began = Instant::now();
            let reply = world.ask("POST", "/api/v1?a=%2F").header("X-Trace", "t").body(&body).reply();
            assert_eq!(reply.status, 200, "{mode}");
            assert!(began.elapsed() >= Duration::from_millis(300), "{mode}: {:?}", began.elapsed());
            let seen = upstream.requests();
            assert_eq!(seen.len(), 2, "{mode}");
            for request in &seen {
                assert_eq!((&*request.target, request.text()), ("/v1?a=%2F", body.clone()));
                assert_eq!((request.values("x-api-key"), request.values("x-trace")), (vec!["s3cret"], vec!["t"]));
                assert!(request.values("idempotency-key").is_empty());
            }
        }
    }
}

#[test]
fn what_may_be_repeated_is_sent_again_while_the_service_is_overloaded_or_its_gateway_fails() {
    let upstream = FakeUpstream::plain();
    let world = ungated(&upstream, "");
    for (method, key) in [("GET", None), ("PUT", None), ("DELETE", None), ("POST", Some("order-7"))] {
        let overloaded = Answer::json(503, "{}").header("Retry-After-Ms", "20");
        for answer in [Answer::status(502), Answer::status(504), Answer::status(503), overloaded, throttled(20)] {
            upstream.forget();
            upstream.then(answer);
            let mut ask = world.ask(method, "/api/v1").body(if method == "GET" { "" } else { "body" });
            if let Some(key) = key {
                ask = ask.header("Idempotency-Key", key);
            }
            assert_eq!(ask.reply().status, 200, "{method}");
            assert_eq!(upstream.requests().len(), 2, "{method}");
        }
    }
}

#[test]
fn what_another_attempt_cannot_mend_is_sent_once() {
    let upstream = FakeUpstream::plain();
    let world = ungated(&upstream, "");
    let asks = [
        (world.ask("GET", "/api/v1"), Answer::status(500), 500),
        (world.ask("GET", "/api/v1"), Answer::status(401), 401),
        (world.ask("GET", "/api/v1"), Answer::status(403), 403),
        (world.ask("POST", "/api/v1").body("x"), Answer::status(503), 503),
        (world.ask("POST", "/api/v1").body("x"), Answer::status(529), 529),
        // Whose client wants it so, or sees to it by itself.
        (world.ask("GET", "/api/v1").header("Sidekey-Retry", "off"), throttled(10), 429),
        (world.ask("GET", "/api/v1").header("X-No-Retry", "1"), throttled(10), 429),
        (world.ask("GET", "/api/v1").header("X-Stainless-Retry-Count", "1"), throttled(10), 429),
        (world.ask("GET", "/api/v1").header("Amz-Sdk-Request", "attempt=2; max=3"), throttled(10), 429),
        // Whose service forbids it.
        (world.ask("GET", "/api/v1"), throttled(10).header("X-Should-Retry", "false"), 429),
        (world.ask("GET", "/api/v1"), Answer::status(503).header("Grpc-Retry-Pushback-Ms", "-1"), 503),
        // Which asks for another protocol.
        (world.ask("GET", "/api/v1").header("Connection", "Upgrade").header("Upgrade", "x"), throttled(10), 429),
    ];
    for (i, (ask, answer, status)) in asks.into_iter().enumerate() {
        upstream.forget();
        upstream.then(answer);
        assert_eq!(ask.reply().status, status, "{i}");
        assert_eq!(upstream.requests().len(), 1, "{i}");
    }
}

#[test]
fn a_service_that_may_have_carried_it_out_is_not_asked_twice() {
    let upstream = FakeUpstream::plain();
    let world = ungated(&upstream, "retry = { throttle_safe = false }");
    upstream.then(throttled(10));
    assert_eq!(world.ask("POST", "/api/v1").body("x").reply().status, 429);
    assert_eq!(upstream.requests().len(), 1);
    upstream.then(throttled(10));
    assert_eq!(world.ask("PUT", "/api/v1").body("x").reply().status, 200);
}

#[test]
fn an_upload_that_is_too_large_to_keep_is_sent_once_and_its_answer_passed_on() {
    for upstream in [FakeUpstream::plain(), FakeUpstream::tls()] {
        let world = keyed(&upstream, "");
        upstream.then(throttled(10));
        let mut wire = world.wire();
        wire.send("POST /api/v1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = "x".repeat(0x8000);
        for _ in 0..9 {
            wire.send(format!("8000\r\n{chunk}\r\n"));
        }
        wire.send("3000\r\n".to_owned() + &"x".repeat(0x3000) + "\r\n0\r\n\r\n");
        let reply = wire.reply();
        assert_eq!((reply.status, reply.text()), (429, r#"{"error":"slow down"}"#.to_owned()));
        let request = upstream.only_request();
        assert_eq!(request.text().len(), 300 * 1024);
    }
}

#[test]
fn a_wait_beyond_the_patience_is_told_at_once() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, "");
    upstream.then(Answer::throttled("45"));
    let began = Instant::now();
    let reply = world.get("/api/v1");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!((reply.status, reply.text()), (429, r#"{"error":"slow down"}"#.to_owned()));
    let told: u64 = reply.value("retry-after").unwrap().parse().unwrap();
    assert!((45..=47).contains(&told), "{told}");
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn the_last_answer_stands_whole_when_the_attempts_are_used_up() {
    for upstream in [FakeUpstream::plain(), FakeUpstream::tls()] {
        let world = ungated(&upstream, "");
        for size in [100, 200_000] {
            upstream.forget();
            let body = "no".repeat(size / 2);
            upstream.then(Answer::text(503, &body)).then(Answer::text(503, &body)).then(Answer::text(503, &body));
            let reply = world.get("/api/v1");
            assert_eq!((reply.status, reply.text().len()), (503, size));
            assert_eq!(upstream.requests().len(), 3);
            assert_eq!(world.get("/api/v1").status, 200);
        }
    }
}

#[test]
fn what_waits_for_another_attempt_takes_the_key_of_that_moment_and_stops_when_it_is_gone() {
    let upstream = FakeUpstream::plain();
    let world = ungated(&upstream, "");
    upstream.then(throttled(3_000));
    let waiting = world.ask("POST", "/api/v1").body("x").reply_later();
    upstream.wait_for(1);
    world.sidekey(["key", "rotate", "api-prod", "--stdin"]).stdin("n3w").run().succeeds();
    assert_eq!(waiting.join().unwrap().status, 200);
    assert_eq!(upstream.last_request().values("x-api-key"), ["n3w"]);
    upstream.forget();
    upstream.then(throttled(3_000));
    let waiting = world.ask("POST", "/api/v1").body("x").reply_later();
    upstream.wait_for(1);
    world.sidekey(["key", "delete", "api-prod", "--yes"]).run().succeeds();
    assert_eq!(waiting.join().unwrap().code(), "credential_missing");
    assert_eq!(upstream.requests().len(), 1);
    eventually("the key is gone", || world.get("/api/v1").status == 424);
}

#[test]
fn bodies_are_looked_at_where_a_rule_says_so_and_passed_on_untouched() {
    for upstream in [FakeUpstream::plain(), FakeUpstream::tls()] {
        let rules = r#"
[[service.api.limits.bodies]]
statuses = [403]
path = "error.reason"
values = ["rateLimitExceeded"]
verdict = "throttled"
wait = "30ms"
"#;
        let world = World::new().listen("threads = 1");
        let world = world.service("api", &upstream, &format!("{KEY}\nrate = {{ mode = \"off\" }}")).toml(rules);
        let world = world.key("api", "api-prod", "s3cret").serve();
        upstream.then(Answer::json(403, r#"{"error":{"reason":"rateLimitExceeded"}}"#));
        assert_eq!(world.ask("POST", "/api/v1").body("x").reply().status, 200);
        assert_eq!(upstream.requests().len(), 2);
        for body in [r#"{"error":{"reason":"forbidden"}}"#.to_owned(), format!("[\"{}\"]", "x".repeat(200_000))] {
            upstream.forget();
            upstream.then(Answer::json(403, &body));
            let reply = world.ask("POST", "/api/v1").body("x").reply();
            assert_eq!((reply.status, reply.text()), (403, body));
            assert_eq!(upstream.requests().len(), 1);
        }
        // One that comes slowly, and is no JSON, is not waited for.
        let (answer, feed) = Answer::fed(403, "text/plain");
        upstream.then(answer);
        feed.send("begun");
        let mut wire = world.wire();
        wire.send("GET /api/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(wire.head().status, 403);
        drop(feed);
    }
}

#[test]
fn a_key_to_be_known_by_is_made_up_where_the_record_says_so_and_stays_over_attempts() {
    let upstream = FakeUpstream::plain();
    let world =
        ungated(&upstream, r#"retry = { idempotency_header = "X-Request-Key", generate_idempotency_key = true }"#);
    upstream.then(Answer::status(502));
    assert_eq!(world.ask("POST", "/api/v1").body("x").reply().status, 200);
    let keys: Vec<_> = upstream.requests().iter().map(|request| request.values("x-request-key").join(" ")).collect();
    let [first, second] = keys.as_slice() else { panic!("{keys:?}") };
    assert_eq!((first.len(), first), (32, second));
    upstream.forget();
    world.ask("POST", "/api/v1").header("X-Request-Key", "mine").body("x").reply();
    assert_eq!(upstream.only_request().values("x-request-key"), ["mine"]);
    upstream.forget();
    world.get("/api/v1");
    assert!(upstream.only_request().values("x-request-key").is_empty());
}

#[test]
fn a_service_that_always_fails_is_not_stormed() {
    let upstream = FakeUpstream::plain();
    let world = ungated(&upstream, "");
    upstream.always(|_| Answer::status(503));
    for _ in 0..300 {
        assert_eq!(world.get("/api/v1").status, 503);
    }
    let seen = upstream.requests().len();
    assert!(seen <= 360, "{seen} attempts for 300 requests");
}
