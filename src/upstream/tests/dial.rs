//! Dialling directly: protocols, certificates, refusals, timeouts.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use tokio::io::AsyncWriteExt as _;

use super::super::*;
use super::world::{Authority, GREETING, Validity, file, greeting, listener, plain_server, reach, tls_server};
use crate::domain::{Code, ConnectTo, Host, Http2, Origin, Scheme, UpstreamOptions};

fn dialer() -> Dialer {
    Dialer::new(Guard::default(), None)
}

#[tokio::test]
async fn alpn_decides_the_protocol_as_far_as_the_policy_lets_it() {
    let authority = Authority::new();
    let configs = authority.trusted();
    for (offered, policy, expected) in [
        (&["h2", "http/1.1"][..], Http2::Auto, Ok(Protocol::Http2)),
        (&["http/1.1"], Http2::Auto, Ok(Protocol::Http1)),
        (&[], Http2::Auto, Ok(Protocol::Http1)),
        (&["h2", "http/1.1"], Http2::Never, Ok(Protocol::Http1)),
        (&["h2"], Http2::Always, Ok(Protocol::Http2)),
        (&["http/1.1"], Http2::Always, Err(TlsFault::NoHttp2)),
        (&[], Http2::Always, Err(TlsFault::NoHttp2)),
    ] {
        let server = tls_server(authority.server("api.example.com", &Validity::Now, offered)).await;
        let dialed = dialer().dial(&reach(Scheme::Https, "api.example.com", Some(server), policy, &configs)).await;
        match (dialed, expected) {
            (Ok(mut dialed), Ok(protocol)) => {
                assert_eq!((dialed.protocol, dialed.peer), (protocol, server));
                assert_eq!(greeting(&mut dialed).await, GREETING);
                assert!(dialed.stream.tcp().nodelay().unwrap() && dialed.forward.is_none());
            }
            (Err(DialError::Tls { fault, .. }), Err(expected)) => assert_eq!(fault, expected),
            (other, _) => panic!("{offered:?} {policy:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn plain_origins_speak_http1_or_http2_by_prior_knowledge() {
    let server = plain_server().await;
    let configs = TlsConfigs::trusting(RootCertStore::empty());
    for (policy, protocol) in
        [(Http2::Auto, Protocol::Http1), (Http2::Never, Protocol::Http1), (Http2::Always, Protocol::Http2)]
    {
        let mut dialed =
            dialer().dial(&reach(Scheme::Http, "x.example", Some(server), policy, &configs)).await.unwrap();
        assert_eq!(dialed.protocol, protocol);
        assert_eq!(greeting(&mut dialed).await, GREETING);
    }
}

async fn fault(server: std::net::SocketAddr, configs: &TlsConfigs) -> (TlsFault, String) {
    match dialer().dial(&reach(Scheme::Https, "api.example.com", Some(server), Http2::Auto, configs)).await {
        Err(error @ DialError::Tls { .. }) => {
            let text = error.to_string();
            assert_eq!(error.code(), Code::UpstreamTls);
            let DialError::Tls { fault, .. } = error else { unreachable!() };
            (fault, text)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn certificate_failures_say_in_words_who_must_act() {
    let authority = Authority::new();
    let configs = authority.trusted();
    let server = tls_server(authority.server("api.example.com", &Validity::Past, &[])).await;
    let (expired, text) = fault(server, &configs).await;
    assert!(matches!(expired, TlsFault::Expired(_)) && text.contains("expired (on 2021-02-03)"), "{text}");

    let server = tls_server(authority.server("api.example.com", &Validity::Future, &[])).await;
    let (early, text) = fault(server, &configs).await;
    assert!(matches!(early, TlsFault::NotYetValid(_)) && text.contains("2080-01-01"), "{text}");

    let server = tls_server(authority.server("other.example.com", &Validity::Now, &[])).await;
    let (wrong, text) = fault(server, &configs).await;
    assert_eq!(wrong, TlsFault::WrongName(vec!["DnsName(\"other.example.com\")".to_owned()]));
    assert!(text.contains("is for other.example.com, not for this host"), "{text}");

    // Another authority, and one that was made anew under the old name.
    for stranger in [Authority::named("stranger"), Authority::new()] {
        let server = tls_server(stranger.server("api.example.com", &Validity::Now, &[])).await;
        let (unknown, text) = fault(server, &configs).await;
        assert_eq!(unknown, TlsFault::UnknownIssuer);
        assert!(text.contains("upstream = { ca ="), "{text}");
        assert!(!unknown.is_transient());
    }
}

#[tokio::test]
async fn a_port_without_tls_and_one_that_hangs_up_are_told_apart() {
    let configs = Authority::new().trusted();
    let plain = listener(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    })
    .await;
    assert_eq!(fault(plain, &configs).await.0, TlsFault::NotTls);
    let rude = listener(|stream| async move { drop(stream) }).await;
    let (closed, _) = fault(rude, &configs).await;
    assert_eq!(closed, TlsFault::Closed);
    assert!(closed.is_transient());
}

#[tokio::test]
async fn an_extra_authority_is_trusted_beside_the_others_and_equal_trust_is_one_configuration() {
    let (system, own) = (Authority::new(), Authority::new());
    let configs = system.trusted();
    let (_folder, path) = file(&own.pem());
    let config = configs.config(Some(&path), Http2::Auto).unwrap();
    assert!(Arc::ptr_eq(&config, &configs.config(Some(&path), Http2::Auto).unwrap()));
    assert!(!Arc::ptr_eq(&config, &configs.config(Some(&path), Http2::Never).unwrap()));
    assert!(!Arc::ptr_eq(&config, &configs.config(None, Http2::Auto).unwrap()));
    configs.forget_unused();
    assert!(Arc::ptr_eq(&config, &configs.config(Some(&path), Http2::Auto).unwrap()));
    for authority in [&system, &own] {
        let server = tls_server(authority.server("api.example.com", &Validity::Now, &[])).await;
        let mut way = reach(Scheme::Https, "api.example.com", Some(server), Http2::Auto, &configs);
        way.layer = Layer::Tls(Arc::clone(&config));
        assert!(dialer().dial(&way).await.is_ok());
    }
    let (_folder, empty) = file("no certificate here");
    assert!(matches!(configs.config(Some(&empty), Http2::Auto), Err(TlsSetupError::Certificate { .. })));
    let missing = configs.config(Some(&path.with_file_name("missing.pem")), Http2::Auto).unwrap_err();
    assert!(missing.to_string().contains("missing.pem") && missing.source().is_some());
}

#[test]
fn the_system_or_the_built_in_authorities_are_trusted() {
    let (_, report) = TlsConfigs::system();
    assert!(report.authorities > 0);
}

#[tokio::test]
async fn a_refused_port_is_a_connect_error_that_names_the_address() {
    // It has the port and does not listen, so that nobody else gets it meanwhile.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = silent.local_addr().unwrap();
    let configs = Authority::new().trusted();
    let error =
        dialer().dial(&reach(Scheme::Https, "x.example", Some(address), Http2::Auto, &configs)).await.unwrap_err();
    assert!(error.to_string().contains(&address.to_string()) && error.source().is_some(), "{error}");
    assert_eq!((error.code(), error.is_transient()), (Code::UpstreamUnreachable, true));
}

#[tokio::test]
async fn private_addresses_are_refused_after_resolution_unless_allowed() {
    let server = plain_server().await;
    let configs = TlsConfigs::trusting(RootCertStore::empty());
    let origin = |host: &str| Origin { scheme: Scheme::Http, host: Host::new(host).unwrap(), port: server.port() };
    for host in ["127.0.0.1", "localhost"] {
        let mut options = UpstreamOptions::default();
        let way = Reach::new(origin(host), &options, Duration::from_secs(10), &configs).unwrap();
        let error = dialer().dial(&way).await.unwrap_err();
        assert!(matches!(error, DialError::Refused { .. }) && error.to_string().contains("allow_private"), "{error}");
        assert_eq!((error.code(), error.is_transient()), (Code::AddressRefused, false));
        options.allow_private = true;
        let way = Reach::new(origin(host), &options, Duration::from_secs(10), &configs).unwrap();
        assert_eq!(greeting(&mut dialer().dial(&way).await.unwrap()).await, GREETING);
    }
    let tunnel = Reach::tunnel(origin("localhost"), Duration::from_secs(10));
    assert!(matches!(dialer().dial(&tunnel).await, Err(DialError::Refused { .. })));
    // `connect_to` is judged like the host it stands for.
    let connect_to = Some(ConnectTo::Name(Host::new("localhost").unwrap(), server.port()));
    let options = UpstreamOptions { connect_to, ..UpstreamOptions::default() };
    let way = Reach::new(origin("api.example.com"), &options, Duration::from_secs(10), &configs).unwrap();
    assert!(matches!(dialer().dial(&way).await, Err(DialError::Refused { .. })));
}

#[tokio::test]
async fn our_own_listener_is_never_dialled() {
    let server = plain_server().await;
    let configs = TlsConfigs::trusting(RootCertStore::empty());
    let dialer = Dialer::new(Guard::new(vec![server]), None);
    let error = dialer.dial(&reach(Scheme::Http, "x.example", Some(server), Http2::Auto, &configs)).await.unwrap_err();
    assert!(matches!(error, DialError::Loop { .. }) && error.to_string().contains("own listener"), "{error}");
}

#[tokio::test]
async fn an_address_that_fails_makes_room_for_the_next() {
    // `localhost` is ::1 and 127.0.0.1 on most machines; the server listens on the second alone.
    let server = plain_server().await;
    let configs = TlsConfigs::trusting(RootCertStore::empty());
    let mut way = reach(Scheme::Http, "localhost", None, Http2::Auto, &configs);
    way.origin.port = server.port();
    assert_eq!(dialer().dial(&way).await.unwrap().peer, server);
}

#[tokio::test]
async fn a_silent_handshake_ends_with_the_time_that_was_given() {
    let silent = listener(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let configs = Authority::new().trusted();
    let mut way = reach(Scheme::Https, "x.example", Some(silent), Http2::Auto, &configs);
    way.timeout = Duration::from_millis(60);
    let error = dialer().dial(&way).await.unwrap_err();
    assert!(matches!(error, DialError::Timeout { stage: Stage::Handshake, .. }), "{error:?}");
    assert!(error.to_string().contains("60 ms (timeouts.connect); the TLS handshake with it took too long"), "{error}");
    assert_eq!((error.code(), error.is_transient()), (Code::UpstreamTimeout, true));
}
