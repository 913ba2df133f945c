//! What is never passed on, and what is refused: connection fields, ambiguous framing, paths that two readers may read
//! differently, web pages. And what stays in order on a connection on which something was refused.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::world::{Answer, FakeUpstream, Reply, World};

const KEY: &str = r#"auth = { location = "header", name = "X-Api-Key" }"#;

fn keyed(more: &str) -> (FakeUpstream, World) {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("api", &upstream, &format!("{KEY}\n{more}")).key("api", "api-prod", "s3cret");
    (upstream, world.serve())
}

fn raw(world: &World, request: &str) -> Reply {
    world.wire().send(request).reply()
}

#[test]
fn fields_of_the_connection_and_of_sidekey_stay_here() {
    let (upstream, world) = keyed("");
    let head = "GET /api/v1 HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, X-Nominated, te\r\nKeep-Alive: timeout=5\r\n\
                X-Nominated: mine\r\nTE: gzip\r\nProxy-Authenticate: Basic\r\nProxy-Connection: keep-alive\r\n\
                Proxy-Other: 1\r\nSidekey-Credential: api-prod\r\nSidekey-Retry: off\r\nSidekey-Other: 1\r\n\
                HTTP2-Settings: AAMAAABkAAQAAP__\r\nUpgrade: h2c\r\nX-Stays: 1\r\n\r\n";
    assert_eq!(raw(&world, head).status, 200);
    let mut names = upstream.only_request().names();
    names.sort();
    assert_eq!(names, ["host", "x-api-key", "x-stays"]);
}

#[test]
fn a_caller_s_proof_never_goes_upstream() {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("api", &upstream, KEY).key("api", "api-prod", "s3cret");
    let token = world.sidekey(["caller", "add", "etl"]).run().succeeds().trim().to_owned();
    let world = world.serve();
    let bearer = format!("Bearer {token}");
    for (name, target) in
        [("Proxy-Authorization", "/api/v1"), ("Proxy-Authorization", "http://api.test/v1"), ("X-Api-Key", "/api/v1")]
    {
        let value = if name == "X-Api-Key" { &token } else { &bearer };
        let reply = world.ask("GET", target).header(name, value).reply();
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
        let seen = upstream.last_request();
        assert!(!String::from_utf8_lossy(&seen.head).contains("skc_"), "{name}: {seen:?}");
    }
    let basic = format!("Basic {}", STANDARD.encode(format!("etl:{token}")));
    let ask = world.ask("GET", "/api/v1").header("X-One", "1").header("Authorization", &basic).header("X-Two", "2");
    assert_eq!(ask.reply().status, 200);
    assert_eq!(upstream.last_request().names(), ["host", "x-one", "x-two", "x-api-key"]);
    let own = world.ask("GET", "/api/v1").header("X-Api-Key", &token).header("Authorization", "Bearer of-mine");
    assert_eq!(own.reply().status, 200);
    assert_eq!(upstream.last_request().values("authorization"), ["Bearer of-mine"], "what is no proof passes");
}

#[test]
fn a_nomination_cannot_take_away_what_was_checked() {
    let (upstream, world) = keyed("");
    let head = "POST /api/v1 HTTP/1.1\r\nHost: localhost\r\nConnection: host, content-length, cache-control, x-api-key, content-type\r\n\
                Cache-Control: no-cache\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nX-Api-Key: mine\r\n\r\nhi";
    assert_eq!(raw(&world, head).status, 200);
    let seen = upstream.only_request();
    assert_eq!((seen.text().as_str(), seen.authority.as_str()), ("hi", "api.test"));
    for (name, value) in [
        ("content-length", "2"),
        ("cache-control", "no-cache"),
        ("content-type", "text/plain"),
        ("x-api-key", "s3cret"),
    ] {
        assert_eq!(seen.values(name), [value]);
    }
    assert!(!seen.has("connection"));
}

/// A request whose head gives its length in two ways, in either order.
fn twice(path: &str, fields: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
}

const TWICE: [&str; 6] = [
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "Transfer-Encoding: chunked\r\nContent-Length: 12",
    "transfer-encoding:chunked\r\nX-Between: 1\r\nCONTENT-LENGTH: 0",
    "Transfer-Encoding: chunked\r\nContent-Length: many",
    "Content-Length: 5\r\nContent-Length: 5\r\nTransfer-Encoding: gzip, chunked",
];

