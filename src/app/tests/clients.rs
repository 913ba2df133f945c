//! How long a client may be silent, slow or stuck.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{OK, Wire, World, pass, request, until};
use crate::listen::{Phase, watched};

/// Waits until the proxy's only client is in this phase.
async fn reaches(phase: Phase) {
    until(&format!("{phase:?}"), || (watched().iter().map(|(phase, _)| *phase).eq([phase])).then_some(())).await;
}

async fn is_gone() {
    until("no client is left", || watched().is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed_after_a_minute() {
    let world = World::start("").await;
    let mut wire = world.client().await;
    reaches(Phase::Fresh).await;
    pass(60).await;
    assert!(wire.ask("/-/health").await.starts_with("HTTP/1.1 200"));
    drop(wire);
    is_gone().await;
    let mut wire = world.client().await;
    reaches(Phase::Fresh).await;
    pass(61).await;
    assert_eq!(wire.read_to_close().await, "");
}

#[tokio::test]
async fn a_head_has_twenty_seconds_to_come() {
    let world = World::start("").await;
    for before in ["", "/-/health"] {
        let mut wire = world.client().await;
        if !before.is_empty() {
            wire.ask(before).await;
            wire.read_to("ok\n").await;
        }
        let whole = request("/-/health");
        let (start, end) = whole.split_at(whole.len() - 1);
        wire.send(start).await;
        reaches(Phase::Head).await;
        pass(20).await;
        wire.send(end).await;
        assert!(wire.read_to("ok\n").await.starts_with("HTTP/1.1 200"));
        wire.send(start).await;
        reaches(Phase::Head).await;
        pass(21).await;
        assert_eq!(wire.read_to_close().await, "");
    }
}

#[tokio::test]
async fn a_head_that_trickles_has_no_longer_than_another() {
    let world = World::start("").await;
    let mut wire = world.client().await;
    wire.send("GET /-/health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
    reaches(Phase::Head).await;
    for _ in 0..21 {
        assert!(!wire.is_closed);
        wire.send("x").await;
        wire.look();
        pass(1).await;
    }
    assert_eq!(wire.read_to_close().await, "");
}

#[tokio::test]
async fn a_connection_is_kept_for_five_minutes_between_requests() {
    let world = World::start("").await;
    let mut wire = world.client().await;
    for _ in 0..2 {
        assert!(wire.ask("/-/health").await.starts_with("HTTP/1.1 200"));
        wire.read_to("ok\n").await;
        reaches(Phase::Idle).await;
        pass(300).await;
    }
    wire.ask("/-/health").await;
    reaches(Phase::Idle).await;
    pass(301).await;
    assert_eq!(wire.read_to_close().await, "ok\n");
}

#[tokio::test]
async fn a_request_under_way_is_not_closed_however_long_it_takes() {
    let world = World::start("timeouts = { first_byte = \"1h\" }").await;
    let mut wire = world.client().await;
    wire.send(&request("/api/slow")).await;
    let mut upstream = world.dialled().await;
    upstream.asked().await;
    pass(3_599).await;
    upstream.send(OK).await;
    assert!(wire.read_to("\r\n\r\n").await.starts_with("HTTP/1.1 200"));
}

/// An upstream that answers without an end.
struct Flood {
    upstream: Wire,
    left: Vec<u8>,
}

impl Flood {
    async fn of(mut upstream: Wire) -> Self {
        upstream.asked().await;
        upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        Self { upstream, left: Vec::new() }
    }

    /// Answers on until the proxy has taken nothing for a while, because its client takes nothing.
    async fn until_nothing_is_taken(&mut self) {
        let mut refused = 0;
        until("the proxy takes no more", || {
            if self.left.is_empty() {
                self.left = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).into_bytes();
            }
            match self.upstream.stream.try_write(&self.left) {
                Ok(count) => {
                    self.left.drain(..count);
                    refused = 0;
                }
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                    refused += 1;
                }
            }
            (refused > 1_000).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_closed_after_ten_minutes() {
    let world = World::start("").await;
    let mut wire = world.client().await;
    wire.send(&request("/api/flood")).await;
    let mut flood = Flood::of(world.dialled().await).await;
    flood.until_nothing_is_taken().await;
    assert_eq!(watched(), [(Phase::Serving, true)]);
    pass(600).await;
    // Taking something gives it another ten minutes.
    until("it is taken", || {
        wire.look();
        (watched() == [(Phase::Serving, false)]).then_some(())
    })
    .await;
    flood.until_nothing_is_taken().await;
    assert_eq!(watched(), [(Phase::Serving, true)]);
    pass(600).await;
    assert_eq!(watched(), [(Phase::Serving, true)]);
    pass(1).await;
    is_gone().await;
    flood.upstream.read_to_close().await;
}

type Sender = http2::SendRequest<Empty<Bytes>>;

/// An HTTP/2 client that lets at most `window` bytes of an answer come before they are taken.
async fn http2(world: &World, window: u32) -> Sender {
    let stream = TcpStream::connect(world.address).await.unwrap();
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window).initial_connection_window_size(1 << 20);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn answer(sender: &mut Sender, world: &World, path: &str) -> Result<Response<Incoming>, hyper::Error> {
    let uri = format!("http://{}{path}", world.address);
    sender.send_request(Request::get(uri).body(Empty::new()).unwrap()).await
}

#[tokio::test]
async fn an_http2_connection_is_kept_for_five_minutes_before_and_between_requests() {
    let world = World::start("").await;
    let mut sender = http2(&world, 1 << 16).await;
    reaches(Phase::Idle).await;
    for _ in 0..2 {
        pass(300).await;
        let answer = answer(&mut sender, &world, "/-/health").await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok\n");
        reaches(Phase::Idle).await;
    }
    pass(301).await;
    is_gone().await;
    let _unused = http2(&world, 1 << 16).await;
    reaches(Phase::Idle).await;
    pass(301).await;
    is_gone().await;
}

#[tokio::test]
async fn an_http2_client_that_lets_nothing_of_its_answer_come_is_closed_after_ten_minutes() {
    let world = World::start("").await;
    let mut sender = http2(&world, 1 << 10).await;
    let flood = async { Flood::of(world.dialled().await).await };
    let (answer, mut flood) = tokio::join!(answer(&mut sender, &world, "/api/flood"), flood);
    let mut body = answer.unwrap().into_body();
    flood.until_nothing_is_taken().await;
    pass(600).await;
    for _ in 0..100 {
        body.frame().await.unwrap().unwrap();
    }
    flood.until_nothing_is_taken().await;
    pass(600).await;
    assert_eq!(watched(), [(Phase::Serving, false)]);
    pass(1).await;
    is_gone().await;
    flood.upstream.read_to_close().await;
}

#[tokio::test]
async fn a_client_that_never_shakes_hands_is_cut_off_after_ten_seconds() {
    let world = World::start("").await;
    for begun in ["", "\u{16}\u{3}\u{1}"] {
        let mut wire = world.client().await;
        wire.send("CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n").await;
        assert!(wire.read_to("\r\n\r\n").await.starts_with("HTTP/1.1 200"));
        wire.send(begun).await;
        reaches(Phase::Head).await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(9)).await;
        wire.look();
        assert!(!wire.is_closed);
        reaches(Phase::Head).await;
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(wire.read_to_close().await, "");
        tokio::time::resume();
        is_gone().await;
    }
}

#[tokio::test]
async fn a_handshake_within_a_tunnel_has_ten_seconds() {
    let world = World::start("").await;
    // Nothing, a record that is announced, and a hello of which bytes come again and again.
    for begun in ["", "\u{16}\u{3}\u{1}", "\u{16}\u{3}\u{1}\u{1}\u{0}\u{1}"] {
        let mut wire = world.client().await;
        wire.send("CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n").await;
        assert!(wire.read_to("\r\n\r\n").await.starts_with("HTTP/1.1 200"));
        wire.send(begun).await;
        reaches(Phase::Head).await;
        tokio::time::pause();
        for _ in 0..9 {
            tokio::time::advance(Duration::from_secs(1)).await;
            if begun.len() > 3 {
                wire.send("\u{0}").await;
            }
            wire.look();
            assert!(!wire.is_closed, "{begun:?}");
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(wire.read_to_close().await, "", "{begun:?}");
        tokio::time::resume();
        is_gone().await;
    }
}
