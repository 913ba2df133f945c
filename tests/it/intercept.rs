//! Tunnels to hosts of services: opened with sidekey's own authority, each request in them a request like any other; and what
//! hostile and mistaken clients get.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use rustix::process::Signal;
use serde_json::Value;

use crate::world::{Answer, Ask, FakeUpstream, H2, Reply, Wire, World, connect, eventually, tls_client};

const KEY: &str = r#"auth = { location = "header", name = "X-Api-Key" }"#;
const BOTH: [&str; 2] = ["h2", "http/1.1"];

fn keyed(upstream: &FakeUpstream) -> World {
    World::new().service("api", upstream, KEY).key("api", "api-prod", "s3cret").serve()
}

/// A world in token mode with the caller `etl`, and its proof as a header's line.
fn guarded(upstream: &FakeUpstream) -> (World, String) {
    let world = World::new().service("api", upstream, KEY).toml("[callers]\nmode = \"token\"\n");
    let world = world.key("api", "api-prod", "s3cret");
    let token = world.sidekey(["caller", "add", "etl"]).run().succeeds().trim_end().to_owned();
    (world.serve(), format!("Proxy-Authorization: Bearer {token}\r\n"))
}

fn ask_on(wire: &mut Wire, method: &str, target: &str) -> Reply {
    Ask::new("api.test", method, target).reply_on(wire)
}

/// The audit's requests that came through `door`.
fn recorded(world: &World, door: &str) -> Vec<Value> {
    let text = world.sidekey(["audit", "export"]).run().succeeds();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["door"] == door).collect()
}

/// Waits until a CONNECT is in the audit with `reason`.
fn is_recorded(world: &World, reason: &str) {
    eventually(reason, || recorded(world, "connect").iter().any(|line| line["reason"] == reason));
}

fn metric(world: &World, sample: &str) -> bool {
    Ask::new(&world.console(), "GET", "/metrics").reply().text().contains(sample)
}