#[test]
fn a_length_that_is_given_twice_is_refused_and_ends_the_connection() {
    let (upstream, mut world) = keyed("");
    let doors = ["/api/v1", "http://api.test/v1", "/nobody/v1", "/-/health"];
    for fields in TWICE {
        for path in doors {
            let mut wire = world.wire();
            let reply = wire.send(twice(path, fields) + "GET /api/after HTTP/1.1\r\nHost: localhost\r\n\r\n").reply();
            assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"), "{path} {fields:?}");
            assert!(reply.text().contains("Content-Length and by Transfer-Encoding"), "{reply:?}");
            assert!(wire.is_closed(), "nothing after an ambiguous end is read as a request");
        }
    }
    assert!(upstream.requests().is_empty(), "{:?}", upstream.requests());
    world.stop();
    let audited = world.sidekey(["audit", "export"]).run().succeeds();
    assert_eq!(audited.matches("bad_request").count(), TWICE.len() * doors.len(), "{audited}");
}

#[test]
fn a_length_that_is_given_twice_is_found_behind_other_requests_and_in_pieces() {
    let (upstream, world) = keyed("");
    let bare = "GET /api/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let sized = "POST /api/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi";
    let chunked = "POST /api/v1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let last = twice("/api/twice", TWICE[1]);
    for before in [vec![bare], vec![sized], vec![chunked], vec![bare, chunked, sized, chunked]] {
        let mut at_once = world.wire();
        at_once.send(before.concat() + &last);
        let replies: Vec<u16> = before.iter().map(|_| at_once.reply().status).collect();
        let mut one_by_one = world.wire();
        let answered: Vec<u16> = before.iter().map(|request| one_by_one.send(request).reply().status).collect();
        assert!(replies.iter().chain(&answered).all(|status| *status == 200), "{replies:?} {answered:?}");
        let (start, end) = last.split_at(60);
        one_by_one.send(start);
        one_by_one.send(end);
        for mut wire in [at_once, one_by_one] {
            assert_eq!(wire.reply().code(), "bad_request", "{before:?}");
            assert!(wire.is_closed());
        }
    }
    assert!(upstream.requests().iter().all(|seen| seen.target == "/v1" && matches!(seen.text().as_str(), "" | "hi")));
}

