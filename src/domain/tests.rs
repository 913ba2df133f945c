//! Tables for the nouns: names, hosts, templates, rules.

use super::*;

#[test]
fn names_have_one_spelling() {
    for good in ["stripe", "billing-prod", "a.b_c", "1"] {
        assert!(Name::new(good).is_ok(), "{good}");
    }
    for bad in ["", "Stripe", "-x", "a b", "é", &"x".repeat(65)] {
        assert!(Name::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn hosts_are_compared_without_case_and_trailing_dot() {
    let table = [
        ("API.Stripe.com.", "api.stripe.com"),
        ("api.stripe.com", "api.stripe.com"),
        ("[::1]", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("a_b.example", "a_b.example"),
    ];
    for (given, kept) in table {
        assert_eq!(Host::new(given).map(|h| h.as_str().to_owned()), Ok(kept.to_owned()), "{given}");
    }
    for bad in ["", ".", "a..b", "a b", "user@host", "host:80", "[::g]", "a/b", "*.example.com"] {
        assert!(Host::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn templates_know_literals_holes_and_braces() {
    let template = Template::parse("Token {key}:{{x}}").unwrap();
    assert_eq!(template.fill(|_| Some("K")).as_deref(), Some("Token K:{x}"));
    assert_eq!(template.to_string(), "Token {key}:{{x}}");
    assert_eq!(Template::parse("plain").unwrap().literal().as_deref(), Some("plain"));
    assert_eq!(template.literal(), None);
    for bad in ["{", "}", "{a", "a}", "{A}"] {
        assert!(Template::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn rules_match_whole_segments() {
    let table = [
        ("GET /v1/**", "GET", "/v1/charges", true),
        ("GET /v1/**", "GET", "/v1/charges/x/y", true),
        ("GET /v1/**", "GET", "/v1", true),
        ("GET /v1/**", "GET", "/v10/charges", false),
        ("GET /v1/**", "POST", "/v1/charges", false),
        ("* /v1/*", "DELETE", "/v1/x", true),
        ("* /v1/*", "DELETE", "/v1/", false),
        ("* /v1/*", "DELETE", "/v1/x/y", false),
        ("GET /a/**/z", "GET", "/a/z", true),
        ("GET /a/**/z", "GET", "/a/b/c/z", true),
        ("GET /a/**/z", "GET", "/a/b/c/y", false),
        ("GET /**/b/**/d", "GET", "/a/b/b/c/d", true),
        ("GET /", "GET", "/", true),
        ("GET /", "GET", "/x", false),
        ("GET /v1/%41", "GET", "/v1/A", false),
    ];
    for (rule, method, path, admitted) in table {
        assert_eq!(Rule::parse(rule).unwrap().admits(method, path), admitted, "{rule} on {method} {path}");
    }
    for bad in ["", "GET", "GET v1", "get /v1", "GET /v*", "GET /a?b", "GET /a b"] {
        assert!(Rule::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_allowed_is_everything_or_what_a_rule_admits_and_reads_only_where_it_says_so() {
    let rules = |texts: &[&str]| Some(texts.iter().map(|text| Rule::parse(text).unwrap()).collect::<Vec<_>>());
    for (allowed, method, path, admitted) in [
        (rules(&["GET /v1/**"]), "GET", "/v1/x", [true, true]),
        (rules(&["GET /v1/**"]), "POST", "/v1/x", [false, false]),
        (rules(&["GET /a", "POST /b"]), "POST", "/b", [true, false]),
        (rules(&[]), "GET", "/v1", [false, false]),
        (None, "DELETE", "/x", [true, false]),
        (None, "OPTIONS", "/x", [true, true]),
        (None, "HEAD", "/x", [true, true]),
        (None, "get", "/x", [true, false]),
    ] {
        for (read_only, admitted) in [false, true].into_iter().zip(admitted) {
            let allowed = Allowed { rules: allowed.clone(), read_only };
            assert_eq!(allowed.admits(method, path), admitted, "{allowed:?} on {method} {path}");
        }
    }
    assert!(Allowed::default().is_everything());
}

#[test]
fn secrets_print_nothing() {
    let fields = Fields::new(vec![(Name::new("key").unwrap(), Secret::new(b"canary".to_vec()))]);
    assert!(!format!("{fields:?}").contains("canary"));
}

#[test]
fn request_ids_print_as_they_are_written() {
    let id = RequestId::new(0x0123_4567_89ab_cdef, 42);
    assert_eq!(id.to_string().as_bytes(), id.hex());
}

#[test]
fn a_perimeter_is_networks_and_users() {
    let perimeter = Perimeter::parse("10.1.2.3/16 2001:db8::/32 192.0.2.7 uid:1000").unwrap();
    assert_eq!(perimeter.to_string(), "10.1.0.0/16 2001:db8::/32 192.0.2.7/32 uid:1000");
    let tcp = |text: &str| Peer::tcp(format!("{text}:5000").parse().unwrap());
    for inside in ["10.1.255.1", "[2001:db8::1]", "192.0.2.7", "[::ffff:10.1.0.9]"] {
        assert!(perimeter.admits(&tcp(inside)), "{inside}");
    }
    for outside in ["10.2.0.1", "[2001:db9::1]", "192.0.2.8", "127.0.0.1", "[::1]"] {
        assert!(!perimeter.admits(&tcp(outside)), "{outside}");
    }
    assert!(perimeter.admits(&Peer::unix(Some(1000))));
    assert!(!perimeter.admits(&Peer::unix(Some(0))) && !perimeter.admits(&Peer::unix(None)));
    // What names only one kind of connection keeps the other out.
    assert!(!Perimeter::parse("0.0.0.0/0 ::/0").unwrap().admits(&Peer::unix(Some(1000))));
    assert!(!Perimeter::parse("uid:1000").unwrap().admits(&tcp("127.0.0.1")));
    assert!(Perimeter::default().admits(&tcp("203.0.113.1")) && Perimeter::default().admits(&Peer::unix(None)));
    assert_eq!(Perimeter::parse(&perimeter.to_string()).unwrap(), perimeter);
    for wrong in ["10.1.0.0/33", "localhost", "uid:x", "uid:-1", "10.1"] {
        assert!(Perimeter::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!((tcp("127.0.0.1").text(), Peer::unix(Some(7)).text()), ("127.0.0.1:5000", "unix:uid=7"));
}

#[test]
fn a_range_of_hosts_is_one_host_or_all_of_one_label_before_another() {
    for (range, inside, outside) in [
        ("API.test.", "api.test", "x.api.test"),
        ("*.test", "api.test", "a.api.test"),
        ("*.api.test", "x.api.test", "api.test"),
        ("10.0.0.7", "10.0.0.7", "10.0.0.8"),
        ("[::1]", "::1", "::2"),
    ] {
        let range = HostRange::parse(range).unwrap();
        assert!(range.admits(&Host::new(inside).unwrap()), "{range}");
        assert!(!range.admits(&Host::new(outside).unwrap()), "{range}");
        assert_eq!(HostRange::parse(&range.to_string()), Ok(range));
    }
    for bad in ["", "*", "*.", "*.10.0.0.7", "a.*.test", "*.*.test", "https://api.test", "api.test:443"] {
        assert!(HostRange::parse(bad).is_err(), "{bad}");
    }
}
