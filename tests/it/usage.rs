//! What operators watch, through the real program: usage after real calls, with and without a running proxy, and events in
//! the log, the metrics, the audit and at a webhook. No query, no token and no key is in any of it.

use std::fs;

use serde_json::Value;
use sidekey::crypto::{digest, hmac};

use crate::world::{Answer, Ask, FakeUpstream, Seen, World, eventually};

const AUTH: &str = "auth = { location = \"header\", name = \"X-API-Key\" }\nretry = { attempts = 1 }";
const KEY: &str = "sk_live_C4nary0000000000000000000001";
/// Stands in every query, and nowhere in what is kept.
const QUERY: &str = "qu3ry-Canary";

/// A proxy with the service `billing`, its key `main`, and the caller `etl`, whose token is returned.
fn billing(tables: &str) -> (World, FakeUpstream, String) {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("billing", &upstream, AUTH).service("crm", &upstream, AUTH);
    let world = world.toml("[callers]\nmode = \"token\"").toml(tables);
    let world = world.key("billing", "main", KEY);
    let token = caller(&world, "etl");
    (world.serve(), upstream, token)
}

fn caller(world: &World, name: &str) -> String {
    world.sidekey(["caller", "add", name]).run().succeeds().trim_end().to_owned()
}

fn call(world: &World, token: &str, method: &str, path: &str) -> u16 {
    world.ask(method, &format!("{path}?own={QUERY}")).header("X-API-Key", token).reply().status
}

fn usage(world: &World, line: &[&str]) -> Value {
    let line = ["usage", "--json"].iter().chain(line).copied();
    serde_json::from_str(&world.sidekey(line).run().succeeds()).unwrap()
}

/// Pairs of what `name` says and how many calls, in the order of the list.
fn calls(report: &Value, name: &str) -> Vec<(String, u64)> {
    let items = report["items"].as_array().unwrap().iter();
    items.map(|item| (item[name].as_str().unwrap_or("-").to_owned(), item["calls"].as_u64().unwrap())).collect()
}

fn pairs(list: &[(&str, u64)]) -> Vec<(String, u64)> {
    list.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect()
}

/// A counter on the console's page.
fn metric(world: &World, series: &str) -> u64 {
    let page = Ask::new(&world.console(), "GET", "/metrics").reply().text();
    let line = page.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("no {series}"));
    line.trim().parse().unwrap()
}

/// Every file below `data`.
fn kept(world: &World) -> Vec<(String, Vec<u8>)> {
    let mut folders = vec![world.path("data")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.display().to_string(), fs::read(&path).unwrap()));
            }
        }
    }
    found
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn calls_are_told_by_service_key_caller_endpoint_and_time() {
    let (mut world, upstream, etl) = billing("");
    let cron = caller(&world, "cron");
    eventually("the caller is known", || call(&world, &cron, "GET", "/billing/v1/charges/41") == 200);
    for _ in 0..3 {
        assert_eq!(call(&world, &etl, "GET", "/billing/v1/charges/42"), 200);
    }
    for (answer, status) in [(401, 401), (403, 403), (429, 429), (503, 503)] {
        upstream.then(Answer::json(answer, "{}"));
        assert_eq!(call(&world, &etl, "POST", "/billing/v1/charges"), status);
    }
    assert_eq!(call(&world, &etl, "GET", "/crm/contacts"), 424);
    assert_eq!(call(&world, "skc_nobody", "GET", "/billing/v1"), 401);
    world.stop();

    let report = usage(&world, &[]);
    let refused = calls(&report, "service").iter().find(|(service, _)| service == "-").unwrap().1;
    let strangers = refused - 1;
    assert_eq!(report["version"], 1);
    let total = &report["total"];
    let number = |name: &str| total[name].as_u64().unwrap();
    assert_eq!(number("calls"), 8 + 1 + refused);
    assert_eq!(number("refused"), 1 + 1 + strangers);
    assert_eq!([number("unauthorized"), number("forbidden"), number("throttled"), number("errors")], [1, 1, 1, 1]);
    assert_eq!(total["answered"]["2xx"], 4);
    assert_eq!((&total["answered"]["4xx"], &total["answered"]["5xx"]), (&Value::from(3), &Value::from(1)));
    assert!(total["p50_us"].as_u64().unwrap() > 0 && number("bytes_out") > 0);
    assert!(calls(&report, "service").contains(&("billing".to_owned(), 8)));
    assert!(calls(&report, "service").contains(&("crm".to_owned(), 1)));

    assert!(calls(&usage(&world, &["--by", "key"]), "key").contains(&("main".to_owned(), 8)));
    let by_caller = usage(&world, &["--by", "caller", "--key", "main"]);
    assert_eq!(calls(&by_caller, "caller"), pairs(&[("etl", 7), ("cron", 1)]));
    let endpoints = usage(&world, &["--by", "endpoint", "--caller", "etl"]);
    assert_eq!(calls(&endpoints, "path"), pairs(&[("/v1/charges", 4), ("/v1/charges/{…}", 3)]));
    assert_eq!((&endpoints["items"][0]["method"], &endpoints["items"][0]["key"]), (&"POST".into(), &"main".into()));
    let hours = usage(&world, &["--by", "hour", "--since", "3h", "--service", "billing"]);
    let of_hours: Vec<u64> = calls(&hours, "at").into_iter().map(|(_, calls)| calls).collect();
    assert_eq!((of_hours.len(), of_hours.iter().sum::<u64>()), (4, 8), "hours without a call are there too");
    assert_eq!(calls(&usage(&world, &["--by", "day"]), "at").len(), 31);
    let minutes = usage(&world, &["--since", "5m"]);
    assert_eq!(minutes["timeline"].as_array().unwrap().len(), 6);
    assert_eq!(minutes["total"]["calls"], total["calls"]);
    for (name, bytes) in kept(&world) {
        assert!(!holds(&bytes, QUERY), "a query stands in {name}");
    }
}

