//! What operators set on gates while the proxy runs, through the real program: pinned limits, pools of keys, quotas of the day
//! and month; and what of a limit is counted, shown and freed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{Answer, Ask, FakeUpstream, Reply, World, eventually};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;

fn keyed(more: &str) -> (FakeUpstream, World) {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("api", &upstream, &format!("{AUTH}\n{more}")).key("api", "prod", "s3cret");
    (upstream, world.serve())
}

fn sidekey(world: &World, line: &str) -> String {
    world.sidekey(line.split(' ')).run().succeeds()
}

fn ask(world: &World, wait: &str) -> Ask {
    world.ask("GET", "/api/v1").header("Prefer", &format!("wait={wait}"))
}

fn hasty(world: &World) -> Reply {
    ask(world, "0").reply()
}

fn detail(reply: &Reply) -> String {
    reply.json()["detail"].as_str().unwrap().to_owned()
}

fn seconds(reply: &Reply) -> u64 {
    reply.value("retry-after").unwrap().parse().unwrap()
}

fn gates(world: &World) -> Vec<Value> {
    let list: Value = serde_json::from_str(&sidekey(world, "limits list --json")).unwrap();
    list["items"].as_array().unwrap().clone()
}

fn audit(world: &World) -> String {
    sidekey(world, "audit export")
}

#[test]
fn a_pinned_limit_counts_within_a_second_outlives_a_restart_and_is_taken_back() {
    let (_upstream, mut world) = keyed("");
    for _ in 0..3 {
        assert_eq!(hasty(&world).status, 200);
    }
    assert!(sidekey(&world, "limits pin api 1/h").contains("Pinned: api, 1/h"));
    eventually("the pin counts", || hasty(&world).status == 429);
    let refused = hasty(&world);
    assert_eq!(
        (refused.code().as_str(), refused.value("ratelimit").unwrap().contains("1/3600s")),
        ("rate_limited", true)
    );
    assert!(detail(&refused).contains("pinned") && seconds(&refused) > 3000, "{refused:?}");
    let gate = gates(&world).into_iter().find(|gate| gate["owner"] == "*").unwrap();
    assert_eq!((&gate["service"], &gate["pin"]["limit"]), (&"api".into(), &"1/h".into()));
    assert!(sidekey(&world, "explain GET /api/v1").contains("pinned to 1/h"));
    assert_eq!(world.stop().0.code(), Some(0));
    world.start(&[]);
    assert_eq!((hasty(&world).status, hasty(&world).status), (200, 429), "it is pinned from the first request on");
    // Pinned anew it takes the place of the former; who waits is let through when it is taken back.
    sidekey(&world, "limits pin api 4/min --concurrency 3");
    eventually("the new one counts", || gates(&world).iter().any(|gate| gate["pin"]["limit"] == "4/min, 3 under way"));
    eventually("its first passes", || hasty(&world).status == 200);
    let waiting = ask(&world, "100").reply_later();
    eventually("it waits", || world.metric("sidekey_gate_waiting_requests{service=\"api\"}") == "1");
    sidekey(&world, "limits unpin api");
    assert_eq!(waiting.join().unwrap().status, 200);
    eventually("nothing is pinned", || (0..3).all(|_| hasty(&world).status == 200));
    assert_eq!(world.metric("sidekey_gate_pins"), "0");
    assert!(world.sidekey(["limits", "unpin", "api"]).run().fails_with(1).contains("pinned limit"));
    let audit = audit(&world);
    assert!(
        audit.contains("gate.pin") && audit.contains("gate.unpin") && audit.contains("4/min, 3 under way"),
        "{audit}"
    );
}

