//! Bodies on their way: nothing is collected, nothing is held back, each side's pace is the other's, and an end on one side
//! is an end on the other.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;

use crate::world::{Answer, FakeUpstream, PATIENCE, Wire, World, eventually};

const KEY: &str = r#"auth = { location = "header", name = "X-Api-Key" }"#;
const MEBI: usize = 1024 * 1024;
/// For how long the proxy waits for the upstream's word before it asks for a body itself.
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// Target and `Host` of a request for `/v1` at each door.
const DOORS: [(&str, &str); 3] =
    [("/api/v1", "localhost"), ("/v1", "api.localhost"), ("http://api.test/v1", "api.test")];

fn keyed(upstream: &FakeUpstream) -> World {
    let world = World::new().listen("threads = 1").service("api", upstream, KEY);
    world.key("api", "api-prod", "s3cret").serve()
}

fn head(method: &str, (target, host): (&str, &str), fields: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
}

#[test]
fn every_event_is_passed_on_at_once() {
    for upstream in [FakeUpstream::plain(), FakeUpstream::tls()] {
        let world = keyed(&upstream);
        for door in DOORS {
            let (answer, feed) = Answer::fed(200, "text/event-stream");
            upstream.then(answer);
            let mut wire = world.wire();
            let answer = wire.send(head("GET", door, "Accept: text/event-stream\r\n")).head();
            assert_eq!((answer.status, answer.value("content-type")), (200, Some("text/event-stream")));
            for number in 1..=3 {
                let event = format!("data: {number}\n\n");
                feed.send(&event);
                assert_eq!(wire.chunk().unwrap(), event.as_bytes(), "{door:?}");
            }
            drop(feed);
            assert_eq!(wire.chunk(), None);
        }
    }
}

#[test]
fn an_answer_of_known_length_streams_too() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    let (answer, feed) = Answer::fed(200, "text/plain");
    upstream.then(answer.header("Content-Length", "6"));
    let mut wire = world.wire();
    let answer = wire.send(head("GET", DOORS[0], "")).head();
    assert_eq!((answer.value("content-length"), answer.value("transfer-encoding")), (Some("6"), None));
    for piece in ["one", "two"] {
        feed.send(piece);
        assert_eq!(wire.bytes(3), piece.as_bytes());
    }
    drop(feed);
    assert_eq!(world.ask("GET", "/api/v1").reply_on(&mut wire).status, 200, "the connection stays in step");
}

#[test]
fn an_upload_in_chunks_goes_on_as_it_comes() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    for (number, door) in DOORS.into_iter().enumerate() {
        let mut wire = world.wire();
        wire.send(head("POST", door, "Transfer-Encoding: chunked\r\n")).send("3\r\none\r\n");
        upstream.wait_until("the first chunk", |seen| seen.get(number).is_some_and(|seen| seen.body == b"one"));
        wire.send("3\r\ntwo\r\n");
        upstream.wait_until("the second chunk", |seen| seen[number].body == b"onetwo");
        assert!(!upstream.last_request().complete);
        assert_eq!(wire.send("0\r\n\r\n").reply().status, 200);
        let seen = upstream.last_request();
        assert_eq!((seen.values("transfer-encoding"), seen.has("content-length")), (vec!["chunked"], false));
        assert!(seen.complete);
    }
}

#[test]
fn an_upload_of_known_length_goes_on_as_it_comes() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    let mut wire = world.wire();
    wire.send(head("PUT", DOORS[0], "Content-Length: 6\r\n")).send("one");
    upstream.wait_until("the first half", |seen| seen.first().is_some_and(|seen| seen.body == b"one"));
    assert_eq!(wire.send("two").reply().status, 200);
    let seen = upstream.only_request();
    assert_eq!((seen.values("content-length"), seen.has("transfer-encoding")), (vec!["6"], false));
    assert_eq!((seen.text().as_str(), seen.complete), ("onetwo", true));
}

#[test]
fn a_body_stays_whatever_the_method() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    for method in ["GET", "DELETE", "OPTIONS", "PATCH", "QUERY"] {
        for (fields, body) in
            [("Content-Length: 2\r\n", "hi"), ("Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n")]
        {
            let request = head(method, DOORS[0], fields) + body;
            assert_eq!(world.wire().send(request).reply().status, 200, "{method} {fields}");
            let seen = upstream.last_request();
            assert_eq!((seen.method.as_str(), seen.text().as_str(), seen.complete), (method, "hi", true));
            let name = fields.split(':').next().unwrap();
            assert!(seen.has(name), "{method} {fields}: {seen:?}");
        }
    }
    for method in ["GET", "DELETE", "HEAD"] {
        assert_eq!(world.ask(method, "/api/v1").reply().status, 200);
        let seen = upstream.last_request();
        assert!(!seen.has("content-length") && !seen.has("transfer-encoding"), "{seen:?}");
    }
    world.wire().send(head("POST", DOORS[0], "Content-Length: 0\r\n")).reply();
    assert_eq!(upstream.last_request().values("content-length"), ["0"]);
}

