//! The key's place: it stands exactly where the service wants it, whatever the caller put there is gone, and all that the
//! caller sent elsewhere arrives byte by byte.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::world::{FakeUpstream, World};

fn placed(auth: &str, value: &str) -> (FakeUpstream, World) {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("api", &upstream, &format!("auth = {auth}")).key("api", "api-prod", value).serve();
    (upstream, world)
}

#[test]
fn a_header_replaces_the_caller_s_own_in_any_case() {
    let (upstream, world) = placed(r#"{ location = "header", name = "X-Api-Key" }"#, "s3cret");
    let head = "GET /api/v1 HTTP/1.1\r\nHost: localhost\r\nx-API-key: mine\r\nX-Other: 1\r\nX-Api-Key: mine-too\r\n\
                X_Api_Key: mine-as-well\r\n\r\n";
    assert_eq!(world.wire().send(head).reply().status, 200);
    let seen = upstream.only_request();
    assert_eq!(seen.values("x-api-key"), ["s3cret"]);
    assert_eq!(seen.values("x-other"), ["1"]);
    assert!(!seen.mentions("mine"), "{seen:?}");
}

#[test]
fn a_prefix_stands_before_the_key() {
    let (upstream, world) = placed(r#"{ location = "header", name = "Authorization", prefix = "Token " }"#, "s3cret");
    world.ask("GET", "/api/v1").header("authorization", "Token mine").reply();
    assert_eq!(upstream.only_request().values("authorization"), ["Token s3cret"]);
}

#[test]
fn a_bearer_token_replaces_whatever_authorization_there_was() {
    let (upstream, world) = placed(r#"{ location = "bearer" }"#, "s3cret");
    let ask = world.ask("GET", "/api/v1").header("Authorization", "Basic bWluZTptaW5l");
    ask.header("AUTHORIZATION", "Bearer mine").reply();
    let seen = upstream.only_request();
    assert_eq!(seen.values("authorization"), ["Bearer s3cret"]);
    assert!(!seen.mentions("bWluZ") && !seen.mentions("mine"));
}

#[test]
fn basic_takes_both_halves_from_the_credential() {
    let auth = r#"{ location = "basic", username = "{account_sid}", password = "{auth_token}" }"#;
    let (upstream, world) = placed(auth, "account_sid=AC1\nauth_token=t0:k\n");
    world.ask("GET", "/api/v1").header("Authorization", "Bearer mine").reply();
    let expected = format!("Basic {}", STANDARD.encode("AC1:t0:k"));
    assert_eq!(upstream.only_request().values("authorization"), [expected]);
}

#[test]
fn a_query_parameter_replaces_every_spelling_of_its_name() {
    let (upstream, world) = placed(r#"{ location = "query", name = "api_key" }"#, "s3 cr&t");
    let query = "?a=%2F+%7e&api_key=mine&api%5Fkey=mine&%61pi_key&b=;api_key=kept&&c&API_KEY=other&api_key=";
    assert_eq!(world.get(&format!("/api/v1{query}")).status, 200);
    let seen = upstream.only_request();
    assert_eq!(seen.target, "/v1?a=%2F+%7e&b=;api_key=kept&&c&API_KEY=other&api_key=s3%20cr%26t");
}

#[test]
fn a_query_parameter_is_added_where_there_was_no_query() {
    let (upstream, world) = placed(r#"{ location = "query", name = "api_key" }"#, "s3cret");
    for (sent, arrived) in
        [("/api/v1", "/v1?api_key=s3cret"), ("/api/v1?", "/v1?&api_key=s3cret"), ("/api", "/?api_key=s3cret")]
    {
        world.get(sent);
        let target = upstream.last_request().target;
        assert!(target == arrived || target == arrived.replace("?&", "?"), "{sent}: {target}");
    }
}

#[test]
fn a_cookie_stands_beside_the_others() {
    let (upstream, world) = placed(r#"{ location = "cookie", name = "session" }"#, "s3cret");
    let head = "GET /api/v1 HTTP/1.1\r\nHost: localhost\r\nCookie: a=1; session=mine; b=\"2\"\r\nX-Other: 1\r\n\
                cookie: session=mine; Session=kept\r\n\r\n";
    assert_eq!(world.wire().send(head).reply().status, 200);
    let seen = upstream.only_request();
    assert_eq!(seen.values("cookie"), ["a=1; b=\"2\"; Session=kept; session=s3cret"]);
    world.get("/api/v1");
    assert_eq!(upstream.last_request().values("cookie"), ["session=s3cret"]);
}

#[test]
fn a_path_segment_is_put_in_and_never_doubled() {
    let (upstream, world) = placed(r#"{ location = "path", template = "/bot{key}" }"#, "123:s3cret");
    let ways = [
        ("/api/getMe?x=1", "/bot123:s3cret/getMe?x=1"),
        ("/api/botmine/getMe?x=1", "/bot123:s3cret/getMe?x=1"),
        ("/api/%62ot9:mine/getMe", "/bot123:s3cret/getMe"),
        ("http://api.test/botmine/getMe", "/bot123:s3cret/getMe"),
        ("http://api.test/getMe", "/bot123:s3cret/getMe"),
    ];
    for (sent, arrived) in ways {
        assert_eq!(world.get(sent).status, 200, "{sent}");
        assert_eq!(upstream.last_request().target, arrived, "{sent}");
    }
}

#[test]
fn several_places_are_filled_at_once() {
    let auth = r#"[{ location = "header", name = "X-App", value = "{app_id}" },
        { location = "query", name = "k", value = "{app_key}" },
        { location = "cookie", name = "c", value = "{app_key}" }]"#;
    let (upstream, world) = placed(&auth.replace('\n', " "), "app_id=A1\napp_key=K1\n");
    world.ask("GET", "/api/v1?k=mine").header("X-App", "mine").header("Cookie", "c=mine").reply();
    let seen = upstream.only_request();
    assert_eq!(seen.target, "/v1?k=K1");
    assert_eq!((seen.values("x-app"), seen.values("cookie")), (vec!["A1"], vec!["c=K1"]));
    assert!(!seen.mentions("mine"));
}

#[test]
fn a_fixed_header_is_added_only_when_the_caller_sent_none() {
    let upstream = FakeUpstream::plain();
    let more = "auth = { location = \"bearer\" }\nheaders = { \"X-Api-Version\" = \"2024-01\" }";
    let world = World::new().service("api", &upstream, more).key("api", "api-prod", "s3cret").serve();
    world.get("/api/v1");
    assert_eq!(upstream.last_request().values("x-api-version"), ["2024-01"]);
    world.ask("GET", "/api/v1").header("x-api-version", "2025-02").reply();
    assert_eq!(upstream.last_request().values("x-api-version"), ["2025-02"]);
}

#[test]
fn a_trailer_cannot_smuggle_the_caller_s_own_key() {
    let (upstream, world) = placed(r#"{ location = "header", name = "X-Api-Key" }"#, "s3cret");
    let request = "POST /api/v1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\
                   Trailer: X-Sum, X-Api-Key\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\nX-Api-Key: mine\r\n\r\n";
    assert_eq!(world.wire().send(request).reply().status, 200);
    let seen = upstream.only_request();
    assert_eq!(seen.trailers, [("X-Sum".to_owned(), "7".to_owned())]);
    assert_eq!(seen.values("x-api-key"), ["s3cret"]);
}

#[test]
fn names_keep_their_case_and_order() {
    let (upstream, world) = placed(r#"{ location = "header", name = "X-Api-Key" }"#, "s3cret");
    let head = "GET /api/v1 HTTP/1.1\r\nX-FIRST: 1\r\nHOST: localhost\r\naccept: */*\r\nx-Api-key: mine\r\n\
                User-agent: t\r\nProxy-Connection: keep-alive\r\nzULU: z\r\nx-last: l\r\n\r\n";
    assert_eq!(world.wire().send(head).reply().status, 200);
    let seen = upstream.only_request();
    let names: Vec<&str> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    let others: Vec<&str> = names.iter().copied().filter(|name| !name.eq_ignore_ascii_case("x-api-key")).collect();
    assert_eq!(others, ["X-FIRST", "HOST", "accept", "User-agent", "zULU", "x-last"], "{names:?}");
}

#[test]
fn path_and_query_arrive_as_they_were_written() {
    let (upstream, world) = placed(r#"{ location = "bearer" }"#, "s3cret");
    let rests = [
        "/a%2Fb",
        "/%7e~",
        "//a//b",
        "/a+b",
        "/a?",
        "/a?b+c=%20",
        "/?a==&&b",
        "/a;b=1",
        "/a%00",
        "/%zz",
        "/a?%",
        "/a?x=/../y",
        "/caf%C3%A9",
        "/a:b@c",
        "/a!$'()*,",
        "/a?q[]=1|2",
        "/a%2e%2e/b",
        "/../a",
        "/a/./b",
    ];
    for rest in rests {
        for (door, host) in [
            (format!("/api{rest}"), "localhost"),
            (rest.to_owned(), "api.localhost"),
            (format!("http://api.test{rest}"), "api.test"),
        ] {
            let reply = world.ask("GET", &door).host(host).reply();
            assert_eq!(reply.status, 200, "{door}: {reply:?}");
            assert_eq!(upstream.last_request().target, rest, "{door}");
        }
    }
}

#[test]
fn bytes_beyond_ascii_arrive_in_header_values() {
    let (upstream, world) = placed(r#"{ location = "bearer" }"#, "s3cret");
    let head = b"GET /api/v1 HTTP/1.1\r\nHost: localhost\r\nX-Name: caf\xc3\xa9\r\nX-Old: caf\xe9\r\nX-None:\r\n\r\n";
    assert_eq!(world.wire().send(head).reply().status, 200);
    let head = upstream.only_request().head;
    let has = |wanted: &[u8]| head.windows(wanted.len()).any(|window| window == wanted);
    assert!(has(b"X-Name: caf\xc3\xa9\r\n") && has(b"X-Old: caf\xe9\r\n"), "{}", String::from_utf8_lossy(&head));
    assert_eq!(upstream.only_request().values("x-none"), [""]);
}