#[test]
fn the_table_reads_well_and_is_plain_when_piped() {
    let (mut world, _upstream, etl) = billing("");
    for _ in 0..3 {
        assert_eq!(call(&world, &etl, "GET", "/billing/v1"), 200);
    }
    world.stop();
    let table = world.sidekey(["usage"]).run().succeeds();
    assert!(table.starts_with("Since 20") && table.contains("\n  3 calls "), "{table}");
    let row = table.lines().find(|line| line.starts_with("billing")).unwrap();
    assert!(row.contains(" 3  ####################  ") && row.ends_with("just now"), "{table}");
    assert!(!table.contains("401/403") && table.is_ascii(), "what is nought is left out:\n{table}");
    let endpoints = world.sidekey(["usage", "--by", "endpoint"]).run().succeeds();
    assert!(endpoints.contains("GET     /v1       3  ##########  billing  main  etl"), "{endpoints}");
    let nothing = world.sidekey(["usage", "--service", "stripe"]).run().succeeds();
    assert!(nothing.contains("Nothing was called."), "{nothing}");
    for wrong in [&["--since", "yesterday"][..], &["--by", "moon"]] {
        world.sidekey(["usage"].iter().chain(wrong).copied()).run().fails_with(2);
    }
    let far = world.sidekey(["usage", "--since", "2000d"]).run().fails_with(2);
    assert!(far.contains("kept for 730 days"), "{far}");
}

#[test]
fn nothing_is_lost_at_a_stop_and_no_more_than_seconds_at_a_kill() {
    let (mut world, _upstream, etl) = billing("");
    let count = |world: &World| usage(world, &["--key", "main"])["total"]["calls"].as_u64().unwrap();
    for _ in 0..20 {
        assert_eq!(call(&world, &etl, "GET", "/billing/v1"), 200);
    }
    world.stop();
    assert_eq!(count(&world), 20);
    world.start(&[]);
    for _ in 0..5 {
        assert_eq!(call(&world, &etl, "GET", "/billing/v1"), 200);
    }
    eventually("a running proxy is only seconds ahead", || count(&world) == 25);
    assert_eq!(call(&world, &etl, "GET", "/billing/v1"), 200);
    world.kill();
    let left = count(&world);
    assert!(left == 25 || left == 26, "{left}");
    world.start(&[]);
    assert_eq!(call(&world, &etl, "GET", "/billing/v1"), 200);
    world.stop();
    assert_eq!(count(&world), left + 1);
}