#[test]
fn trailers_go_both_ways_at_every_door() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    for door in DOORS {
        let (answer, feed) = Answer::fed(200, "text/plain");
        upstream.then(answer.header("Trailer", "X-Result"));
        feed.send("body");
        feed.end_with(&[("X-Result", "done")]);
        let fields = "Transfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\nTrailer: X-Sum\r\n";
        let reply = world.wire().send(head("POST", door, fields) + "2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n").reply();
        assert_eq!(reply.text(), "body");
        assert_eq!(reply.trailers.len(), 1, "{reply:?}");
        assert!(reply.trailers[0].0.eq_ignore_ascii_case("x-result") && reply.trailers[0].1 == "done");
        let seen = upstream.last_request();
        assert_eq!(seen.trailers, [("X-Sum".to_owned(), "7".to_owned())]);
        assert_eq!(seen.values("te"), ["trailers"]);
    }
}

#[test]
fn a_grpc_call_keeps_its_trailers() {
    let upstream = FakeUpstream::tls();
    let world = keyed(&upstream);
    let (answer, feed) = Answer::fed(200, "application/grpc");
    upstream.then(answer);
    feed.send("\0\0\0\0\x02ok");
    feed.end_with(&[("grpc-status", "0"), ("grpc-message", "fine")]);
    let client = world.h2();
    let ask =
        client.ask("POST", "/api/pkg.Service/Call").header("te", "trailers").header("content-type", "application/grpc");
    let reply = client.send(ask.body(Full::new(Bytes::from_static(b"\0\0\0\0\x02hi"))).unwrap());
    assert_eq!(reply.body, b"\0\0\0\0\x02ok");
    assert_eq!(
        reply.trailers,
        [("grpc-status".to_owned(), "0".to_owned()), ("grpc-message".to_owned(), "fine".to_owned())]
    );
    let seen = upstream.only_request();
    assert_eq!((seen.target.as_str(), seen.version.as_str()), ("/pkg.Service/Call", "HTTP/2"));
    assert_eq!((seen.values("te"), seen.body.as_slice()), (vec!["trailers"], &b"\0\0\0\0\x02hi"[..]));
}

#[test]
fn a_client_is_asked_to_continue_by_the_upstream_at_every_door() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    for door in DOORS {
        let mut wire = world.wire();
        wire.send(head("PUT", door, "Expect: 100-continue\r\nContent-Length: 2\r\n"));
        assert_eq!(wire.line().unwrap(), "HTTP/1.1 100 Continue\r\n");
        wire.line().unwrap();
        assert_eq!(wire.send("hi").reply().status, 200);
        let seen = upstream.last_request();
        assert_eq!((seen.text().as_str(), seen.values("expect")), ("hi", vec!["100-continue"]));
    }
}

#[test]
fn a_client_is_not_asked_when_the_upstream_declines() {
    let upstream = FakeUpstream::plain();
    upstream.answers_at_once();
    let world = keyed(&upstream);
    for status in [401, 413, 417] {
        // On a busy machine the upstream may decline too late, and then the client is rightly asked: once more.
        eventually("it declines in time", || {
            upstream.then(Answer::text(status, "no"));
            let (mut wire, asked) = (world.wire(), Instant::now());
            let reply = wire.send(head("PUT", DOORS[0], "Expect: 100-continue\r\nContent-Length: 2\r\n")).reply();
            let is_in_time = asked.elapsed() < CONTINUE_PATIENCE;
            assert_eq!((reply.status, reply.text().as_str()), (status, "no"));
            assert!(reply.interim.is_empty() || !is_in_time, "{reply:?}");
            assert!(upstream.last_request().body.is_empty());
            is_in_time
        });
    }
}

#[test]
fn a_refusal_needs_no_body() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    let request = head("PUT", ("/nobody", "localhost"), "Expect: 100-continue\r\nContent-Length: 2\r\n");
    let reply = world.wire().send(request).reply();
    assert_eq!((reply.status, reply.interim.len()), (404, 0));
}

#[test]
fn an_answer_may_come_before_the_upload_has_ended() {
    let upstream = FakeUpstream::plain();
    upstream.answers_at_once().then(Answer::text(413, "too much"));
    let world = keyed(&upstream);
    let mut wire = world.wire();
    let reply = wire.send(head("POST", DOORS[0], "Content-Length: 1000000\r\n")).send("begun").reply();
    assert_eq!((reply.status, reply.text().as_str()), (413, "too much"));
}

