//! What is more than a request and its answer, through tunnels that are opened: WebSocket over both versions of HTTP, gRPC that
//! streams both ways, events, `Expect`, large bodies.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
};

use bytes::Bytes;
use http_body_util::Full;

use crate::world::{Answer, Ask, FakeUpstream, H2, PATIENCE, Wire, World, connect, eventually};

const KEY: &str = r#"auth = { location = "header", name = "X-Api-Key" }"#;

fn keyed(upstream: &FakeUpstream) -> World {
    World::new().service("api", upstream, KEY).key("api", "api-prod", "s3cret").serve()
}

fn h2(world: &World) -> H2 {
    H2::through(&world.proxy(), "api.test:443", &world.ca_pem())
}

fn masked(payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let length = 0x80 | u8::try_from(payload.len()).unwrap();
    let bytes = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [0x81, length].into_iter().chain(mask).chain(bytes).collect()
}

fn says_hello(wire: &mut Wire) {
    let reply = wire
        .send(
            "GET /v1 HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .head();
    assert_eq!((reply.status, reply.value("sec-websocket-accept")), (101, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    wire.send(masked(b"hello"));
    assert_eq!(wire.bytes(7), b"\x81\x05hello");
}

#[test]
fn a_websocket_passes_through_an_opened_tunnel_with_the_key_in_its_handshake() {
    for upstream in [FakeUpstream::plain(), FakeUpstream::tls()] {
        let world = keyed(&upstream);
        upstream.then(Answer::websocket_echo()).then(Answer::websocket_echo());
        says_hello(&mut world.intercepted("api.test:443"));
        // ws:// through a proxy is a tunnel to port 80.
        says_hello(&mut world.tunnel("api.test:80", ""));
        for seen in upstream.wait_for(2) {
            assert_eq!((seen.version.as_str(), seen.values("x-api-key")), ("HTTP/1.1", vec!["s3cret"]));
        }
    }
}

#[test]
fn a_websocket_on_a_stream_of_http2_has_the_key_in_its_handshake_too() {
    let upstream = FakeUpstream::tls();
    let world = keyed(&upstream);
    for (client, path) in [(world.h2(), "/api/v1"), (h2(&world), "/v1")] {
        upstream.then(Answer::websocket_echo());
        let (reply, back) = client.websocket(path, &masked(b"hello"), 7);
        assert_eq!((reply.status, back.as_slice()), (200, &b"\x81\x05hello"[..]));
        assert!(reply.values("sec-websocket-accept").is_empty() && reply.values("upgrade").is_empty(), "{reply:?}");
        let seen = upstream.last_request();
        assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.version.as_str()), ("GET", "/v1", "HTTP/1.1"));
        assert_eq!((seen.values("x-api-key"), seen.values("upgrade")), (vec!["s3cret"], vec!["websocket"]));
        assert_eq!(seen.values("sec-websocket-key")[0].len(), 24);
        assert_eq!((seen.values("sec-websocket-version"), seen.values("cookie")), (vec!["13"], vec!["a=1; b=2"]));
        // The connection carries other streams beside it.
        assert_eq!(client.get(path).status, 200);
        for (status, told) in [(403, 403), (200, 502)] {
            upstream.then(Answer::text(status, "no sockets"));
            let (reply, _) = client.websocket(path, b"", 0);
            assert_eq!((reply.status, reply.text().as_str()), (told, "no sockets"));
        }
    }
}

#[test]
fn a_call_that_streams_both_ways_is_answered_while_it_is_asked() {
    let upstream = FakeUpstream::tls();
    let world = keyed(&upstream);
    upstream.answers_at_once();
    let (answer, feed) = Answer::fed(200, "application/grpc");
    upstream.then(answer);
    let client = h2(&world);
    let ask =
        client.ask("POST", "/pkg.Service/Chat").header("te", "trailers").header("content-type", "application/grpc");
    let reply = std::thread::scope(|scope| {
        scope.spawn(|| {
            for length in [3, 6, 9] {
                upstream.wait_until("the next piece", |seen| seen.last().is_some_and(|seen| seen.body.len() == length));
                feed.send(format!("-{length}"));
            }
            upstream.wait_until("the end", |seen| seen.last().is_some_and(|seen| seen.complete));
            feed.end_with(&[("grpc-status", "0")]);
        });
        client.converse(ask, &[b"one", b"two", b"six"])
    });
    assert_eq!((reply.status, reply.text().as_str()), (200, "-3-6-9"));
    assert_eq!(reply.trailers, [("grpc-status".to_owned(), "0".to_owned())]);
    let seen = upstream.only_request();
    assert_eq!(
        (seen.version.as_str(), seen.values("te"), seen.text().as_str()),
        ("HTTP/2", vec!["trailers"], "onetwosix")
    );
    assert_eq!(seen.values("x-api-key"), ["s3cret"]);
}

#[test]
fn each_event_is_passed_on_at_once_within_a_tunnel() {
    let upstream = FakeUpstream::tls_h1();
    let world = keyed(&upstream);
    let (answer, feed) = Answer::fed(200, "text/event-stream");
    upstream.then(answer);
    let mut wire = world.intercepted("api.test:443");
    wire.send("GET /v1/events HTTP/1.1\r\nHost: api.test\r\n\r\n").head();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        feed.send(event);
        assert_eq!(wire.chunk().unwrap(), event.as_bytes());
    }
    drop(wire);
    eventually("who leaves frees the upstream", || {
        feed.send("x");
        !feed.is_read()
    });
}

