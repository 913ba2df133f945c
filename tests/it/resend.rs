//! What a service turns down for a moment goes out once more, through the doors of the real program: what may, after which
//! pause, with which bytes; and what may not.

use std::io::copy;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use crate::world::{Answer, FakeUpstream, PATIENCE, Reply, Seen, World, eventually};

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
        let body: Vec<u8> = (0..300 * 1024_u32).map(|n| (n % 251).to_le_bytes()[0]).collect();
        for chunk in body.chunks(0x8000) {
            wire.send(format!("{:x}\r\n", chunk.len())).send(chunk).send("\r\n");
        }
        let reply = wire.send("0\r\n\r\n").reply();
        assert_eq!((reply.status, reply.text()), (429, r#"{"error":"slow down"}"#.to_owned()));
        assert!(upstream.only_request().body == body, "every byte in its place");
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
    let ungated = format!("{KEY}\nrate = {{ mode = \"off\" }}");
    let world = World::new().listen("threads = 1").service("api", &upstream, &ungated);
    let world =
        world.service("gone", &upstream, &ungated).key("api", "api-prod", "s3cret").key("gone", "old", "s3cret");
    let world = world.serve();
    // Both changes have to be taken up while both requests pause.
    upstream.then(throttled(6_000)).then(throttled(6_000));
    let [rotated, deleted] = ["/api/v1", "/gone/v1"].map(|path| world.ask("POST", path).body("x").reply_later());
    upstream.wait_for(2);
    world.sidekey(["key", "rotate", "api-prod", "--stdin"]).stdin("n3w").run().succeeds();
    world.sidekey(["key", "delete", "old", "--yes"]).run().succeeds();
    assert_eq!(rotated.join().unwrap().status, 200);
    assert_eq!(deleted.join().unwrap().code(), "credential_missing");
    let seen = upstream.requests();
    let keys: Vec<_> = seen.iter().map(|seen| seen.values("x-api-key").join(" ")).collect();
    assert_eq!(keys, ["s3cret", "s3cret", "n3w"]);
    assert_eq!(world.get("/gone/v1").status, 424, "the key is gone");
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

#[test]
fn a_500_is_sent_again_only_where_the_record_says_so_and_a_post_never() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, "limits = { statuses = { 500 = \"transient\" } }");
    upstream.then(Answer::status(500));
    assert_eq!((world.get("/api/v1").status, upstream.requests().len()), (200, 2));
    upstream.forget();
    upstream.then(Answer::status(500));
    let reply = world.ask("POST", "/api/v1").body("x").reply();
    assert_eq!((reply.status, upstream.requests().len()), (500, 1));
}

#[test]
fn a_hint_as_long_as_the_patience_is_waited_for() {
    let upstream = FakeUpstream::plain();
    for mode in ["off", "observe", "enforce"] {
        let world = keyed(&upstream, &format!("rate = {{ mode = \"{mode}\" }}"));
        for _ in 0..2 {
            upstream.then(Answer::throttled("1"));
            let reply = world.ask("GET", "/api/v1").header("Prefer", "wait=1").reply();
            assert_eq!(reply.status, 200, "{mode}: {reply:?}");
        }
    }
}

// What changes while nothing goes out.

/// A way to an upstream that can be shut: who comes then is handed to the test, which may let go of it.
struct Way {
    address: SocketAddr,
    is_shut: Arc<AtomicBool>,
    stopped: Receiver<TcpStream>,
    /// The proxy's connections that were let through.
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Way {
    fn to(upstream: &FakeUpstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, end) = (listener.local_addr().unwrap(), upstream.address());
        let is_shut = Arc::new(AtomicBool::new(true));
        let (shut, (hand, stopped)) = (Arc::clone(&is_shut), channel());
        let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let opened = Arc::clone(&open);
        thread::spawn(move || {
            for near in listener.incoming().map(Result::unwrap) {
                if !shut.load(Ordering::SeqCst) {
                    opened.lock().unwrap().push(near.try_clone().unwrap());
                    let far = TcpStream::connect(end).unwrap();
                    carry(&near, &far);
                    carry(&far, &near);
                } else if hand.send(near).is_err() {
                    return;
                }
            }
        });
        Self { address, is_shut, stopped, open }
    }

    fn shut(&self, is_shut: bool) {
        self.is_shut.store(is_shut, Ordering::SeqCst);
    }