#[test]
fn each_request_in_an_opened_tunnel_walks_the_whole_line() {
    for upstream in [FakeUpstream::plain(), FakeUpstream::tls(), FakeUpstream::tls_h1()] {
        let world = keyed(&upstream);
        let mut wire = world.intercepted("api.test:443");
        for target in ["/v1/x?q=%20a+b", "/", "/v1/./y"] {
            let reply = Ask::new("api.test", "GET", target).header("x-api-key", "mine").reply_on(&mut wire);
            assert_eq!((reply.status, reply.text().as_str()), (200, r#"{"ok":true}"#));
            let seen = upstream.last_request();
            assert_eq!((seen.target.as_str(), seen.authority.as_str()), (target, "api.test"));
            assert_eq!(seen.values("x-api-key"), ["s3cret"]);
        }
        let reply = Ask::new("api.test", "POST", "/v1").body("x".repeat(100_000)).reply_on(&mut wire);
        assert_eq!((reply.status, upstream.last_request().body.len()), (200, 100_000));
        drop(wire);
        eventually("the audit has them all", || recorded(&world, "intercept").len() == 4);
        let first = &recorded(&world, "intercept")[0];
        assert_eq!(
            (&first["service"], &first["credential"], &first["host"]),
            (&"api".into(), &"api-prod".into(), &"api.test".into())
        );
        let tunnels = recorded(&world, "connect");
        assert_eq!((tunnels.len(), &tunnels[0]["status"], &tunnels[0]["reason"]), (1, &200.into(), &Value::Null));
        assert!(metric(&world, "sidekey_intercept_handshakes_total{result=\"full\"} 1"));
        assert!(metric(&world, "sidekey_requests_total{service=\"api\",class=\"2xx\"} 4"));
    }
}

#[test]
fn a_client_gets_the_protocol_that_it_offers_and_http2_before_http1() {
    let upstream = FakeUpstream::tls();
    let world = keyed(&upstream);
    let ca = world.ca_pem();
    for (offered, chosen) in
        [(&BOTH[..], Some("h2")), (&BOTH[..1], Some("h2")), (&BOTH[1..], Some("http/1.1")), (&[], None)]
    {
        let wire = world.tunnel("api.test:443", "").tls("api.test", &ca, offered);
        assert_eq!(wire.protocol.as_deref(), chosen, "{offered:?}");
    }
    let none = world.tunnel("api.test:443", "").try_tls("api.test", &ca, &["spdy/3"]);
    assert!(none.is_err(), "nothing in common");
    let client = H2::through(&world.proxy(), "api.test:443", &ca);
    let requests = (0..20).map(|n| client.ask("GET", &format!("/v1/{n}")).body(Full::default()).unwrap()).collect();
    assert!(client.all(requests).iter().all(|reply| reply.status == 200));
    let seen = upstream.wait_for(20);
    assert!(seen.iter().all(|seen| seen.values("x-api-key") == ["s3cret"] && seen.authority == "api.test"));
    assert_eq!(client.get("/-/health").status, 200, "no page of ours stands within a tunnel");
    assert_eq!(upstream.last_request().target, "/-/health");
}

#[test]
fn the_next_tunnel_resumes_the_session() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    let config = tls_client(&world.ca_pem(), &["http/1.1"]);
    for resumed in [false, true, true] {
        let mut wire = world.tunnel("api.test:443", "").tls_with(Arc::clone(&config), "api.test").unwrap();
        assert_eq!(wire.resumed, resumed);
        assert_eq!(ask_on(&mut wire, "GET", "/v1").status, 200);
    }
    assert!(metric(&world, "sidekey_intercept_handshakes_total{result=\"resumed\"} 2"));
}

#[test]
fn who_proves_itself_only_when_asked_is_asked_on_a_connection_that_stays_open() {
    let upstream = FakeUpstream::plain();
    let (world, proof) = guarded(&upstream);
    let mut wire = world.wire();
    for wrong in ["", "Proxy-Authorization: Basic bm9ib2R5OnNrY19ub25l\r\n"] {
        let refused = wire.send(connect("api.test:443", wrong)).reply_to("CONNECT");
        assert_eq!((refused.status, refused.code().as_str()), (407, "caller_unknown"));
        assert!(refused.values("proxy-authenticate").iter().any(|scheme| scheme.starts_with("Basic")), "{refused:?}");
        assert_ne!(refused.value("connection"), Some("close"));
    }
    assert_eq!(wire.send(connect("api.test:443", &proof)).reply_to("CONNECT").status, 200);
    let mut wire = wire.tls("api.test", &world.ca_pem(), &["http/1.1"]);
    assert_eq!(ask_on(&mut wire, "GET", "/v1").status, 200, "the tunnel's proof is that of its requests");
    let other =
        Ask::new("api.test", "GET", "/v1").header("Proxy-Authorization", "Bearer skc_other").reply_on(&mut wire);
    assert_eq!(other.status, 200);
    assert!(!upstream.last_request().has("proxy-authorization"));
    eventually("the audit names the caller", || {
        recorded(&world, "intercept").iter().filter(|line| line["caller"] == "etl").count() == 2
    });
}

#[test]
fn a_token_that_is_taken_back_ends_the_next_request_of_an_open_tunnel() {
    let upstream = FakeUpstream::plain();
    let (world, proof) = guarded(&upstream);
    let ca = world.ca_pem();
    let mut wire = world.tunnel("api.test:443", &proof).tls("api.test", &ca, &["http/1.1"]);
    assert_eq!(ask_on(&mut wire, "GET", "/v1").status, 200);
    world.sidekey(["caller", "delete", "etl", "--yes"]).run().succeeds();
    eventually("a fresh tunnel is refused", || {
        world.wire().send(connect("api.test:443", &proof)).reply_to("CONNECT").status == 407
    });
    let refused = ask_on(&mut wire, "GET", "/v1");
    assert_eq!((refused.status, refused.code().as_str()), (407, "caller_unknown"));
    assert_eq!(refused.value("connection"), Some("close"), "the proof belongs to the tunnel, so the tunnel ends");
    assert!(wire.is_closed());
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn what_is_changed_counts_for_the_next_request_of_an_open_tunnel() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    let mut wire = world.intercepted("api.test:443");
    assert_eq!(ask_on(&mut wire, "GET", "/v1").status, 200);
    world.sidekey(["key", "rotate", "api-prod", "--stdin"]).stdin("n3w").run().succeeds();
    eventually("the new value is sent", || {
        ask_on(&mut wire, "GET", "/v1");
        upstream.last_request().values("x-api-key") == ["n3w"]
    });
}

#[test]
fn the_name_in_the_handshake_is_the_tunnel_s() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    let ca = world.ca_pem();
    let wrong = world.tunnel("api.test:443", "").try_tls("other.test", &ca, &BOTH).err().unwrap();
    assert!(wrong.to_string().contains("UnrecognisedName"), "{wrong}");
    is_recorded(&world, "tls_other_name");
    let mut config = (*tls_client(&ca, &["http/1.1"])).clone();
    config.enable_sni = false;
    let mut nameless = world.tunnel("API.test.:443", "").tls_with(Arc::new(config), "api.test").unwrap();
    assert_eq!(ask_on(&mut nameless, "GET", "/v1").status, 200, "a client that names nothing checks the certificate");
}

