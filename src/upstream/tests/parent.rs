//! Dialling through a parent proxy: which origins, tunnels with and without credentials, refusals, forwarding.

use std::time::Duration;

use rustls::RootCertStore;

use super::super::*;
use super::world::{Authority, GREETING, Validity, connect_proxy, greeting, plain_server, reach, tls_server};
use crate::domain::{Http2, Scheme};

const OK: &str = "HTTP/1.1 200 Connection established\r\nVia: p\r\n\r\n";

fn settings(url: &str, no: &str) -> ParentSettings {
    ParentSettings { all: Some(url.to_owned()), no: Some(no.to_owned()), ..ParentSettings::default() }
}

fn dialer(settings: &ParentSettings, configs: &TlsConfigs) -> Dialer {
    let tls = configs.config(None, Http2::Never).unwrap();
    Dialer::new(Guard::default(), Parent::new(settings, tls).unwrap())
}

#[tokio::test]
async fn https_upstreams_are_tunnelled_with_and_without_credentials() {
    let authority = Authority::new();
    let configs = authority.trusted();
    let server = tls_server(authority.server("api.example.com", &Validity::Now, &["h2"])).await;
    for (userinfo, expected) in [("", None), ("me:p%40ss@", Some("Proxy-Authorization: Basic bWU6cEBzcw=="))] {
        let (proxy, mut heads) = connect_proxy(OK, server, None).await;
        let dialer = dialer(&settings(&format!("http://{userinfo}{proxy}"), ""), &configs);
        let way = reach(Scheme::Https, "api.example.com", None, Http2::Auto, &configs);
        let mut link = dialer.dial(&way).await.unwrap();
        assert_eq!((link.protocol, link.peer), (Protocol::Http2, proxy));
        assert!(link.forward.is_none());
        assert_eq!(greeting(&mut link).await, GREETING);
        let head = heads.recv().await.unwrap();
        let mut lines = head.lines();
        assert_eq!(lines.next(), Some("CONNECT api.example.com:443 HTTP/1.1"));
        assert_eq!(lines.next(), Some("Host: api.example.com:443"));
        assert_eq!(lines.next().filter(|line| !line.is_empty()), expected);
    }
}

#[tokio::test]
async fn a_proxy_may_itself_speak_tls() {
    let authority = Authority::new();
    let configs = authority.trusted();
    let server = tls_server(authority.server("api.example.com", &Validity::Now, &[])).await;
    let front = authority.server("127.0.0.1", &Validity::Now, &["http/1.1"]);
    let (proxy, _heads) = connect_proxy(OK, server, Some(front)).await;
    let dialer = dialer(&settings(&format!("https://{proxy}"), ""), &configs);
    let way = reach(Scheme::Https, "api.example.com", None, Http2::Auto, &configs);
    let mut link = dialer.dial(&way).await.unwrap();
    assert!(matches!(link.stream, Stream::Nested(_)));
    assert_eq!(greeting(&mut link).await, GREETING);
}

#[tokio::test]
async fn plain_upstreams_are_forwarded_and_what_cannot_be_is_tunnelled() {
    let configs = TlsConfigs::trusting(RootCertStore::empty());
    let server = plain_server().await;
    let (proxy, mut heads) = connect_proxy(OK, server, None).await;
    let dialer = dialer(&settings(&format!("http://me:canary@{proxy}"), ""), &configs);
    let link = dialer.dial(&reach(Scheme::Http, "x.example", None, Http2::Auto, &configs)).await.unwrap();
    assert_eq!((link.protocol, link.peer), (Protocol::Http1, proxy));
    let forward = link.forward.unwrap();
    assert!(forward.authorization.as_ref().unwrap().is_sensitive());
    assert!(!format!("{forward:?} {dialer:?}").contains("canary"));
    let mut link = dialer.dial(&reach(Scheme::Http, "x.example", None, Http2::Always, &configs)).await.unwrap();
    assert_eq!(greeting(&mut link).await, GREETING);
    assert!(link.forward.is_none());
    assert!(heads.recv().await.unwrap().starts_with("CONNECT x.example:80 "));
    let origin = reach(Scheme::Http, "y.example", None, Http2::Auto, &configs).origin;
    let mut link = dialer.dial(&Reach::tunnel(origin, Duration::from_secs(10))).await.unwrap();
    assert_eq!(greeting(&mut link).await, GREETING);
    assert!(heads.recv().await.unwrap().starts_with("CONNECT y.example:80 "));
}