#[test]
fn a_limit_is_pinned_on_one_limit_owner_for_a_time_and_on_nothing_that_is_not_there() {
    let (upstream, world) = keyed("");
    world
        .sidekey(["key", "add", "api", "--name", "other", "--limit-owner", "acme", "--stdin"])
        .stdin("v")
        .run()
        .succeeds();
    sidekey(&world, "limits pin api 1/h --key other --for 1h");
    let by = |name: &str| ask(&world, "0").header("Sidekey-Credential", name).reply().status;
    eventually("the pin counts", || by("other") == 429);
    let told = detail(&ask(&world, "0").header("Sidekey-Credential", "other").reply());
    assert!(told.contains("this key's limit owner") && !told.contains("acme"), "{told}");
    assert_eq!((by("prod"), by("prod")), (200, 200), "another limit owner is not concerned");
    let pinned = gates(&world).into_iter().find(|gate| !gate["pin"].is_null()).unwrap();
    assert_eq!(pinned["owner"], "acme");
    sidekey(&world, "limits pin api 1/h --key other --for 2s");
    eventually("its time is over", || by("other") == 200 && by("other") == 200);
    assert!(gates(&world).iter().all(|gate| gate["pin"].is_null()));
    for (line, code, why) in [
        ("limits pin api 1/h --owner nobody", 1, "limit owner"),
        ("limits pin api 1/h --key nobody", 1, "nobody"),
        ("limits pin nobody 1/h", 2, "nobody"),
        ("limits pin api", 2, "--concurrency COUNT"),
        ("limits pin api often", 2, "rate"),
        ("limits pin api 1/h --for never", 2, "--for"),
    ] {
        let said = world.sidekey(line.split(' ')).run().fails_with(code);
        assert!(said.contains(why), "{line}: {said}");
    }
    assert!(upstream.requests().len() > 4);
}

/// Two keys of one pool; the service has used up the limit of the first, and tells which key arrived else.
fn pooled(more: &str) -> (FakeUpstream, World) {
    let upstream = FakeUpstream::plain();
    upstream.always(|seen| match seen.values("x-api-key").join(",").as_str() {
        "value-of-a" => Answer::json(429, "{}").header("Retry-After", "3600"),
        other => Answer::text(200, other),
    });
    let world = World::new().service("api", &upstream, AUTH);
    for name in ["b", "a"] {
        let line = format!("key add api --name {name} --pool batch {more} --stdin");
        world.sidekey(line.split_whitespace()).stdin(format!("value-of-{name}")).run().succeeds();
    }
    (upstream, world.serve())
}

