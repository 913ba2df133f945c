//! Certificates: who signs when, who believes them, how long they are kept.

use std::io::Read as _;
use std::sync::{Arc, Barrier};

use rustls::pki_types::ServerName;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig, ServerConnection};

use super::*;
use crate::crypto::signing::SigningKey;
use crate::domain::{Clock as _, Host, HostRange, OWN_HOST, SystemClock};

const DAY: i64 = 24 * 60 * 60;

fn now() -> i64 {
    i64::try_from(SystemClock.wall().as_secs()).unwrap()
}

fn host(text: &str) -> Host {
    Host::new(text).unwrap()
}

fn authority(hosts: &[&str], signs_from: i64) -> Authority {
    let pkcs8 = SigningKey::generate().unwrap();
    let key = || SigningKey::from_pkcs8(&pkcs8).unwrap();
    let hosts: Vec<_> = hosts.iter().map(|text| HostRange::parse(text).unwrap()).collect();
    let draft = Draft::new(key(), &hosts, now()).unwrap();
    Authority::new(draft, key(), hosts, signs_from)
}

fn mint(authorities: Vec<Authority>) -> Mint {
    let mint = Mint::new().unwrap();
    mint.follow(authorities, Vec::new());
    mint
}

fn client(pem: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

fn hand_over<A, B>(from: &mut ConnectionCommon<A>, to: &mut ConnectionCommon<B>) -> Result<(), rustls::Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        to.process_new_packets()?;
    }
    Ok(())
}

