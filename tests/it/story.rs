//! A house with two people, a team and four workflows, through the real program: each request gets the key that the order of
//! the selection promises, the upstream says which, and who has no business with a key cannot tell that there is one.

use serde_json::Value;

use crate::life::SEEN;
use crate::world::{Answer, Ask, FakeUpstream, Reply, Wire, World, eventually};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;

/// The callers and their tokens.
struct House {
    world: World,
    upstream: FakeUpstream,
    /// Of ada, who is in the team `data`.
    report: String,
    /// Of ada, of the environment `prod`.
    nightly: String,
    /// Of bob, who is in no team.
    runner: String,
    /// Of eve, with whom nothing is shared.
    spy: String,
}

fn sidekey(world: &World, line: &str) -> String {
    world.sidekey(line.split(' ')).run().succeeds().trim_end().to_owned()
}

fn key(world: &World, name: &str, more: &str) {
    let line = format!("key add billing --name {name} {more} --stdin");
    world.sidekey(line.split_whitespace()).stdin(format!("value-of-{name}")).run().succeeds();
}

fn house() -> House {
    let upstream = FakeUpstream::plain();
    // The service tells which key arrived.
    upstream.always(|seen| Answer::text(200, seen.values("x-api-key").join(",")));
    let world = World::new().service("billing", &upstream, AUTH).toml("[callers]\nmode = \"token\"\n");
    for line in ["user add ada", "user add bob", "user add eve", "team add data --member ada"] {
        sidekey(&world, line);
    }
    let report = sidekey(&world, "caller add report --owner ada");
    let nightly = sidekey(&world, "caller add nightly --owner ada --env prod");
    let runner = sidekey(&world, "caller add runner --owner bob");
    let spy = sidekey(&world, "caller add spy --owner eve");
    House { world: world.serve(), upstream, report, nightly, runner, spy }
}

impl House {
    fn ask(&self, token: &str, named: Option<&str>) -> Reply {
        let ask = self.world.ask("GET", "/billing/v1").header("Proxy-Authorization", &format!("Bearer {token}"));
        match named {
            Some(name) => ask.header("Sidekey-Credential", name),
            None => ask,
        }
        .reply()
    }

    /// The name of the key that arrived, or the code of the refusal.
    fn used(&self, token: &str, named: Option<&str>) -> String {
        let reply = self.ask(token, named);
        if reply.status == 200 { reply.text().replace("value-of-", "") } else { reply.code() }
    }

    /// Waits until the proxy has followed.
    fn uses(&self, token: &str, key: &str) {
        eventually(key, || self.used(token, None) == key);
    }

    fn explained(&self, line: &str) -> Value {
        serde_json::from_str(&sidekey(&self.world, &format!("explain --json {line}"))).unwrap()
    }
}

