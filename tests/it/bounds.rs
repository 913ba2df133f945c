//! What a share may be used for, through the real program: methods, paths, rates. The owner's own use is bounded by a share
//! with itself alone.

use serde_json::Value;

use crate::world::{FakeUpstream, Reply, World, eventually};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;

struct Stage {
    world: World,
    upstream: FakeUpstream,
    /// The token of a caller of the key's owner.
    owner: String,
    /// The token of a caller of somebody else, with whom the key is shared.
    other: String,
}

/// A proxy in token mode with `ada`'s key and a caller of `bob`'s, with whom it is shared as `bounds` say.
fn stage(bounds: &[&str]) -> Stage {
    stage_of(AUTH, bounds)
}

/// The same, with these lines in the table of the service.
fn stage_of(service: &str, bounds: &[&str]) -> Stage {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("billing", &upstream, service).toml("[callers]\nmode = \"token\"\n");
    for line in ["user add ada", "user add bob"] {
        sidekey(&world, line);
    }
    world.sidekey(["key", "add", "billing", "--owner", "ada", "--stdin"]).stdin("adas").run().succeeds();
    let owner = sidekey(&world, "caller add adas --owner ada");
    let other = sidekey(&world, "caller add bobs --owner bob");
    share(&world, bounds);
    Stage { world: world.serve(), upstream, owner, other }
}

fn sidekey(world: &World, line: &str) -> String {
    world.sidekey(line.split(' ')).run().succeeds().trim_end().to_owned()
}

fn share(world: &World, bounds: &[&str]) -> String {
    let line = ["key", "share", "billing", "--with", "user:bob"];
    world.sidekey(line.iter().chain(bounds).copied()).run().succeeds()
}

impl Stage {
    fn ask(&self, token: &str, method: &str, target: &str) -> Reply {
        let ask = self.world.ask(method, target).header("Proxy-Authorization", &format!("Bearer {token}"));
        ask.header("Prefer", "wait=0").reply()
    }

    /// The status, or the code of the refusal.
    fn outcome(&self, token: &str, method: &str, target: &str) -> String {
        let reply = self.ask(token, method, target);
        if reply.status == 200 { "200".to_owned() } else { reply.code() }
    }

    fn explained(&self, line: &str) -> Value {
        serde_json::from_str(&sidekey(&self.world, &format!("explain --json --as bobs {line}"))).unwrap()
    }
}

#[test]
fn a_read_only_share_reads_and_its_owner_writes() {
    let stage = stage(&["--read-only"]);
    for (method, outcome) in [("GET", "200"), ("HEAD", "200"), ("OPTIONS", "200"), ("POST", "not_allowed")] {
        let status = stage.ask(&stage.other, method, "/billing/v1").status;
        assert_eq!(status, if outcome == "200" { 200 } else { 403 }, "{method}");
        let explained = stage.explained(&format!("{method} /billing/v1"));
        assert_eq!(explained["outcome"], if outcome == "200" { "sent" } else { "refused" }, "{method}");
    }
    assert_eq!(stage.outcome(&stage.other, "DELETE", "http://billing.test/v1"), "not_allowed");
    assert_eq!(stage.outcome(&stage.owner, "DELETE", "/billing/v1"), "200");
    let refused = stage.ask(&stage.other, "PUT", "/billing/v1").json();
    assert!(refused["detail"].as_str().unwrap().contains("shared with this caller for other methods"), "{refused}");
    let explained = stage.explained("POST /billing/v1");
    assert_eq!(explained["why"], refused["detail"]);
    assert_eq!(explained["share"], "user:bob (read-only)");
    assert_eq!(explained["candidates"][0]["for"], "read-only");
    let shown = sidekey(&stage.world, "key show billing");
    assert!(shown.contains("user:bob (read-only)"), "{shown}");
    share(&stage.world, &[]);
    eventually("sharing again widens it", || stage.outcome(&stage.other, "POST", "/billing/v1") == "200");
    assert!(!sidekey(&stage.world, "key show billing").contains("read-only"));
}