    /// Closes what was let through, and lets nobody else through. It closes the proxy's side by itself: who carries
    /// may be behind, and the proxy's next request would go out on a connection that ends.
    fn cut(&self) {
        self.shut(true);
        for near in self.open.lock().unwrap().drain(..) {
            // The proxy may have closed it by itself.
            let _ = near.shutdown(Shutdown::Both);
        }
    }

    /// Who was stopped next.
    fn next(&self) -> TcpStream {
        self.stopped.recv_timeout(PATIENCE).unwrap()
    }
}

fn carry(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let _broken = copy(&mut from, &mut to);
        let _gone = to.shutdown(Shutdown::Write);
    });
}

/// The service `api` behind a way to `upstream`. A handshake in which nothing comes takes as long as the test does.
fn behind(way: &Way, more: &str) -> World {
    let world = World::new().listen("threads = 1");
    world.file("upstream-ca.pem", FakeUpstream::ca_pem());
    let world = world.toml(&format!(
        "[service.api]\nbase_url = \"https://api.test\"\ntimeouts.connect = \"30s\"\n{KEY}\n{more}\n\
         upstream = {{ connect_to = \"{}\", allow_private = true, ca = \"upstream-ca.pem\" }}",
        way.address
    ));
    world.key("api", "api-prod", "s3cret").serve()
}

#[test]
fn what_could_not_be_sent_takes_the_key_of_the_next_moment_and_stops_when_it_is_gone() {
    let upstream = FakeUpstream::tls();
    let way = Way::to(&upstream);
    let world = behind(&way, "");
    let order = || world.ask("POST", "/api/order").body("order").reply_later();
    let waiting = order();
    let stopped = way.next();
    way.shut(false);
    world.sidekey(["key", "rotate", "api-prod", "--stdin"]).stdin("n3w").run().succeeds();
    eventually("the proxy follows", || {
        assert_eq!(world.get("/api/other").status, 200);
        upstream.last_request().values("x-api-key") == ["n3w"]
    });
    drop(stopped);
    assert_eq!(waiting.join().unwrap().status, 200);
    let seen = upstream.last_request();
    assert_eq!((&*seen.target, seen.text().as_str(), seen.values("x-api-key")), ("/order", "order", vec!["n3w"]));
    way.cut();
    let waiting = order();
    let stopped = way.next();
    way.shut(false);
    world.sidekey(["key", "delete", "api-prod", "--yes"]).run().succeeds();
    eventually("the proxy follows", || world.get("/api/other").status == 424);
    upstream.forget();
    drop(stopped);
    assert_eq!(waiting.join().unwrap().code(), "credential_missing");
    assert!(upstream.requests().is_empty(), "nothing was sent");
}

#[test]
fn what_could_not_be_sent_waits_at_a_gate_that_closed_meanwhile() {
    let upstream = FakeUpstream::tls();
    let way = Way::to(&upstream);
    let world = behind(&way, "");
    let began = Instant::now();
    let waiting = world.ask("POST", "/api/order").body("order").reply_later();
    let stopped = way.next();
    way.shut(false);
    upstream.then(Answer::throttled("4"));
    let closed = Instant::now();
    assert_eq!(world.ask("GET", "/api/other").header("Sidekey-Retry", "off").reply().status, 429);
    drop(stopped);
    let reply = waiting.join().unwrap();
    assert_eq!((reply.status, upstream.last_request().text().as_str()), (200, "order"));
    let took = began.elapsed();
    assert!(closed.elapsed() >= Duration::from_secs(4), "{:?}", closed.elapsed());
    let (queue, upstream) = (part(&reply, "queue"), part(&reply, "upstream"));
    assert!(queue >= 1_800.0, "{reply:?}");
    assert!(queue + upstream <= took.as_secs_f64() * 1_000.0, "no time counts twice, in {took:?}: {reply:?}");
}

#[test]
fn what_could_not_be_sent_is_sent_although_its_client_repeats_it_or_asks_for_another_protocol() {
    let upstream = FakeUpstream::tls();
    let way = Way::to(&upstream);
    let world = behind(&way, "");
    let waiting = world.ask("POST", "/api/order").header("X-Stainless-Retry-Count", "1").body("order").reply_later();
    let stopped = way.next();
    way.shut(false);
    drop(stopped);
    assert_eq!(waiting.join().unwrap().status, 200);
    assert_eq!(upstream.last_request().text(), "order");
    way.cut();
    upstream.then(Answer::echo());
    let mut wire = world.wire();
    wire.send("GET /api/v1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    let stopped = way.next();
    way.shut(false);
    drop(stopped);
    assert_eq!(wire.head().status, 101);
    assert_eq!(wire.send("hello").bytes(5), b"hello");
    assert_eq!(upstream.last_request().values("x-api-key"), ["s3cret"]);
}

/// So many milliseconds of `Server-Timing`.
fn part(reply: &Reply, name: &str) -> f64 {
    let timing = reply.value("server-timing").unwrap_or_else(|| panic!("no server-timing: {reply:?}"));
    let part = timing.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix(";dur="));
    part.and_then(|part| part.parse().ok()).unwrap_or_else(|| panic!("no {name}: {timing}"))
}

