//! The fixtures held to what they promise, without sidekey between them: a client that lies or an upstream that forgets
//! would make every other test worthless.

use crate::world::{Answer, Ask, FakeUpstream, H2, Wire};

fn wire(upstream: &FakeUpstream) -> Wire {
    Wire::to(upstream.address().to_string())
}

fn ask(upstream: &FakeUpstream, method: &str, target: &str) -> Ask {
    Ask::new(&upstream.address().to_string(), method, target)
}

#[test]
fn a_request_is_kept_byte_by_byte() {
    let upstream = FakeUpstream::plain();
    let head =
        "POST /a%2Fb/../c?x=%zz HTTP/1.1\r\nHOST: a\r\nx-One: 1\r\nX-ONE: 2\r\nTransfer-Encoding: chunked\r\n\r\n";
    let reply = wire(&upstream).send(head).send("5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Sum: 7\r\n\r\n").reply();
    assert_eq!((reply.status, reply.text().as_str()), (200, r#"{"ok":true}"#));
    let seen = upstream.only_request();
    assert_eq!(seen.head, head.as_bytes());
    assert_eq!(seen.target, "/a%2Fb/../c?x=%zz");
    assert_eq!(seen.values("x-one"), ["1", "2"]);
    assert_eq!(seen.headers[1].0, "x-One");
    assert_eq!((seen.text().as_str(), seen.complete), ("hello world", true));
    assert_eq!(seen.trailers, [("X-Sum".to_owned(), "7".to_owned())]);
}

#[test]
fn one_connection_takes_many_requests() {
    let upstream = FakeUpstream::plain();
    let mut wire = wire(&upstream);
    for number in 0..3 {
        upstream.then(Answer::text(200 + number, format!("{number}")));
    }
    for number in 0..3 {
        let reply = ask(&upstream, "GET", "/").reply_on(&mut wire);
        assert_eq!((reply.status, reply.text()), (200 + number, number.to_string()));
    }
    assert_eq!(ask(&upstream, "HEAD", "/").reply_on(&mut wire).value("content-length"), Some("11"));
    assert_eq!(upstream.connections(), 1);
    upstream.hang_up();
    assert!(wire.is_closed());
}

#[test]
fn a_fed_body_goes_out_piece_by_piece() {
    let upstream = FakeUpstream::plain();
    let (answer, feed) = Answer::fed(200, "text/event-stream");
    upstream.then(answer);
    let mut wire = wire(&upstream);
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(wire.head().value("content-type"), Some("text/event-stream"));
    feed.send("data: 1\n\n");
    assert_eq!(wire.chunk().unwrap(), b"data: 1\n\n");
    feed.send("data: 2\n\n");
    assert_eq!(wire.chunk().unwrap(), b"data: 2\n\n");
    feed.end_with(&[("Grpc-Status", "0")]);
    assert_eq!(wire.chunk(), None);
}

#[test]
fn an_upstream_misbehaves_on_demand() {
    let upstream = FakeUpstream::plain();
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    upstream.then(Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"));
    assert!(wire(&upstream).send(request).try_reply().is_none());
    upstream.then(Answer::reset());
    assert!(wire(&upstream).send(request).is_closed());
    upstream.then(Answer::hang_up());
    assert!(wire(&upstream).send(request).is_closed());
    upstream.then(Answer::stall());
    let mut stalled = wire(&upstream);
    stalled.send(request);
    upstream.wait_for(4);
    upstream.then(Answer::throttled("2"));
    assert_eq!(wire(&upstream).send(request).reply().value("retry-after"), Some("2"));
    upstream.then(Answer::status(204).after_interim(103));
    assert_eq!(wire(&upstream).send(request).reply().interim, [103]);
}

#[test]
fn a_feed_knows_when_its_reader_has_left() {
    let upstream = FakeUpstream::plain();
    let (answer, feed) = Answer::fed(200, "text/plain");
    upstream.then(answer);
    let mut wire = wire(&upstream);
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head();
    assert!(feed.is_read());
    drop(wire);
    crate::world::eventually("the feed is not read", || !feed.is_read());
}

#[test]
fn expectations_are_met_before_the_body() {
    let upstream = FakeUpstream::plain();
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(wire(&upstream).send(head).send("hi").reply().interim, [100]);
    upstream.answers_at_once().then(Answer::status(417));
    assert_eq!(wire(&upstream).send(head).reply().status, 417);
}

#[test]
fn tls_names_and_protocols_are_told() {
    let upstream = FakeUpstream::tls();
    let mut h1 = wire(&upstream).tls("api.example.test", &FakeUpstream::ca_pem(), &["http/1.1"]);
    assert_eq!(h1.protocol.as_deref(), Some("http/1.1"));
    assert_eq!(ask(&upstream, "GET", "/").reply_on(&mut h1).status, 200);
    assert_eq!(upstream.only_request().sni.as_deref(), Some("api.example.test"));
    let other = FakeUpstream::tls_claiming("other.test");
    assert!(wire(&other).try_tls("api.example.test", &FakeUpstream::ca_pem(), &[]).is_err());
    assert!(wire(&other).try_tls("other.test", &FakeUpstream::ca_pem(), &["h2"]).is_ok());
}

#[test]
fn h2_streams_run_side_by_side_with_trailers_and_resets() {
    let upstream = FakeUpstream::plain();
    let client = H2::prior_knowledge(&upstream.address().to_string());
    let (answer, feed) = Answer::fed(200, "application/grpc");
    upstream.then(answer).then(Answer::json(201, "{}"));
    feed.send("one");
    feed.end_with(&[("grpc-status", "0")]);
    let requests = ["/a", "/b"].map(|path| client.ask("POST", path).body("body".into()).unwrap());
    let mut replies = client.all(requests.into());
    replies.sort_by_key(|reply| reply.status);
    assert_eq!(replies[0].trailers, [("grpc-status".to_owned(), "0".to_owned())]);
    assert_eq!((replies[0].text().as_str(), replies[1].status), ("one", 201));
    assert!(upstream.requests().iter().all(|seen| seen.version == "HTTP/2" && seen.body == b"body"));
    assert_eq!(upstream.connections(), 1);
    upstream.then(Answer::hang_up());
    assert!(client.try_send(client.ask("GET", "/").body("".into()).unwrap()).is_err());
    assert_eq!(client.get("/").status, 200, "the connection outlives a stream");
    upstream.then(Answer::reset());
    assert!(client.try_send(client.ask("GET", "/").body("".into()).unwrap()).is_err());
}

#[test]
fn upgrades_are_echoed() {
    let upstream = FakeUpstream::plain();
    upstream.then(Answer::echo()).then(Answer::websocket_echo());
    let mut raw = wire(&upstream);
    let reply = raw.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n").reply();
    assert_eq!((reply.status, reply.value("upgrade")), (101, Some("chat")));
    assert_eq!(raw.send("hello").bytes(5), b"hello");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(upstream.address()).await.unwrap();
        let (_, answer) = tokio_tungstenite::client_async("ws://a/", stream).await.unwrap();
        assert_eq!(answer.status(), 101);
    });
}