#[test]
fn a_share_admits_what_its_rules_admit_on_the_bytes_that_are_sent() {
    let stage = stage(&["--allow", "GET /v1/charges/*", "--allow", "* /v1/refunds/**"]);
    for (method, path, outcome) in [
        ("GET", "/v1/charges/7", "200"),
        ("GET", "/v1/charges/7?expand=all", "200"),
        ("POST", "/v1/refunds", "200"),
        ("POST", "/v1/refunds/7/lines", "200"),
        ("POST", "/v1/charges/7", "not_allowed"),
        ("GET", "/v1/charges", "not_allowed"),
        ("GET", "/v1/charges/7/lines", "not_allowed"),
        ("GET", "/v1/%63harges/7", "not_allowed"),
        ("GET", "//v1/charges/7", "not_allowed"),
        ("GET", "/v1/refunds/../charges", "bad_request"),
        ("GET", "/v1/refunds/%2e%2e/charges", "bad_request"),
    ] {
        for target in [format!("/billing{path}"), format!("http://billing.test{path}")] {
            stage.upstream.forget();
            assert_eq!(stage.outcome(&stage.other, method, &target), outcome, "{method} {target}");
            let sent: Vec<String> = stage.upstream.requests().into_iter().map(|seen| seen.target).collect();
            assert_eq!(sent, if outcome == "200" { vec![path.to_owned()] } else { vec![] }, "{method} {target}");
            let explained = stage.explained(&format!("{method} {target}"));
            assert_eq!(explained["code"].as_str().unwrap_or("200"), outcome, "explain {method} {target}");
        }
    }
    assert_eq!(stage.outcome(&stage.owner, "GET", "/billing/anything/../else"), "200", "the owner is not bounded");
    let named = stage.world.ask("POST", "/billing/v1/charges/7").header("Sidekey-Credential", "billing");
    let named = named.header("Proxy-Authorization", &format!("Bearer {}", stage.other)).reply();
    assert_eq!(named.code(), "not_allowed", "naming the key widens nothing");
}

#[test]
fn a_service_for_reading_only_is_read_and_not_written() {
    let stage = stage_of(&format!("{AUTH}\nread_only = true"), &[]);
    for (method, outcome) in [("GET", "200"), ("HEAD", "200"), ("OPTIONS", "200"), ("DELETE", "not_allowed")] {
        for target in ["/billing/v1", "http://billing.test/v1"] {
            stage.upstream.forget();
            assert_eq!(stage.outcome(&stage.owner, method, target), outcome, "{method} {target}");
            assert_eq!(stage.upstream.requests().len(), usize::from(outcome == "200"), "{method} {target}");
        }
    }
    let refused = stage.ask(&stage.owner, "PUT", "/billing/v1").json();
    assert!(refused["detail"].as_str().unwrap().contains("for reading only"), "{refused}");
    assert_eq!(stage.explained("PUT /billing/v1")["why"], refused["detail"]);
    assert!(sidekey(&stage.world, "service show billing").contains("reading only"));
    assert!(sidekey(&stage.world, "explain --as bobs PUT /billing/v1").contains("reading only"));
}

#[test]
fn of_two_shares_through_two_teams_each_admits_what_it_is_for() {
    let stage = stage(&["--read-only"]);
    let world = &stage.world;
    sidekey(world, "key unshare billing --with user:bob");
    sidekey(world, "team add readers --member bob");
    sidekey(world, "team add payers --member bob");
    world.sidekey(["key", "share", "billing", "--with", "team:readers", "--read-only"]).run().succeeds();
    world.sidekey(["key", "share", "billing", "--with", "team:payers", "--allow", "POST /pay"]).run().succeeds();
    eventually("both shares count", || stage.outcome(&stage.other, "POST", "/billing/pay") == "200");
    assert_eq!(stage.outcome(&stage.other, "GET", "/billing/pay"), "200");
    assert_eq!(stage.outcome(&stage.other, "POST", "/billing/other"), "not_allowed");
    let shares = stage.explained("POST /billing/other")["share"].as_str().unwrap().to_owned();
    assert!(shares.contains("team:readers (read-only)") && shares.contains("team:payers (POST /pay)"), "{shares}");
    assert_eq!(stage.explained("POST /billing/pay")["share"], "team:payers (POST /pay)");
}

#[test]
fn a_share_has_a_rate_of_its_own() {
    let stage = stage(&["--rate", "1/h"]);
    assert_eq!(stage.outcome(&stage.other, "GET", "/billing/first"), "200");
    let refused = stage.ask(&stage.other, "GET", "/billing/second");
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    let wait: u64 = refused.value("retry-after").unwrap().parse().unwrap();
    assert!(wait > 3_000, "{refused:?}");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("of the share through which this caller uses the key"), "{detail}");
    for _ in 0..3 {
        assert_eq!(stage.outcome(&stage.owner, "GET", "/billing/own"), "200", "the owner does not wait for others");
    }
    // A change elsewhere takes up a new snapshot; the share's clock runs on.
    sidekey(&stage.world, "caller add more --owner bob");
    let token = sidekey(&stage.world, "caller rotate more");
    eventually("the new caller is known", || stage.outcome(&token, "GET", "/billing/x") == "rate_limited");
    share(&stage.world, &["--rate", "100/s"]);
    eventually("a wider share lets more through", || stage.outcome(&stage.other, "GET", "/billing/x") == "200");
}