#[test]
fn who_does_not_wait_is_told_of_the_first_failure() {
    let upstream = FakeUpstream::tls();
    let way = Way::to(&upstream);
    let world = behind(&way, "retry.attempts = 8");
    let waiting = world.ask("GET", "/api/v1").header("Prefer", "wait=0").reply_later();
    drop(way.next());
    assert_eq!(waiting.join().unwrap().code(), "upstream_tls");
    assert!(way.stopped.try_recv().is_err(), "nobody tried again");
}

#[test]
fn a_connection_that_fails_is_no_request_of_the_services_count() {
    let upstream = FakeUpstream::tls();
    let way = Way::to(&upstream);
    let world =
        behind(&way, "retry.attempts = 1\nrate = { mode = \"enforce\" }\nlimits = { family = \"x-ratelimit\" }");
    way.shut(false);
    let counts = |left: &str| {
        let answer = Answer::json(200, "{}").header("X-RateLimit-Limit", "100").header("X-RateLimit-Remaining", left);
        answer.header("X-RateLimit-Reset", "1000")
    };
    let hasty = || world.ask("GET", "/api/v1").header("Prefer", "wait=0");
    upstream.then(counts("2"));
    assert_eq!(hasty().reply().status, 200);
    way.cut();
    for _ in 0..3 {
        let failing = hasty().reply_later();
        drop(way.next());
        assert_eq!(failing.join().unwrap().code(), "upstream_tls");
    }
    way.shut(false);
    upstream.then(counts("1")).then(counts("0"));
    assert_eq!((hasty().reply().status, hasty().reply().status), (200, 200), "two are left");
    assert_eq!(hasty().reply().code(), "rate_limited");
}

// What the client is told at the end.

#[test]
fn the_services_answer_stands_when_its_circuit_opens_before_the_next_attempt() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, "");
    upstream.always(|_| Answer::text(503, "its own words"));
    for (attempts, status) in [
        (3, r#"sidekey;received-status=503;details="3 attempts""#),
        (2, r#"sidekey;received-status=503;details="2 attempts""#),
    ] {
        upstream.forget();
        let reply = world.get("/api/v1");
        assert_eq!((reply.status, reply.text().as_str()), (503, "its own words"));
        assert_eq!((upstream.requests().len(), reply.value("proxy-status")), (attempts, Some(status)));
    }
    let told: u64 = world.get("/api/v1").value("retry-after").unwrap().parse().unwrap();
    assert!((1..=5).contains(&told));
    assert_eq!(world.get("/api/v1").code(), "circuit_open");
    let left = world.metric("sidekey_resend_budget_tokens{service=\"api\"}");
    assert_eq!(left, "458.0", "three were sent again, and the fourth is given back");
}

#[test]
fn the_services_answer_says_how_long_the_gate_is_closed_by_then() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, "");
    upstream.then(Answer::throttled("9")).then(Answer::throttled("60"));
    let mut late = world.wire();
    late.send("POST /api/late HTTP/1.1\r\nHost: localhost\r\nSidekey-Retry: off\r\nContent-Length: 2\r\n\r\nx");
    upstream.wait_for(1);
    let waiting = world.ask("GET", "/api/v1").header("Prefer", "wait=15").reply_later();
    eventually("it waits", || world.metric("sidekey_gate_waiting_requests{service=\"api\"}") == "1");
    assert_eq!(late.send("x").reply().status, 429);
    let reply = waiting.join().unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (429, r#"{"error":"slow down"}"#));
    assert!((50..=62).contains(&retry_after(&reply)), "{reply:?}");
    assert!(part(&reply, "queue") > 0.0, "{reply:?}");
}

fn retry_after(reply: &Reply) -> u64 {
    reply.value("retry-after").unwrap_or_else(|| panic!("no retry-after: {reply:?}")).parse().unwrap()
}