#[test]
fn every_step_of_the_selection_has_its_turn() {
    let house = house();
    let world = &house.world;
    assert_eq!(house.used(&house.report, None), "credential_missing");
    let steps = [
        ("for-everyone", "--with everyone", "shared with everyone"),
        ("for-data", "--with team:data", "shared with a team of the owner"),
        ("for-ada", "--with user:ada", "shared with the caller's owner"),
        ("for-report", "--with caller:report", "shared with this caller"),
    ];
    for (name, with, step) in steps {
        key(world, name, "--owner bob");
        sidekey(world, &format!("key share {name} {with}"));
        house.uses(&house.report, name);
        let explained = house.explained("--as report GET /billing/v1");
        assert_eq!((&explained["key"], &explained["step"]), (&name.into(), &step.into()));
    }
    key(world, "own", "--owner ada");
    house.uses(&house.report, "own");
    // The others, of whom less is shared with.
    assert_eq!(house.used(&house.spy, None), "for-everyone");
    assert_eq!(house.used(&house.runner, None), "credential_ambiguous", "all four are bob's own");
    // Whatever stands on a step that may be used can be named.
    for name in ["own", "for-report", "for-ada", "for-data", "for-everyone"] {
        assert_eq!(house.used(&house.report, Some(name)), name);
    }
    assert_eq!(house.used(&house.runner, Some("own")), "not_allowed");
    // Explain says of each key why it is used or not.
    let explained = house.explained("--as report GET /billing/v1");
    let told: Vec<_> = explained["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|candidate| (candidate["key"].as_str().unwrap(), candidate["why"].as_str().unwrap()))
        .collect();
    let later = "may be used; an earlier step decides";
    assert_eq!(
        told,
        [
            ("own", "may be used, and is"),
            ("for-report", later),
            ("for-ada", later),
            ("for-data", later),
            ("for-everyone", later),
        ]
    );
    let explained = house.explained("--as spy GET /billing/v1");
    assert_eq!(explained["candidates"][0]["why"], "may be used, and is");
    assert!(explained["candidates"].as_array().unwrap()[1..].iter().all(|other| other["verdict"] == "not_open"));
    // And back, step by step.
    sidekey(world, "key delete own --yes");
    house.uses(&house.report, "for-report");
    for ((name, with, _), next) in steps.iter().rev().zip(["for-ada", "for-data", "for-everyone", "credential_missing"])
    {
        sidekey(world, &format!("key unshare {name} {with}"));
        house.uses(&house.report, next);
    }
}

#[test]
fn of_two_keys_on_one_step_the_name_or_the_environment_decides() {
    let house = house();
    key(&house.world, "live", "--owner ada --env prod");
    key(&house.world, "test", "--owner ada --env staging");
    house.uses(&house.nightly, "live");
    house.uses(&house.report, "credential_ambiguous");
    let refused = house.ask(&house.report, None);
    assert_eq!((refused.status, refused.code().as_str()), (424, "credential_ambiguous"));
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("live, test") && detail.contains("Sidekey-Credential"), "{detail}");
    assert_eq!(house.used(&house.report, Some("test")), "test");
    assert_eq!(house.used(&house.nightly, Some("test")), "not_allowed", "of another environment");
    let why = |line: &str, at: usize| house.explained(line)["candidates"][at]["why"].as_str().unwrap().to_owned();
    assert_eq!(why("--as report GET /billing/v1", 1), "may be used, as others of this step");
    assert_eq!(why("--as report --credential live GET /billing/v1", 1), "may be used; another was named");
    assert_eq!(why("--as nightly GET /billing/v1", 1), "of another environment");
    key(&house.world, "any", "--owner ada");
    eventually("one without an environment is for all", || house.used(&house.nightly, None) == "credential_ambiguous");
    sidekey(&house.world, "key edit any --env staging --expires 1000d");
    house.uses(&house.nightly, "live");
}

/// Everything that a client sees of an answer but for what differs between any two.
fn seen(reply: &Reply) -> (u16, Vec<(String, String)>, Value) {
    let mut problem = reply.json();
    problem["request_id"] = Value::Null;
    let told = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
    (reply.status, reply.headers.iter().map(told).collect(), problem)
}

#[test]
fn a_stranger_cannot_use_a_key_nor_tell_that_there_is_one() {
    let house = house();
    let world = &house.world;
    // Before there is anything.
    let (missing, unknown) = (seen(&house.ask(&house.spy, None)), seen(&house.ask(&house.spy, Some("secret"))));
    assert_eq!((missing.0, unknown.0), (424, 403));
    key(world, "secret", "--owner ada");
    key(world, "shared", "--owner bob");
    sidekey(world, "key share shared --with team:data --with caller:runner");
    house.uses(&house.report, "secret");
    // Now there is, and the stranger sees the same.
    assert_eq!(seen(&house.ask(&house.spy, None)), missing);
    for name in ["secret", "shared", "no-such-key"] {
        assert_eq!(seen(&house.ask(&house.spy, Some(name))), unknown, "{name}");
    }
    // Nor does a user who knows the key's name and shares something else learn of it.
    assert_eq!(house.used(&house.runner, Some("secret")), "not_allowed");
    house.upstream.forget();
    house.ask(&house.spy, Some("secret"));
    assert!(house.upstream.requests().is_empty());
    let audit = sidekey(world, "audit export --caller spy");
    assert!(!audit.contains("secret") && !audit.contains("shared"), "what was not granted is not named: {audit}");
}