#[tokio::test]
async fn what_the_proxy_answers_instead_is_told_in_words() {
    let configs = Authority::new().trusted();
    let nowhere = "127.0.0.1:1".parse().unwrap();
    for (answer, expected) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "other credentials (407)"),
        ("HTTP/1.1 403 Forbidden\r\n\r\nnot here", "status 403"),
        ("HTTP/1.0 502 Bad Gateway\r\n\r\n", "status 502"),
        ("SSH-2.0-server\r\n\r\n", "no HTTP status line"),
        ("HTTP/1.1 2000 x\r\n\r\n", "no HTTP status line"),
        ("HTTP/2.0 200 x\r\n\r\n", "no HTTP status line"),
        ("HTTP/1.0 200 x\r\n\r\nsmuggled", "bytes behind its answer"),
        ("HTTP/1.1 ", "closed the connection"),
    ] {
        let (proxy, _heads) = connect_proxy(answer, nowhere, None).await;
        let dialer = dialer(&settings(&format!("http://me:canary@{proxy}"), ""), &configs);
        let way = reach(Scheme::Https, "api.example.com", None, Http2::Auto, &configs);
        let error = dialer.dial(&way).await.unwrap_err();
        assert!(matches!(error, DialError::Parent { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(expected) && !format!("{text}{error:?}").contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn no_proxy_localhost_and_connect_to_go_around_it() {
    let configs = TlsConfigs::trusting(RootCertStore::empty());
    let server = plain_server().await;
    let dialer = dialer(&settings("http://127.0.0.1:1", "10.0.0.0/8, *.internal.example"), &configs);
    let mut local = reach(Scheme::Http, "localhost", None, Http2::Auto, &configs);
    local.origin.port = server.port();
    assert_eq!(dialer.dial(&local).await.unwrap().peer, server);
    let named = reach(Scheme::Http, "api.example.com", Some(server), Http2::Auto, &configs);
    assert_eq!(dialer.dial(&named).await.unwrap().peer, server);
    let parent = Parent::new(
        &settings("http://127.0.0.1:1", "10.0.0.0/8, *.internal.example, exact.example"),
        configs.config(None, Http2::Never).unwrap(),
    );
    let parent = parent.unwrap().unwrap();
    for (host, through) in [
        ("api.example.com", true),
        ("a.internal.example", false),
        ("exact.example", false),
        ("notexact.example", true),
        ("10.1.2.3", false),
        ("11.1.2.3", true),
        ("127.0.0.1", false),
        ("x.localhost", false),
        ("::1", false),
    ] {
        let origin = reach(Scheme::Https, host, None, Http2::Auto, &configs).origin;
        assert_eq!(parent.hop(&origin).is_some(), through, "{host}");
    }
}

#[tokio::test]
async fn addresses_in_a_url_are_judged_before_the_proxy_is_asked_and_the_proxy_may_not_be_us() {
    let configs = TlsConfigs::trusting(RootCertStore::empty());
    let (proxy, _heads) = connect_proxy(OK, "127.0.0.1:1".parse().unwrap(), None).await;
    let around = dialer(&settings(&format!("http://{proxy}"), ""), &configs);
    let mut metadata = reach(Scheme::Http, "169.254.169.254", None, Http2::Auto, &configs);
    metadata.allow_private = false;
    assert!(matches!(around.dial(&metadata).await, Err(DialError::Refused { .. })));
    let tls = configs.config(None, Http2::Never).unwrap();
    let parent = Parent::new(&settings(&format!("http://{proxy}"), ""), tls).unwrap();
    let looping = Dialer::new(Guard::new(vec![proxy]), parent);
    let error = looping.dial(&reach(Scheme::Http, "x.example", None, Http2::Auto, &configs)).await.unwrap_err();
    assert!(matches!(error, DialError::Loop { .. }), "{error:?}");
}

#[test]
fn a_proxy_url_that_cannot_be_used_is_refused_without_being_shown() {
    let configs = TlsConfigs::trusting(RootCertStore::empty());
    let tls = configs.config(None, Http2::Never).unwrap();
    for bad in
        ["socks5://u:canary@127.0.0.1:1080", "ftp://canary", "http://", "not a url canary", "http://u:canary@:80"]
    {
        let error = Parent::new(&settings(bad, ""), tls.clone()).unwrap_err();
        assert!(error.to_string().contains("ALL_PROXY") && !format!("{error}{error:?}").contains("canary"), "{bad}");
        assert!(!format!("{:?}", settings(bad, "")).contains("canary"));
    }
    assert!(Parent::new(&ParentSettings::default(), tls.clone()).unwrap().is_none());
    assert!(Parent::new(&settings(" ", "*"), tls.clone()).unwrap().is_none());
    assert!(Parent::new(&settings("127.0.0.1:3128", ""), tls).unwrap().is_some());
}