#[test]
fn a_request_that_names_another_host_than_its_tunnel_is_refused() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    let mut wire = world.intercepted("api.test:443");
    for host in ["API.test", "api.test:443", "api.test."] {
        assert_eq!(Ask::new(host, "GET", "/v1").reply_on(&mut wire).status, 200, "{host}");
    }
    upstream.forget();
    for host in ["other.test", "api.test:8443", "api.test.evil.net", "", "api.test:443:1"] {
        let reply = Ask::new(host, "GET", "/v1").reply_on(&mut wire);
        assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"), "{host}");
    }
    for request in [
        "GET /v1 HTTP/1.1\r\n\r\n",
        "GET /v1 HTTP/1.1\r\nHost: api.test\r\nHost: api.test\r\n\r\n",
        "GET https://other.test/v1 HTTP/1.1\r\nHost: api.test\r\n\r\n",
        "TRACE /v1 HTTP/1.1\r\nHost: api.test\r\n\r\n",
        "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n",
    ] {
        let reply = wire.send(request).reply();
        assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"), "{request}");
    }
    let client = H2::through(&world.proxy(), "api.test:443", &world.ca_pem());
    let other = Request::builder().uri("https://other.test/v1").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(client.send(other).status, 400);
    assert!(upstream.requests().is_empty());
}

#[test]
fn ambiguous_framing_is_refused_within_a_tunnel_too() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    let mut wire = world.intercepted("api.test:443");
    assert_eq!(ask_on(&mut wire, "GET", "/v1").status, 200);
    let twice =
        "POST /v1 HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(wire.send(twice).reply().code(), "bad_request");
    let mut wire = world.intercepted("api.test:443");
    let reply = wire.send("no request at all\r\n\r\n").reply();
    assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"));
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn what_is_no_handshake_opens_nothing() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    let mut plain = world.tunnel("api.test:443", "");
    let reply = plain.send("GET /v1 HTTP/1.1\r\nHost: api.test\r\n\r\n").reply();
    assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"));
    assert!(reply.json()["detail"].as_str().unwrap().contains("plain HTTP"), "{reply:?}");
    assert!(plain.is_closed());
    for garbage in [
        &b"\0\0\0\0"[..],
        b"\x16\x03\x01\xff\xff\xff\xff",
        b"\x80\x2e\x01\x00\x02",
        b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",
    ] {
        let mut wire = world.tunnel("api.test:443", "");
        wire.send(garbage);
        let answer = wire.rest();
        assert!(answer.is_empty() || answer[0] == 21, "an alert or nothing: {answer:?}");
    }
    is_recorded(&world, "tls_not_spoken");
    drop(world.tunnel("api.test:443", ""));
    is_recorded(&world, "tls_client_gone");
    assert!(upstream.requests().is_empty());
    assert_eq!(world.get("/-/health").status, 200);
}

#[test]
fn plain_http_in_a_tunnel_to_port_80_is_served_like_at_the_forward_door() {
    let upstream = FakeUpstream::tls();
    let world = keyed(&upstream);
    let mut wire = world.tunnel("api.test:80", "");
    for _ in 0..2 {
        assert_eq!(ask_on(&mut wire, "GET", "/v1").status, 200);
    }
    assert_eq!(upstream.last_request().values("x-api-key"), ["s3cret"]);
    let mut secure = world.tunnel("api.test:80", "").tls("api.test", &world.ca_pem(), &["http/1.1"]);
    assert_eq!(Ask::new("api.test:80", "GET", "/v1").reply_on(&mut secure).status, 200);
}

#[test]
fn bytes_that_follow_the_connect_at_once_are_not_lost() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    let both = connect("api.test:80", "") + "GET /v1 HTTP/1.1\r\nHost: api.test\r\n\r\n";
    let mut wire = world.wire();
    assert_eq!(wire.send(both).reply_to("CONNECT").status, 200);
    assert_eq!(wire.reply().status, 200);
    assert_eq!(upstream.only_request().target, "/v1");
}

#[test]
fn a_client_that_does_not_trust_the_authority_is_told_of() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    world.tunnel("api.test:443", "").try_tls("api.test", &FakeUpstream::ca_pem(), &BOTH).err().unwrap();
    is_recorded(&world, "tls_untrusted");
    assert!(metric(&world, "sidekey_intercept_handshakes_total{result=\"untrusted\"} 1"));
    eventually("the log tells", || world.log().contains("docs/ca.md"));
}