#[test]
fn a_client_within_a_tunnel_is_asked_to_continue_by_the_upstream() {
    let upstream = FakeUpstream::tls_h1();
    let world = keyed(&upstream);
    upstream.then(Answer::status(200).after_interim(100));
    let mut wire = world.intercepted("api.test:443");
    wire.send("POST /v1 HTTP/1.1\r\nHost: api.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(wire.line().unwrap(), "HTTP/1.1 100 Continue\r\n");
    wire.line().unwrap();
    assert_eq!(wire.send("body").reply().status, 200);
    assert_eq!(upstream.only_request().text(), "body");
}

#[test]
fn large_bodies_pass_whole_both_ways_over_either_version() {
    let upstream = FakeUpstream::tls();
    let world = keyed(&upstream);
    upstream.always(|seen| Answer::text(200, &seen.body));
    let large: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut wire = world.intercepted("api.test:443");
    let reply = Ask::new("api.test", "POST", "/v1").body(&large).reply_on(&mut wire);
    assert!(reply.status == 200 && reply.body == large, "over HTTP/1.1");
    let client = h2(&world);
    let ask = |_| client.ask("POST", "/v1").body(Full::new(Bytes::from(large.clone()))).unwrap();
    let replies = client.all((0..3).map(ask).collect());
    assert!(
        replies.iter().all(|reply| reply.status == 200 && reply.body == large),
        "three beside each other over HTTP/2"
    );
}

/// A parent proxy that echoes in each tunnel: a stranger in reach.
fn echoing_parent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut wire = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while line != "\r\n" {
                    line.clear();
                    wire.read_line(&mut line).unwrap();
                }
                (&stream).write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                let _ = std::io::copy(&mut wire, &mut &stream);
                let _ = stream.shutdown(Shutdown::Write);
            });
        }
    });
    format!("http://{address}")
}

#[test]
fn a_blind_tunnel_carries_what_it_is_given_and_its_end() {
    let world = World::new().toml("[unmatched]\npolicy = \"tunnel\"");
    let world = world.serve_with(&[("HTTPS_PROXY", &echoing_parent())]);
    let mut stream = TcpStream::connect(world.proxy()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all((connect("stranger.test:443", "") + "at once, ").as_bytes()).unwrap();
    stream.write_all(b"and later").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body, "at once, and later", "a half that is closed leaves the other open");
    eventually("the audit has it", || {
        let text = world.sidekey(["audit", "export"]).run().succeeds();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.into_iter().any(|line| {
            line["door"] == "connect"
                && line["host"] == "stranger.test"
                && line["bytes_in"] == 18
                && line["bytes_out"] == 18
        })
    });
}
