//! Tables for every placement and spelling, the stripping rules, and properties over arbitrary queries, paths and headers.

use std::collections::BTreeMap;

use http::header::{AUTHORIZATION, CONNECTION, COOKIE, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version, request};
use proptest::prelude::*;

use super::*;
use crate::domain::{
    BaseUrl, Fields, Host, HostPattern, Limits, Name, Origin, Placement, Retry, Scheme, Secret, Service, Template,
    Timeouts, UpstreamOptions, Variable,
};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

fn header(title: &str, value: &str) -> Placement {
    Placement::Header { name: title.parse().unwrap(), spelled: title.into(), value: template(value) }
}

fn query(title: &str) -> Placement {
    Placement::Query { name: title.into(), value: template("{key}") }
}

fn cookie(title: &str) -> Placement {
    Placement::Cookie { name: title.into(), value: template("{key}") }
}

fn path(text: &str) -> Placement {
    Placement::Path { template: template(text) }
}

fn basic(username: &str, password: &str) -> Placement {
    Placement::Basic { username: template(username), password: template(password) }
}

fn service(base: &str, auth: Vec<Placement>) -> Service {
    let (scheme, rest) = base.split_once("://").unwrap();
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    let (host, base_path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    Service {
        name: name("billing"),
        title: "Billing".into(),
        built_in: false,
        declared: true,
        stored: false,
        base: BaseUrl { scheme, host: template(host), port: scheme.default_port(), path: template(base_path) },
        hosts: vec![],
        paths: vec![],
        auth,
        headers: vec![],
        allowed: crate::domain::Allowed::default(),
        limits: Limits::default(),
        gating: crate::domain::Gating::default(),
        retry: Retry::default(),
        timeouts: Timeouts::default(),
        upstream: UpstreamOptions::default(),
        allow_plaintext: false,
        variables: vec![],
        verify: None,
        signals: crate::domain::Signals::default(),
        docs: None,
        key_url: None,
        key_help: None,
        env: vec![],
        aliases: vec![],
        category: None,
    }
}

fn plan_of(auth: Vec<Placement>) -> Plan {
    Plan::compile(&service("https://api.example.com", auth), &BTreeMap::new()).unwrap()
}

fn key(value: &str) -> Fields {
    Fields::new(vec![(name("key"), Secret::new(value.as_bytes().to_vec()))])
}

fn parts(uri: &str, headers: &[(&str, &str)]) -> request::Parts {
    let mut builder = Request::builder().uri(uri);
    for (title, value) in headers {
        builder = builder.header(*title, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

fn sent(parts: request::Parts, plan: &Plan, fields: &Fields) -> request::Parts {
    place(parts, Mount::Origin(plan.upstream()), plan, fields).unwrap().into_parts()
}

/// The headers in order, as `name: value` lines.
fn lines(headers: &HeaderMap) -> Vec<String> {
    headers.iter().map(|(title, value)| format!("{title}: {}", String::from_utf8_lossy(value.as_bytes()))).collect()
}

fn stripped(headers: &[(&str, &str)]) -> Vec<String> {
    let origin = Origin { scheme: Scheme::Https, host: Host::new("x.example").unwrap(), port: 443 };
    lines(&unkeyed(parts("/", headers), &origin).unwrap().into_parts().headers)
}

#[test]
fn header_placement_replaces_every_spelling_in_its_place() {
    let plan = plan_of(vec![header("X-API-Key", "{key}")]);
    let caller = parts(
        "/v1",
        &[
            ("host", "127.0.0.1:8080"),
            ("x-api-key", "one"),
            ("accept", "*/*"),
            ("X-API-KEY", "two"),
            ("X_Api_Key", "three"),
            ("user-agent", "t"),
        ],
    );
    let out = sent(caller, &plan, &key("K"));
    assert_eq!(lines(&out.headers), ["host: api.example.com", "x-api-key: K", "accept: */*", "user-agent: t"]);
    assert!(out.headers.get("x-api-key").unwrap().is_sensitive());
}

#[test]
fn bearer_and_prefix_are_templates_and_nothing_of_the_callers_authorization_survives() {
    for (value, expected) in [("Bearer {key}", "Bearer K"), ("Token {key}", "Token K"), ("{key}", "K")] {
        let plan = plan_of(vec![header("Authorization", value)]);
        let caller = parts("/", &[("authorization", "Bearer skc_mine"), ("Authorization", "Basic Og==")]);
        let out = sent(caller, &plan, &key("K"));
        assert_eq!(lines(&out.headers), ["host: api.example.com", &format!("authorization: {expected}")]);
    }
}

#[test]
fn basic_joins_two_templates() {
    let fields = Fields::new(vec![
        (name("account_sid"), Secret::new(b"Aladdin".to_vec())),
        (name("auth_token"), Secret::new(b"open sesame".to_vec())),
    ]);
    let plan = plan_of(vec![basic("{account_sid}", "{auth_token}")]);
    let out = sent(parts("/", &[("authorization", "Bearer x")]), &plan, &fields);
    assert_eq!(out.headers.get(AUTHORIZATION).unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    let plan = plan_of(vec![basic("{key}", "")]);
    let out = sent(parts("/", &[]), &plan, &key("K"));
    assert_eq!(out.headers.get(AUTHORIZATION).unwrap(), "Basic Szo=");
    let refused = place(parts("/", &[]), Mount::Origin(plan.upstream()), &plan, &key("a:b")).unwrap_err();
    assert!(refused.to_string().contains("colon") && !refused.to_string().contains("a:b"), "{refused}");
}

#[test]
fn query_placement_removes_every_spelling_and_keeps_every_other_byte() {
    let plan = plan_of(vec![query("api_key")]);
    let table = [
        ("/v1", "/v1?api_key=K%2B%2F%20%C3%A9"),
        ("/v1?", "/v1?api_key=K%2B%2F%20%C3%A9"),
        ("/v1?a=1&b=%2f+x", "/v1?a=1&b=%2f+x&api_key=K%2B%2F%20%C3%A9"),
        ("/v1?api_key=mine", "/v1?api_key=K%2B%2F%20%C3%A9"),
        ("/v1?api_key", "/v1?api_key=K%2B%2F%20%C3%A9"),
        ("/v1?api%5Fkey=mine&a=1&%61pi_key=2&api_key=3=4", "/v1?a=1&api_key=K%2B%2F%20%C3%A9"),
        ("/v1?a=1&api_key=mine&b=2", "/v1?a=1&b=2&api_key=K%2B%2F%20%C3%A9"),
        ("/v1?a=1&&", "/v1?a=1&&&api_key=K%2B%2F%20%C3%A9"),
        ("/v1?api_keys=1&xapi_key=2&api_key%00=3", "/v1?api_keys=1&xapi_key=2&api_key%00=3&api_key=K%2B%2F%20%C3%A9"),
        ("/v1?a=api_key=1;api_key=2", "/v1?a=api_key=1;api_key=2&api_key=K%2B%2F%20%C3%A9"),
        ("http://api.example.com/v1?a", "/v1?a&api_key=K%2B%2F%20%C3%A9"),
    ];
    for (from, to) in table {
        assert_eq!(sent(parts(from, &[]), &plan, &key("K+/ é")).uri.to_string(), to, "{from}");
    }
}

#[test]
fn query_names_are_compared_as_servers_decode_them() {
    let plan = plan_of(vec![query("my key+")]);
    for gone in ["my+key%2b=1", "my%20key%2B=1", "%6dy+key%2B"] {
        assert_eq!(sent(parts(&format!("/?{gone}"), &[]), &plan, &key("K")).uri, "/?my%20key%2B=K", "{gone}");
    }
    for stays in ["my+key+=1", "my%2bkey%2B=1", "my%zzkey%2B=1", "my+key=1"] {
        let expected = format!("/?{stays}&my%20key%2B=K");
        assert_eq!(sent(parts(&format!("/?{stays}"), &[]), &plan, &key("K")).uri, expected.as_str(), "{stays}");
    }
}

#[test]
fn cookie_placement_keeps_the_other_cookies() {
    let plan = plan_of(vec![cookie("session")]);
    let table: [(&[&str], &str); 7] = [
        (&[], "session=K"),
        (&["session=mine"], "session=K"),
        (&["a=1; session=mine; b=2"], "a=1; b=2; session=K"),
        (&["session=mine;b=\"2\""], "b=\"2\"; session=K"),
        (&["a=1;  session = x"], "a=1; session=K"),
        (&["a=1", "session=x; c=3", "Session=other"], "a=1; c=3; Session=other; session=K"),
        (&["session"], "session=K"),
    ];
    for (from, to) in table {
        let headers: Vec<_> = from.iter().map(|line| ("cookie", *line)).collect();
        let out = sent(parts("/", &headers), &plan, &key("K"));
        assert_eq!(lines(&out.headers), ["host: api.example.com", &format!("cookie: {to}")], "{from:?}");
    }
    let refused = place(parts("/", &[]), Mount::Origin(plan.upstream()), &plan, &key("K; admin=1")).unwrap_err();
    assert!(refused.to_string().contains("semicolon"), "{refused}");
}

#[test]
fn path_placement_replaces_a_value_that_stands_there_and_inserts_otherwise() {
    let plan = plan_of(vec![path("/bot{key}")]);
    let table = [
        ("/getMe", "/bot1:A%2Fb/getMe"),
        ("/bot123:mine/getMe?x=1", "/bot1:A%2Fb/getMe?x=1"),
        ("/bot/getMe", "/bot1:A%2Fb/getMe"),
        ("/%62ot9/getMe", "/bot1:A%2Fb/getMe"),
        ("/bot9", "/bot1:A%2Fb"),
        ("/file/bot9/x", "/bot1:A%2Fb/file/bot9/x"),
        ("/Bot9/x", "/bot1:A%2Fb/Bot9/x"),
        ("/", "/bot1:A%2Fb/"),
        ("http://api.example.com", "/bot1:A%2Fb/"),
    ];
    for (from, to) in table {
        assert_eq!(sent(parts(from, &[]), &plan, &key("1:A/b")).uri, to, "{from}");
    }
    for climbing in ["..", "."] {
        let plan = plan_of(vec![path("/{key}")]);
        assert!(place(parts("/x", &[]), Mount::Origin(plan.upstream()), &plan, &key(climbing)).is_err());
    }
}

#[test]
fn path_shapes_span_segments_and_text_after_a_hole() {
    let plan = plan_of(vec![path("/v1/{key}/bot-{key}.json")]);
    for (from, to) in [
        ("/v1/a/bot-b.json/x", "/v1/K/bot-K.json/x"),
        ("/v1/a/bot-b.jsonx/x", "/v1/K/bot-K.json/v1/a/bot-b.jsonx/x"),
        ("/v1/a/x", "/v1/K/bot-K.json/v1/a/x"),
        ("/v1//bot-.json", "/v1/K/bot-K.json"),
    ] {
        assert_eq!(sent(parts(from, &[]), &plan, &key("K")).uri, to, "{from}");
    }
    // Holes and slashes alone have no shape that could be told from a caller's own path.
    let plan = plan_of(vec![path("/{key}")]);
    assert_eq!(sent(parts("/a/b", &[]), &plan, &key("K")).uri, "/K/a/b");
}

#[test]
fn base_path_is_added_at_the_path_and_host_doors_only() {
    let billing = service("https://api.example.com/api/v2", vec![header("x-api-key", "{key}")]);
    let plan = Plan::compile(&billing, &BTreeMap::new()).unwrap();
    for (from, skip, to) in [
        ("/billing/x%2Fy?q=%41", 8, "/api/v2/x%2Fy?q=%41"),
        ("/billing", 8, "/api/v2"),
        ("/billing/", 8, "/api/v2/"),
        ("/x", 0, "/api/v2/x"),
    ] {
        let out = place(parts(from, &[]), Mount::Base { skip }, &plan, &key("K")).unwrap();
        assert_eq!(out.into_parts().uri, to, "{from}");
        assert_eq!(
            plan.ruled_path(from.split('?').next().unwrap(), &Mount::Base { skip }).unwrap(),
            to.split('?').next().unwrap()
        );
    }
    assert_eq!(sent(parts("/api/v2/x", &[]), &plan, &key("K")).uri, "/api/v2/x");
    assert_eq!(sent(parts("/other", &[]), &plan, &key("K")).uri, "/other");
    assert!(place(parts("/bil", &[]), Mount::Base { skip: 9 }, &plan, &key("K")).is_err());
    assert!(place(parts("/billing", &[]), Mount::Base { skip: 3 }, &plan, &key("K")).is_err());
    assert!(plan.fixes_path());
}

#[test]
fn path_placement_stands_between_base_path_and_rest() {
    let telegram = service("https://api.example.com/api", vec![path("/bot{key}")]);
    let plan = Plan::compile(&telegram, &BTreeMap::new()).unwrap();
    let origin = Mount::Origin(plan.upstream());
    for (mount, from, to, ruled) in [
        (Mount::Base { skip: 2 }, "/t/getMe", "/api/botK/getMe", "/api/getMe"),
        (Mount::Base { skip: 2 }, "/t/bot1/getMe", "/api/botK/getMe", "/api/getMe"),
        (origin, "/api/getMe", "/api/botK/getMe", "/api/getMe"),
        (origin, "/api/bot1/getMe", "/api/botK/getMe", "/api/getMe"),
        (origin, "/apix/getMe", "/botK/apix/getMe", "/apix/getMe"),
        (origin, "/api", "/api/botK", "/api"),
    ] {
        assert_eq!(place(parts(from, &[]), mount, &plan, &key("K")).unwrap().into_parts().uri, to, "{from}");
        assert_eq!(plan.ruled_path(from, &mount).unwrap(), ruled, "{from}");
    }
}

#[test]
fn asterisk_form_stays() {
    let plan = plan_of(vec![query("k"), path("/bot{key}")]);
    assert_eq!(sent(parts("*", &[]), &plan, &key("K")).uri, "*");
}

#[test]
fn several_placements_are_filled_from_one_credential() {
    let plan = plan_of(vec![header("X-Id", "{id}"), query("sig"), cookie("c"), header("X-Key", "v={key}")]);
    let fields = Fields::new(vec![(name("id"), Secret::new(b"7".to_vec())), (name("key"), Secret::new(b"K".to_vec()))]);
    let out = sent(parts("/a", &[]), &plan, &fields);
    assert_eq!(out.uri, "/a?sig=K");
    assert_eq!(lines(&out.headers), ["host: api.example.com", "x-id: 7", "x-key: v=K", "cookie: c=K"]);
    assert_eq!(
        place(parts("/a", &[]), Mount::Origin(plan.upstream()), &plan, &key("K")).unwrap_err(),
        InjectError::MissingField(name("id"))
    );
}

#[test]
fn values_that_cannot_stand_in_a_header_are_refused_without_being_shown() {
    for auth in [header("x-api-key", "{key}"), basic("u", "{key}"), cookie("c")] {
        let plan = plan_of(vec![auth]);
        for bad in ["canary\n", "canary\r\nX: 1", "canary\0", "\u{7f}canary"] {
            let refused = place(parts("/", &[]), Mount::Origin(plan.upstream()), &plan, &key(bad)).unwrap_err();
            assert!(matches!(refused, InjectError::Unplaceable { .. }));
            assert!(!format!("{refused} {refused:?}").contains("canary"));
        }
    }
}

#[test]
fn outbound_prints_no_path_query_or_header() {
    let plan = plan_of(vec![query("k"), path("/bot{key}"), header("a", "{key}")]);
    let out = place(parts("/x?y=1", &[]), Mount::Origin(plan.upstream()), &plan, &key("canary")).unwrap();
    assert_eq!(format!("{out:?}"), "Outbound(GET to Upstream(https://api.example.com))");
    assert!(!format!("{:?}", out.into_parts().headers).contains("canary"));
    assert!(!format!("{plan:?}").contains("canary"));
}

#[test]
fn fixed_headers_are_added_when_the_caller_sent_none() {
    let mut billing = service("https://{tenant}.example.com/{tenant}", vec![header("x-api-key", "{key}")]);
    billing.variables =
        vec![Variable { name: name("tenant"), title: String::new(), example: None, default: None, choices: vec![] }];
    billing.headers = vec![
        (HeaderName::from_static("x-version"), template("1")),
        (HeaderName::from_static("x-tenant"), template("t-{tenant}")),
    ];
    let pinned = BTreeMap::from([(name("tenant"), "acme".to_owned())]);
    let plan = Plan::compile(&billing, &pinned).unwrap();
    let out = place(parts("/b", &[("x-version", "2")]), Mount::Base { skip: 2 }, &plan, &key("K")).unwrap();
    assert_eq!(out.origin().host.as_str(), "acme.example.com");
    let out = out.into_parts();
    assert_eq!(out.uri, "/acme");
    assert_eq!(lines(&out.headers), ["host: acme.example.com", "x-version: 2", "x-api-key: K", "x-tenant: t-acme"]);
    assert!(matches!(Plan::compile(&billing, &BTreeMap::new()), Err(PlanError::MissingVariable { .. })));
    billing.variables[0].default = Some("std".into());
    assert_eq!(Plan::compile(&billing, &BTreeMap::new()).unwrap().upstream().origin().host.as_str(), "std.example.com");
    for hostile in ["evil.com/", "a.b@c", "x y", "..", ""] {
        let pinned = BTreeMap::from([(name("tenant"), hostile.to_owned())]);
        assert!(Plan::compile(&billing, &pinned).is_err(), "{hostile}");
    }
}

#[test]
fn plans_refuse_what_could_not_be_sent() {
    let refuse = |auth: Vec<Placement>| {
        Plan::compile(&service("https://api.example.com", auth), &BTreeMap::new()).map(|_| ()).unwrap_err()
    };
    for reserved in ["Host", "Connection", "Content-Length", "Transfer-Encoding", "TE", "Proxy-Authorization", "Cookie"]
    {
        assert!(matches!(refuse(vec![header(reserved, "{key}")]), PlanError::Reserved(_)), "{reserved}");
    }
    assert!(matches!(refuse(vec![header("Authorization", "{key}"), basic("a", "b")]), PlanError::Twice(_)));
    assert!(matches!(refuse(vec![query("a"), query("a")]), PlanError::Twice(_)));
    assert!(matches!(refuse(vec![path("/a{key}"), path("/b{key}")]), PlanError::Twice(_)));
    for bad in ["bot{key}", "/bot{key}/", "/a/../{key}", "/a?{key}", "/a b{key}"] {
        assert!(matches!(refuse(vec![path(bad)]), PlanError::Text { .. }), "{bad}");
    }
    assert!(matches!(refuse(vec![header("x", "a\nb{key}")]), PlanError::Text { .. }));
    let mut fixed = service("https://api.example.com", vec![header("x-api-key", "{key}")]);
    fixed.headers = vec![(HeaderName::from_static("x-api-key"), template("mine"))];
    assert!(matches!(Plan::compile(&fixed, &BTreeMap::new()), Err(PlanError::Twice(_))));
}

#[test]
fn keys_go_only_to_hosts_of_the_service_and_the_pinned_tenant() {
    let mut shop = service("https://{shop}.example.com", vec![header("x-api-key", "{key}")]);
    shop.variables =
        vec![Variable { name: name("shop"), title: String::new(), example: None, default: None, choices: vec![] }];
    shop.hosts = vec![
        (HostPattern::Tenant(template("{shop}.example.com")), None),
        (HostPattern::Exact(Host::new("uploads.example.com").unwrap()), Some(8443)),
        (HostPattern::AnyLabel(Host::new("cdn.example.com").unwrap()), None),
    ];
    let plan = Plan::compile(&shop, &BTreeMap::from([(name("shop"), "mine".to_owned())])).unwrap();
    let at = |scheme, host: &str, port| plan.upstream_at(&Origin { scheme, host: Host::new(host).unwrap(), port });
    for (host, port) in [
        ("mine.example.com", 443),
        ("uploads.example.com", 443),
        ("uploads.example.com", 8443),
        ("a.cdn.example.com", 443),
    ] {
        let upstream = at(Scheme::Https, host, port).unwrap();
        let out = place(parts("/", &[]), Mount::Origin(&upstream), &plan, &key("K")).unwrap();
        assert_eq!((out.origin().host.as_str(), out.origin().port), (host, port));
        let expected = if port == 443 { host.to_owned() } else { format!("{host}:{port}") };
        assert_eq!(out.into_parts().headers.get(HOST).unwrap(), &expected);
    }
    for (scheme, host, port) in [
        (Scheme::Https, "other.example.com", 443),
        (Scheme::Https, "mine.example.com", 8443),
        (Scheme::Http, "mine.example.com", 443),
        (Scheme::Https, "a.b.cdn.example.com", 443),
        (Scheme::Https, "cdn.example.com", 443),
        (Scheme::Https, "evilcdn.example.com", 443),
    ] {
        assert!(at(scheme, host, port).is_none(), "{host}:{port}");
    }
}

#[test]
fn nothing_to_strip_leaves_headers_as_they_are() {
    let headers = [("host", "x.example"), ("accept", "*/*"), ("te", "trailers"), ("b", "1"), ("a", "2"), ("b", "3")];
    assert_eq!(stripped(&headers), ["host: x.example", "accept: */*", "te: trailers", "b: 1", "b: 3", "a: 2"]);
}

#[test]
fn hop_by_hop_fields_go_and_the_order_of_the_rest_stays() {
    let out = stripped(&[
        ("host", "a"),
        ("connection", "keep-alive, X-Hop"),
        ("accept", "1"),
        ("x-hop", "2"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("x-a", "3"),
        ("proxy-authorization", "Basic canary"),
        ("sidekey-credential", "billing-prod"),
        ("http2-settings", "AAMAAABk"),
        ("upgrade", "websocket"),
        ("x-b", "4"),
        ("te", "gzip"),
        ("x-a", "5"),
        ("proxy-anything", "6"),
        ("x-c", "7"),
    ]);
    assert_eq!(out, ["host: x.example", "accept: 1", "x-a: 3", "x-a: 5", "x-b: 4", "x-c: 7"]);
}

#[test]
fn hostile_connection_nominations_take_nothing_essential_away() {
    let out = stripped(&[
        ("connection", "host, Content-Length, content-type, TRANSFER-ENCODING, cache-control, close, x-mine"),
        ("host", "a"),
        ("content-length", "3"),
        ("content-type", "text/plain"),
        ("cache-control", "no-store"),
        ("x-mine", "1"),
    ]);
    assert_eq!(out, ["host: x.example", "content-length: 3", "content-type: text/plain", "cache-control: no-store"]);
    // Our own fields are added after the caller's nominations have been obeyed.
    let plan = plan_of(vec![header("x-api-key", "{key}")]);
    let out = sent(parts("/", &[("connection", "x-api-key"), ("x-api-key", "mine")]), &plan, &key("K"));
    assert_eq!(out.headers.get("x-api-key").unwrap(), "K");
}

#[test]
fn upgrades_pass_but_not_to_another_http() {
    let out = stripped(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"), ("a", "1")]);
    assert_eq!(out, ["host: x.example", "connection: Upgrade", "upgrade: websocket", "a: 1"]);
    for other in ["h2c", "websocket, H2C", "TLS/1.2", "HTTP/2.0", ""] {
        let out = stripped(&[("connection", "upgrade"), ("upgrade", other), ("a", "1")]);
        assert_eq!(out, ["host: x.example", "a: 1"], "{other}");
    }
    assert_eq!(stripped(&[("connection", "upgrade"), ("a", "1")]), ["host: x.example", "a: 1"]);
    assert_eq!(stripped(&[("upgrade", "websocket"), ("a", "1")]), ["host: x.example", "a: 1"]);
}

#[test]
fn te_keeps_only_trailers() {
    assert_eq!(stripped(&[("te", "gzip, Trailers;q=0.5")]), ["host: x.example", "te: trailers"]);
    assert_eq!(
        stripped(&[("connection", "TE"), ("te", "trailers")]),
        ["host: x.example", "connection: TE", "te: trailers"]
    );
}

#[test]
fn chunked_framing_stays_and_other_transfer_codings_are_refused() {
    assert_eq!(stripped(&[("transfer-encoding", "Chunked")]), ["host: x.example", "transfer-encoding: chunked"]);
    let plan = plan_of(vec![]);
    for other in ["gzip, chunked", "chunked, chunked", "identity", "", "chunked;x"] {
        let caller = parts("/", &[("transfer-encoding", other)]);
        let refused = place(caller, Mount::Origin(plan.upstream()), &plan, &key("K")).unwrap_err();
        assert_eq!(refused, InjectError::TransferCoding, "{other}");
    }
}

#[test]
fn forms_for_each_connection() {
    let plan = plan_of(vec![]);
    let caller = || {
        let headers = [("a", "1"), ("host", "x"), ("transfer-encoding", "chunked"), ("b", "2")];
        place(parts("/p?q", &headers), Mount::Origin(plan.upstream()), &plan, &key("K")).unwrap()
    };
    let h1 = caller().into_parts();
    assert_eq!((h1.uri.to_string().as_str(), h1.version), ("/p?q", Version::HTTP_11));
    assert_eq!(lines(&h1.headers), ["a: 1", "host: api.example.com", "transfer-encoding: chunked", "b: 2"]);
    let h2 = caller().into_h2_parts();
    assert_eq!((h2.uri.to_string().as_str(), h2.version), ("https://api.example.com/p?q", Version::HTTP_2));
    assert_eq!(lines(&h2.headers), ["a: 1", "b: 2"]);
    let forward = caller().into_forward_parts(Some(HeaderValue::from_static("Basic x")));
    assert_eq!(forward.uri, "https://api.example.com/p?q");
    assert_eq!(forward.headers.get("proxy-authorization").unwrap(), "Basic x");
}

#[test]
fn an_http2_callers_request_becomes_a_proper_http1_request() {
    let plan = plan_of(vec![]);
    let mut caller = parts("https://api.example.com/p", &[("cookie", "a=1"), ("x", "1"), ("cookie", "b=2; c=3")]);
    caller.version = Version::HTTP_2;
    let mut out = place(caller, Mount::Origin(plan.upstream()), &plan, &key("K")).unwrap();
    out.declare_chunked();
    let out = out.into_parts();
    assert_eq!(
        lines(&out.headers),
        ["host: api.example.com", "cookie: a=1; b=2; c=3", "x: 1", "transfer-encoding: chunked"]
    );
}

#[test]
fn trailers_bring_neither_framing_nor_a_credential() {
    let plan = plan_of(vec![header("X-API-Key", "{key}"), cookie("s")]);
    let mut trailers = parts(
        "/",
        &[
            ("grpc-status", "0"),
            ("content-length", "9"),
            ("x-api-key", "mine"),
            ("x_api-key", "mine"),
            ("authorization", "mine"),
            ("cookie", "s=mine"),
            ("connection", "close"),
            ("sidekey-retry", "off"),
            ("checksum", "1"),
        ],
    )
    .headers;
    strip_trailers(&mut trailers, Some(&plan));
    assert_eq!(lines(&trailers), ["grpc-status: 0", "checksum: 1"]);
}

#[test]
fn dot_segments_are_seen_in_every_spelling() {
    for yes in [
        "/.",
        "/..",
        "/a/../b",
        "/a/./b",
        "/a/%2e%2e/b",
        "/a/.%2E",
        "/a/..%2fb",
        "/a%2F..%2Fb",
        "/a\\..\\b",
        "/a%5c..%5Cb",
        "/..;/b",
        "/..;x=1/b",
        "/%2e;/",
        "/..%3b/",
        "..",
        "/a/..",
    ] {
        assert!(has_dot_segments(yes), "{yes}");
    }
    for no in [
        "/",
        "",
        "/a.b",
        "/...",
        "/.well-known/x",
        "/a/..b",
        "/a/b..",
        "/%2e%2e%2e",
        "/a;..",
        "/%252e%252e/",
        "/a/%2",
        "*",
    ] {
        assert!(!has_dot_segments(no), "{no}");
    }
}

#[tokio::test]
async fn the_callers_spelling_reaches_the_wire_and_ours_is_title_case() {
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let (mut caller, door) = tokio::io::duplex(4096);
    let head = "GET /v1 HTTP/1.1\r\nhost: a\r\nX-fooBAR: 1\r\nconnection: keep-alive\r\nACCEPT: */*\r\n\r\n";
    caller.write_all(head.as_bytes()).await.unwrap();
    let (caught, mut inbound) = tokio::sync::mpsc::unbounded_channel();
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let _ = caught.send(request.into_parts().0);
        std::future::pending::<Result<http::Response<String>, std::convert::Infallible>>()
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(door), service);
    let parts = tokio::select! {
        parts = inbound.recv() => parts.unwrap(),
        _ = serving => unreachable!("the service never answers"),
    };
    let plan = plan_of(vec![header("X-API-Key", "{key}")]);
    let out = place(parts, Mount::Origin(plan.upstream()), &plan, &key("K")).unwrap().into_parts();
    let (ours, mut upstream) = tokio::io::duplex(4096);
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .title_case_headers(true)
        .handshake::<_, String>(TokioIo::new(ours))
        .await
        .unwrap();
    let exchange = async move {
        let sending = sender.send_request(Request::from_parts(out, String::new()));
        tokio::join!(sending, connection).0.map(|_| ())
    };
    let reading = async {
        let mut wire = Vec::new();
        while !wire.ends_with(b"\r\n\r\n") {
            wire.push(upstream.read_u8().await.unwrap());
        }
        String::from_utf8(wire).unwrap()
    };
    let wire = tokio::select! { wire = reading => wire, _ = exchange => unreachable!("nobody answers") };
    assert_eq!(wire, "GET /v1 HTTP/1.1\r\nhost: api.example.com\r\nX-fooBAR: 1\r\nACCEPT: */*\r\nX-Api-Key: K\r\n\r\n");
}

/// Query text from an alphabet that makes our name, its encodings and separators likely.
fn query_text() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        Just("api_key"),
        Just("api%5fkey"),
        Just("%61pi_key"),
        Just("="),
        Just("&"),
        Just("+"),
        Just("%"),
        Just("%2"),
        Just("a"),
        Just("%00"),
        Just("?"),
        Just(";"),
        Just("/"),
    ];
    proptest::collection::vec(atom, 0..24).prop_map(|atoms| atoms.concat())
}

fn decoded(name: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(&name.replace('+', " ")).collect()
}

proptest! {
    #[test]
    fn query_bytes_other_than_removed_pairs_are_untouched(text in query_text()) {
        let plan = plan_of(vec![query("api_key")]);
        let out = sent(parts(&format!("/p?{text}"), &[]), &plan, &key("K")).uri;
        let kept: Vec<&str> =
            text.split('&').filter(|pair| decoded(pair.split('=').next().unwrap()) != b"api_key").collect();
        let kept = kept.join("&");
        let expected = if kept.is_empty() { "api_key=K".to_owned() } else { format!("{kept}&api_key=K") };
        prop_assert_eq!(out.query().unwrap(), expected);
    }

    #[test]
    fn placing_twice_equals_placing_once(
        text in query_text(),
        segments in proptest::collection::vec("(bot|bo|t|%62|[a-z]{0,3}|\\.\\.|%2f)", 0..4),
        cookies in proptest::collection::vec("(session=[a-z]{0,3}|[a-z]=;?;? ?|; ?|session)", 0..4),
        h2: bool,
    ) {
        let auth = vec![query("api_key"), path("/bot{key}"), cookie("session"), header("Authorization", "Bearer {key}")];
        let plan = plan_of(auth);
        let headers: Vec<_> = cookies.iter().map(|line| ("cookie", line.as_str())).collect();
        let mut caller = parts(&format!("/{}?{text}", segments.join("/")), &headers);
        caller.version = if h2 { Version::HTTP_2 } else { Version::HTTP_11 };
        let once = sent(caller, &plan, &key("K"));
        let (uri, fields) = (once.uri.clone(), lines(&once.headers));
        let twice = sent(once, &plan, &key("K"));
        prop_assert_eq!(twice.uri, uri);
        prop_assert_eq!(lines(&twice.headers), fields);
    }

    #[test]
    fn garbage_never_panics_and_the_callers_value_never_survives(
        names in proptest::collection::vec("[a-zA-Z_-]{1,12}|connection|te|upgrade|x-api-key|cookie|proxy-x", 0..12),
        values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 12),
        target in "/[!-~]{0,40}",
        skip in 0usize..50,
        secret in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        let auth = vec![
            header("x-api-key", "{key}"), query("k"), cookie("c"), path("/a{key}b/{key}"), basic("u", "{key}"),
        ];
        let plan = plan_of(auth);
        let fields = Fields::new(vec![(name("key"), Secret::new(secret))]);
        let mut request = Request::new(());
        if let Ok(uri) = target.parse() {
            *request.uri_mut() = uri;
        }
        for (title, value) in names.iter().zip(&values) {
            if let (Ok(title), Ok(value)) = (title.parse::<HeaderName>(), HeaderValue::from_bytes(value)) {
                request.headers_mut().append(title, value);
            }
        }
        let caller = request.into_parts().0;
        let _ = plan.ruled_path(caller.uri.path(), &Mount::Base { skip });
        let _ = place(caller.clone(), Mount::Base { skip }, &plan, &fields);
        if let Ok(out) = place(caller, Mount::Origin(plan.upstream()), &plan, &fields) {
            let out = out.into_h2_parts();
            for gone in [CONNECTION, TRANSFER_ENCODING, UPGRADE, HOST] {
                prop_assert!(!out.headers.contains_key(gone));
            }
            prop_assert_eq!(out.headers.get_all("x-api-key").iter().count(), 1);
            prop_assert_eq!(out.headers.get_all(COOKIE).iter().count(), 1);
            prop_assert!(out.headers.get(TE).is_none_or(|te| te == "trailers"));
            prop_assert!(out.headers.keys().all(|n| !n.as_str().starts_with("proxy-")));
            prop_assert_eq!(out.method, Method::GET);
        }
    }

    #[test]
    fn dot_segments_never_panic(text in ".{0,40}") {
        let _ = has_dot_segments(&text);
    }
}