#[test]
fn a_service_s_port_is_opened_and_no_other() {
    let upstream = FakeUpstream::plain();
    let more = format!("{KEY}\nhosts = [\"api.test\", \"api.test:8443\"]");
    let world = World::new().service("api", &upstream, &more).key("api", "api-prod", "s3cret").serve();
    let mut wire = world.intercepted("api.test:8443");
    assert_eq!(Ask::new("api.test:8443", "GET", "/v1").reply_on(&mut wire).status, 200);
    assert_eq!(upstream.only_request().authority, "api.test:8443");
    let refused = world.wire().send(connect("api.test:22", "")).reply_to("CONNECT");
    assert_eq!((refused.status, refused.code().as_str()), (403, "service_unknown"));
}

#[test]
fn an_address_is_opened_when_a_service_has_it() {
    let upstream = FakeUpstream::tls();
    let address = upstream.address();
    let world = World::new();
    world.file("upstream-ca.pem", FakeUpstream::ca_pem());
    let world = world.toml(&format!(
        "[service.api]\nbase_url = \"https://{address}\"\n{KEY}\n\
         upstream = {{ ca = \"upstream-ca.pem\", allow_private = true }}"
    ));
    let world = world.key("api", "api-prod", "s3cret").serve();
    let mut wire = world.intercepted(&address.to_string());
    assert_eq!(Ask::new(&address.to_string(), "GET", "/v1").reply_on(&mut wire).status, 200);
    assert_eq!(upstream.only_request().values("x-api-key"), ["s3cret"]);
    let other = world.wire().send(connect("127.0.0.2:443", "")).reply_to("CONNECT");
    assert_eq!(other.status, 403, "no service has it");
}

#[test]
fn an_upstream_that_cannot_be_believed_is_told_with_its_reason() {
    for (upstream, reason) in [
        (FakeUpstream::tls_ended(), "expired (on 2020-01-31)"),
        (FakeUpstream::tls_claiming("other.test"), "other.test"),
    ] {
        let world = keyed(&upstream);
        let reply = ask_on(&mut world.intercepted("api.test:443"), "GET", "/v1");
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_tls"));
        assert!(reply.json()["detail"].as_str().unwrap().contains(reason), "{reply:?}");
    }
    let upstream = FakeUpstream::tls();
    let address = upstream.address();
    let world = World::new().toml(&format!(
        "[service.api]\nbase_url = \"https://api.test\"\n{KEY}\n\
         upstream = {{ connect_to = \"{address}\", allow_private = true }}"
    ));
    let world = world.key("api", "api-prod", "s3cret").serve();
    let reply = ask_on(&mut world.intercepted("api.test:443"), "GET", "/v1");
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_tls"));
    assert!(reply.json()["detail"].as_str().unwrap().contains("not trusted here"), "{reply:?}");
    assert!(upstream.requests().is_empty());
}

#[test]
fn hosts_that_are_not_listed_are_not_opened() {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("api", &upstream, KEY).service("other", &upstream, KEY);
    let world = world.toml("[intercept]\nhosts = [\"api.test\"]").key("api", "api-prod", "s3cret");
    let world = world.key("other", "other-prod", "s3cret").serve();
    assert_eq!(ask_on(&mut world.intercepted("api.test:443"), "GET", "/v1").status, 200);
    let refused = world.wire().send(connect("other.test:443", "")).reply_to("CONNECT");
    assert_eq!((refused.status, refused.code().as_str()), (403, "not_allowed"));
    assert_eq!(world.get("/other/v1").status, 200, "the other doors stay open");
}

#[test]
fn a_tunnel_on_an_http2_connection_is_opened_too() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    let reply = world.h2().tunnelled(
        "api.test:443",
        &world.ca_pem(),
        "GET /v1 HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n",
    );
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    assert_eq!(upstream.only_request().values("x-api-key"), ["s3cret"]);
}

#[test]
fn another_authority_signs_for_the_next_tunnel() {
    let upstream = FakeUpstream::plain();
    let world = keyed(&upstream);
    let before = world.ca_pem();
    let mut open = world.intercepted("api.test:443");
    world.sidekey(["ca", "rotate", "--now"]).run().succeeds();
    eventually("the proxy follows", || world.ca_pem() != before);
    assert_eq!(ask_on(&mut world.intercepted("api.test:443"), "GET", "/v1").status, 200);
    world.tunnel("api.test:443", "").try_tls("api.test", &before, &BOTH).err().unwrap();
    assert_eq!(ask_on(&mut open, "GET", "/v1").status, 200, "an open tunnel stays");
}

