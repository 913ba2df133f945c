//! What `explain` says of limits, beside what comes of the request when it is sent in earnest.

use serde_json::Value;

use crate::world::{Answer, FakeUpstream, World, eventually};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;

fn keyed(more: &str) -> (FakeUpstream, World) {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("api", &upstream, &format!("{AUTH}\n{more}")).key("api", "prod", "s3cret");
    (upstream, world)
}

fn text(world: &World, line: &str) -> String {
    world.sidekey(line.split(' ')).run().succeeds()
}

fn explained(world: &World, line: &str) -> Value {
    serde_json::from_str(&text(world, &format!("explain --json {line}"))).unwrap()
}

/// The service refuses one request to `path` for so long.
fn refuse(world: &World, upstream: &FakeUpstream, path: &str, seconds: u32) {
    upstream.then(Answer::json(429, "{}").header("Retry-After", &seconds.to_string()));
    assert_eq!(world.ask("GET", path).header("Sidekey-Retry", "off").reply().status, 429);
}

#[test]
fn a_closed_gate_makes_a_request_wait_or_be_refused() {
    let (upstream, world) = keyed("");
    let mut world = world.serve();
    assert_eq!(explained(&world, "GET /api/v1")["wait_s"], 0);
    refuse(&world, &upstream, "/api/v1", 290);
    eventually("it is noted", || explained(&world, "GET /api/v1")["outcome"] == "refused");
    let found = explained(&world, "GET /api/v1");
    assert_eq!(found["code"], world.get("/api/v1").code());
    assert!((200..=293).contains(&found["wait_s"].as_u64().unwrap()), "{found}");
    assert_eq!((&found["upstream"], &found["running"]), (&"http://api.test/v1".into(), &true.into()));
    let shown = text(&world, "explain GET /api/v1");
    assert!(shown.contains("It would be refused now (rate_limited, 2"), "{shown}");
    assert!(shown.contains("by the running proxy, a moment ago"), "{shown}");
    // What the last proxy left is what the next one goes on with.
    assert_eq!(world.stop().0.code(), Some(0));
    let left = explained(&world, "GET /api/v1");
    assert_eq!((&left["outcome"], &left["code"]), (&"refused".into(), &"rate_limited".into()));
    world.start(&[]);
    text(&world, "limits reset api");
    eventually("it is open", || explained(&world, "GET /api/v1")["outcome"] == "sent");
    refuse(&world, &upstream, "/api/v1", 25);
    let wait = || explained(&world, "GET /api/v1")["wait_s"].as_u64().unwrap();
    eventually("it would wait", || wait() > 0);
    let found = explained(&world, "GET /api/v1");
    assert_eq!((&found["outcome"], &found["code"]), (&"sent".into(), &Value::Null), "within its patience: {found}");
    let shown = text(&world, "explain GET /api/v1");
    assert!(shown.contains("It would be sent after a wait of "), "{shown}");
}