#[test]
fn a_tunnel_that_begins_with_a_body_is_refused() {
    let world = World::new().toml("[unmatched]\npolicy = \"tunnel\"").serve();
    for fields in ["Content-Length: 2", "Content-Length: 0\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked"]
    {
        let reply = raw(&world, &format!("CONNECT evil.net:443 HTTP/1.1\r\nHost: evil.net:443\r\n{fields}\r\n\r\nhi"));
        assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"), "{fields:?}");
    }
    let own = world.proxy();
    let empty = raw(&world, &format!("CONNECT {own} HTTP/1.1\r\nHost: {own}\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!(empty.code(), "address_refused", "no content is no body: {empty:?}");
}

#[test]
fn one_framing_at_most_goes_upstream() {
    let (upstream, world) = keyed("");
    let heads = [
        ("Content-Length: 2", "hi", Some("content-length")),
        ("Content-Length: 2\r\nContent-Length: 2", "hi", Some("content-length")),
        ("Content-Length: 0", "", Some("content-length")),
        ("Transfer-Encoding: chunked", "2\r\nhi\r\n0\r\n\r\n", Some("transfer-encoding")),
        ("Transfer-Encoding: Chunked", "2\r\nhi\r\n0\r\n\r\n", Some("transfer-encoding")),
        ("X-None: 1", "", None),
    ];
    for (fields, body, framing) in heads {
        let reply = raw(&world, &format!("POST /api/v1 HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n{body}"));
        assert_eq!(reply.status, 200, "{fields:?}: {reply:?}");
        let seen = upstream.last_request();
        let mut names = seen.names();
        names.retain(|name| matches!(&**name, "content-length" | "transfer-encoding"));
        assert!(names.iter().all(|name| Some(&**name) == framing) && names.len() <= 1, "{fields:?}: {seen:?}");
        assert_eq!(seen.text(), if body.is_empty() { "" } else { "hi" });
    }
}

#[test]
fn ambiguous_lengths_and_codings_are_refused() {
    let (upstream, world) = keyed("");
    let framings = [
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2, 3",
        "Content-Length: +2",
        "Content-Length: -2",
        "Content-Length: 0x2",
        "Content-Length: 2 2",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding:",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Content-Length:",
        "Content-Length: 2\r\nTransfer-Encoding: identity",
    ];
    for framing in framings {
        let reply =
            raw(&world, &format!("POST /api/v1 HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n2\r\nhi\r\n0\r\n\r\n"));
        assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"), "{framing:?}");
    }
    assert!(upstream.requests().is_empty(), "{:?}", upstream.requests());
}

#[test]
fn heads_that_two_readers_read_differently_are_refused() {
    let (upstream, world) = keyed("");
    let fields = [
        "X-Folded: a\r\n b",
        "X-Folded: a\r\n\tb",
        "X-Bare: a\rb",
        "X-Space : a",
        " X-Leading: a",
        "X-Null: a\0b",
        "X(Paren): a",
        "no colon",
        ": no name",
    ];
    for field in fields {
        let mut wire = world.wire();
        let reply = wire.send(format!("GET /api/v1 HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n")).reply();
        assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"), "{field:?}");
        assert!(wire.is_closed(), "{field:?}");
    }
    for line in [
        "GET /api/v1",
        "GET  /api/v1 HTTP/1.1",
        "GET /api/v1 HTTP/1.1 x",
        "G@T /api/v1 HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /api/v1 HTTP/9.9",
    ] {
        let reply = raw(&world, &format!("{line}\r\nHost: localhost\r\n\r\n"));
        assert!(matches!(reply.status, 400 | 404), "{line:?}: {reply:?}");
        reply.code();
    }
    assert!(upstream.requests().is_empty(), "{:?}", upstream.requests());
}

#[test]
fn a_head_has_a_largest_size() {
    let (upstream, world) = keyed("");
    let long = "x".repeat(70_000);
    let large = raw(&world, &format!("GET /api/v1 HTTP/1.1\r\nHost: localhost\r\nX-Long: {long}\r\n\r\n"));
    assert_eq!((large.status, large.code().as_str()), (431, "bad_request"));
    let many = (0..300).map(|number| format!("X-{number}: 1\r\n")).collect::<Vec<_>>().concat();
    let many = raw(&world, &format!("GET /api/v1 HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"));
    assert_eq!((many.status, many.code().as_str()), (431, "bad_request"));
    assert!(upstream.requests().is_empty());
    let fits =
        raw(&world, &format!("GET /api/v1 HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(30_000)));
    assert_eq!(fits.status, 200, "{fits:?}");
}

#[test]
fn a_target_has_a_largest_length() {
    let (upstream, world) = keyed("");
    let long = "x".repeat(65_600);
    let reply = raw(&world, &format!("GET /api/{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert!(matches!(reply.status, 414 | 431), "{reply:?}");
    assert_eq!(reply.code(), "bad_request");
    assert!(upstream.requests().is_empty());
    let fits = format!("/{}", "x".repeat(16_000));
    assert_eq!(world.get(&format!("/api{fits}")).status, 200);
    assert_eq!(upstream.only_request().target, fits);
}

const CLIMBING: [&str; 12] = [
    "/v1/../admin",
    "/v1/%2e%2e/admin",
    "/v1/.%2E/admin",
    "/v1/%2E./admin",
    "/v1/..%2fadmin",
    "/v1/..%5Cadmin",
    "/v1/..;/admin",
    "/v1/..;x=1/admin",
    "/v1/./x",
    "/v1/%2e/x",
    "/v1/x/..",
    "/v1/x/%2e",
];

#[test]
fn dot_segments_are_refused_where_rules_apply() {
    let (upstream, world) = keyed(r#"allow = ["GET /v1/**"]"#);
    for path in CLIMBING {
        let doors = [
            (format!("/api{path}"), "localhost"),
            (path.to_owned(), "api.localhost"),
            (format!("http://api.test{path}"), "api.test"),
        ];
        for (target, host) in doors {
            let reply = world.ask("GET", &target).host(host).reply();
            assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"), "{target}");
        }
    }
    for (method, path) in
        [("GET", "/v2/x"), ("POST", "/v1/x"), ("get", "/v1/x"), ("GET", "/V1/x"), ("GET", "//v1/x"), ("HEAD", "/v2")]
    {
        assert_eq!(world.ask(method, &format!("/api{path}")).reply().status, 403, "{method} {path}");
    }
    assert!(upstream.requests().is_empty(), "{:?}", upstream.requests());
    for path in ["/v1/a..b/...", "/v1/x?y=/../z", "/v1/..x"] {
        assert_eq!(world.get(&format!("/api{path}")).status, 200, "{path}");
        assert_eq!(upstream.last_request().target, path);
    }
}

#[test]
fn dot_segments_are_refused_where_a_base_path_would_be_left() {
    let upstream = FakeUpstream::plain();
    let address = upstream.address();
    let world = World::new().toml(&format!(
        "[service.api]\nbase_url = \"http://api.test/base\"\nallow_plaintext = true\n{KEY}\n\
         upstream = {{ connect_to = \"{address}\", allow_private = true }}"
    ));
    let world = world.key("api", "api-prod", "s3cret").serve();
    for path in CLIMBING {
        assert_eq!(world.get(&format!("/api{path}")).code(), "bad_request", "{path}");
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn dot_segments_pass_where_nothing_hangs_on_them() {
    let (upstream, world) = keyed("");
    for path in CLIMBING {
        assert_eq!(world.get(&format!("/api{path}")).status, 200, "{path}");
        assert_eq!(upstream.last_request().target, path);
    }
}

#[test]
fn trace_is_refused_at_every_door() {
    let (upstream, world) = keyed("");
    for (target, host) in [("/api/v1", "localhost"), ("/v1", "api.localhost"), ("http://api.test/v1", "api.test")] {
        let reply = world.ask("TRACE", target).host(host).reply();
        assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"), "{target}");
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn web_pages_are_refused_at_the_local_doors() {
    let (upstream, world) = keyed("");
    let marks = [
        ("Origin", "https://evil.test"),
        ("Origin", "null"),
        ("origin", "http://localhost:3000"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    for (name, value) in marks {
        for (target, host) in [("/api/v1", "localhost"), ("/v1", "api.localhost"), ("/-/whoami", "localhost")] {
            let reply = world.ask("GET", target).host(host).header(name, value).reply();
            assert_eq!((reply.status, reply.code().as_str()), (403, "browser_refused"), "{name}: {value} at {target}");
        }
    }
    for host in ["evil.test", "evil.test:8080", "localhost.evil.test", "127.0.0.1.evil.test"] {
        assert_eq!(world.ask("GET", "/api/v1").host(host).reply().code(), "browser_refused", "{host}");
        assert_eq!(world.ask("POST", "/api/v1").host(host).body("x").reply().code(), "browser_refused", "{host}");
    }
    let preflight = world.ask("OPTIONS", "/api/v1").header("Origin", "https://evil.test");
    let reply = preflight.header("Access-Control-Request-Private-Network", "true").reply();
    assert_eq!(reply.code(), "browser_refused");
    assert!(reply.values("access-control-allow-origin").is_empty());
    assert!(upstream.requests().is_empty());
    for host in
        ["localhost", "127.0.0.1:1", "[::1]:1", "sidekey", "sidekey.internal", "host.docker.internal", "box.local"]
    {
        assert_eq!(world.ask("GET", "/api/v1").host(host).reply().status, 200, "{host}");
    }
    assert_eq!(world.ask("GET", "/api/v1").header("Sec-Fetch-Site", "none").reply().status, 200);
}

#[test]
fn a_listed_page_may_call_and_its_neighbour_may_not() {
    let upstream = FakeUpstream::plain();
    let world = World::new().listen(r#"browser_origins = ["https://app.example.com"]"#).service("api", &upstream, KEY);
    let world = world.key("api", "api-prod", "s3cret").serve();
    let from =
        |origin| world.ask("GET", "/api/v1").header("Origin", origin).header("Sec-Fetch-Site", "cross-site").reply();
    assert_eq!(from("https://app.example.com").status, 200);
    assert_eq!(upstream.only_request().values("origin"), ["https://app.example.com"]);
    for origin in ["http://app.example.com", "https://app.example.com:444", "https://app.example.com.evil.test", "null"]
    {
        assert_eq!(from(origin).code(), "browser_refused", "{origin}");
    }
}

#[test]
fn an_answer_passes_untouched_whatever_its_status() {
    let (upstream, world) = keyed("rate = { mode = \"off\" }\nretry = { attempts = 1 }");
    for status in [200, 201, 202, 400, 401, 403, 404, 407, 418, 429, 500, 502, 503, 599] {
        upstream.then(Answer::text(status, "upstream's own").header("X-CuStOm", "a").header("Set-Cookie", "a=1"));
        let reply = world.get("/api/v1");
        assert_eq!((reply.status, reply.text().as_str()), (status, "upstream's own"));
        assert!(reply.headers.iter().any(|(name, _)| name == "X-CuStOm"), "{reply:?}");
        assert!(reply.values("proxy-status").is_empty(), "{reply:?}");
        assert_eq!(upstream.requests().len(), 1, "asked once for {status}");
        upstream.forget();
    }
}

#[test]
fn fields_of_the_upstream_s_connection_stay_there() {
    let (upstream, world) = keyed("");
    let answer = Answer::text(200, "hi").header("Connection", "X-Nominated").header("X-Nominated", "1");
    let answer = answer.header("Keep-Alive", "timeout=1").header("Proxy-Connection", "close").header("X-A", "1");
    upstream.then(answer.header("Set-Cookie", "a=1").header("Set-Cookie", "b=2").header("X-Z", "2"));
    let reply = world.ask("GET", "/api/v1").reply_on(&mut world.wire());
    for name in ["x-nominated", "keep-alive", "proxy-connection"] {
        assert!(reply.values(name).is_empty(), "{reply:?}");
    }
    assert_eq!(reply.values("set-cookie"), ["a=1", "b=2"]);
    assert_eq!((reply.value("x-a"), reply.value("x-z"), reply.text().as_str()), (Some("1"), Some("2"), "hi"));
}

#[test]
fn a_redirect_is_passed_back_and_not_followed() {
    let (upstream, world) = keyed("");
    for status in [301, 302, 303, 307, 308] {
        upstream.forget();
        upstream.then(Answer::status(status).header("Location", "http://api.test/elsewhere"));
        let reply = world.ask("POST", "/api/v1").body("x").reply();
        assert_eq!((reply.status, reply.value("location")), (status, Some("http://api.test/elsewhere")));
        assert_eq!(upstream.only_request().target, "/v1");
    }
}

#[test]
fn a_client_s_connection_outlives_refusals() {
    let (upstream, world) = keyed("");
    let mut wire = world.wire();
    for _ in 0..2 {
        assert_eq!(world.ask("GET", "/api/v1").reply_on(&mut wire).status, 200);
        assert_eq!(world.ask("GET", "/nobody/v1").reply_on(&mut wire).code(), "service_unknown");
        assert_eq!(world.ask("GET", "http://evil.net/").reply_on(&mut wire).code(), "service_unknown");
        assert_eq!(world.ask("HEAD", "/nobody").reply_on(&mut wire).status, 404);
        assert_eq!(world.ask("TRACE", "/api/v1").reply_on(&mut wire).code(), "bad_request");
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn a_refused_body_is_never_read_as_a_request() {
    let (upstream, world) = keyed("");
    let inner = "GET /api/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let outer = format!("POST /nobody HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{inner}", inner.len());
    let mut wire = world.wire();
    assert_eq!(wire.send(outer).reply().status, 404);
    let after = wire.send("GET /api/after HTTP/1.1\r\nHost: localhost\r\n\r\n").try_reply();
    assert!(after.is_none_or(|reply| reply.status == 200));
    assert!(upstream.requests().iter().all(|seen| seen.target == "/after"), "{:?}", upstream.requests());
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let (upstream, world) = keyed("");
    upstream.always(|seen| Answer::text(200, &seen.target));
    let mut wire = world.wire();
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    wire.send(request("/api/1") + &request("/nobody") + &request("/api/2") + &request("/api/3"));
    let answers: Vec<(u16, String)> = (0..4).map(|_| wire.reply()).map(|reply| (reply.status, reply.text())).collect();
    assert_eq!((answers[0].1.as_str(), answers[1].0), ("/1", 404));
    assert_eq!((answers[2].1.as_str(), answers[3].1.as_str()), ("/2", "/3"));
}

#[test]
fn a_client_of_http_1_0_is_understood() {
    let (upstream, world) = keyed("");
    let mut wire = world.wire();
    let reply = wire.send("GET /api/v1 HTTP/1.0\r\n\r\n").reply();
    assert_eq!((reply.status, reply.text().as_str()), (200, r#"{"ok":true}"#));
    assert!(wire.is_closed());
    assert_eq!(upstream.only_request().version, "HTTP/1.1");
    let (answer, feed) = Answer::fed(200, "text/plain");
    upstream.then(answer);
    feed.send("piece");
    drop(feed);
    let reply = raw(&world, "GET /api/v1 HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert_eq!(reply.text(), "piece");
    assert!(reply.values("transfer-encoding").is_empty(), "HTTP/1.0 knows no chunks: {reply:?}");
}