#[test]
fn a_stopped_proxy_does_not_wait_for_tunnels_that_carry_nothing() {
    let upstream = FakeUpstream::plain();
    upstream.then(Answer::json(200, "{}"));
    let mut world = keyed(&upstream);
    let mut wire = world.intercepted("api.test:443");
    assert_eq!(ask_on(&mut wire, "GET", "/v1").status, 200);
    let waiting = world.tunnel("api.test:443", "");
    let began = std::time::Instant::now();
    assert!(world.stop().0.success());
    assert!(began.elapsed().as_secs() < 8, "{:?}", began.elapsed());
    drop(waiting);
}

#[test]
fn a_stopping_proxy_ends_a_tunnel_after_the_request_under_way() {
    let upstream = FakeUpstream::plain();
    let mut world = keyed(&upstream);
    let mut wire = world.intercepted("api.test:443");
    wire.send("POST /v1 HTTP/1.1\r\nHost: api.test\r\nContent-Length: 2\r\n\r\n1");
    world.signal(Signal::TERM);
    eventually("new connections are refused", || Wire::try_to(world.proxy()).is_none());
    wire.send("2");
    let reply = wire.reply_to("POST");
    assert_eq!((reply.status, reply.value("connection")), (200, Some("close")));
    assert_eq!(upstream.only_request().text(), "12");
    assert!(wire.rest().is_empty());
    assert!(world.wait().0.success());
}

#[test]
fn the_proxy_answers_itself_under_its_own_name_and_sends_nothing_anywhere() {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("api", &upstream, KEY).toml("[intercept]\nhosts = [\"api.test\"]\n");
    let world = world.key("api", "api-prod", "s3cret").serve();
    let mut wire = world.intercepted("sidekey.invalid:443");
    let ask = |wire: &mut Wire, path: &str| Ask::new("sidekey.invalid", "GET", path).reply_on(wire);
    let who = ask(&mut wire, "/-/whoami");
    assert_eq!((who.status, who.json()["caller"].as_str()), (200, Some("local")), "{who:?}");
    assert_eq!(ask(&mut wire, "/-/ca.pem").text(), world.ca_pem());
    for path in ["/", "/api/v1", "/-/", "/-/whoami/info/refs?service=git-upload-pack"] {
        assert_eq!((ask(&mut wire, path).status, path), (404, path));
    }
    assert_eq!(Ask::new("sidekey.invalid", "POST", "/-/whoami").reply_on(&mut wire).status, 400);
    let other = Ask::new("api.test", "GET", "/v1").reply_on(&mut wire);
    assert_eq!((other.status, other.code().as_str()), (400, "bad_request"));
    // By no other door or port, and by no name below it.
    for authority in ["sidekey.invalid:80", "sidekey.invalid:8443", "x.sidekey.invalid:443"] {
        let refused = world.wire().send(connect(authority, "")).reply_to("CONNECT");
        assert_eq!((refused.status, refused.code().as_str()), (403, "service_unknown"), "{authority}");
    }
    assert_eq!(world.get("http://sidekey.invalid/-/whoami").code(), "service_unknown");
    assert!(upstream.requests().is_empty());
    eventually("it is recorded", || {
        recorded(&world, "connect").iter().any(|line| line["host"] == "sidekey.invalid" && line["status"] == 200)
    });
}

#[test]
fn under_the_proxys_own_name_callers_prove_who_they_are_too() {
    let upstream = FakeUpstream::plain();
    let (world, proof) = guarded(&upstream);
    let refused = world.wire().send(connect("sidekey.invalid:443", "")).reply_to("CONNECT");
    assert_eq!((refused.status, refused.code().as_str()), (407, "caller_unknown"));
    let tunnel = world.tunnel("sidekey.invalid:443", &proof);
    let mut wire = tunnel.tls("sidekey.invalid", &world.ca_pem(), &["http/1.1"]);
    let who = Ask::new("sidekey.invalid", "GET", "/-/whoami").reply_on(&mut wire);
    assert_eq!(who.json()["caller"], "etl", "{who:?}");
    world.sidekey(["caller", "delete", "etl", "--yes"]).run().succeeds();
    eventually("the token is worth nothing", || {
        Ask::new("sidekey.invalid", "GET", "/-/whoami").reply_on(&mut wire).status == 401
    });
}
