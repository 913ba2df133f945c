//! What services allow and how it is found out, through the real program: one refusal holds everyone who shares it, who would
//! wait too long is told at once, and what was learnt is shown, forgotten on order and kept over a restart.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::world::{Answer, FakeUpstream, Reply, World, eventually};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;

fn keyed(more: &str) -> (FakeUpstream, World) {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("api", &upstream, &format!("{AUTH}\n{more}")).key("api", "prod", "s3cret");
    (upstream, world.serve())
}

fn too_many(seconds: u32) -> Answer {
    Answer::json(429, r#"{"error":"slow down"}"#).header("Retry-After", &seconds.to_string()).header("X-Own", "kept")
}

fn seconds(reply: &Reply) -> u64 {
    reply.value("retry-after").unwrap().parse().unwrap()
}

/// A request that is not sent again by sidekey: a refusal passes as it came.
fn once(world: &World) -> Reply {
    world.ask("GET", "/api/v1").header("Sidekey-Retry", "off").reply()
}

fn hasty(world: &World) -> Reply {
    world.ask("GET", "/api/v1").header("Prefer", "wait=0").reply()
}

fn gates(world: &World) -> Vec<Value> {
    let text = world.sidekey(["limits", "list", "--json"]).run().succeeds();
    let list: Value = serde_json::from_str(&text).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// A service that lets some through, then says "in four seconds", and from then on takes so many in any two seconds.
#[derive(Default)]
struct Busy {
    through: Vec<Duration>,
    refused: Vec<Duration>,
    probe: Option<Duration>,
}

impl Busy {
    const FIRST: usize = 75;
    /// For how long it is shut after the first refusal.
    const SHUT: Duration = Duration::from_secs(4);
    /// In which what was sent before that was known has come in, on a busy machine too.
    const UNDER_WAY: Duration = Duration::from_millis(2_500);
    const WINDOW: Duration = Duration::from_secs(2);
    /// Twice the pace at which it let the first through, with the time in which it was shut; but no wave of all.
    const IN_WINDOW: usize = 75;
    /// The probe is answered so late that whoever does not wait for that is seen.
    const PROBE: Duration = Duration::from_millis(400);

    fn asked(&mut self, at: Duration) -> Answer {
        let opens = self.refused.first().map(|closed| *closed + Self::SHUT);
        let recent = self.through.iter().filter(|through| **through + Self::WINDOW > at).count();
        let lets_through = match opens {
            None => self.through.len() < Self::FIRST,
            Some(opens) => at >= opens && recent < Self::IN_WINDOW,
        };
        if !lets_through {
            self.refused.push(at);
            return too_many(4);
        }
        self.through.push(at);
        let is_probe = opens.is_some() && self.probe.is_none();
        if is_probe {
            self.probe = Some(at);
        }
        Answer::json(200, "{}").later(if is_probe { Self::PROBE } else { Duration::ZERO })
    }
}

#[test]
fn two_hundred_clients_share_one_refusal_and_all_are_served() {
    let (upstream, world) = keyed("");
    let busy = Arc::new(Mutex::new(Busy::default()));
    let (asked, started) = (Arc::clone(&busy), Instant::now());
    upstream.always(move |_| asked.lock().unwrap().asked(started.elapsed()));
    let clients: Vec<_> = (0..200).map(|_| world.ask("GET", "/api/v1").reply_later()).collect();
    for client in clients {
        let reply = client.join().unwrap();
        assert_eq!(reply.status, 200, "everyone asks once and is served: {reply:?}");
    }
    let Busy { through, refused, probe } = &*busy.lock().unwrap();
    let (closed, probe) = (refused[0], probe.unwrap());
    assert!((1..=200 - Busy::FIRST).contains(&refused.len()), "no more than were under way: {}", refused.len());
    assert_eq!(through.len(), 200);
    let between = |from: Duration, to: Duration| {
        through.iter().chain(refused).filter(|at| (from..to).contains(*at)).collect::<Vec<_>>()
    };
    let (quiet, opens) = (closed + Busy::UNDER_WAY, closed + Busy::SHUT);
    assert!(between(quiet, opens).is_empty(), "nothing is sent while it is closed");
    assert_eq!(between(opens, probe + Busy::PROBE), [&probe], "one tries, and the others wait for it");
    assert!(refused.iter().all(|at| *at < quiet), "no second wave: {refused:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn what_an_upstream_says_in_the_name_of_sidekey_is_taken_out() {
    let (upstream, world) = keyed("");
    let claims = |answer: Answer| {
        let answer = answer.header("Proxy-Status", "edge;received-status=404, sidekey;error=dns_error");
        answer.header("Proxy-Status", "sidekey;error=http_request_denied")
    };
    upstream.then(claims(Answer::text(404, "no"))).then(claims(too_many(1)));
    assert_eq!(once(&world).values("proxy-status"), ["edge;received-status=404"]);
    assert_eq!(
        once(&world).values("proxy-status"),
        ["edge;received-status=404", "sidekey;received-status=429"],
        "beside what is true of it"
    );
}

#[test]
fn a_refusal_is_read_as_its_body_says() {
    let of_one = r#"{ statuses = [429], path = "code", values = ["of_one_number"], verdict = "fine" }"#;
    let of_all = r#"{ statuses = [429], path = "code", values = ["rate_limited"], verdict = "throttled", reason_at = "data.reason" }"#;
    let rules = &format!("limits.bodies = [{of_one}, {of_all}]");
    let (upstream, world) = keyed(rules);
    upstream.then(Answer::json(429, r#"{"code":"of_one_number"}"#));
    let passed = world.get("/api/v1");
    assert_eq!((passed.status, passed.text().as_str()), (429, r#"{"code":"of_one_number"}"#));
    assert!(passed.value("retry-after").is_none() && gates(&world).iter().all(|gate| gate["state"] == "open"));
    let whole = r#"{"code":"rate_limited","data":{"reason":"workspace_limit"}}"#;
    upstream.then(Answer::json(429, whole).header("Retry-After", "45"));
    assert_eq!(world.get("/api/v1").status, 429);
    let listed = || world.sidekey(["limits", "list"]).run().succeeds();
    eventually("its reason is shown", || {
        listed().contains("refused last with 429; retry-after: 45; reason: workspace_limit")
    });
    assert_eq!(upstream.requests().len(), 2, "neither is sent again");
}

#[test]
fn a_refusal_passes_and_who_would_wait_too_long_is_told_at_once() {
    let (upstream, world) = keyed("");
    upstream.then(too_many(45));
    let passed = once(&world);
    assert_eq!((passed.status, passed.text().as_str()), (429, r#"{"error":"slow down"}"#));
    assert_eq!(passed.value("x-own"), Some("kept"));
    assert!((45..=48).contains(&seconds(&passed)), "raised, never lowered: {passed:?}");
    let status = passed.values("proxy-status").join(",");
    assert!(status.contains("received-status=429") && !status.contains("error="), "{status}");
    let started = Instant::now();
    let refused = world.get("/api/v1");
    let took = started.elapsed();
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert!((35..=47).contains(&seconds(&refused)), "what is left of it: {refused:?}");
    assert!(took < Duration::from_secs(10), "whoever waits does so for half a minute: {took:?}");
    assert!(refused.value("ratelimit").unwrap().starts_with("\"api\";r=0;t="), "{refused:?}");
    assert!(refused.value("proxy-status").unwrap().contains("error=http_request_denied"), "{refused:?}");
    assert_eq!(refused.json()["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(upstream.requests().len(), 1, "nothing is sent while it is closed");
}

#[test]
fn who_waits_is_served_when_the_time_is_over_and_sees_how_long_it_waited() {
    let (upstream, world) = keyed("");
    upstream.then(too_many(4));
    let started = Instant::now();
    assert_eq!(once(&world).status, 429);
    assert_eq!(hasty(&world).code(), "rate_limited", "it will not wait");
    let reply = world.ask("POST", "/api/v1").header("Prefer", "wait=20").body("order").reply();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(started.elapsed() >= Duration::from_secs(4), "{:?}", started.elapsed());
    let timing = reply.value("server-timing").unwrap();
    assert!(timing.starts_with("queue;dur=") && timing.contains(", upstream;dur="), "{timing}");
    assert_eq!(upstream.last_request().text(), "order");
    assert!(world.get("/api/v1").value("server-timing").is_none(), "who did not wait is told nothing");
}

#[test]
fn a_key_that_is_rotated_or_deleted_while_a_request_waits_takes_effect() {
    let (upstream, other) = (FakeUpstream::plain(), FakeUpstream::plain());
    let world = World::new().service("api", &upstream, AUTH).service("marker", &other, AUTH);
    let world = world.key("api", "prod", "s3cret").serve();
    // The gate stays closed until it is reset, however long a change takes to be followed.
    let waits = || {
        upstream.then(too_many(25));
        assert_eq!(once(&world).status, 429);
        let waiting = world.ask("GET", "/api/v1").reply_later();
        eventually("it waits", || world.metric("sidekey_gate_waiting_requests{service=\"api\"}") == "1");
        waiting
    };
    let reset = || world.sidekey(["limits", "reset", "api"]).run().succeeds();
    let waiting = waits();
    world.sidekey(["key", "rotate", "prod", "--stdin"]).stdin("fresh").run().succeeds();
    // A later change of another service is seen, so the rotation is taken up too.
    world.sidekey(["key", "add", "marker", "--name", "marker", "--stdin"]).stdin("m4rk").run().succeeds();
    eventually("the rotation is taken up", || world.get("/marker/v1").status == 200);
    reset();
    assert_eq!(waiting.join().unwrap().status, 200);
    assert_eq!(upstream.last_request().values("x-api-key"), ["fresh"]);
    let waiting = waits();
    world.sidekey(["key", "delete", "prod", "--yes"]).run().succeeds();
    eventually("the deletion is taken up", || hasty(&world).code() == "credential_missing");
    reset();
    assert_eq!(waiting.join().unwrap().code(), "credential_missing");
    assert_eq!(upstream.requests().len(), 3, "nothing is sent without a key");
}

#[test]
fn what_is_known_of_limits_is_listed_outlives_a_restart_and_is_forgotten_on_order() {
    let (upstream, mut world) = keyed("");
    assert!(gates(&world).is_empty());
    upstream.then(too_many(200));
    assert_eq!(once(&world).status, 429);
    eventually("the closed gate is listed", || gates(&world).iter().any(|gate| gate["state"] == "closed"));
    let gate = gates(&world).remove(0);
    assert_eq!((&gate["service"], &gate["key"], &gate["reason"]), (&"api".into(), &"prod".into(), &"throttled".into()));
    let table = world.sidekey(["limits", "list"]).run().succeeds();
    assert!(table.contains("closed") && table.contains("prod"), "{table}");
    // Twice, and looked at before anybody asks for the key.
    for _ in 0..2 {
        assert_eq!(world.stop().0.code(), Some(0));
        world.start(&[]);
    }
    let gate = gates(&world).remove(0);
    assert_eq!(
        (&gate["state"], &gate["reason"], &gate["key"]),
        (&"closed".into(), &"throttled".into(), &"prod".into())
    );
    let refused = hasty(&world);
    assert_eq!(refused.code(), "rate_limited", "{refused:?}");
    assert!(seconds(&refused) > 150, "{refused:?}");
    assert!(world.sidekey(["limits", "reset", "nobody"]).run().fails_with(2).contains("nobody"));
    world.sidekey(["limits", "reset", "api"]).run().succeeds();
    eventually("the gate is open again", || hasty(&world).status == 200);
    let audit = world.sidekey(["audit", "export"]).run().succeeds();
    assert!(audit.contains("gate.close") && audit.contains("gate.reset"), "{audit}");
    assert_eq!(world.metric("sidekey_gates{service=\"api\",bucket=\"all\",state=\"closed\"}"), "0");
}

/// The service `api` of which each request is sent once, and these lines in the table `[gates]`.
fn gated(upstream: &FakeUpstream, numbers: &str) -> World {
    let world = World::new().service("api", upstream, &format!("{AUTH}\nretry = {{ attempts = 1 }}"));
    world.toml(&format!("[gates]\n{numbers}\n")).key("api", "prod", "s3cret").serve()
}

fn fails(world: &World, upstream: &FakeUpstream, times: usize) {
    for _ in 0..times {
        upstream.then(Answer::hang_up());
        assert_eq!(world.get("/api/v1").code(), "upstream_broken");
    }
}

#[test]
fn an_upstream_that_fails_again_and_again_is_left_alone_for_a_while() {
    let upstream = FakeUpstream::plain();
    let world = gated(&upstream, "circuit_open = \"50s\"");
    fails(&world, &upstream, 5);
    let refused = world.get("/api/v1");
    assert_eq!((refused.status, refused.code().as_str()), (503, "circuit_open"));
    assert!((30..=50).contains(&seconds(&refused)), "{refused:?}");
    assert!(refused.value("proxy-status").unwrap().contains("error=destination_unavailable"), "{refused:?}");
    assert_eq!(upstream.requests().len(), 5, "nothing is sent to it");
    let sidekey = |line: &str| world.sidekey(line.split(' ')).run().succeeds();
    eventually("it is told", || world.metric("sidekey_circuits_opened_total{service=\"api\"}") == "1");
    eventually("it is recorded", || sidekey("audit export").contains("circuit.open"));
    eventually("it is listed", || sidekey("limits list").contains("api: nothing is sent to http://api.test for"));
    assert!(sidekey("explain GET /api/v1").contains("nothing is sent to http://api.test for"));
}

#[test]
fn an_upstream_that_was_left_alone_is_tried_with_one_request_which_closes_the_circuit() {
    let upstream = FakeUpstream::plain();
    let world = gated(&upstream, "circuit_open = \"1s\"");
    fails(&world, &upstream, 4);
    let began = Instant::now();
    fails(&world, &upstream, 1);
    eventually("one request tries again", || world.get("/api/v1").status == 200);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(upstream.requests().len(), 6, "nothing is sent to it meanwhile");
    assert_eq!(world.get("/api/v1").status, 200);
    eventually("it was open once", || world.metric("sidekey_circuits_opened_total{service=\"api\"}") == "1");
}

#[test]
fn the_numbers_of_all_gates_can_be_changed() {
    let upstream = FakeUpstream::plain();
    let numbers = "circuit_failures = 2\ncircuit_open = \"40s\"\nmax_waiting = 0\nexhausted_after = \"2s\"";
    let mut world = gated(&upstream, numbers);
    upstream.then(too_many(20));
    assert_eq!(once(&world).status, 429);
    assert_eq!(world.get("/api/v1").code(), "overloaded", "nobody waits");
    eventually("it is listed", || gates(&world).iter().any(|gate| gate["reason"] == "exhausted"));
    world.sidekey(["limits", "reset", "api"]).run().succeeds();
    eventually("the gate is open again", || world.get("/api/v1").status == 200);
    fails(&world, &upstream, 2);
    let refused = world.get("/api/v1");
    assert_eq!(refused.code(), "circuit_open", "after two failures");
    assert!((20..=40).contains(&seconds(&refused)), "{refused:?}");
    let wrong = world.tables().replace("circuit_failures = 2", "circuit_failures = 0");
    world.rewrite_toml(&wrong);
    let check = world.sidekey(["check"]).run();
    let said = check.fails_with(2);
    assert!(said.contains("gates.circuit_failures") && said.contains("use a number from 1 to 1000000"), "{said}");
}

#[test]
fn limits_and_key_refusals_never_open_the_circuit() {
    let (upstream, world) = keyed("limits = { statuses = { 409 = \"transient\" } }");
    for status in [401, 403, 500, 409] {
        for _ in 0..8 {
            upstream.then(Answer::json(status, "{}"));
            let reply = once(&world);
            assert_eq!((reply.status, reply.text().as_str()), (status, "{}"), "{reply:?}");
        }
    }
    // Side by side, since the first that is heard of holds those behind it.
    for _ in 0..8 {
        upstream.then(Answer::status(429).header("Retry-After-Ms", "1").later(Duration::from_millis(300)));
    }
    let all: Vec<u16> = thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| once(&world).status)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(all, [429; 8]);
    assert_eq!(world.get("/api/v1").status, 200);
}

#[test]
fn a_service_that_says_by_grpc_that_it_is_unavailable_opens_the_circuit() {
    let (upstream, world) = keyed("");
    for _ in 0..5 {
        upstream.then(Answer::status(200).header("Content-Type", "application/grpc").header("Grpc-Status", "14"));
        assert_eq!(once(&world).value("grpc-status"), Some("14"));
    }
    assert_eq!(once(&world).code(), "circuit_open");
}

#[test]
fn off_passes_everything_as_it_comes() {
    let (upstream, world) = keyed(r#"rate = { mode = "off" }"#);
    for _ in 0..3 {
        upstream.then(too_many(45));
        let reply = once(&world);
        assert_eq!((reply.status, seconds(&reply)), (429, 45));
        assert!(reply.values("proxy-status").is_empty(), "{reply:?}");
    }
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn each_caller_has_a_rate_of_its_own_and_dear_requests_count_for_more() {
    let (_upstream, world, [one, two, _]) =
        three_callers("rate = { per_caller = \"5/h\", costs = { \"GET /dear/**\" = 5 } }");
    let ask = |token: &str, target: &str| hasty_as(&world, token, target, "shared");
    assert_eq!(ask(&one, "/api/dear/search").status, 200);
    let refused = ask(&one, "/api/cheap");
    assert_eq!(refused.code(), "rate_limited", "{refused:?}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("of this caller"), "{refused:?}");
    assert!(refused.value("ratelimit").unwrap().starts_with("\"caller 5/3600s\";r=0;t="), "{refused:?}");
    assert_eq!(refused.json()["violated-policies"], serde_json::json!(["caller 5/3600s"]));
    assert!(seconds(&refused) > 600, "one comes back every 12 min: {refused:?}");
    for _ in 0..5 {
        assert_eq!(ask(&two, "/api/cheap").status, 200, "another caller has its own");
    }
    assert_eq!(ask(&two, "/api/cheap").code(), "rate_limited");
    let shown = world.sidekey(["service", "show", "api"]).run().succeeds();
    assert!(shown.contains("5/h for each caller, GET /dear/** counts 5 times"), "{shown}");
}

#[test]
fn the_callers_of_a_team_share_a_rate_and_a_key_has_one_for_whoever_uses_it() {
    let (_upstream, world, [one, two, other]) = three_callers("rate = { per_team = \"1/h\" }");
    let ask = |token: &str| hasty_as(&world, token, "/api/v1", "shared");
    assert_eq!(ask(&one).status, 200);
    let refused = ask(&two);
    assert_eq!(refused.code(), "rate_limited", "it is of the same team: {refused:?}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("of this caller's team"), "{refused:?}");
    assert_eq!((ask(&other).status, ask(&other).status), (200, 200), "who is of no team has no such rate");
    let (_upstream, world, [one, _, other]) = three_callers("rate = { per_credential = \"1/h\" }");
    let ask = |token: &str, key: &str| hasty_as(&world, token, "/api/v1", key);
    assert_eq!(ask(&one, "shared").status, 200);
    let refused = ask(&other, "shared");
    assert_eq!(refused.code(), "rate_limited", "whoever asks: {refused:?}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("of this key"), "{refused:?}");
    assert_eq!(ask(&other, "second").status, 200, "another key has its own");
}

/// A service with the keys `shared` and `second` for everyone, and the tokens of three callers: of `ada` and `bob`, who are a team,
/// and of `eve`, who is of none.
fn three_callers(rate: &str) -> (FakeUpstream, World, [String; 3]) {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("api", &upstream, &format!("{AUTH}\n{rate}"));
    let world =
        world.toml("[callers]\nmode = \"token\"\n").key("api", "shared", "s3cret").key("api", "second", "s3cret");
    let sidekey = |line: &str| world.sidekey(line.split(' ')).run().succeeds().trim().to_owned();
    let tokens = ["ada", "bob", "eve"].map(|user| {
        sidekey(&format!("user add {user}"));
        sidekey(&format!("caller add of-{user} --owner {user}"))
    });
    sidekey("team add data --member ada --member bob");
    for key in ["shared", "second"] {
        sidekey(&format!("key share {key} --with everyone"));
    }
    (upstream, world.serve(), tokens)
}

fn hasty_as(world: &World, token: &str, target: &str, key: &str) -> Reply {
    let ask = world.ask("GET", target).header("Proxy-Authorization", &format!("Bearer {token}"));
    ask.header("Sidekey-Credential", key).header("Prefer", "wait=0").reply()
}

#[test]
fn a_service_of_the_catalogue_begins_with_as_many_places_as_it_documents() {
    let upstream = FakeUpstream::tls();
    let world = World::new().catalogued("github", &upstream).key("github", "gh", "s3cret").serve();
    let reset = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 3_600;
    let counts = Answer::json(200, "{}").header("X-RateLimit-Limit", "5000").header("X-RateLimit-Remaining", "1250");
    upstream.then(counts.header("X-RateLimit-Reset", &reset.to_string()));
    assert_eq!(world.get("/github/user").status, 200);
    assert_eq!(world.metric("sidekey_limit_left_ratio{service=\"github\"}"), "0.25");
    upstream.then(too_many(90));
    assert_eq!(world.ask("GET", "/github/user").header("Sidekey-Retry", "off").reply().status, 429);
    eventually("it is listed", || gates(&world).iter().any(|gate| gate["bucket"].is_null() && gate["places"] == 100));
}