#[test]
fn answers_without_a_body_have_none() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    let mut wire = world.wire();
    let headed = world.ask("HEAD", "/api/v1").reply_on(&mut wire);
    assert_eq!((headed.status, headed.value("content-length")), (200, Some("11")));
    for status in [204, 304] {
        upstream.then(Answer::status(status).header("ETag", "\"x\""));
        let reply = world.ask("GET", "/api/v1").reply_on(&mut wire);
        assert_eq!((reply.status, reply.value("etag"), reply.body.len()), (status, Some("\"x\""), 0));
        assert_eq!((reply.value("content-length"), reply.value("transfer-encoding")), (None, None), "{reply:?}");
    }
    upstream.then(Answer::status(304).header("Content-Length", "99"));
    assert_eq!(world.ask("GET", "/api/v1").reply_on(&mut wire).status, 304);
    assert_eq!(world.ask("GET", "/api/v1").reply_on(&mut wire).text(), r#"{"ok":true}"#, "still in step");
}

#[test]
fn a_large_download_needs_little_memory() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    assert_eq!(world.get("/api/v1").status, 200);
    let before = world.peak();
    let body: Vec<u8> = (0..=250).cycle().take(64 * MEBI).collect();
    upstream.then(Answer::text(200, &body));
    let reply = world.get("/api/v1");
    assert!(reply.body == body, "{} bytes arrived", reply.body.len());
    let grown = world.peak().saturating_sub(before);
    assert!(grown < 20 * MEBI, "the proxy grew by {grown} bytes");
}

#[test]
fn a_large_upload_needs_little_memory() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    assert_eq!(world.get("/api/v1").status, 200);
    let before = world.peak();
    let body: Vec<u8> = (0..=250).cycle().take(64 * MEBI).collect();
    assert_eq!(world.ask("POST", "/api/v1").body(&body).reply().status, 200);
    assert!(upstream.last_request().body == body);
    let grown = world.peak().saturating_sub(before);
    assert!(grown < 20 * MEBI, "the proxy grew by {grown} bytes");
}

#[test]
fn a_client_that_does_not_read_holds_the_upstream_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let table = format!(
        "[service.api]\nbase_url = \"http://api.test\"\nallow_plaintext = true\n{KEY}\n\
         upstream = {{ connect_to = \"{}\", allow_private = true }}",
        listener.local_addr().unwrap()
    );
    let world = World::new().toml(&table).key("api", "api-prod", "s3cret").serve();
    let (blocked, told) = channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n").unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let (block, mut sent) = (vec![b'x'; 64 * 1024], 0);
        while let Ok(count) = stream.write(&block) {
            sent += count;
            if sent > 64 * MEBI {
                break;
            }
        }
        blocked.send(sent).unwrap();
    });
    let before = world.peak();
    let mut wire = world.wire();
    wire.send(head("GET", DOORS[0], "Connection: close\r\n"));
    let sent = told.recv_timeout(PATIENCE).unwrap();
    assert!(sent < 32 * MEBI, "the upstream could send {sent} bytes to nobody");
    let grown = world.peak().saturating_sub(before);
    assert!(grown < 20 * MEBI, "the proxy grew by {grown} bytes");
    wire.head();
    let arrived: usize = wire.rest().split(|byte| *byte != b'x').map(<[u8]>::len).sum();
    assert_eq!(arrived, sent, "all of it was kept");
}

#[test]
fn a_websocket_passes_through_every_door() {
    for upstream in [FakeUpstream::plain(), FakeUpstream::tls()] {
        let world = keyed(&upstream);
        for door in DOORS {
            upstream.then(Answer::websocket_echo());
            let mut wire = websocket(&world, door);
            for payload in [&b"hello"[..], b"again"] {
                wire.send(masked(0x81, payload));
                assert_eq!(wire.bytes(7), [&[0x81, 5], payload].concat());
            }
            let seen = upstream.last_request();
            assert_eq!((seen.target.as_str(), seen.version.as_str()), ("/v1", "HTTP/1.1"));
            assert_eq!((seen.values("x-api-key"), seen.values("upgrade")), (vec!["s3cret"], vec!["websocket"]));
            wire.send(masked(0x88, b""));
            assert_eq!(wire.bytes(2), [0x88, 0]);
            assert!(wire.is_closed(), "the upstream's end reaches the client");
        }
    }
}

