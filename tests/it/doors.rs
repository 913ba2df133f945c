//! The doors: whichever way a client takes, the same service answers with the same key; and every way that looks like one
//! of them but is not leads nowhere.

use std::fs;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::world::{Answer, FakeUpstream, Seen, Wire, World, free_port};

const KEY: &str = r#"auth = { location = "header", name = "X-Api-Key" }"#;

fn written(upstream: &FakeUpstream, more: &str) -> World {
    World::new().service("api", upstream, &format!("{KEY}\n{more}")).key("api", "api-prod", "s3cret")
}

fn arrived(upstream: &FakeUpstream, target: &str) -> Seen {
    let seen = upstream.last_request();
    assert_eq!(seen.target, target);
    assert_eq!(seen.authority, "api.test");
    assert_eq!(seen.values("x-api-key"), ["s3cret"]);
    seen
}

#[test]
fn every_door_leads_to_the_same_service() {
    let upstream = FakeUpstream::plain();
    let world = written(&upstream, "").serve();
    assert_eq!(world.get("/api/v1/x?q=1").status, 200);
    arrived(&upstream, "/v1/x?q=1");
    assert_eq!(world.ask("GET", "/v1/x?q=2").host("api.localhost").reply().status, 200);
    arrived(&upstream, "/v1/x?q=2");
    assert_eq!(world.get("http://api.test/v1/x?q=3").status, 200);
    arrived(&upstream, "/v1/x?q=3");
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn the_port_in_the_host_door_s_name_does_not_matter() {
    let upstream = FakeUpstream::plain();
    let world = written(&upstream, "").serve();
    let port = world.proxy().rsplit_once(':').unwrap().1.to_owned();
    for host in [format!("api.localhost:{port}"), "API.LocalHost".to_owned(), "api.localhost.".to_owned()] {
        assert_eq!(world.ask("GET", "/v1").host(&host).reply().status, 200, "{host}");
        arrived(&upstream, "/v1");
    }
}

#[test]
fn a_plain_url_is_spoken_in_tls_when_the_service_is_https() {
    let upstream = FakeUpstream::tls();
    let world = written(&upstream, "").serve();
    for url in ["http://api.test/v1", "https://api.test/v1"] {
        assert_eq!(world.get(url).status, 200);
        assert_eq!(arrived(&upstream, "/v1").sni.as_deref(), Some("api.test"));
    }
}

#[test]
fn http2_by_prior_knowledge_works_at_every_door() {
    let upstream = FakeUpstream::plain();
    let world = written(&upstream, "").serve();
    let client = world.h2();
    assert_eq!(client.get("/api/v1?q=1").status, 200);
    arrived(&upstream, "/v1?q=1");
    let port = world.proxy().rsplit_once(':').unwrap().1.to_owned();
    for url in [format!("http://api.localhost:{port}/v1?q=1"), "http://api.test/v1?q=1".to_owned()] {
        let reply = client.send(Request::builder().uri(&url).body(Full::<Bytes>::default()).unwrap());
        assert_eq!((reply.status, reply.text().as_str()), (200, r#"{"ok":true}"#), "{url}");
        arrived(&upstream, "/v1?q=1");
    }
    assert_eq!(client.get("/nobody/v1").code(), "service_unknown");
    assert_eq!(client.get("/-/health").status, 200);
}

#[test]
fn a_unix_socket_has_the_same_doors() {
    let upstream = FakeUpstream::plain();
    let world = written(&upstream, "");
    let tcp = format!("proxy = \"{}\"", world.proxy());
    let both = format!("proxy = [\"{}\", \"unix:sidekey.sock\"]", world.proxy());
    let text = fs::read_to_string(world.config()).unwrap();
    world.file("proxy.toml", text.replacen(&tcp, &both, 1));
    let world = world.serve();
    let ways = [
        ("/api/v1", "localhost"), //
        ("/v1", "api.localhost"),
        ("http://api.test/v1", "api.test"),
    ];
    let mut wire = Wire::unix(&world.path("sidekey.sock"));
    for (target, host) in ways {
        let reply = wire.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).reply();
        assert_eq!(reply.status, 200, "{target}: {reply:?}");
        arrived(&upstream, "/v1");
    }
    let whoami = wire.send("GET /-/whoami HTTP/1.1\r\nHost: localhost\r\n\r\n").reply().json();
    assert!(whoami["address"].as_str().unwrap().starts_with("unix:uid="), "{whoami}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(world.path("sidekey.sock")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn no_port_and_the_two_usual_ones_mean_the_service_s_own() {
    let upstream = FakeUpstream::plain();
    let world = written(&upstream, r#"hosts = ["api.test", "api.test:8443"]"#).serve();
    for url in ["http://api.test/v1", "http://api.test:80/v1", "http://api.test:443/v1", "https://api.test:443/v1"] {
        assert_eq!(world.get(url).status, 200, "{url}");
        arrived(&upstream, "/v1");
    }
    let listed = world.get("http://api.test:8443/v1");
    assert_eq!(listed.status, 200, "{listed:?}");
    assert_eq!(upstream.last_request().authority, "api.test:8443");
    upstream.forget();
    for url in ["http://api.test:8080/v1", "http://api.test:8444/v1", "https://api.test:81/v1"] {
        let reply = world.get(url);
        assert_eq!((reply.status, reply.code().as_str()), (403, "service_unknown"), "{url}");
    }
    for url in ["http://api.test:0/v1", "http://api.test:99999/v1"] {
        assert_eq!(world.get(url).status, 400, "{url}");
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn case_and_a_trailing_dot_do_not_matter() {
    let upstream = FakeUpstream::plain();
    let world = written(&upstream, "").serve();
    for url in ["http://API.Test/v1", "http://api.test./v1", "HTTP://Api.TEST.:80/v1"] {
        let reply = world.ask("GET", url).host("api.test").reply();
        assert_eq!(reply.status, 200, "{url}: {reply:?}");
        arrived(&upstream, "/v1");
    }
}

#[test]
fn hosts_that_only_look_like_the_service_get_nothing() {
    let upstream = FakeUpstream::plain();
    let world = written(&upstream, "").serve();
    let lookalikes = [
        "http://api.testevil.net/v1",
        "http://api.test.evil.net/v1",
        "http://evil-api.test/v1",
        "http://xapi.test/v1",
        "http://www.api.test/v1",
        "http://apiXtest/v1",
        "http://test/v1",
        "http://evil.net/api.test",
        "http://evil.net?http://api.test/v1",
        "http://api.test../v1",
    ];
    for url in lookalikes {
        let reply = world.ask("GET", url).host("api.test").reply();
        assert!(matches!(reply.status, 400 | 403), "{url}: {reply:?}");
        reply.code();
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_wildcard_stands_for_one_label() {
    let upstream = FakeUpstream::plain();
    let world = written(&upstream, r#"hosts = ["*.api.test"]"#).serve();
    assert_eq!(world.get("http://eu.api.test/v1").status, 200);
    assert_eq!(upstream.only_request().authority, "eu.api.test");
    for url in ["http://a.b.api.test/", "http://api.test/", "http://.api.test/", "http://euapi.test/"] {
        assert!(matches!(world.get(url).status, 400 | 403), "{url}");
    }
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_url_with_a_user_in_it_is_refused() {
    let upstream = FakeUpstream::plain();
    let world = written(&upstream, "").serve();
    for url in ["http://me:pw@api.test/v1", "http://me@api.test/v1", "http://api.test@evil.net/v1", "http://@api.test/"]
    {
        let reply = world.ask("GET", url).host("api.test").reply();
        assert_eq!(reply.status, 400, "{url}: {reply:?}");
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn the_target_decides_and_not_the_host_header() {
    let upstream = FakeUpstream::plain();
    let world = written(&upstream, "").serve();
    assert_eq!(world.ask("GET", "http://api.test/v1").host("evil.net").reply().status, 200);
    arrived(&upstream, "/v1");
    let own = format!("http://{}/api/v1", world.proxy());
    assert_eq!(world.get(&own).status, 200, "the client reached its own proxy through the proxy settings");
    arrived(&upstream, "/v1");
    let twice = "GET /api/v1 HTTP/1.1\r\nHost: localhost\r\nHost: evil.net\r\n\r\n";
    assert_eq!(world.wire().send(twice).reply().code(), "bad_request");
}

#[test]
fn the_base_url_s_path_is_added_at_the_local_doors_only() {
    let upstream = FakeUpstream::plain();
    let address = upstream.address();
    let world = World::new().toml(&format!(
        "[service.api]\nbase_url = \"http://api.test/base\"\nallow_plaintext = true\n{KEY}\n\
         upstream = {{ connect_to = \"{address}\", allow_private = true }}"
    ));
    let world = world.key("api", "api-prod", "s3cret").serve();
    world.get("/api/v1?q");
    arrived(&upstream, "/base/v1?q");
    world.get("/api");
    arrived(&upstream, "/base");
    world.get("/api/");
    arrived(&upstream, "/base/");
    world.ask("GET", "/v1").host("api.localhost").reply();
    arrived(&upstream, "/base/v1");
    world.get("http://api.test/base/v1");
    arrived(&upstream, "/base/v1");
    world.get("http://api.test/other");
    arrived(&upstream, "/other");
}

#[test]
fn connect_to_a_stranger_is_denied_by_default() {
    let upstream = FakeUpstream::plain();
    let world = written(&upstream, "").serve();
    for authority in ["evil.net:443", "api.test.evil.net:443", "127.0.0.1:22"] {
        let reply = world.wire().send(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n")).reply();
        assert_eq!((reply.status, reply.code().as_str()), (403, "service_unknown"), "{authority}");
    }
    for authority in ["evil.net", "evil.net:0", "me@evil.net:443", "/v1"] {
        let reply = world.wire().send(format!("CONNECT {authority} HTTP/1.1\r\nHost: evil.net\r\n\r\n")).reply();
        assert_eq!(reply.status, 400, "{authority}: {reply:?}");
    }
    let reply = world.get("http://evil.net/v1");
    assert_eq!((reply.status, reply.code().as_str()), (403, "service_unknown"));
}

#[test]
fn strangers_may_pass_but_never_to_this_machine() {
    let upstream = FakeUpstream::plain();
    let world = written(&upstream, "").toml("[unmatched]\npolicy = \"tunnel\"").serve();
    let (inside, own) = (upstream.address().to_string(), world.proxy());
    let port = own.rsplit_once(':').unwrap().1;
    for authority in [inside.clone(), own.clone(), format!("localhost:{port}"), format!("[::1]:{port}")] {
        let reply = world.wire().send(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n")).reply();
        assert_eq!((reply.status, reply.code().as_str()), (502, "address_refused"), "{authority}");
    }
    let spellings = [inside.clone(), inside.replace("127.0.0.1", "[::ffff:127.0.0.1]"), "169.254.169.254".into()];
    for authority in spellings {
        let reply = world.ask("GET", &format!("http://{authority}/v1")).reply();
        assert_eq!((reply.status, reply.code().as_str()), (502, "address_refused"), "{authority}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn names_of_no_service_are_not_found() {
    let upstream = FakeUpstream::plain();
    let world = written(&upstream, "").serve();
    for target in ["/", "//api/v1", "/nobody", "/nobody/v1", "/API/v1", "/api.test/v1", "/%61pi/v1", "/?/api"] {
        let reply = world.get(target);
        assert_eq!((reply.status, reply.code().as_str()), (404, "service_unknown"), "{target}");
    }
    for host in ["nobody.localhost", "x.api.localhost", "api.test.localhost"] {
        let reply = world.ask("GET", "/v1").host(host).reply();
        assert_eq!((reply.status, reply.code().as_str()), (404, "service_unknown"), "{host}");
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn sidekey_s_own_pages_answer_for_themselves() {
    let world = World::new().serve();
    let health = world.get("/-/health");
    assert_eq!((health.status, health.text().as_str()), (200, "ok\n"));
    assert_eq!(world.get("/-/ready").status, 200);
    let whoami = world.get("/-/whoami").json();
    assert_eq!((&whoami["caller"], &whoami["owner"]), (&"local".into(), &"local".into()), "{whoami}");
    let head = world.ask("HEAD", "/-/health").reply();
    assert_eq!((head.status, head.value("content-length")), (200, Some("3")));
    assert_eq!(world.get("/-/nothing").status, 404);
    assert_eq!(world.ask("POST", "/-/health").body("x").reply().code(), "bad_request");
    let named = world.ask("GET", "/-/health").host("api.localhost").reply();
    assert_eq!(named.text(), "ok\n", "a service cannot stand in front of them");
}

#[test]
fn a_service_that_is_not_running_elsewhere_does_not_hide_another() {
    let upstream = FakeUpstream::plain();
    let gone = free_port();
    let world = written(&upstream, "").toml(&format!(
        "[service.gone]\nbase_url = \"http://gone.test\"\nallow_plaintext = true\n{KEY}\n\
         upstream = {{ connect_to = \"127.0.0.1:{gone}\", allow_private = true }}\nretry = {{ attempts = 1 }}"
    ));
    let world = world.key("gone", "gone-prod", "other").serve();
    upstream.always(|seen| Answer::text(200, seen.values("x-api-key").concat()));
    assert_eq!(world.get("/gone/v1").code(), "upstream_unreachable");
    assert_eq!(world.get("/api/v1").text(), "s3cret");
}
