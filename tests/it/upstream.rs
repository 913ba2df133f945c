//! The way to the upstream: connections that are kept and shared, what happens when one dies, when something is sent again
//! and when never, and every way in which an upstream can fail, with the code that names it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use http_body_util::Full;

use crate::world::{Answer, FakeUpstream, Reply, World, eventually, free_port};

const KEY: &str = r#"auth = { location = "header", name = "X-Api-Key" }"#;

/// One core, so that one pool sees every request.
fn keyed(upstream: &FakeUpstream, more: &str) -> World {
    let world = World::new().listen("threads = 1").service("api", upstream, &format!("{KEY}\n{more}"));
    world.key("api", "api-prod", "s3cret").serve()
}

/// A service whose table is written out in full.
fn tabled(world: World, base: &str, more: &str) -> World {
    let table = format!(
        "[service.api]\nbase_url = \"{base}\"\nallow_plaintext = true\n{KEY}\nretry = {{ attempts = 1 }}\n{more}"
    );
    world.toml(&table).key("api", "api-prod", "s3cret")
}

fn refused(reply: &Reply) -> (u16, String) {
    (reply.status, reply.code())
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    for upstream in [FakeUpstream::plain(), FakeUpstream::tls_h1(), FakeUpstream::tls()] {
        let world = keyed(&upstream, "");
        for _ in 0..3 {
            assert_eq!(world.get("/api/v1").status, 200);
        }
        assert_eq!((upstream.requests().len(), upstream.connections()), (3, 1));
    }
}

#[test]
fn a_refused_request_costs_no_connection() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, r#"allow = ["GET /v1/**"]"#);
    assert_eq!(world.get("/api/v2").code(), "not_allowed");
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_kept_connection_that_died_meanwhile_is_replaced() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, "");
    for round in 1..=5 {
        let reply = world.ask("POST", "/api/v1").body("once").reply();
        assert_eq!(reply.status, 200, "round {round}: {reply:?}");
        assert_eq!((upstream.requests().len(), upstream.connections()), (round, round));
        upstream.hang_up();
    }
    assert!(upstream.requests().iter().all(|seen| seen.text() == "once"));
}

#[test]
fn an_upstream_that_closes_after_its_answer_gets_a_new_connection() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, "");
    for round in 1..=3 {
        upstream.then(Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"));
        let reply = world.get("/api/v1");
        assert_eq!((reply.text().as_str(), upstream.connections()), ("hi", round));
    }
    upstream.then(Answer::raw("HTTP/1.1 200 OK\r\n\r\nuntil the end"));
    assert_eq!(world.get("/api/v1").text(), "until the end");
}

#[test]
fn nobody_listening_is_unreachable() {
    let world = World::new();
    let more = format!("upstream = {{ connect_to = \"127.0.0.1:{}\", allow_private = true }}", free_port());
    let world = tabled(world, "http://api.test", &more).serve();
    assert_eq!(refused(&world.get("/api/v1")), (502, "upstream_unreachable".to_owned()));
    assert_eq!(refused(&world.ask("POST", "/api/v1").body("x").reply()), (502, "upstream_unreachable".to_owned()));
}

#[test]
fn a_certificate_is_believed_only_from_the_right_authority() {
    let upstream = FakeUpstream::tls();
    let more = format!("upstream = {{ connect_to = \"{}\", allow_private = true }}", upstream.address());
    let world = tabled(World::new(), "https://api.test", &more).serve();
    assert_eq!(refused(&world.get("/api/v1")), (502, "upstream_tls".to_owned()));
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_certificate_is_believed_only_for_the_right_name() {
    let upstream = FakeUpstream::tls_claiming("other.test");
    let world = keyed(&upstream, "retry = { attempts = 1 }");
    assert_eq!(refused(&world.get("/api/v1")), (502, "upstream_tls".to_owned()));
    assert!(upstream.requests().is_empty());
}

#[test]
fn an_upstream_that_speaks_no_tls_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!("upstream = {{ connect_to = \"{}\", allow_private = true }}", listener.local_addr().unwrap());
    let world = tabled(World::new(), "https://api.test", &more).serve();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
        let _ = stream.read(&mut [0; 4096]);
    });
    assert_eq!(refused(&world.get("/api/v1")), (502, "upstream_tls".to_owned()));
}

