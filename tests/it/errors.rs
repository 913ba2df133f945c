//! Every answer that sidekey makes itself, provoked through the doors of the real program: its status, its code, the shape
//! that clients may rely on. And the other side of that promise: an upstream's own answer is never taken for ours.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr},
    thread,
};

use sidekey::domain::Code;

use crate::world::{Answer, FakeUpstream, H2, Reply, World, eventually, free_port};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;
const KEY: &str = "s3cret-value";

/// Fails unless `reply` is sidekey's own answer with this status, code and error type, whole in every part.
#[track_caller]
fn assert_refused(reply: &Reply, status: u16, code: Code, proxy_error: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (status, code.as_str()), "{reply:?}");
    let problem = reply.json();
    let text = |member: &str| problem[member].as_str().unwrap_or_else(|| panic!("no {member}: {reply:?}")).to_owned();
    assert!(text("type").starts_with("urn:sidekey:problem:") || text("type").starts_with("https://iana.org/"));
    assert!(!text("title").is_empty());
    assert!(text("detail").len() > 40 && text("detail").ends_with(['.', ')']), "{reply:?}");
    assert!(text("request_id").len() >= 16, "{reply:?}");
    let proxy_status = reply.value("proxy-status").unwrap().replace(' ', "");
    assert_eq!(proxy_status, format!(r#"sidekey;error={proxy_error};details="{}""#, code.as_str()));
    assert_eq!(reply.value("cache-control"), Some("no-store"));
    let retry_after = reply.value("retry-after").map(|seconds| seconds.parse::<u64>().unwrap());
    let promised = matches!(code, Code::RateLimited | Code::Overloaded | Code::CircuitOpen | Code::StoreUnavailable);
    assert_eq!(retry_after.is_some(), promised, "{reply:?}");
    assert!(retry_after.is_none_or(|seconds| seconds > 0));
    assert!(!format!("{reply:?}").contains(KEY));
    assert_eq!(addresses(&format!("{reply:?}")), Vec::<&str>::new(), "callers learn no address: {reply:?}");
}

/// Every IP address in `text`.
fn addresses(text: &str) -> Vec<&str> {
    let words = text.split(|letter: char| !(letter.is_ascii_hexdigit() || ".:".contains(letter)));
    let bare = words.map(|word| word.trim_matches(|letter| ".:".contains(letter)));
    bare.filter(|word| {
        let host = word.rsplit_once(':').map_or(*word, |(host, _)| host);
        host.parse::<Ipv4Addr>().is_ok() || word.parse::<IpAddr>().is_ok()
    })
    .collect()
}

/// A proxy whose services fail in every way there is.
struct Ruins {
    world: World,
    upstream: FakeUpstream,
    /// Claims to be somebody else.
    _liar: FakeUpstream,
}

impl Ruins {
    fn new() -> Self {
        let upstream = FakeUpstream::plain();
        let liar = FakeUpstream::tls_claiming("other.test");
        let with = |more: &str| format!("{AUTH}\n{more}");
        let mut world = World::new()
            .service("fine", &upstream, AUTH)
            .service("keyless", &upstream, AUTH)
            .service("double", &upstream, AUTH)
            .service("ruled", &upstream, &with(r#"allow = ["GET /open/**"]"#))
            .service("rated", &upstream, &with(r#"rate = { limit = "1/min", max_wait = "0s" }"#))
            .service("busy", &upstream, &with(r#"rate = { concurrency = 1, max_wait = "4s" }"#))
            .service("slow", &upstream, &with(r#"timeouts = { first_byte = "100ms" }"#))
            .service("damaged", &upstream, AUTH)
            .service("liar", &liar, AUTH);
        let (closed, down, loopback, proxy) = (free_port(), free_port(), upstream.address(), world.proxy());
        let retry = "retry.attempts = 1";
        world = world.toml(&format!(
            "[service.closed]\nbase_url = \"http://127.0.0.1:{closed}\"\nupstream.allow_private = true\n{retry}\n{AUTH}\n\
             [service.down]\nbase_url = \"http://127.0.0.1:{down}\"\nupstream.allow_private = true\n{retry}\n{AUTH}\n\
             [service.private]\nbase_url = \"http://{loopback}\"\n{AUTH}\n\
             [service.ourselves]\nbase_url = \"http://{proxy}\"\nupstream.allow_private = true\n{AUTH}\n"
        ));
        let services =
            ["fine", "ruled", "rated", "busy", "slow", "damaged", "liar", "closed", "down", "private", "ourselves"];
        for service in services {
            world = world.key(service, service, KEY);
        }
        world = world.key("double", "double-one", KEY).key("double", "double-two", KEY);
        damage(&world, "damaged");
        Self { world: world.serve(), upstream, _liar: liar }
    }

    /// More than may wait for the one place of `busy`, side by side; the answers of those who found no room to wait.
    fn flood(&self) -> Vec<Reply> {
        let held = self.world.wire();
        let mut held = held;
        self.upstream.then(Answer::stall());
        held.send(self.world.ask("GET", "/busy/held").bytes("close"));
        self.upstream.wait_until("the place is taken", |seen| seen.iter().any(|one| one.target == "/held"));
        let client = |_| {
            let client = self.world.h2();
            thread::spawn(move || {
                let ask = |_| client.ask("GET", "/busy/queued").body("".into()).unwrap();
                client.all((0..220).map(ask).collect())
            })
        };
        let clients: Vec<_> = (0..5).map(client).collect();
        let replies = clients.into_iter().flat_map(|client| client.join().unwrap());
        let (full, late): (Vec<_>, Vec<_>) = replies.partition(|reply| reply.status == 503);
        for reply in late {
            assert_refused(&reply, 429, Code::RateLimited, "http_request_denied");
        }
        full
    }

    /// An answer with this code, with the status and the error type it must have. The match has every code, so that a new
    /// one is provoked here too.
    fn provoke(&self, code: Code) -> Vec<(u16, &'static str, Reply)> {
        let world = &self.world;
        let denied = "http_request_denied";
        match code {
            Code::BadRequest => vec![
                (400, "http_request_error", world.ask("TRACE", "/fine/").reply()),
                (400, "http_request_error", world.get("http://someone:else@fine.test/")),
                (400, "http_request_error", world.get("/ruled/open/../closed")),
                (400, "http_request_error", world.wire().send("no request at all\r\n\r\n").reply()),
            ],
            Code::BrowserRefused => vec![
                (403, denied, world.ask("GET", "/fine/").header("Origin", "https://page.test").reply()),
                (403, denied, world.ask("GET", "/fine/").header("Sec-Fetch-Site", "cross-site").reply()),
                (403, denied, world.ask("GET", "/fine/").host("page.test").reply()),
            ],
            Code::CallerUnknown => {
                let wrong = ("Proxy-Authorization", "Bearer skc_0000000000000000000000000000000000000000000");
                vec![
                    (401, denied, world.ask("GET", "/fine/").header(wrong.0, wrong.1).reply()),
                    (407, denied, world.ask("GET", "http://fine.test/").header(wrong.0, wrong.1).reply()),
                ]
            }
            Code::NotAllowed => vec![
                (403, denied, world.get("/ruled/closed")),
                (403, denied, world.ask("POST", "http://ruled.test/open/1").reply()),
                (403, denied, world.ask("GET", "/fine/").header("Sidekey-Credential", "double-one").reply()),
                (403, denied, world.ask("GET", "/fine/").header("Sidekey-Credential", "none").reply()),
            ],
            Code::ServiceUnknown => {
                let connect = "CONNECT nobody.test:443 HTTP/1.1\r\nHost: nobody.test:443\r\n\r\n";
                vec![
                    (404, "destination_not_found", world.get("/nobody/v1")),
                    (404, "destination_not_found", world.ask("GET", "/v1").host("nobody.localhost").reply()),
                    (403, "destination_not_found", world.get("http://nobody.test/v1")),
                    (403, "destination_not_found", world.wire().send(connect).reply_to("CONNECT")),
                ]
            }
            Code::CredentialMissing => vec![(424, denied, world.get("/keyless/"))],
            Code::CredentialAmbiguous => vec![(424, denied, world.get("/double/"))],
            Code::RateLimited => {
                assert_eq!(world.get("/rated/").status, 200);
                vec![(429, denied, world.get("/rated/"))]
            }
            Code::Overloaded => {
                self.flood().into_iter().map(|reply| (503, "connection_limit_reached", reply)).collect()
            }
            Code::CircuitOpen => {
                (0..5).for_each(|_| assert_eq!(world.get("/down/").code(), "upstream_unreachable"));
                vec![(503, "destination_unavailable", world.get("/down/"))]
            }
            code => self.provoke_upstream(code),
        }
    }

    fn provoke_upstream(&self, code: Code) -> Vec<(u16, &'static str, Reply)> {
        let world = &self.world;
        let answered = |answer: Answer, target: &str| {
            self.upstream.then(answer);
            world.ask("POST", target).reply()
        };
        match code {
            Code::UpstreamUnreachable => vec![(502, "connection_refused", world.get("/closed/"))],
            Code::UpstreamTls => vec![(502, "tls_certificate_error", world.get("/liar/"))],
            Code::UpstreamBroken => vec![
                (502, "connection_terminated", answered(Answer::raw("no answer at all\r\n\r\n"), "/fine/")),
                (502, "connection_terminated", answered(Answer::reset(), "/fine/")),
                (502, "http_upgrade_failed", answered(Answer::echo(), "/fine/")),
            ],
            Code::AddressRefused => vec![
                (502, "destination_ip_prohibited", world.get("/private/")),
                (502, "proxy_loop_detected", world.get("/ourselves/")),
            ],
            Code::StoreUnavailable => vec![(503, "proxy_internal_error", world.get("/damaged/"))],
            Code::UpstreamTimeout => vec![(504, "http_response_timeout", answered(Answer::stall(), "/slow/"))],
            other => panic!("{other:?} is no fault of the upstream"),
        }
    }
}

/// Flips a bit in the sealed value of the key `name`, as a failing disk does.
fn damage(world: &World, name: &str) {
    let store = rusqlite::Connection::open(world.path("data/sidekey.db")).unwrap();
    let select = "SELECT v.fields FROM versions v JOIN credentials c ON c.id = v.credential WHERE c.name = ?1";
    let mut fields: Vec<u8> = store.query_row(select, [name], |row| row.get(0)).unwrap();
    *fields.last_mut().unwrap() ^= 1;
    let update = "UPDATE versions SET fields = ?1 WHERE credential = (SELECT id FROM credentials WHERE name = ?2)";
    assert_eq!(store.execute(update, rusqlite::params![fields, name]).unwrap(), 1);
}

#[test]
fn every_code_comes_with_its_status_and_the_whole_shape_of_a_problem() {
    let ruins = Ruins::new();
    let mut ids = BTreeSet::new();
    let mut count = 0;
    for code in Code::ALL {
        let provoked = ruins.provoke(code);
        assert!(!provoked.is_empty(), "{code:?}");
        for (status, proxy_error, reply) in provoked {
            assert_refused(&reply, status, code, proxy_error);
            if !reply.json()["request_id"].as_str().unwrap().is_empty() {
                ids.insert(reply.json()["request_id"].to_string());
                count += 1;
            }
        }
    }
    assert_eq!(ids.len(), count, "every refusal has an identifier of its own");
}

#[test]
fn a_limit_says_when_it_has_room_again() {
    let upstream = FakeUpstream::plain();
    let rate = format!("{AUTH}\nrate = {{ limit = \"1/min\", max_wait = \"0s\" }}");
    let world = World::new().service("rated", &upstream, &rate).key("rated", "rated", KEY).serve();
    assert_eq!(world.get("/rated/").status, 200);
    let reply = world.get("/rated/");
    let seconds: u64 = reply.value("retry-after").unwrap().parse().unwrap();
    assert!((50..=60).contains(&seconds), "{reply:?}");
    let rate_limit = reply.value("ratelimit").unwrap();
    assert!(rate_limit.ends_with(&format!(";r=0;t={seconds}")), "{rate_limit}");
    assert_eq!(reply.json()["violated-policies"].as_array().unwrap().len(), 1);
    assert_eq!(upstream.requests().len(), 1, "what is refused is not sent");
}

#[test]
fn two_keys_on_one_step_are_both_named_and_choosing_one_helps() {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("double", &upstream, AUTH);
    let world = world.key("double", "first", "value-of-first").key("double", "second", "value-of-second").serve();
    let detail = world.get("/double/").json()["detail"].as_str().unwrap().to_owned();
    assert!(["first", "second", "Sidekey-Credential"].iter().all(|word| detail.contains(word)), "{detail}");
    assert_eq!(world.ask("GET", "/double/").header("Sidekey-Credential", "second").reply().status, 200);
    let seen = upstream.only_request();
    assert_eq!((seen.values("x-api-key"), seen.has("sidekey-credential")), (vec!["value-of-second"], false));
}

#[test]
fn in_token_mode_each_door_asks_for_proof_in_its_own_way() {
    let upstream = FakeUpstream::plain();
    let world = World::new().toml("[callers]\nmode = \"token\"").service("fine", &upstream, AUTH);
    let world = world.key("fine", "fine", KEY).serve();
    let connect = "CONNECT fine.test:443 HTTP/1.1\r\nHost: fine.test:443\r\n\r\n";
    for reply in [world.get("http://fine.test/"), world.wire().send(connect).reply_to("CONNECT")] {
        assert_refused(&reply, 407, Code::CallerUnknown, "http_request_denied");
        assert!(reply.value("proxy-authenticate").unwrap().starts_with("Basic "), "{reply:?}");
    }
    for reply in [world.get("/fine/"), world.ask("GET", "/").host("fine.localhost").reply(), world.get("/-/whoami")] {
        assert_refused(&reply, 401, Code::CallerUnknown, "http_request_denied");
        assert!(reply.value("www-authenticate").unwrap().starts_with("Bearer "), "{reply:?}");
    }
    assert_eq!(world.get("/nobody/").status, 401, "strangers do not learn which services there are");
    assert_eq!(world.get("/-/health").status, 200);
    assert!(upstream.requests().is_empty());
}

#[test]
fn without_its_audit_log_the_proxy_lets_nothing_pass_and_recovers_by_itself() {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("fine", &upstream, AUTH).key("fine", "fine", KEY).serve();
    assert_eq!(world.get("/fine/").status, 200);
    let folder = world.path("data/audit");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "a file stands where the folder was").unwrap();
    eventually("requests are refused", || world.get("/fine/").status == 503);
    let carried = upstream.requests().len();
    assert_refused(&world.get("/fine/"), 503, Code::StoreUnavailable, "proxy_internal_error");
    assert_refused(&world.get("http://fine.test/"), 503, Code::StoreUnavailable, "proxy_internal_error");
    assert_eq!(upstream.requests().len(), carried);
    fs::remove_file(&folder).unwrap();
    eventually("requests pass again", || world.get("/fine/").status == 200);
}

#[test]
fn an_answer_of_the_upstream_passes_untouched_whatever_its_status() {
    let upstream = FakeUpstream::plain();
    let off = format!("{AUTH}\nrate = {{ mode = \"off\" }}\nretry = {{ attempts = 1 }}");
    let world = World::new().service("fine", &upstream, &off).key("fine", "fine", KEY).serve();
    for status in [400, 401, 403, 404, 407, 418, 421, 424, 429, 500, 502, 503, 504, 529] {
        let body = format!(r#"{{"error":"of the upstream's own, {status}"}}"#);
        let answer = Answer::json(status, &body).header("Retry-After", "7").header("X-Own", "kept");
        upstream.then(answer);
        let reply = world.get("/fine/v1");
        assert_eq!((reply.status, reply.text()), (status, body));
        assert_eq!((reply.value("retry-after"), reply.value("x-own")), (Some("7"), Some("kept")));
        assert!(reply.values("proxy-status").iter().all(|value| !value.contains("error=")), "{reply:?}");
        assert_eq!(reply.value("content-type"), Some("application/json"));
    }
    assert_eq!(upstream.requests().len(), 14, "none of them was sent again");
}

#[test]
fn what_is_no_request_is_refused_with_an_identifier_and_audited() {
    let mut world = World::new().serve();
    let nonsense = world.wire().send("no request at all\r\n\r\n").reply();
    assert_refused(&nonsense, 400, Code::BadRequest, "http_request_error");
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(80 << 10));
    let large = world.wire().send(long).reply();
    assert_refused(&large, 431, Code::BadRequest, "http_request_error");
    assert_eq!(world.stop().0.code(), Some(0));
    let audit = world.sidekey(["audit", "export"]).run().succeeds();
    for reply in [nonsense, large] {
        let id = reply.json()["request_id"].as_str().unwrap().to_owned();
        assert!(audit.contains(&id), "no {id} in {audit}");
    }
}

#[test]
fn a_problem_looks_the_same_over_http2() {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("keyless", &upstream, AUTH).serve();
    let client: H2 = world.h2();
    assert_refused(&client.get("/keyless/"), 424, Code::CredentialMissing, "http_request_denied");
    assert_refused(&client.get("/nobody/"), 404, Code::ServiceUnknown, "destination_not_found");
    assert_eq!(client.get("/-/health").status, 200, "the connection lives on");
}