#[test]
fn counting_does_not_move_what_the_proxy_follows() {
    let (mut world, _upstream, etl) = billing("");
    let counter = |world: &World| {
        let store = rusqlite::Connection::open(world.path("data/sidekey.db")).unwrap();
        store.query_row("SELECT counter FROM changes", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = counter(&world);
    assert_eq!(call(&world, &etl, "GET", "/billing/v1"), 200);
    world.stop();
    assert_eq!(usage(&world, &[])["total"]["calls"], 1);
    assert_eq!(counter(&world), before);
}

#[test]
fn who_used_a_key_is_known_with_and_without_the_ledger() {
    let (mut world, _upstream, etl) = billing("");
    let last_used = |world: &World| {
        let shown = world.sidekey(["key", "show", "main", "--json"]).run().succeeds();
        serde_json::from_str::<Value>(&shown).unwrap()["items"][0]["last_used_at"].clone()
    };
    assert_eq!(last_used(&world), Value::Null);
    for _ in 0..3 {
        assert_eq!(call(&world, &etl, "GET", "/billing/v1"), 200);
    }
    world.stop();
    assert!(last_used(&world).is_string());
    let list = world.sidekey(["key", "list"]).run().succeeds();
    assert!(list.lines().next().unwrap().contains("LAST USED") && list.contains("just now"), "{list}");
    let shown = world.sidekey(["key", "show", "main"]).run().succeeds();
    assert!(shown.contains("last used") && shown.contains("just now"), "{shown}");
    let asked = |world: &World| world.sidekey(["key", "delete", "main"]).run().fails_with(2);
    assert!(asked(&world).contains("etl  3 times, last just now"));
    // The ledger was begun after the calls: the audit knows them.
    for file in ["usage.db", "usage.db-wal", "usage.db-shm"] {
        let _ = fs::remove_file(world.path("data").join(file));
    }
    assert!(asked(&world).contains("etl  3 times, last just now"));
    world.start(&[]);
    assert_eq!(call(&world, &etl, "GET", "/billing/v1"), 200);
    world.stop();
    let both = asked(&world);
    assert!(both.contains("etl  4 times, last just now"), "{both}");
}

#[test]
fn a_ledger_that_cannot_be_used_stops_nothing() {
    let (mut world, _upstream, etl) = billing("");
    world.stop();
    fs::write(world.path("data/usage.db"), "no database, and readable for nobody else").unwrap();
    world.start(&[]);
    assert_eq!(call(&world, &etl, "GET", "/billing/v1"), 200);
    eventually("it is in the log", || world.log().contains("usage is not counted"));
    world.sidekey(["key", "list"]).run().succeeds();
    let error = world.sidekey(["usage"]).run().fails_with(1);
    assert!(error.contains("usage ledger"), "{error}");
}

// Events.

/// `[events]` with a webhook at `receiver`.
fn hooked(receiver: &FakeUpstream, more: &str) -> String {
    let url = format!("http://{}/hook/h00k-Path?h00k=Query", receiver.address());
    format!("[events]\nwebhook = \"{url}\"\nallow_private = true\n{more}\n")
}

/// The event number `count`, when all of it has arrived.
fn told(receiver: &FakeUpstream, count: usize) -> Value {
    receiver.wait_until(&format!("event {count}"), |seen| seen.get(count - 1).is_some_and(|seen| seen.complete));
    body(&receiver.requests()[count - 1])
}

fn body(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap()
}

#[test]
fn a_burst_of_failed_authentications_is_told_everywhere_and_once() {
    let receiver = FakeUpstream::plain();
    let secret = "secret = { file = \"hook.secret\" }";
    let upstream = FakeUpstream::plain();
    let world = World::new().service("billing", &upstream, AUTH).toml(&hooked(&receiver, secret));
    world.file("hook.secret", "hush-hush\n");
    let world = world.key("billing", "main", KEY).serve();
    upstream.always(|_| Answer::json(401, "{}"));
    for _ in 0..7 {
        assert_eq!(world.get(&format!("/billing/v1?own={QUERY}")).status, 401);
    }
    let told = told(&receiver, 1);
    let seen = receiver.only_request();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/hook/h00k-Path?h00k=Query"));
    assert_eq!(seen.values("content-type"), ["application/json"]);
    assert_eq!(seen.values("sidekey-event"), ["auth_failures"]);
    assert_eq!((&told["version"], &told["kind"]), (&Value::from(1), &Value::from("auth_failures")));
    assert_eq!((&told["key"], &told["caller"], &told["service"]), (&"main".into(), &"local".into(), &"billing".into()));
    assert!(told["count"].as_u64().unwrap() >= 5 && told["at"].is_string() && told["id"].is_string(), "{told}");
    assert!(told["text"].as_str().unwrap().starts_with("billing turned away "), "{told}");
    let time = seen.values("sidekey-timestamp")[0].to_owned();
    let signature = hmac::sha256(b"hush-hush", &[time.as_bytes(), b".", &seen.body]);
    assert_eq!(seen.values("sidekey-signature"), [format!("sha256={}", digest::hex(&signature))]);

    eventually("it was taken", || metric(&world, "sidekey_webhook_deliveries_total{result=\"ok\"}") == 1);
    assert_eq!(metric(&world, "sidekey_events_total{kind=\"auth_failures\"}"), 1);
    let audit = world.sidekey(["audit", "tail", "--json"]).run().succeeds();
    assert!(audit.contains("\"event.auth_failures\"") && audit.contains("billing turned away"), "{audit}");
    let usage = world.sidekey(["usage"]).run().succeeds();
    assert!(usage.contains("Worth a look") && usage.contains("auth_failures"), "{usage}");

    // More of the same within the hour is counted and told to nobody.
    let count = || usage_events(&world)[0]["count"].as_u64().unwrap();
    let before = count();
    for _ in 0..5 {
        assert_eq!(world.get("/billing/v1").status, 401);
    }
    eventually("it is counted", || count() >= before + 5);
    assert_eq!(metric(&world, "sidekey_events_total{kind=\"auth_failures\"}"), 1);
    assert_eq!(receiver.requests().len(), 1);
    let kind = "\"kind\":\"auth_failures\"";
    eventually("it is in the log", || world.log().contains("billing turned away") && world.log().contains(kind));
    let log = world.log();
    for hidden in [KEY, QUERY, "h00k-Path", "h00k=Query", "hush-hush"] {
        assert!(!log.contains(hidden), "{hidden} stands in the log:\n{log}");
        assert!(!holds(&seen.body, hidden), "{hidden} stands in the event: {told}");
        for (name, bytes) in kept(&world) {
            assert!(!holds(&bytes, hidden), "{hidden} stands in {name}");
        }
    }
    world.sidekey(["audit", "verify"]).run().succeeds();
}

fn usage_events(world: &World) -> Vec<Value> {
    usage(world, &[])["events"].as_array().unwrap().clone()
}

#[test]
fn a_new_endpoint_of_a_known_workflow_is_told() {
    let receiver = FakeUpstream::plain();
    let (world, _upstream, etl) = billing(&hooked(&receiver, "kinds = [\"new_endpoint\"]"));
    let mut wire = world.wire();
    let mut call = |path: &str| {
        let ask = world.ask("GET", path).header("X-API-Key", &etl);
        assert_eq!(ask.reply_on(&mut wire).status, 200);
    };
    for number in 0..500 {
        call(&format!("/billing/v1/charges/{number}"));
    }
    let known = || usage(&world, &["--by", "endpoint"])["total"]["calls"] == 500;
    eventually("500 calls are known", known);
    call(&format!("/billing/v1/refunds/17?own={QUERY}"));
    let told = told(&receiver, 1);
    assert_eq!(told["text"], "`etl` calls GET /v1/refunds/{…} with the key `main` for the first time");
    assert_eq!((&told["kind"], &told["caller"], &told["count"]), (&"new_endpoint".into(), &"etl".into(), &1.into()));
}

#[test]
fn keys_near_their_end_and_strangers_in_numbers_are_told() {
    let receiver = FakeUpstream::plain();
    let (mut world, upstream, etl) = billing(&hooked(&receiver, ""));
    let line = ["key", "add", "crm", "--name", "short", "--expires", "3d", "--stdin"];
    world.sidekey(line).stdin(KEY).run().succeeds();
    let told = self::told(&receiver, 1);
    assert_eq!((&told["kind"], &told["key"]), (&"key_expiring".into(), &"short".into()));
    for _ in 0..10 {
        assert_eq!(call(&world, "skc_nobody", "GET", "/billing/v1"), 401);
    }
    let told = self::told(&receiver, 2);
    assert_eq!((&told["kind"], &told["caller"]), (&"unknown_callers".into(), &Value::Null));
    upstream.then(Answer::throttled("2"));
    assert_eq!(call(&world, &etl, "GET", "/billing/v1"), 429);
    let told = self::told(&receiver, 3);
    assert_eq!((&told["kind"], &told["key"]), (&"upstream_throttled".into(), &"main".into()));
    // What was told stays told over a restart; a new value that is due tomorrow is told.
    world.stop();
    let line = ["key", "add", "crm", "--name", "old", "--rotate-every", "1d", "--stdin"];
    world.sidekey(line).stdin(KEY).run().succeeds();
    world.start(&[]);
    let told = self::told(&receiver, 4);
    assert_eq!((&told["kind"], &told["key"]), (&"rotation_due".into(), &"old".into()));
    assert_eq!(call(&world, &etl, "GET", "/billing/v1/other"), 200);
    eventually("the call is counted", || {
        calls(&usage(&world, &["--by", "endpoint"]), "path").contains(&("/v1/other".to_owned(), 1))
    });
    assert_eq!(receiver.requests().len(), 4);
}

#[test]
fn a_webhook_that_fails_is_tried_again_and_a_dead_one_disturbs_nothing() {
    let receiver = FakeUpstream::plain();
    let (mut world, upstream, etl) = billing(&hooked(&receiver, ""));
    receiver.then(Answer::status(500));
    upstream.then(Answer::throttled("2"));
    assert_eq!(call(&world, &etl, "GET", "/billing/v1"), 429);
    let again = told(&receiver, 2);
    assert_eq!(body(&receiver.requests()[0]), again, "the same event, with the same identifier");
    eventually("it was taken", || metric(&world, "sidekey_webhook_deliveries_total{result=\"ok\"}") == 1);

    receiver.always(|_| Answer::stall());
    for _ in 0..10 {
        assert_eq!(call(&world, "skc_nobody", "GET", "/billing/v1"), 401);
    }
    receiver.wait_for(3);
    assert_eq!(call(&world, &etl, "GET", "/billing/v1"), 200);
    world.sidekey(["caller", "add", "late"]).run().succeeds();
    let (status, log) = world.stop();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_webhook_at_a_private_address_is_refused_unless_allowed() {
    let receiver = FakeUpstream::plain();
    let hook = hooked(&receiver, "").replace("allow_private = true", "");
    let upstream = FakeUpstream::plain();
    let world = World::new().service("billing", &upstream, AUTH).toml(&hook).key("billing", "main", KEY);
    let world = world.serve_with(&[("SIDEKEY_LOG", "sidekey=debug")]);
    upstream.then(Answer::throttled("2"));
    assert_eq!(world.get("/billing/v1").status, 429);
    eventually("it is refused", || world.log().contains("a loopback address"));
    assert!(receiver.requests().is_empty());
    assert!(!world.log().contains("h00k-Path"), "{}", world.log());
}

#[test]
fn a_webhook_is_changed_while_the_proxy_runs() {
    let (receiver, upstream) = (FakeUpstream::plain(), FakeUpstream::plain());
    let mut world = World::new().service("billing", &upstream, AUTH).key("billing", "main", KEY).serve();
    let tables = world.tables().to_owned();
    let missing = hooked(&receiver, "secret = { env = \"NOT_SET\" }");
    world.rewrite_toml(&format!("{tables}{missing}"));
    eventually("the secret is missing", || world.log().contains("`NOT_SET` of its secret is not set"));
    world.rewrite_toml(&format!("{tables}{}", hooked(&receiver, "")));
    eventually("it is mended", || world.log().matches("the configuration was reloaded").count() == 2);
    upstream.then(Answer::throttled("2"));
    assert_eq!(world.get("/billing/v1").status, 429);
    assert_eq!(told(&receiver, 1)["kind"], "upstream_throttled");
}