#[test]
fn what_is_left_of_a_quota_is_enough_for_one_request_and_not_for_another() {
    let (_upstream, world) = keyed(r#"rate = { quota = ["5/day"], costs = { "POST /big" = 4 } }"#);
    let world = world.serve();
    assert_eq!((world.get("/api/v1").status, world.get("/api/v1").status), (200, 200));
    eventually("it is noted", || explained(&world, "POST /api/big")["outcome"] == "refused");
    let found = explained(&world, "POST /api/big");
    assert_eq!(found["code"], world.ask("POST", "/api/big").reply().code());
    assert!(found["wait_s"].as_u64().unwrap() > 0 && found["why"].as_str().unwrap().contains("5/day"), "{found}");
    assert_eq!(explained(&world, "GET /api/v1")["outcome"], "sent");
    assert_eq!(world.get("/api/v1").status, 200);
}

#[test]
fn an_open_circuit_refuses() {
    let (upstream, world) = keyed("retry = { attempts = 1 }");
    let world = world.toml("[gates]\ncircuit_failures = 2\ncircuit_open = \"50s\"\n").serve();
    for _ in 0..2 {
        upstream.then(Answer::hang_up());
        assert_eq!(world.get("/api/v1").code(), "upstream_broken");
    }
    eventually("it is noted", || explained(&world, "GET /api/v1")["code"] == "circuit_open");
    assert_eq!(world.get("/api/v1").code(), "circuit_open");
    let shown = text(&world, "explain GET /api/v1");
    assert!(shown.contains("It would be refused now (circuit_open, "), "{shown}");
}

#[test]
fn of_a_pool_that_key_is_named_which_goes() {
    let upstream = FakeUpstream::plain();
    upstream.always(|seen| match seen.values("x-api-key").join(",").as_str() {
        "value-of-a" => Answer::json(429, "{}").header("Retry-After", "290"),
        other => Answer::text(200, other),
    });
    let mut world = World::new().service("api", &upstream, AUTH);
    for name in ["a", "b", "c"] {
        let line = format!("key add api --name {name} --pool batch --stdin");
        world.sidekey(line.split(' ')).stdin(format!("value-of-{name}")).run().succeeds();
    }
    world = world.serve();
    let first = explained(&world, "GET /api/v1");
    assert_eq!((&first["key"], &first["stands_in_for"]), (&"a".into(), &Value::Null));
    assert_eq!(first["stand_ins"], serde_json::json!(["b", "c"]));
    assert_eq!(world.get("/api/v1").text(), "value-of-b");
    eventually("it is noted", || explained(&world, "GET /api/v1")["key"] == "b");
    let found = explained(&world, "GET /api/v1");
    assert_eq!((&found["outcome"], &found["stands_in_for"]), (&"sent".into(), &"a".into()));
    assert_eq!(found["stand_ins"], serde_json::json!(["c"]));
    let chosen = found["candidates"].as_array().unwrap().iter().map(|one| (&one["key"], &one["chosen"]));
    assert_eq!(
        chosen.collect::<Vec<_>>(),
        [(&"a".into(), &false.into()), (&"b".into(), &true.into()), (&"c".into(), &false.into())]
    );
    let shown = text(&world, "explain GET /api/v1");
    for part in ["it stands in for a", "its limit holds it up", "of a: closed for 2"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(explained(&world, "--credential a GET /api/v1")["code"], "rate_limited", "named, it is meant alone");
    upstream.always(|_| Answer::json(429, "{}").header("Retry-After", "290"));
    assert_eq!(world.get("/api/v1").status, 429);
    eventually("all are held up", || explained(&world, "GET /api/v1")["outcome"] == "refused");
    assert_eq!(world.get("/api/v1").code(), explained(&world, "GET /api/v1")["code"]);
}

#[test]
fn gates_of_other_paths_are_left_out_and_those_that_look_the_same_are_told_apart() {
    let (upstream, world) = keyed(r#"limits = { bucket_by = "path" }"#);
    let world = world.serve();
    let paths = ["/api/v1/things/83217712345", "/api/v1/things/99217712345"];
    for path in paths {
        refuse(&world, &upstream, path, 200);
    }
    let listed = || -> Vec<Value> {
        let list: Value = serde_json::from_str(&text(&world, "limits list --json")).unwrap();
        let gates = list["items"].as_array().unwrap().iter().filter(|gate| gate["bucket"] == "/v1/things/{…}");
        gates.cloned().collect()
    };
    eventually("both are listed", || listed().len() == 2);
    let mut marks: Vec<Value> = listed().iter().map(|gate| gate["mark"].clone()).collect();
    assert!(marks.iter().all(Value::is_string) && marks[0] != marks[1], "{marks:?}");
    let table = text(&world, "limits list");
    assert!(marks.iter().all(|mark| table.contains(&format!("#{}", mark.as_str().unwrap()))), "{table}");
    assert!(!table.contains("217712345") && !text(&world, "limits list --json").contains("217712345"), "{table}");
    for path in paths {
        let found = explained(&world, &format!("GET {path}"));
        assert_eq!((&found["outcome"], &found["code"]), (&"refused".into(), &"rate_limited".into()));
        let met = found["gates"].as_array().unwrap().iter().filter(|gate| !gate["bucket"].is_null());
        let met: Vec<Value> = met.map(|gate| gate["mark"].clone()).collect();
        assert_eq!(met.len(), 1, "{found}");
        marks.retain(|mark| *mark != met[0]);
    }
    assert!(marks.is_empty(), "each is shown with the mark of its path");
    let other = explained(&world, "GET /api/v1/things/11217712345");
    assert_eq!((&other["outcome"], &other["wait_s"]), (&"sent".into(), &0.into()));
    assert!(other["gates"].as_array().unwrap().iter().all(|gate| gate["state"] != "closed"), "{other}");
    assert_eq!(world.get("/api/v1/things/11217712345").status, 200);
}

#[test]
fn a_bucket_that_only_answers_name_is_told_as_one_that_may_be_met() {
    let (upstream, world) = keyed(r#"limits = { family = "x-ratelimit" }"#);
    let world = world.serve();
    let used_up = Answer::json(429, "{}").header("X-RateLimit-Name", "search").header("X-RateLimit-Limit", "5");
    upstream.then(used_up.header("X-RateLimit-Remaining", "0").header("X-RateLimit-Reset", "200"));
    assert_eq!(world.ask("GET", "/api/find").header("Sidekey-Retry", "off").reply().status, 429);
    eventually("it is noted", || text(&world, "explain GET /api/find").contains("search: closed"));
    let shown = text(&world, "explain GET /api/find");
    assert!(
        shown.contains("It would be sent, unless the service counts it in search, which lets nothing pass"),
        "{shown}"
    );
}

#[test]
fn who_waits_already_is_told() {
    let (_upstream, world) = keyed(r#"rate = { limit = "1/min", max_wait = "2m" }"#);
    let world = world.serve();
    assert_eq!(world.get("/api/v1").status, 200);
    let mut wire = world.wire();
    wire.send(world.ask("GET", "/api/v1").bytes("keep-alive"));
    eventually("it is told", || {
        text(&world, "explain GET /api/v1").contains("It would be sent when its turn has come (1 already waiting)")
    });
}