/// A handshake as `name`, until both have what they need; the client keeps its session.
fn shake(client: &Arc<ClientConfig>, server: Arc<ServerConfig>, name: &str) -> Result<ClientConnection, rustls::Error> {
    let mut client = ClientConnection::new(Arc::clone(client), ServerName::try_from(name.to_owned()).unwrap()).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    for _ in 0..4 {
        hand_over(&mut client, &mut server)?;
        hand_over(&mut server, &mut client)?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    let _ = client.reader().read(&mut [0; 1]);
    Ok(client)
}

#[test]
fn who_trusts_the_authority_believes_its_certificates_and_nobody_else_does() {
    let mint = mint(vec![authority(&[], 0)]);
    let trusting = client(&mint.trust(now()));
    for name in
        ["api.test", "10.0.0.7", "::1", "a-label_with.many.dots.in.a.rather.long.name.of.more.than.64.characters.test"]
    {
        let done = shake(&trusting, mint.config(&host(name), now()).unwrap(), name).unwrap();
        assert_eq!(done.alpn_protocol(), Some(&b"http/1.1"[..]), "{name}");
    }
    let stranger = client(&self::mint(vec![authority(&[], 0)]).trust(now()));
    shake(&stranger, mint.config(&host("api.test"), now()).unwrap(), "api.test").unwrap_err();
    shake(&trusting, mint.config(&host("api.test"), now()).unwrap(), "other.test").unwrap_err();
}

#[test]
fn a_session_is_resumed_under_its_own_name() {
    let mint = mint(vec![authority(&[], 0)]);
    let client = client(&mint.trust(now()));
    let kind = |name: &str| {
        let done = shake(&client, mint.config(&host(name), now()).unwrap(), name).unwrap();
        done.handshake_kind().unwrap()
    };
    assert_eq!(kind("api.test"), rustls::HandshakeKind::Full);
    assert_eq!(kind("api.test"), rustls::HandshakeKind::Resumed);
    assert_eq!(kind("api.test"), rustls::HandshakeKind::Resumed, "each resumption brings another ticket");
    assert_eq!(kind("other.test"), rustls::HandshakeKind::Full);
}

#[test]
fn verifiers_hold_an_authority_to_its_hosts() {
    let limited = mint(vec![authority(&["api.test", "*.below.test", "10.0.0.7"], 0)]);
    let client = client(&limited.trust(now()));
    for (name, admitted) in [
        ("api.test", true),
        ("x.below.test", true),
        ("10.0.0.7", true),
        ("other.test", false),
        ("10.0.0.8", false),
        ("::1", false),
    ] {
        assert_eq!(limited.admits(&host(name), now()), Some(admitted), "{name}");
        let believed = shake(&client, limited.config(&host(name), now()).unwrap(), name);
        assert_eq!(believed.is_ok(), admitted, "{name}: {:?}", believed.err());
    }
    let narrowed = Mint::new().unwrap();
    narrowed.follow(vec![authority(&["api.test"], 0)], vec![HostRange::parse("other.test").unwrap()]);
    assert_eq!(narrowed.admits(&host("api.test"), now()), Some(false), "the configuration narrows it further");
    let own = host(OWN_HOST);
    assert_eq!(limited.admits(&own, now()), Some(false), "no service may have it");
    shake(&client, limited.config(&own, now()).unwrap(), OWN_HOST).unwrap();
    let names_alone = mint(vec![authority(&["api.test"], 0)]);
    let client = self::client(&names_alone.trust(now()));
    shake(&client, names_alone.config(&host("10.0.0.7"), now()).unwrap(), "10.0.0.7").unwrap_err();
}

#[test]
fn a_certificate_is_kept_until_it_is_near_its_end() {
    let mint = mint(vec![authority(&[], 0)]);
    let (api, began) = (host("api.test"), now());
    let first = mint.config(&api, began).unwrap();
    assert!(Arc::ptr_eq(&first, &mint.config(&api, began + 5 * DAY).unwrap()));
    let second = mint.config(&api, began + 6 * DAY).unwrap();
    assert!(!Arc::ptr_eq(&first, &second), "a day before its end another takes its place");
    assert!(Arc::ptr_eq(&second, &mint.config(&api, began + 6 * DAY + 1).unwrap()));
    assert!(!Arc::ptr_eq(&second, &mint.config(&host("other.test"), began).unwrap()));
}

#[test]
fn however_many_ask_at_once_one_certificate_is_made() {
    let mint = mint(vec![authority(&[], 0)]);
    let start = Barrier::new(8);
    let all: Vec<_> = std::thread::scope(|scope| {
        let ask = || {
            start.wait();
            mint.config(&host("api.test"), now()).unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.iter().all(|config| Arc::ptr_eq(config, &all[0])));
}

#[test]
fn whatever_hosts_are_asked_for_the_cache_stays_bounded() {
    let mint = mint(vec![authority(&[], 0)]);
    let first = mint.config(&host("h0.test"), now()).unwrap();
    for number in 1..2500 {
        mint.config(&host(&format!("h{number}.test")), now()).unwrap();
    }
    assert!(mint.kept() <= 2100, "{}", mint.kept());
    drop(first);
}

#[test]
fn another_authority_signs_from_its_time_on_and_both_are_to_be_trusted_before() {
    let (began, api) = (now(), host("api.test"));
    let old = authority(&[], 0);
    let mint = mint(vec![old]);
    let (trusted_before, first) = (client(&mint.trust(began)), mint.config(&api, began).unwrap());
    let before = mint.trust(began);
    // Followed again: what is known stays as it is.
    let next = authority(&[], began + 3 * DAY);
    let both = Mint::new().unwrap();
    both.follow(vec![authority(&[], 0), next], Vec::new());
    let pem = both.trust(began);
    assert_eq!(pem.matches("BEGIN CERTIFICATE").count(), 2);
    let client_of_both = client(&pem);
    let early = both.config(&api, began).unwrap();
    shake(&client_of_both, Arc::clone(&early), "api.test").unwrap();
    let late = both.config(&api, began + 3 * DAY).unwrap();
    assert!(!Arc::ptr_eq(&early, &late), "what the former signed is replaced when its time is over");
    shake(&client_of_both, Arc::clone(&late), "api.test").unwrap();
    let after = both.trust(began + 3 * DAY);
    assert_eq!(after.matches("BEGIN CERTIFICATE").count(), 1);
    assert!(pem.ends_with(&after) && !before.contains(&after));
    shake(&client(&after), early, "api.test").unwrap_err();
    shake(&trusted_before, first, "api.test").unwrap();
    shake(&trusted_before, late, "api.test").unwrap_err();
}

#[test]
fn without_an_authority_nothing_is_vouched_for() {
    let mint = Mint::new().unwrap();
    assert!(matches!(mint.config(&host("api.test"), now()), Err(MintError::NoAuthority)));
    assert_eq!(mint.admits(&host("api.test"), now()), None);
    assert_eq!(mint.trust(now()), "");
}

#[test]
fn the_newest_whose_time_has_come_signs() {
    let at = |from: &[i64], now| signing_at(from, |from| *from, now);
    assert_eq!(at(&[], 5), None);
    assert_eq!(at(&[9], 5), Some(0), "better the only one than none");
    assert_eq!(at(&[0, 9], 5), Some(0));
    assert_eq!(at(&[0, 5], 5), Some(1));
    assert_eq!(at(&[0, 9, 4], 5), Some(2));
}