fn websocket(world: &World, door: (&str, &str)) -> Wire {
    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut wire = world.wire();
    let reply = wire.send(head("GET", door, fields)).head();
    assert_eq!((reply.status, reply.value("upgrade")), (101, Some("websocket")), "{reply:?}");
    assert_eq!(reply.value("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    wire
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let length = 0x80 | u8::try_from(payload.len()).unwrap();
    let bytes = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [first, length].into_iter().chain(mask).chain(bytes).collect()
}

#[test]
fn bytes_that_follow_an_upgrade_at_once_are_not_lost() {
    let upstream = FakeUpstream::plain();
    upstream.then(Answer::echo());
    let world = keyed(&upstream);
    let mut wire = world.wire();
    let reply = wire.send(head("GET", DOORS[0], "Connection: Upgrade\r\nUpgrade: chat\r\n") + "eager").head();
    assert_eq!((reply.status, reply.value("upgrade")), (101, Some("chat")));
    assert_eq!(wire.bytes(5), b"eager");
    assert_eq!(wire.send("later").bytes(5), b"later");
}

#[test]
fn an_upgrade_that_the_upstream_declines_is_a_plain_answer() {
    let upstream = FakeUpstream::plain();
    upstream.then(Answer::text(403, "no sockets"));
    let world = keyed(&upstream);
    let mut wire = world.wire();
    let reply = wire.send(head("GET", DOORS[0], "Connection: Upgrade\r\nUpgrade: websocket\r\n")).reply();
    assert_eq!((reply.status, reply.text().as_str()), (403, "no sockets"));
    assert_eq!(world.ask("GET", "/api/v1").reply_on(&mut wire).status, 200);
}

#[test]
fn a_half_closed_upgrade_still_brings_the_rest() {
    let upstream = FakeUpstream::plain();
    upstream.then(Answer::echo());
    let world = keyed(&upstream);
    let mut stream = TcpStream::connect(world.proxy()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(head("GET", DOORS[0], "Connection: Upgrade\r\nUpgrade: chat\r\n").as_bytes()).unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        reply.push(byte[0]);
    }
    stream.write_all(b"last words").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "last words");
    upstream.wait_for_open_connections(0);
}

#[test]
fn a_client_that_leaves_frees_the_upstream() {
    for upstream in [FakeUpstream::plain(), FakeUpstream::tls()] {
        let world = keyed(&upstream);
        let (answer, feed) = Answer::fed(200, "text/plain");
        upstream.then(answer);
        let mut wire = world.wire();
        wire.send(head("GET", DOORS[0], "")).head();
        assert!(feed.is_read());
        drop(wire);
        eventually("the answer is not read any more", || {
            feed.send("x");
            !feed.is_read()
        });
    }
}

#[test]
fn a_client_that_leaves_before_the_answer_frees_the_upstream() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    upstream.then(Answer::stall());
    let mut wire = world.wire();
    wire.send(head("GET", DOORS[0], ""));
    upstream.wait_for(1);
    drop(wire);
    upstream.wait_for_open_connections(0);
}

#[test]
fn an_upload_that_breaks_off_is_never_made_to_look_whole() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    for (number, (fields, begun)) in
        [("Content-Length: 10\r\n", "begun"), ("Transfer-Encoding: chunked\r\n", "5\r\nbegun\r\n")]
            .into_iter()
            .enumerate()
    {
        let mut wire = world.wire();
        wire.send(head("POST", DOORS[0], fields)).send(begun);
        upstream.wait_until("its beginning", |seen| seen.get(number).is_some_and(|seen| seen.body == b"begun"));
        drop(wire);
        upstream.wait_for_open_connections(0);
        assert!(!upstream.last_request().complete, "{fields}");
    }
}

#[test]
fn while_a_gate_is_closed_no_body_is_asked_for_and_none_is_read() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    upstream.then(Answer::throttled("2"));
    let closed = Instant::now();
    assert_eq!(world.ask("GET", "/api/v1").header("Sidekey-Retry", "off").reply().status, 429);
    let length = 32 * MEBI;
    let writes = thread::spawn({
        let mut wire = world.wire();
        move || {
            wire.send(head("PUT", DOORS[0], &format!("Content-Length: {length}\r\n")));
            let sent = wire.send(vec![b'x'; length]);
            (Instant::now(), sent.reply().status)
        }
    });
    let mut expects = world.wire();
    expects.send(head("POST", DOORS[0], "Content-Length: 4\r\nExpect: 100-continue\r\n"));
    assert_eq!(expects.line().unwrap(), "HTTP/1.1 100 Continue\r\n");
    assert!(closed.elapsed() >= Duration::from_millis(1_900), "not before it opens: {:?}", closed.elapsed());
    expects.line().unwrap();
    assert_eq!(expects.send("body").reply().status, 200);
    let (written, status) = writes.join().unwrap();
    assert_eq!(status, 200);
    assert!(written - closed >= Duration::from_millis(1_900), "{:?}", written - closed);
}