#[test]
fn answers_that_are_no_http_are_broken() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, r#"rate = { mode = "off" }"#);
    let garbage = [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Null: a\0b\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Half: a",
        "<html></html>",
        "",
    ];
    for bytes in garbage {
        upstream.then(Answer::raw(bytes));
        let reply = world.ask("POST", "/api/v1").body("x").reply();
        assert_eq!(refused(&reply), (502, "upstream_broken".to_owned()), "{bytes:?}");
    }
    assert_eq!(upstream.requests().len(), garbage.len(), "each was asked once");
    assert_eq!(world.get("/api/v1").status, 200);
}

#[test]
fn what_may_be_repeated_is_sent_again_to_the_last_byte_when_its_connection_breaks() {
    for upstream in [FakeUpstream::plain(), FakeUpstream::tls_h1(), FakeUpstream::tls()] {
        let world = keyed(&upstream, "");
        for (method, key) in
            [("GET", None), ("PUT", None), ("DELETE", None), ("POST", Some("order-7")), ("PATCH", Some("p"))]
        {
            upstream.forget();
            upstream.then(Answer::hang_up()).then(Answer::hang_up());
            let body = if method == "GET" { String::new() } else { "0123456789".repeat(2_000) };
            let mut ask = world.ask(method, "/api/v1?a=%2F").header("X-Trace", "t").body(&body);
            if let Some(key) = key {
                ask = ask.header("Idempotency-Key", key);
            }
            assert_eq!(ask.reply().status, 200, "{method}");
            let seen = upstream.requests();
            assert_eq!(seen.len(), 3, "{method}");
            for request in &seen {
                assert_eq!((&*request.target, request.text()), ("/v1?a=%2F", body.clone()), "{method}");
                assert_eq!((request.values("x-api-key"), request.values("x-trace")), (vec!["s3cret"], vec!["t"]));
                assert_eq!(request.values("idempotency-key"), key.into_iter().collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn what_may_not_be_repeated_is_sent_once_when_its_connection_breaks() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, r#"retry = { attempts = 3, max_body = "4KiB" }"#);
    let large = "x".repeat(5_000);
    let asks = [
        world.ask("POST", "/api/v1").body("x"),
        world.ask("PATCH", "/api/v1").body("x"),
        world.ask("PUT", "/api/v1").body(&large),
        world.ask("PUT", "/api/v1").body("x").header("Sidekey-Retry", "off"),
        world.ask("GET", "/api/v1").header("Sidekey-Retry", "off"),
    ];
    for (ask, misdeed) in asks.into_iter().zip([Answer::hang_up, Answer::reset].into_iter().cycle()) {
        assert_eq!(world.get("/api/before").status, 200);
        upstream.forget();
        upstream.then(misdeed());
        assert_eq!(refused(&ask.reply()), (502, "upstream_broken".to_owned()));
        assert_eq!(upstream.requests().len(), 1);
    }
    upstream.forget();
    upstream.then(Answer::hang_up());
    let mut wire = world.wire();
    wire.send("PUT /api/v1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    wire.send(format!("1388\r\n{large}\r\n0\r\n\r\n"));
    assert_eq!(refused(&wire.reply()), (502, "upstream_broken".to_owned()), "5,000 bytes, found out on the way");
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn another_attempt_takes_the_key_of_its_own_moment() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, "");
    upstream.then(Answer::stall());
    let waiting = world.ask("PUT", "/api/v1").body("x").reply_later();
    upstream.wait_for(1);
    world.sidekey(["key", "rotate", "api-prod", "--stdin"]).stdin("n3w").run().succeeds();
    eventually("the proxy follows", || {
        world.ask("POST", "/api/v1").reply();
        upstream.last_request().values("x-api-key") == ["n3w"]
    });
    upstream.hang_up();
    assert_eq!(waiting.join().unwrap().status, 200);
    assert_eq!(upstream.last_request().values("x-api-key"), ["n3w"]);
}

#[test]
fn bytes_behind_an_answer_are_not_taken_for_the_next_one() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, "");
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    upstream.then(Answer::raw_and_open(format!("{answer}{poison}")));
    assert_eq!(world.get("/api/v1").text(), "hi");
    assert_eq!(world.get("/api/v1").text(), r#"{"ok":true}"#);
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn a_silent_upstream_is_given_up() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, r#"timeouts = { first_byte = "300ms" }"#);
    upstream.then(Answer::stall());
    assert_eq!(refused(&world.get("/api/v1")), (504, "upstream_timeout".to_owned()));
    upstream.wait_for(1);
    upstream.wait_for_open_connections(0);
    assert_eq!(upstream.requests().len(), 1);
    // On a busy machine an answer may take that long, too.
    eventually("it is served again", || world.get("/api/v1").status == 200);
}

#[test]
fn an_upstream_that_never_shakes_hands_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!(
        "timeouts = {{ connect = \"300ms\" }}\nupstream = {{ connect_to = \"{}\", allow_private = true }}",
        listener.local_addr().unwrap()
    );
    let world = tabled(World::new(), "https://api.test", &more).serve();
    assert_eq!(refused(&world.get("/api/v1")), (504, "upstream_timeout".to_owned()));
}

#[test]
fn a_body_that_falls_silent_breaks_off_for_the_client_too() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, r#"timeouts = { idle = "300ms" }"#);
    let framings =
        [(None, "Transfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n"), (Some("10"), "Content-Length: 10\r\n\r\nbegun")];
    for (length, rest) in framings {
        // Head and beginning arrive at once, so that there is no silence between them.
        upstream.then(Answer::raw_and_open(format!("HTTP/1.1 200 OK\r\n{rest}")));
        let mut wire = world.wire();
        wire.send("GET /api/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(wire.head().value("content-length"), length);
        let rest = String::from_utf8(wire.rest()).unwrap();
        assert!(rest.contains("begun") && !rest.ends_with("0\r\n\r\n"), "{rest:?}");
        upstream.wait_for_open_connections(0);
    }
}

#[test]
fn a_body_that_breaks_off_is_never_made_to_look_whole() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, "");
    for length in [None, Some("10")] {
        let (answer, feed) = Answer::fed(200, "text/plain");
        upstream.then(match length {
            Some(length) => answer.header("Content-Length", length),
            None => answer,
        });
        let mut wire = world.wire();
        wire.send("GET /api/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
        wire.head();
        feed.send("begun");
        let begun = if length.is_some() { wire.bytes(5) } else { wire.chunk().unwrap() };
        assert_eq!(begun, b"begun");
        feed.break_off();
        assert_eq!(String::from_utf8(wire.rest()).unwrap(), "");
    }
}

#[test]
fn requests_share_one_http2_connection() {
    let upstream = FakeUpstream::tls();
    let world = keyed(&upstream, "");
    assert_eq!(world.get("/api/first").status, 200);
    let (one, feed_one) = Answer::fed(200, "text/plain");
    let (two, feed_two) = Answer::fed(200, "text/plain");
    upstream.then(one).then(two);
    let asks = ["/api/one", "/api/two"].map(|path| world.ask("POST", path).body("body").reply_later());
    let seen = upstream.wait_for(3);
    assert!(seen.iter().all(|seen| seen.version == "HTTP/2" && seen.authority == "api.test"), "{seen:?}");
    assert!(
        seen.iter().all(|seen| !seen.has("host") && !seen.has("connection") && seen.values("x-api-key") == ["s3cret"])
    );
    for feed in [feed_one, feed_two] {
        feed.send("whole");
    }
    assert!(asks.into_iter().all(|ask| ask.join().unwrap().text() == "whole"));
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn one_reset_stream_leaves_the_others_alone() {
    let upstream = FakeUpstream::tls();
    let world = keyed(&upstream, "");
    assert_eq!(world.get("/api/v1").status, 200);
    upstream.then(Answer::hang_up());
    assert_eq!(refused(&world.ask("POST", "/api/v1").reply()), (502, "upstream_broken".to_owned()));
    assert_eq!(world.get("/api/v1").status, 200);
    assert_eq!((upstream.connections(), upstream.requests().len()), (1, 3));
}

#[test]
fn a_dead_http2_connection_is_replaced() {
    let upstream = FakeUpstream::tls();
    let world = keyed(&upstream, "");
    for round in 1..=3 {
        // A request that is on its way before the hang-up is noticed may be lost; it is not sent twice.
        eventually("a fresh connection", || world.ask("POST", "/api/v1").body("x").reply().status == 200);
        assert_eq!(upstream.connections(), round);
        upstream.hang_up();
    }
}

#[test]
fn the_protocol_can_be_chosen() {
    let upstream = FakeUpstream::tls();
    let world = keyed(&upstream, "upstream.http2 = \"never\"");
    assert_eq!(world.get("/api/v1").status, 200);
    assert_eq!(upstream.only_request().version, "HTTP/1.1");
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, "upstream.http2 = \"always\"");
    assert_eq!(world.get("/api/v1").status, 200);
    assert_eq!(upstream.only_request().version, "HTTP/2");
}

#[test]
fn a_client_s_http2_and_the_upstream_s_http1_fit_together() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream, "");
    let client = world.h2();
    let ask = client.ask("POST", "/api/v1?q=1").header("x-one", "1").header("cookie", "a=1").header("cookie", "b=2");
    let reply = client.send(ask.body(Full::new(Bytes::from("body"))).unwrap());
    assert_eq!((reply.status, reply.text().as_str()), (200, r#"{"ok":true}"#));
    let seen = upstream.only_request();
    assert_eq!((seen.target.as_str(), seen.text().as_str(), seen.version.as_str()), ("/v1?q=1", "body", "HTTP/1.1"));
    assert_eq!(seen.values("host"), ["api.test"]);
    assert_eq!(seen.values("cookie"), ["a=1; b=2"]);
    assert_eq!((seen.values("x-one"), seen.values("x-api-key")), (vec!["1"], vec!["s3cret"]));
}

#[test]
fn connect_to_takes_a_name_too() {
    let upstream = FakeUpstream::tls();
    let ca = "upstream-ca.pem";
    let world = World::new();
    world.file(ca, FakeUpstream::ca_pem());
    let port = upstream.address().port();
    let more = format!("upstream = {{ ca = \"{ca}\", connect_to = \"localhost:{port}\", allow_private = true }}");
    let world = tabled(world, "https://api.test", &more).serve();
    assert_eq!(world.get("/api/v1").status, 200);
    let seen = upstream.only_request();
    assert_eq!((seen.authority.as_str(), seen.sni.as_deref()), ("api.test", Some("api.test")));
}

#[test]
fn private_addresses_need_the_operator_s_word() {
    let upstream = FakeUpstream::plain();
    let port = upstream.address().port();
    for host in ["127.0.0.1", "localhost"] {
        let world = tabled(World::new(), &format!("http://{host}:{port}"), "").serve();
        assert_eq!(refused(&world.get("/api/v1")), (502, "address_refused".to_owned()), "{host}");
    }
    assert_eq!(upstream.connections(), 0);
    let base = format!("http://127.0.0.1:{port}");
    let world = tabled(World::new(), &base, "upstream = { allow_private = true }").serve();
    assert_eq!(world.get("/api/v1").status, 200);
    let world = tabled(World::new(), "http://169.254.169.254", "upstream = { allow_private = true }").serve();
    assert_eq!(refused(&world.get("/api/v1")), (502, "address_refused".to_owned()));
}

#[test]
fn a_way_back_to_ourselves_is_refused() {
    let world = World::new();
    let bases = [world.proxy(), world.console(), world.proxy().replace("127.0.0.1", "localhost")];
    let mut world = world;
    for (number, base) in bases.iter().enumerate() {
        let table =
            format!("[service.s{number}]\nbase_url = \"http://{base}\"\n{KEY}\nupstream.allow_private = true\n");
        world = world.toml(&table).key(&format!("s{number}"), &format!("k{number}"), "s3cret");
    }
    let world = world.serve();
    for (number, base) in bases.iter().enumerate() {
        let reply = world.get(&format!("/s{number}/v1"));
        assert_eq!(refused(&reply), (502, "address_refused".to_owned()), "{base}");
        assert!(reply.value("proxy-status").unwrap().contains("proxy_loop_detected"), "{reply:?}");
    }
}

#[test]
fn plain_http_goes_through_a_parent_proxy_in_absolute_form() {
    let parent = FakeUpstream::plain();
    let proxy = format!("http://ada:pw@{}", parent.address());
    let world = tabled(World::new(), "http://api.test", "").serve_with(&[("HTTP_PROXY", &proxy)]);
    assert_eq!(world.get("/api/v1?q").status, 200);
    let seen = parent.only_request();
    assert_eq!((seen.target.as_str(), seen.authority.as_str()), ("http://api.test/v1?q", "api.test"));
    assert_eq!(seen.values("proxy-authorization"), ["Basic YWRhOnB3"]);
    assert_eq!(seen.values("x-api-key"), ["s3cret"]);
}

#[test]
fn https_goes_through_a_parent_proxy_in_a_tunnel() {
    let upstream = FakeUpstream::tls();
    let (parent, heads) = parent_proxy(upstream.address());
    let world = World::new();
    world.file("upstream-ca.pem", FakeUpstream::ca_pem());
    let proxy = format!("http://ada:pw@{parent}");
    let world = tabled(world, "https://api.test", "upstream = { ca = \"upstream-ca.pem\" }");
    let world = world.serve_with(&[("HTTPS_PROXY", &proxy)]);
    assert_eq!(world.get("/api/v1").status, 200);
    let seen = upstream.only_request();
    assert_eq!((seen.sni.as_deref(), seen.values("x-api-key")), (Some("api.test"), vec!["s3cret"]));
    assert!(!seen.has("proxy-authorization"));
    let head = heads.lock().unwrap().join("");
    assert!(head.starts_with("CONNECT api.test:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic YWRhOnB3\r\n") && !head.contains("s3cret"), "{head}");
}

#[test]
fn a_parent_proxy_that_refuses_is_told_apart() {
    let parent = FakeUpstream::plain();
    parent.always(|_| Answer::text(407, "who are you").header("Proxy-Authenticate", "Basic"));
    let proxy = format!("http://{}", parent.address());
    let world = tabled(World::new(), "https://api.test", "").serve_with(&[("HTTPS_PROXY", &proxy)]);
    let reply = world.get("/api/v1");
    assert_eq!(refused(&reply), (502, "upstream_unreachable".to_owned()));
    assert!(reply.json()["detail"].as_str().unwrap().contains("parent proxy"), "{reply:?}");
    let seen = parent.last_request();
    assert_eq!((seen.method.as_str(), seen.mentions("s3cret")), ("CONNECT", false));
}

#[test]
fn connect_to_and_no_proxy_go_around_the_parent() {
    let (upstream, parent) = (FakeUpstream::plain(), FakeUpstream::plain());
    let world = World::new().service("api", &upstream, KEY).key("api", "api-prod", "s3cret");
    let proxy = format!("http://{}", parent.address());
    let world = world.serve_with(&[("HTTP_PROXY", &proxy), ("ALL_PROXY", &proxy)]);
    assert_eq!(world.get("/api/v1").status, 200);
    assert_eq!((upstream.requests().len(), parent.connections()), (1, 0));
}

/// A proxy that tunnels every CONNECT to `upstream`, and keeps the heads.
fn parent_proxy(upstream: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut head) = (client.unwrap(), Vec::new());
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            kept.lock().unwrap().push(String::from_utf8(head).unwrap());
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let far = TcpStream::connect(upstream).unwrap();
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), far.try_clone().unwrap()),
                (far.try_clone().unwrap(), client.try_clone().unwrap()),
            ] {
                thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    (address, heads)
}