#[test]
fn another_key_of_a_pool_stands_in_when_the_limit_of_the_first_is_used_up() {
    let (upstream, world) = pooled("");
    let explained = sidekey(&world, "explain GET /api/v1");
    assert!(explained.contains("of the pool batch") && explained.contains("stands in when"), "{explained}");
    let first = world.get("/api/v1");
    assert_eq!((first.status, first.text().as_str()), (200, "value-of-b"), "who met the limit is served by the other");
    let keys = || upstream.requests().iter().map(|seen| seen.values("x-api-key").join(",")).collect::<Vec<_>>();
    assert_eq!(keys(), ["value-of-a", "value-of-b"]);
    for _ in 0..3 {
        assert_eq!(world.get("/api/v1").text(), "value-of-b");
    }
    assert_eq!(keys().len(), 5, "the first is not tried again");
    let named = ask(&world, "0").header("Sidekey-Credential", "a").reply();
    assert_eq!(named.code(), "rate_limited", "a named key is meant alone");
    // It is credited to the key that was used.
    let with_b = |line: &&str| line.contains("\"/v1\"") && line.contains("\"credential\":\"b\"");
    eventually("the audit has it", || audit(&world).lines().filter(with_b).count() == 4);
    eventually("it is told", || audit(&world).contains("pool.failover"));
    assert_eq!(world.metric("sidekey_pool_failovers_total{service=\"api\"}"), "4");
    let act = audit(&world).lines().find(|line| line.contains("gate.close")).unwrap().to_owned();
    assert!(act.contains(r#""reason":"exhausted""#) && act.contains(r#""key":"a""#), "{act}");
    assert_eq!(world.metric("sidekey_gate_closures_total{service=\"api\",reason=\"exhausted\"}"), "1");
    eventually("its gate is listed", || {
        gates(&world).iter().any(|gate| gate["state"] == "closed" && gate["key"] == "a")
    });
    upstream.always(|seen| Answer::text(200, seen.values("x-api-key").join(",")));
    sidekey(&world, "limits reset api");
    eventually("the first is used as soon as it may", || world.get("/api/v1").text() == "value-of-a");
    sidekey(&world, "key edit b --no-pool");
    eventually("without the pool they are equal", || world.get("/api/v1").status == 424);
}

#[test]
fn another_key_stands_in_for_a_wait_beyond_the_patience_and_not_for_a_short_one() {
    let (upstream, world) = pooled("");
    let refused = Arc::new(AtomicU32::new(0));
    // The first key is refused once, for so long.
    let refuse = |seconds: u32| {
        let count = Arc::clone(&refused);
        count.store(0, Ordering::Relaxed);
        upstream.always(move |seen| match seen.values("x-api-key").join(",").as_str() {
            "value-of-a" if count.fetch_add(1, Ordering::Relaxed) == 0 => {
                Answer::json(429, "{}").header("Retry-After", &seconds.to_string())
            }
            other => Answer::text(200, other),
        });
    };
    refuse(1);
    let served = || world.get("/api/v1").text();
    assert_eq!(served(), "value-of-a", "a second is waited for");
    assert_eq!((served(), upstream.requests().len()), ("value-of-a".to_owned(), 3));
    upstream.forget();
    refuse(60);
    assert_eq!(served(), "value-of-b", "a minute is longer than it waits");
    assert_eq!((served(), served()), ("value-of-b".to_owned(), "value-of-b".to_owned()));
    let keys: Vec<_> = upstream.requests().iter().map(|seen| seen.values("x-api-key").join(",")).collect();
    assert_eq!(keys, ["value-of-a", "value-of-b", "value-of-b", "value-of-b"], "the first is left alone");
    let state =
        |key: &str| gates(&world).into_iter().find(|gate| gate["key"] == key).map(|gate| gate["reason"].clone());
    eventually("it is listed", || state("a") == Some("throttled".into()));
    sidekey(&world, "limits reset api");
    eventually("the first is used as soon as it may", || served() == "value-of-a");
    assert_eq!((served(), served()), ("value-of-a".to_owned(), "value-of-a".to_owned()), "and from then on");
}

#[test]
fn keys_of_one_limit_owner_do_not_stand_in_for_each_other() {
    let (upstream, world) = pooled("--limit-owner acme");
    let passed = world.get("/api/v1");
    assert_eq!((passed.status, upstream.requests().len()), (429, 1), "the service counts them as one");
    let refused = hasty(&world);
    assert_eq!((refused.code().as_str(), upstream.requests().len()), ("rate_limited", 1));
    assert!(seconds(&refused) > 290, "as long as unknown services are believed: {refused:?}");
    assert_eq!(world.metric("sidekey_pool_failovers_total{service=\"api\"}"), "0");
}

#[test]
fn a_quota_is_told_at_four_fifths_used_up_and_kept_over_a_restart() {
    let (upstream, mut world) =
        keyed(r#"rate = { quota = ["1000/day", "5/month"], quota_timezone = "Europe/Berlin" }"#);
    for _ in 0..5 {
        assert_eq!(world.get("/api/v1").status, 200);
    }
    let refused = world.get("/api/v1");
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert!(refused.value("ratelimit").unwrap().starts_with("\"quota 5/month\";r=0;t="), "{refused:?}");
    assert_eq!(refused.json()["violated-policies"], serde_json::json!(["quota 5/month"]));
    assert!(detail(&refused).contains("quota 5/month") && seconds(&refused) <= 32 * 86_400, "{refused:?}");
    assert_eq!(upstream.requests().len(), 5, "nothing is sent beyond it");
    eventually("it is told", || audit(&world).contains("quota.used_up"));
    assert!(audit(&world).contains("quota.nearly_used_up"));
    assert_eq!(world.metric("sidekey_quota_alerts_total{service=\"api\",what=\"used_up\"}"), "1");
    assert_eq!(world.metric("sidekey_quota_left_ratio{service=\"api\"}").trim_end_matches(".0"), "0");
    assert_eq!(world.stop().0.code(), Some(0));
    world.start(&[]);
    assert_eq!(world.get("/api/v1").code(), "rate_limited", "what was used is kept");
    let gate =
        gates(&world).into_iter().find(|gate| gate["quotas"].as_array().is_some_and(|all| !all.is_empty())).unwrap();
    let month = gate["quotas"].as_array().unwrap().iter().find(|one| one["quota"] == "5/month").unwrap().clone();
    assert_eq!((&month["used"], &month["left"]), (&5.into(), &0.into()));
    assert!(sidekey(&world, "limits list").contains("0/5 this month"));
    let shown = sidekey(&world, "explain GET /api/v1");
    assert!(shown.contains("0 left of 5/month") && shown.contains("Europe/Berlin"), "{shown}");
    assert!(audit(&world).matches("quota.used_up").count() == 1, "told once");
}

#[test]
fn an_answer_in_hand_gains_no_time_from_a_limit_of_our_own() {
    let (upstream, world) = keyed(r#"rate = { quota = ["2/day"] }"#);
    upstream.always(|_| Answer::json(429, "{}").header("Retry-After", "1"));
    let told = world.get("/api/v1");
    assert_eq!((told.status, upstream.requests().len()), (429, 2), "the quota stops the third attempt");
    assert_eq!(told.value("proxy-status").unwrap(), "sidekey;received-status=429;details=\"2 attempts\"");
    assert!((1..=10).contains(&seconds(&told)), "as long as the gate is closed: {told:?}");
    assert_eq!(world.get("/api/v1").code(), "rate_limited", "the quota has an answer of its own");
}

#[test]
fn what_was_turned_down_is_counted_although_it_was_sent_again_with_success() {
    let (upstream, world) = keyed("");
    upstream.then(Answer::json(429, "{}").header("retry-after-ms", "20"));
    assert_eq!(world.get("/api/v1").status, 200);
    assert_eq!(upstream.requests().len(), 2);
    let counted = |status: &str, dimension: &str| {
        let labels = format!("service=\"api\",status=\"{status}\",dimension=\"{dimension}\"");
        world.metric(&format!("sidekey_upstream_throttled_total{{{labels}}}"))
    };
    eventually("the metric counts it", || counted("429", "none") == "1");
    assert_eq!((counted("429", "requests"), counted("403", "none")), (String::new(), String::new()));
    let resent = |result: &str| {
        world
            .metric(&format!("sidekey_resend_results_total{{service=\"api\",class=\"throttled\",result=\"{result}\"}}"))
    };
    assert_eq!((resent("ok").as_str(), resent("failed").as_str()), ("1", "0"));
    assert_eq!(world.metric("sidekey_resend_budget_tokens{service=\"api\"}"), "500.0");
    let throttled = || -> u64 {
        let usage: Value = serde_json::from_str(&sidekey(&world, "usage --json")).unwrap();
        usage["items"].as_array().unwrap().iter().filter_map(|item| item["throttled"].as_u64()).sum()
    };
    eventually("so does the usage", || throttled() == 1);
    let used_up = Answer::json(429, "{}").header("X-RateLimit-Limit", "40").header("X-RateLimit-Remaining", "0");
    upstream.then(used_up.header("X-RateLimit-Reset", "100"));
    assert_eq!(ask(&world, "0").header("Sidekey-Retry", "off").reply().status, 429);
    eventually("what it counts is told apart", || counted("429", "requests") == "1");
}

#[test]
fn a_bucket_that_is_a_path_is_shown_without_its_identifiers() {
    let (upstream, world) = keyed(r#"limits = { bucket_by = "path" }"#);
    upstream.then(Answer::json(429, "{}").header("Retry-After", "200"));
    let secret = "/api/v1/things/83217712345/parts";
    assert_eq!(world.ask("GET", secret).header("Sidekey-Retry", "off").reply().status, 429);
    eventually("the closed gate is listed", || gates(&world).iter().any(|gate| gate["state"] == "closed"));
    let table = sidekey(&world, "limits list");
    assert!(table.contains("/v1/things/{…}/parts") && !table.contains("83217712345"), "{table}");
    let refused = world.ask("GET", secret).header("Prefer", "wait=0").reply();
    assert_eq!(refused.code(), "rate_limited");
    assert!(!refused.text().contains("83217712345"), "{refused:?}");
    assert_eq!(hasty(&world).status, 200, "another path is another bucket");
    eventually("it is in the audit", || audit(&world).contains("gate.close"));
    let audit = audit(&world);
    let act = audit.lines().find(|line| line.contains("gate.close")).unwrap();
    assert!(act.contains("/v1/things/{…}/parts"), "{act}");
    assert!(!world.log().contains("83217712345"));
    let closed = "sidekey_gates{service=\"api\",bucket=\"declared\",state=\"closed\"}";
    assert_eq!(world.metric(closed), "1");
    // One of two is forgotten.
    upstream.then(Answer::json(429, "{}").header("Retry-After", "200"));
    assert_eq!(world.ask("GET", "/api/v2").header("Sidekey-Retry", "off").reply().status, 429);
    let ordered = sidekey(&world, "limits reset api --bucket /v1/things/{…}/parts");
    assert!(ordered.contains("of api, bucket /v1/things/{…}/parts"), "{ordered}");
    eventually("it is open again", || world.ask("GET", secret).header("Prefer", "wait=0").reply().status == 200);
    assert_eq!(world.ask("GET", "/api/v2").header("Prefer", "wait=0").reply().code(), "rate_limited");
    assert_eq!(world.metric(closed), "1");
}

#[test]
fn who_waits_for_a_limit_of_the_configuration_is_listed_with_whose_it_is() {
    let upstream = FakeUpstream::plain();
    let mut world = World::new();
    let services = [
        ("each", "per_caller = \"1/min\", "),
        ("keyed", "per_credential = \"1/min\", "),
        ("shared", ""),
        ("teamed", "per_team = \"1/min\", "),
        ("whole", "limit = \"1/min\", "),
    ];
    for (service, rate) in services {
        world = world.service(service, &upstream, &format!("{AUTH}\nrate = {{ {rate}max_wait = \"2m\" }}"));
        world = world.key(service, &format!("{service}-key"), "s3cret");
    }
    sidekey(&world, "team add ops --member local");
    sidekey(&world, "key share shared-key --with user:local --rate 1/min");
    let world = world.serve();
    let mut waiting = Vec::new();
    for (service, _) in services {
        assert_eq!(world.get(&format!("/{service}/v1")).status, 200);
        assert!(gates(&world).iter().all(|gate| gate["service"] != service), "nobody waits yet");
        let mut wire = world.wire();
        wire.send(world.ask("GET", &format!("/{service}/v1")).header("Prefer", "wait=100").bytes("keep-alive"));
        waiting.push(wire);
    }
    eventually("all are listed", || gates(&world).len() == services.len());
    let all = gates(&world);
    let whose =
        all.iter().map(|gate| ["service", "of", "owner", "key"].map(|member| gate[member].as_str().unwrap_or("-")));
    assert_eq!(
        whose.collect::<Vec<_>>(),
        [
            ["each", "caller", "local", "-"],
            ["keyed", "credential", "keyed-key", "keyed-key"],
            ["shared", "share", "user:local", "shared-key"],
            ["teamed", "team", "ops", "-"],
            ["whole", "service", "*", "-"],
        ]
    );
    assert!(all.iter().all(|gate| gate["waiting"] == serde_json::json!([{ "caller": "local", "waiting": 1 }])));
    let table = sidekey(&world, "limits list");
    assert!(table.contains("credential keyed-key") && table.contains("1 request (1 local)"), "{table}");
    for (service, of) in [("each", "caller"), ("keyed", "credential"), ("shared", "share"), ("teamed", "team")] {
        let explained = sidekey(&world, &format!("explain GET /{service}/v1"));
        assert!(explained.contains(&format!("of the {of}: open, 1 waiting")), "{explained}");
    }
    assert_eq!(world.metric("sidekey_gate_waiting_requests{service=\"whole\"}"), "1");
}

#[test]
fn a_limit_that_is_changed_in_proxy_toml_or_in_the_store_is_recorded_once_with_both() {
    let (_upstream, mut world) = keyed(r#"rate = { limit = "5/s" }"#);
    let stored = "service add stored --base-url https://stored.test --header X-API-Key";
    sidekey(&world, stored);
    let changes = |world: &World| -> Vec<(String, String, String)> {
        let entries = audit(world);
        let entries = entries.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let acts = entries.filter(|entry| entry["act"] == "limit.change");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        acts.map(|act| (text(&act["object"]), text(&act["details"]["old"]), text(&act["details"]["new"]))).collect()
    };
    assert!(changes(&world).is_empty(), "{:?}", changes(&world));
    world.rewrite_toml(&world.tables().replace("5/s", "7/min"));
    eventually("it is recorded", || !changes(&world).is_empty());
    let waits = "a request waits at most 30 s";
    let of_file = ("api".to_owned(), format!("5/s, {waits}"), format!("7/min, {waits}"));
    assert_eq!(changes(&world), std::slice::from_ref(&of_file));
    world.sidekey(["service", "edit", "stored", "--set", "rate.per_caller = \"9/h\""]).run().succeeds();
    eventually("the store is followed", || changes(&world).len() > 1);
    let of_store = ("stored".to_owned(), "none".to_owned(), format!("9/h for each caller, {waits}"));
    assert_eq!(changes(&world), [of_file.clone(), of_store.clone()]);
    sidekey(&world, "service edit stored --title Other");
    sidekey(&world, "limits pin api 1/h");
    eventually("all is followed", || hasty(&world).status == 429);
    assert_eq!(changes(&world), [of_file, of_store], "nothing else is a change of limits");
}

#[test]
fn a_wait_beyond_the_patience_costs_a_few_milliseconds_and_no_connection() {
    let (upstream, world) = keyed("");
    let reflected = "sk_live_4eC39HqLyjWDarjtT1zdp7dc";
    upstream.then(Answer::json(429, "{}").header("Retry-After", "290").header("X-RateLimit-Key", reflected));
    assert_eq!(ask(&world, "30").header("Sidekey-Retry", "off").reply().status, 429);
    eventually("its headers are shown", || {
        sidekey(&world, "limits list").contains("refused last with 429; retry-after: 290; x-ratelimit-key: …, ")
    });
    let shown = sidekey(&world, "limits list --json");
    assert!(shown.contains("x-ratelimit-key: …") && !shown.contains(reflected), "{shown}");
    assert!(sidekey(&world, "explain GET /api/v1").contains("closed for 2"));
    let closed =
        |state: &str| world.metric(&format!("sidekey_gates{{service=\"api\",bucket=\"all\",state=\"{state}\"}}"));
    assert_eq!((closed("closed").as_str(), closed("open").as_str()), ("1", "0"));
    assert_eq!(world.metric("sidekey_gate_closures_total{service=\"api\",reason=\"throttled\"}"), "1");
    let connections = || world.metric("sidekey_upstream_connections");
    let before = connections();
    let mut wire = world.wire();
    let mut took = Vec::new();
    for _ in 0..50 {
        let started = Instant::now();
        let refused = ask(&world, "30").reply_on(&mut wire);
        took.push(started.elapsed());
        assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
        assert!((200..=293).contains(&seconds(&refused)), "{refused:?}");
    }
    took.sort();
    assert!(took[0] < Duration::from_millis(5), "where nothing disturbs it: {took:?}");
    assert_eq!((connections(), upstream.requests().len()), (before, 1), "nothing is opened and nothing sent");
    let sent_away =
        |why: &str| world.metric(&format!("sidekey_gate_rejections_total{{service=\"api\",reason=\"{why}\"}}"));
    assert_eq!((sent_away("deadline").as_str(), sent_away("queue_full").as_str()), ("50", "0"));
}

#[test]
fn a_client_that_is_gone_while_it_waits_frees_its_place_and_is_never_sent() {
    let (upstream, world) = keyed("");
    let refused = |seconds: &str| {
        upstream.then(Answer::json(429, "{}").header("Retry-After", seconds));
        assert_eq!(ask(&world, "0").header("Sidekey-Retry", "off").reply().status, 429);
    };
    refused("25");
    let waiting = || world.metric("sidekey_gate_waiting_requests{service=\"api\"}");
    let gone: Vec<_> = (0..5)
        .map(|_| {
            let mut wire = world.wire();
            wire.send(world.ask("GET", "/api/gone").header("Prefer", "wait=60").bytes("keep-alive"));
            wire
        })
        .collect();
    eventually("all of them wait", || waiting() == "5");
    drop(gone);
    eventually("their places are free", || waiting() == "0");
    sidekey(&world, "limits reset api");
    eventually("it is open again", || ask(&world, "0").reply().status == 200);
    eventually("its refusal is forgotten", || !sidekey(&world, "limits list").contains("refused last"));
    refused("1");
    let probing = "sidekey_gates{service=\"api\",bucket=\"all\",state=\"probing\"}";
    eventually("its time is over, and the next request decides", || world.metric(probing) == "1");
    assert_eq!(ask(&world, "60").reply().status, 200);
    thread::sleep(Duration::from_millis(300));
    assert!(upstream.requests().iter().all(|seen| !seen.mentions("gone")), "none of them was sent");
}

#[test]
fn who_waits_when_the_proxy_is_stopped_is_sent_away_with_a_second_to_come_back() {
    let (upstream, mut world) = keyed("");
    upstream.then(Answer::json(429, "{}").header("Retry-After", "25"));
    assert_eq!(ask(&world, "0").header("Sidekey-Retry", "off").reply().status, 429);
    let waiting: Vec<_> = (0..3).map(|_| ask(&world, "60").reply_later()).collect();
    eventually("all of them wait", || world.metric("sidekey_gate_waiting_requests{service=\"api\"}") == "3");
    let started = Instant::now();
    assert_eq!(world.stop().0.code(), Some(0));
    for one in waiting {
        let refused = one.join().unwrap();
        assert_eq!((refused.status, refused.code().as_str(), seconds(&refused)), (503, "overloaded", 1));
    }
    assert!(started.elapsed() < Duration::from_secs(15), "nobody is waited for: {:?}", started.elapsed());
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn of_two_limits_that_hold_a_request_the_longer_is_told() {
    let (_upstream, world) = keyed(r#"rate = { per_caller = "2/s", limit = "2/min" }"#);
    assert_eq!(hasty(&world).status, 200);
    let refused = hasty(&world);
    assert!(refused.value("ratelimit").unwrap().starts_with("\"service 2/60s\";r=0;t="), "{refused:?}");
    assert!((15..=30).contains(&seconds(&refused)), "{refused:?}");
    let said = detail(&refused);
    assert!(said.contains("limit 2/min of the service `api`") && said.contains("may not wait"), "{said}");
    assert!(said.contains("up to 30 here"), "{said}");
}

#[test]
fn a_quota_that_has_too_little_left_for_a_dear_request_is_not_called_used_up() {
    let (_upstream, world) = keyed(r#"rate = { quota = ["5/day"], costs = { "POST /big" = 4 } }"#);
    for _ in 0..2 {
        assert_eq!(world.get("/api/v1").status, 200);
    }
    let refused = world.ask("POST", "/api/big").reply();
    assert_eq!(refused.code(), "rate_limited");
    assert!(refused.value("ratelimit").unwrap().starts_with("\"quota 5/day\";r=3;t="), "{refused:?}");
    assert!(detail(&refused).contains("has 3 of 5 left, this request counts 4"), "{refused:?}");
    assert_eq!(world.get("/api/v1").status, 200);
}

#[test]
fn who_waits_when_a_limit_is_raised_or_taken_away_goes_on_with_the_new_one() {
    let (_upstream, mut world) = keyed(r#"rate = { limit = "1/min", max_wait = "2m" }"#);
    assert_eq!(hasty(&world).status, 200);
    let waiting = || world.metric("sidekey_gate_waiting_requests{service=\"api\"}");
    let started = Instant::now();
    let raised = ask(&world, "119").reply_later();
    eventually("it waits", || waiting() == "1");
    let tables = world.tables().replace("1/min", "100/s");
    world.rewrite_toml(&tables);
    assert_eq!(raised.join().unwrap().status, 200);
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
    eventually("the new one holds", || (0..3).all(|_| ask(&world, "1").reply().status == 200));
    // The same once more, and then there is none.
    let tables = world.tables().replace("100/s", "1/h");
    world.rewrite_toml(&tables);
    eventually("it is lowered", || hasty(&world).value("ratelimit").is_some_and(|policy| policy.contains("1/3600s")));
    let tables = world.tables().replace("1/h", "1/min");
    world.rewrite_toml(&tables);
    eventually("the first passes", || hasty(&world).status == 200);
    let started = Instant::now();
    let freed = ask(&world, "119").reply_later();
    eventually("it waits", || world.metric("sidekey_gate_waiting_requests{service=\"api\"}") == "1");
    let tables = world.tables().replace("limit = \"1/min\", ", "");
    world.rewrite_toml(&tables);
    assert_eq!(freed.join().unwrap().status, 200);
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
}

#[test]
fn who_finds_a_full_queue_is_told_how_long_its_gate_is_closed_and_which_setting_it_is() {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("api", &upstream, AUTH).toml("[gates]\nmax_waiting_per_gate = 2\n");
    let world = world.key("api", "prod", "s3cret").serve();
    upstream.then(Answer::json(429, "{}").header("Retry-After", "100"));
    let refused = ask(&world, "0").header("Sidekey-Retry", "off").reply();
    assert_eq!(refused.status, 429);
    let told = hasty(&world);
    let said = detail(&told);
    assert!(said.starts_with("The service `api` lets nothing pass for"), "{said}");
    assert!(said.contains("as it said in an answer") && said.contains("`sidekey limits reset api`"), "{said}");
    assert!(!said.contains("Prefer"), "no patience of a client is long enough: {said}");
    sidekey(&world, "limits reset api");
    eventually("it is open again", || hasty(&world).status == 200);
    upstream.then(Answer::json(429, "{}").header("Retry-After", "25"));
    assert_eq!(ask(&world, "0").header("Sidekey-Retry", "off").reply().status, 429);
    let mut waiting: Vec<_> = (0..2).map(|_| world.wire()).collect();
    for wire in &mut waiting {
        wire.send(ask(&world, "29").bytes("keep-alive"));
    }
    eventually("both wait", || world.metric("sidekey_gate_waiting_requests{service=\"api\"}") == "2");
    let full = ask(&world, "29").reply();
    assert_eq!((full.status, full.code().as_str()), (503, "overloaded"));
    assert!(seconds(&full) > 5, "as long as it is closed: {full:?}");
    let said = detail(&full);
    assert!(said.contains("wait for this limit of the service as may: 2 (`max_waiting_per_gate`"), "{said}");
}

#[test]
fn who_waits_for_a_place_in_vain_is_told_so_with_how_long_it_waited() {
    let (upstream, world) = keyed(r#"rate = { concurrency = 1, max_wait = "1s" }"#);
    upstream.then(Answer::text(200, "late").later(Duration::from_secs(8)));
    let first = ask(&world, "1").reply_later();
    eventually("it is under way", || upstream.requests().len() == 1);
    let refused = world.get("/api/v1");
    assert_eq!(refused.code(), "rate_limited");
    assert!(refused.value("ratelimit").unwrap().starts_with("\"service concurrency 1\""), "{refused:?}");
    let said = detail(&refused);
    assert!(said.contains("none became free within 1 s") && said.contains("rate.concurrency"), "{said}");
    let timing = refused.value("server-timing").unwrap();
    let waited: f64 = timing.strip_prefix("queue;dur=").unwrap().parse().unwrap();
    assert!(waited >= 1_000.0, "{timing}");
    assert_eq!(first.join().unwrap().status, 200);
}

#[test]
fn a_request_that_waits_for_one_limit_is_under_way_nowhere() {
    let (upstream, world) = keyed(r#"rate = { limit = "1/min", max_wait = "2m" }"#);
    upstream.then(Answer::json(429, "{}").header("Retry-After", "1"));
    assert_eq!(ask(&world, "0").header("Sidekey-Retry", "off").reply().status, 429);
    let mut wire = world.wire();
    wire.send(ask(&world, "119").bytes("keep-alive"));
    let listed = |what: &str| gates(&world).iter().filter_map(|gate| gate[what].as_u64()).sum::<u64>();
    let waits = || {
        let all = gates(&world);
        all.iter().any(|gate| gate["of"] == "service" && !gate["waiting"].as_array().unwrap().is_empty())
    };
    eventually("it waits for the service's own limit", waits);
    thread::sleep(Duration::from_millis(1_500));
    assert_eq!((waits(), listed("under_way"), upstream.requests().len()), (true, 0, 1));
}