#[test]
fn a_quota_is_used_up_and_outlives_a_restart() {
    let mut stage = stage(&["--quota", "3/month", "--allow", "GET /v1/**"]);
    assert_eq!(stage.outcome(&stage.other, "POST", "/billing/v1"), "not_allowed", "what is refused is not counted");
    for _ in 0..2 {
        assert_eq!(stage.outcome(&stage.other, "GET", "/billing/v1"), "200");
    }
    stage.world.stop();
    stage.world.start(&[]);
    assert_eq!(stage.outcome(&stage.other, "GET", "/billing/v1"), "200");
    let refused = stage.ask(&stage.other, "GET", "/billing/v1");
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert!(refused.json()["detail"].as_str().unwrap().contains("The quota 3/month of the share"), "{refused:?}");
    assert_eq!(stage.outcome(&stage.owner, "GET", "/billing/v1"), "200");
    assert!(sidekey(&stage.world, "key show billing").contains("user:bob (GET /v1/**, 3/month)"));
    share(&stage.world, &["--quota", "4/month"]);
    eventually("one more is allowed", || stage.outcome(&stage.other, "GET", "/billing/v1") == "200");
    assert_eq!(stage.outcome(&stage.other, "GET", "/billing/v1"), "rate_limited", "what was used before counts");
}

#[test]
fn bounds_that_cannot_be_are_refused() {
    let stage = stage(&[]);
    let line = |more: &[&str]| {
        let line = ["key", "share", "billing", "--with", "everyone"];
        stage.world.sidekey(line.iter().chain(more).copied()).run().fails_with(2)
    };
    assert!(line(&["--allow", "v1/**"]).contains("METHOD /path"));
    line(&["--allow", "get /v1"]);
    line(&["--allow", "GET /v1/cha*"]);
    line(&["--rate", "10"]);
    line(&["--rate", "0/s"]);
    line(&["--quota", "1000/week"]);
    let keys: Value = serde_json::from_str(&sidekey(&stage.world, "key list --json")).unwrap();
    assert_eq!(keys["items"][0]["shared_with"], serde_json::json!(["user:bob"]), "nothing was changed");
}

#[test]
fn a_share_with_its_owner_bounds_the_owners_own_use_and_gives_nothing() {
    let stage = stage(&[]);
    let words = ["key", "share", "billing", "--with", "user:ada", "--read-only", "--allow", "GET /v1/**"];
    stage.world.sidekey(words).run().succeeds();
    eventually("the owner reads only", || stage.outcome(&stage.owner, "POST", "/billing/v1/x") == "not_allowed");
    assert_eq!(stage.outcome(&stage.owner, "GET", "/billing/v1/x"), "200");
    assert_eq!(stage.outcome(&stage.owner, "GET", "/billing/v2/x"), "not_allowed");
    assert_eq!(stage.outcome(&stage.other, "POST", "/billing/v2/x"), "200", "others have their own shares");
    let explained: Value =
        serde_json::from_str(&sidekey(&stage.world, "explain --json --as adas POST /billing/v1/x")).unwrap();
    assert_eq!((&explained["outcome"], &explained["code"]), (&"refused".into(), &"not_allowed".into()));
    assert_eq!(explained["candidates"].as_array().unwrap().len(), 1, "the key stands once: {explained}");
    assert_eq!(explained["candidates"][0]["step"], "the owner's personal key");
    // Another key that is shared with everyone does not widen it: the personal one is the first step.
    sidekey(&stage.world, "key share billing --with everyone");
    eventually("everyone has it", || stage.outcome(&stage.other, "GET", "/billing/v2/x") == "200");
    assert_eq!(stage.outcome(&stage.owner, "GET", "/billing/v2/x"), "not_allowed");
    sidekey(&stage.world, "key share billing --with user:ada --rate 1/h");
    eventually("a rate holds too", || stage.outcome(&stage.owner, "POST", "/billing/v1/x") == "rate_limited");
    sidekey(&stage.world, "key unshare billing --with user:ada");
    eventually("the owner's use is open again", || stage.outcome(&stage.owner, "POST", "/billing/v2/x") == "200");
}