#[test]
fn a_time_that_is_passed_on_is_in_seconds_never_shorter_than_the_services_and_never_none() {
    let upstream = FakeUpstream::plain();
    let in_half_a_minute = || {
        let moment = Timestamp::try_from(SystemTime::now() + Duration::from_secs(30)).unwrap();
        DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).unwrap()
    };
    let table = [
        (throttled(300), Some("10"), 10..=10),
        (Answer::status(429), None, 24..=34),
        (Answer::status(503), None, 24..=34),
        (Answer::status(502), None, 24..=31),
        (Answer::status(502), Some("0"), 1..=1),
        (Answer::status(429), Some("0"), 1..=2),
    ];
    for (answer, hint, told) in table {
        let world = keyed(&upstream, "");
        // A date counts from now on, since it may take long to start the proxy.
        let answer = answer.header("Retry-After", &hint.map_or_else(in_half_a_minute, str::to_owned));
        let shown = format!("{answer:?}");
        let status = answer.status_code();
        upstream.then(answer);
        let reply = world.ask("GET", "/api/v1").header("Sidekey-Retry", "off").reply();
        assert!(told.contains(&retry_after(&reply)), "{shown}: {reply:?}");
        let proxy_status = format!("sidekey;received-status={status}");
        assert_eq!(
            (reply.status, reply.value("proxy-status")),
            (status, Some(proxy_status.as_str())),
            "one attempt is not counted"
        );
    }
}

#[test]
fn an_answer_that_went_well_for_http_never_gains_a_time() {
    let upstream = FakeUpstream::plain();
    let rules = r#"
[[service.api.limits.bodies]]
statuses = [200]
path = "error"
values = ["slow"]
verdict = "throttled"
wait = "20s"
"#;
    let grpc = Answer::status(200).header("Content-Type", "application/grpc").header("Grpc-Status", "8");
    let grpc = grpc.header("Grpc-Retry-Pushback-Ms", "20000");
    for answer in [Answer::json(200, r#"{"error":"slow"}"#), grpc] {
        let world = World::new().listen("threads = 1").service("api", &upstream, KEY).toml(rules);
        let world = world.key("api", "api-prod", "s3cret").serve();
        upstream.then(answer);
        let reply = world.ask("GET", "/api/v1").header("Sidekey-Retry", "off").reply();
        assert_eq!((reply.status, reply.values("retry-after"), reply.values("proxy-status")), (200, vec![], vec![]));
        let held = world.ask("GET", "/api/v1").header("Prefer", "wait=0").reply();
        assert_eq!(held.code(), "rate_limited", "it was a limit");
    }
}

#[test]
fn a_limit_that_the_former_version_of_a_key_meets_closes_the_gate() {
    let upstream = FakeUpstream::plain();
    let is_new = |seen: &Seen| seen.values("x-api-key") == ["n3w"];
    upstream.always(move |seen| Answer::status(if is_new(seen) { 401 } else { 200 }));
    let world = keyed(&upstream, "");
    world.sidekey(["key", "rotate", "api-prod", "--overlap", "1h", "--stdin"]).stdin("n3w").run().succeeds();
    eventually("the proxy follows", || {
        assert_eq!(world.get("/api/v1").status, 200);
        upstream.requests().iter().any(is_new)
    });
    upstream.forget();
    let hasty = || world.ask("GET", "/api/v1?q=1").header("Prefer", "wait=0").reply();
    upstream.then(Answer::status(401)).then(Answer::throttled("1"));
    assert_eq!(world.get("/api/v1?q=1").status, 200, "both go out once more");
    let targets: Vec<_> = upstream.requests().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/v1?q=1"; 4]);
    upstream.then(Answer::status(401)).then(Answer::throttled("40"));
    let reply = hasty();
    let status = r#"sidekey;received-status=429;details="2 attempts""#;
    assert_eq!((reply.status, reply.value("proxy-status")), (429, Some(status)));
    assert!((40..=43).contains(&retry_after(&reply)), "{reply:?}");
    assert_eq!(hasty().code(), "rate_limited");
}

#[test]
fn what_pauses_when_the_proxy_is_stopped_gets_the_answer_that_is_there() {
    let upstream = FakeUpstream::plain();
    let mut world = ungated(&upstream, "");
    upstream.then(Answer::throttled("25"));
    let waiting = world.ask("GET", "/api/v1").reply_later();
    upstream.wait_for(1);
    let began = Instant::now();
    assert_eq!(world.stop().0.code(), Some(0));
    let reply = waiting.join().unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (429, r#"{"error":"slow down"}"#));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(upstream.requests().len(), 1);
}
