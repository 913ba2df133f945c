//! What tunnels have to carry beside single requests: bodies larger than any memory, ends of one direction, trailers, and the
//! end of the proxy while HTTP/2 is spoken in one.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use http_body_util::Full;
use rustix::process::Signal;
use rustls::{ClientConnection, StreamOwned};

use crate::world::{Answer, FakeUpstream, H2, PATIENCE, Wire, World, eventually, tls_client};

const KEY: &str = r#"auth = { location = "header", name = "X-Api-Key" }"#;
const MEBI: usize = 1024 * 1024;
const PIECE: usize = 64 * 1024;
/// Both far larger than what a proxy of this size may hold, and one eight times the other.
const LARGE: [usize; 2] = [24 * MEBI, 192 * MEBI];

fn keyed(upstream: &FakeUpstream) -> World {
    World::new().service("api", upstream, KEY).key("api", "api-prod", "s3cret").serve()
}

/// A server that gives `GET /N` N bytes, takes whatever is sent to `POST`, and says yes to CONNECT and goes on.
fn bulk() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve_bulk(&stream));
        }
    });
    address
}

fn serve_bulk(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut wire = BufReader::new(stream);
    let piece = vec![b'x'; PIECE];
    loop {
        let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
        if wire.read_line(&mut first)? == 0 {
            return Ok(());
        }
        while line != "\r\n" {
            line.clear();
            wire.read_line(&mut line)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        if first.starts_with("CONNECT") {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        } else if let Some(path) = first.strip_prefix("GET /") {
            let count: usize = path.split(' ').next().unwrap().parse().unwrap();
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {count}\r\n\r\n").as_bytes())?;
            for _ in 0..count / PIECE {
                stream.write_all(&piece)?;
            }
        } else {
            let taken = std::io::copy(&mut (&mut wire).take(length), &mut std::io::sink())?;
            let said = taken.to_string();
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}", said.len()).as_bytes())?;
        }
    }
}

/// Brings `size` bytes down and up again.
fn carry(wire: &mut Wire, host: &str, size: usize) {
    wire.send(format!("GET /{size} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    assert_eq!(wire.head().value("content-length"), Some(size.to_string().as_str()));
    for _ in 0..size / PIECE {
        wire.bytes(PIECE);
    }
    wire.send(format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n\r\n"));
    let piece = vec![b'y'; PIECE];
    for _ in 0..size / PIECE {
        wire.send(&piece);
    }
    assert_eq!(wire.reply_to("POST").text(), size.to_string());
}

#[test]
fn bodies_larger_than_any_memory_pass_through_opened_and_blind_tunnels() {
    let far = bulk();
    let world = World::new().listen("threads = 1").toml(&format!(
        "[unmatched]\npolicy = \"tunnel\"\n[service.api]\nbase_url = \"http://api.test\"\nallow_plaintext = true\n{KEY}\n\
         upstream = {{ connect_to = \"{far}\", allow_private = true }}"
    ));
    let world = world.key("api", "api-prod", "s3cret").serve_with(&[("HTTPS_PROXY", &format!("http://{far}"))]);
    for (mut wire, host) in
        [(world.intercepted("api.test:443"), "api.test"), (world.tunnel("stranger.test:443", ""), "stranger.test")]
    {
        let [before, after] = LARGE.map(|size| {
            carry(&mut wire, host, size);
            world.peak()
        });
        // The kernel counts in batches: a peak may look a little lower than it was.
        let more = after.saturating_sub(before);
        assert!(more < 4 * MEBI, "{host}: eight times as much took {more} more bytes");
    }
}

#[test]
fn a_half_that_is_closed_within_an_opened_tunnel_leaves_the_other_open() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    upstream.then(Answer::echo());
    let mut tcp = TcpStream::connect(world.proxy()).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n").unwrap();
    head(&mut tcp);
    let name = "api.test".try_into().unwrap();
    let session = ClientConnection::new(tls_client(&world.ca_pem(), &["http/1.1"]), name).unwrap();
    let mut stream = StreamOwned::new(session, tcp);
    stream.write_all(b"GET /v1 HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n").unwrap();
    assert!(head(&mut stream).starts_with("HTTP/1.1 101 "));
    stream.write_all(b"last words").unwrap();
    // The end of TLS in one direction; the connection beneath stays whole.
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "last words");
    assert_eq!(upstream.only_request().values("x-api-key"), ["s3cret"]);
    upstream.wait_for_open_connections(0);
}

/// A head with its empty line, and not a byte more.
fn head(stream: &mut impl Read) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        read.push(byte[0]);
    }
    String::from_utf8(read).unwrap()
}

#[test]
fn trailers_go_both_ways_within_a_tunnel() {
    let upstream = FakeUpstream::tls_h1();
    let world = keyed(&upstream);
    let (answer, feed) = Answer::fed(200, "text/plain");
    upstream.then(answer.header("Trailer", "X-Result"));
    feed.send("body");
    feed.end_with(&[("X-Result", "done")]);
    let reply = world
        .intercepted("api.test:443")
        .send(
            "POST /v1 HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\n\
             Trailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n",
        )
        .reply_to("POST");
    assert_eq!((reply.text().as_str(), reply.trailers.len()), ("body", 1), "{reply:?}");
    assert!(reply.trailers[0].0.eq_ignore_ascii_case("x-result") && reply.trailers[0].1 == "done");
    let seen = upstream.only_request();
    assert_eq!((seen.text().as_str(), seen.values("te")), ("hi", vec!["trailers"]));
    assert_eq!(seen.trailers, [("X-Sum".to_owned(), "7".to_owned())]);
}

#[test]
fn a_stopping_proxy_lets_http2_requests_in_a_tunnel_finish_and_takes_no_more() {
    let upstream = FakeUpstream::tls();
    let mut world = keyed(&upstream);
    let client = H2::through(&world.proxy(), "api.test:443", &world.ca_pem());
    assert_eq!(client.get("/before").status, 200);
    let (answer, feed) = Answer::fed(200, "text/plain");
    upstream.then(answer);
    thread::scope(|scope| {
        let under_way = scope.spawn(|| client.get("/under-way"));
        upstream.wait_for(2);
        feed.send("begun, ");
        world.signal(Signal::TERM);
        let next = || client.ask("GET", "/next").body(Full::default()).unwrap();
        eventually("the next request has to go elsewhere", || client.try_send(next()).is_err());
        feed.send("ended");
        drop(feed);
        let reply = under_way.join().unwrap();
        assert_eq!((reply.status, reply.text().as_str()), (200, "begun, ended"));
    });
    assert!(world.wait().0.success());
}
