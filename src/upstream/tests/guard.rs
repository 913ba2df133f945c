//! One row of this table for every row of the guard's, and every form in which an IPv6 address wraps an IPv4 one.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use super::super::guard::{AddressRefused, Guard, Permission, TABLE};
use Permission::{PrivateToo, PublicOnly, Written};

/// The least permission under which the address is dialled; `None`: under none.
fn least(address: &str) -> Option<Permission> {
    let address = SocketAddr::new(address.parse().unwrap(), 443);
    let guard = Guard::default();
    let levels = [PublicOnly, PrivateToo, Written].map(|permission| guard.check(address, permission).is_ok());
    match levels {
        [true, true, true] => Some(PublicOnly),
        [false, true, true] => Some(PrivateToo),
        [false, false, true] => Some(Written),
        [false, false, false] => None,
        other => panic!("{address}: {other:?}"),
    }
}

const ROWS: &[(&str, Option<Permission>)] = &[
    ("169.254.169.254", Some(Written)),
    ("169.254.170.2", Some(Written)),
    ("169.254.170.23", Some(Written)),
    ("100.100.100.200", Some(Written)),
    ("192.0.0.192", Some(Written)),
    ("168.63.129.16", Some(Written)),
    ("0.0.0.0", None),
    ("0.1.2.3", None),
    ("10.0.0.7", Some(PrivateToo)),
    ("10.255.255.255", Some(PrivateToo)),
    ("100.64.0.1", Some(PrivateToo)),
    ("100.127.255.255", Some(PrivateToo)),
    ("127.0.0.1", Some(PrivateToo)),
    ("127.255.0.1", Some(PrivateToo)),
    ("169.254.1.1", Some(PrivateToo)),
    ("172.16.0.1", Some(PrivateToo)),
    ("172.31.255.255", Some(PrivateToo)),
    ("192.0.0.8", Some(PrivateToo)),
    ("192.0.2.1", None),
    ("192.88.99.1", None),
    ("192.168.1.1", Some(PrivateToo)),
    ("198.18.0.1", Some(PrivateToo)),
    ("198.19.255.255", Some(PrivateToo)),
    ("198.51.100.1", None),
    ("203.0.113.1", None),
    ("224.0.0.1", None),
    ("239.255.255.255", None),
    ("255.255.255.255", None),
    ("240.0.0.1", None),
    ("fd00:ec2::254", Some(Written)),
    ("fd00:ec2::23", Some(Written)),
    ("fd20:ce::254", Some(Written)),
    ("::", None),
    ("::1", Some(PrivateToo)),
    ("::8.8.8.8", None),
    ("::127.0.0.1", None),
    ("64:ff9b:1::8.8.8.8", Some(PrivateToo)),
    ("100::1", None),
    ("2001:2::1", Some(PrivateToo)),
    ("2001:10::1", None),
    ("2001:20::1", None),
    ("2001:db8::1", None),
    ("3fff::1", None),
    ("5f00::1", None),
    ("fc00::1", Some(PrivateToo)),
    ("fdff::1", Some(PrivateToo)),
    ("fe80::1", Some(PrivateToo)),
    ("fec0::1", Some(PrivateToo)),
    ("ff02::1", None),
];

#[test]
fn every_refused_network_is_refused_until_its_own_lift() {
    for (address, expected) in ROWS {
        assert_eq!(least(address), *expected, "{address}");
    }
}

#[test]
fn every_row_of_the_guard_has_a_row_here() {
    for row in TABLE {
        let first = TABLE.iter().position(|other| other.net == row.net);
        let decides = |address: &str| {
            let ip: IpAddr = address.parse().unwrap();
            TABLE.iter().position(|other| other.net.contains(&ip)) == first
        };
        assert!(ROWS.iter().any(|(address, _)| decides(address)), "{} {}", row.net, row.what);
    }
}