#[test]
fn what_is_taken_back_ends_with_the_next_request_of_an_open_connection() {
    let house = house();
    let world = &house.world;
    key(world, "main", "--owner bob");
    sidekey(world, "key share main --with team:data");
    house.uses(&house.report, "main");
    let mut wire = world.wire();
    let ask = |wire: &mut Wire, token: &str| {
        let ask = world.ask("GET", "/billing/v1").header("Proxy-Authorization", &format!("Bearer {token}"));
        let reply = ask.reply_on(wire);
        if reply.status == 200 { reply.text() } else { reply.code() }
    };
    assert_eq!(ask(&mut wire, &house.report), "value-of-main");
    let mut ends = |line: &str, token: &str, code: &str| {
        sidekey(world, line);
        let took = eventually(line, || ask(&mut wire, token) == code);
        assert!(took < SEEN, "{line} took {took:?}");
    };
    ends("team remove-member data ada", &house.report, "credential_missing");
    ends("team add-member data ada", &house.report, "value-of-main");
    ends("key unshare main --with team:data", &house.report, "credential_missing");
    ends("key share main --with user:ada", &house.report, "value-of-main");
    ends("caller delete report --yes", &house.report, "caller_unknown");
    ends("caller rotate nightly", &house.nightly, "caller_unknown");
    ends("key delete main --yes", &house.runner, "credential_missing");
    sidekey(world, "user delete bob --give-to ada --yes");
    eventually("what was bob's is ada's", || {
        let who = world.ask("GET", "/-/whoami").header("Proxy-Authorization", &format!("Bearer {}", house.runner));
        who.reply().json()["owner"] == "ada"
    });
}

#[test]
fn a_deletion_warns_of_the_workflows_that_used_the_key_and_a_restored_key_serves_them_again() {
    let house = house();
    let world = &house.world;
    key(world, "team", "--owner bob");
    sidekey(world, "key share team --with team:data");
    key(world, "all", "--owner bob");
    sidekey(world, "key share all --with everyone");
    house.uses(&house.report, "team");
    let used = |token: &str, times: usize| {
        (0..times).for_each(|_| assert_eq!(house.used(token, Some("team")), "team"));
    };
    used(&house.report, 2);
    used(&house.nightly, 2);
    used(&house.runner, 1);
    house.uses(&house.spy, "all");
    assert_eq!(house.used(&house.spy, Some("team")), "not_allowed");
    // Nobody is there to answer: who would be hit is said, and nothing is deleted.
    let warned = || world.sidekey(["key", "delete", "team"]).run().fails_with(2);
    eventually("the counts are there", || warned().contains("runner   once, last just now"));
    let warning = warned();
    assert!(warning.contains("In the last 30 days `team` was used by:"), "{warning}");
    assert!(warning.contains("report   ") && warning.contains("nightly  2 times, last just now"), "{warning}");
    assert!(!warning.contains("spy"), "who only tried to use it: {warning}");
    assert_eq!(house.used(&house.report, None), "team");
    sidekey(world, "key delete team --yes");
    house.uses(&house.report, "all");
    house.uses(&house.runner, "all");
    sidekey(world, "key restore team");
    house.uses(&house.report, "team");
    house.uses(&house.nightly, "team");
    assert_eq!(house.used(&house.spy, Some("team")), "not_allowed");
}

#[test]
fn a_stranger_lists_and_guesses_nothing_by_the_admin_api() {
    let house = house();
    let world = &house.world;
    key(world, "secret", "--owner ada");
    key(world, "shared", "--owner bob");
    sidekey(world, "key share shared --with team:data");
    let token = sidekey(world, "token add of-eve --user eve");
    let ask = |method: &str, path: &str| {
        let ask = Ask::new(&world.console(), method, &format!("/api/v1{path}"));
        ask.header("Authorization", &format!("Bearer {token}")).reply()
    };
    assert_eq!(ask("GET", "/keys").json()["items"], Value::Array(Vec::new()));
    let same = |method: &str, of: &dyn Fn(&str) -> String| {
        let answer = |name: &str| {
            let reply = ask(method, &of(name));
            let mut problem = reply.json();
            problem["request_id"] = Value::Null;
            (reply.status, problem.to_string().replace(name, "NAME"))
        };
        let unknown = answer("nothing");
        assert_eq!(unknown.0, 404, "{unknown:?}");
        for name in ["secret", "shared"] {
            assert_eq!(answer(name), unknown, "{method} {name}");
        }
    };
    same("GET", &|name| format!("/keys/{name}"));
    same("GET", &|name| format!("/keys/{name}/uses"));
    same("DELETE", &|name| format!("/keys/{name}"));
    same("POST", &|name| format!("/keys/{name}/rollback"));
    same("POST", &|name| format!("/keys/{name}/verify"));
    same("DELETE", &|name| format!("/keys/{name}/shares/everyone"));
    // Nor is its name taken by what is there.
    let added = Ask::new(&world.console(), "POST", "/api/v1/keys").header("Authorization", &format!("Bearer {token}"));
    let body = r#"{"service": "billing", "name": "secret", "value": "eves"}"#;
    assert_eq!(added.header("Content-Type", "application/json").body(body).reply().status, 201);
}