#[test]
fn wrapped_ipv4_addresses_are_judged_by_what_they_wrap() {
    for (address, expected) in [
        ("::ffff:127.0.0.1", Some(PrivateToo)),
        ("::ffff:169.254.169.254", Some(Written)),
        ("::ffff:0.0.0.0", None),
        ("::ffff:8.8.8.8", Some(PublicOnly)),
        ("64:ff9b::10.0.0.1", Some(PrivateToo)),
        ("64:ff9b::169.254.169.254", Some(Written)),
        ("64:ff9b::8.8.8.8", Some(PublicOnly)),
        ("2002:7f00:1::1", Some(PrivateToo)),
        ("2002:808:808::1", Some(PublicOnly)),
        // Teredo: the server 10.0.0.1 with a public client, and a public server with the client 127.0.0.1.
        ("2001:0:a00:1::f7f7:f7f7", Some(PrivateToo)),
        ("2001:0:808:808::80ff:fffe", Some(PrivateToo)),
        ("2001:0:808:808::f7f7:f7f7", Some(PublicOnly)),
        ("2600::5efe:a9fe:a9fe", Some(Written)),
        ("2600::200:5efe:808:808", Some(PublicOnly)),
        ("fe80::5efe:808:808", Some(PrivateToo)),
    ] {
        assert_eq!(least(address), expected, "{address}");
    }
}

#[test]
fn public_addresses_pass() {
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "192.167.0.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00::1",
        "2001:4860::8888",
        "2003::1",
    ] {
        assert_eq!(least(address), Some(PublicOnly), "{address}");
    }
}

#[test]
fn refusals_name_the_address_and_the_fix() {
    let refuse = |address: &str, permission| {
        Guard::default().check(SocketAddr::new(address.parse().unwrap(), 80), permission).unwrap_err().to_string()
    };
    let private = refuse("::ffff:10.0.0.7", PublicOnly);
    assert!(private.contains("10.0.0.7 is a private address") && private.contains("allow_private = true"), "{private}");
    let metadata = refuse("169.254.169.254", PrivateToo);
    assert!(metadata.contains("metadata") && metadata.contains("in connect_to"), "{metadata}");
    assert!(!refuse("0.0.0.0", Written).contains("allow_private"));
}

#[test]
fn our_own_listeners_are_refused_whatever_is_allowed() {
    let guard = Guard::new(vec!["127.0.0.1:8080".parse().unwrap(), "[::1]:8081".parse().unwrap()]);
    for ours in ["127.0.0.1:8080", "[::ffff:127.0.0.1]:8080", "0.0.0.0:8080", "[::1]:8081"] {
        let refused = guard.check(ours.parse().unwrap(), Written).unwrap_err();
        assert!(matches!(refused, AddressRefused::Ourselves { .. }), "{ours}");
        assert!(guard.check_loop(ours.parse().unwrap()).is_err(), "{ours}");
    }
    for other in ["127.0.0.1:8081", "127.0.0.2:8080", "[::1]:8080", "10.0.0.1:8080"] {
        assert_eq!(guard.check(other.parse().unwrap(), Written), Ok(()), "{other}");
    }
}

#[test]
fn a_wildcard_listener_is_every_address_of_this_machine() {
    let four = Guard::new(vec!["0.0.0.0:8080".parse().unwrap()]);
    let both = Guard::new(vec!["[::]:8080".parse().unwrap()]);
    for ours in ["127.0.0.1:8080", "127.9.9.9:8080"] {
        assert!(four.check_loop(ours.parse().unwrap()).is_err(), "{ours}");
        assert!(both.check_loop(ours.parse().unwrap()).is_err(), "{ours}");
    }
    assert!(four.check_loop("[::1]:8080".parse().unwrap()).is_ok());
    assert!(both.check_loop("[::1]:8080".parse().unwrap()).is_err());
    for other in ["127.0.0.1:8081", "192.0.2.1:8080", "8.8.8.8:8080"] {
        assert!(both.check_loop(other.parse().unwrap()).is_ok(), "{other}");
    }
    // An address of a real interface, where there is one: connecting a datagram socket sends nothing but picks it.
    let outside = UdpSocket::bind("0.0.0.0:0").unwrap();
    if outside.connect("192.0.2.1:9").is_ok() {
        let own = outside.local_addr().unwrap().ip();
        assert!(TcpListener::bind((own, 0)).is_ok());
        assert!(four.check_loop(SocketAddr::new(own, 8080)).is_err(), "{own}");
    }
}
