//! The command line, through the real program: what each command prints, its exit code, that no value is ever repeated, and
//! that a running proxy follows.

use std::fs;

use serde_json::Value;

use crate::world::{FakeUpstream, World, eventually};

/// A key that nothing may ever show.
const CANARY: &str = "sk_live_C4nary0000000000000000000001";
const OTHER: &str = "sk_live_C4nary0000000000000000000002";
const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;

/// A folder with one custom service.
fn billing() -> (World, FakeUpstream) {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("billing", &upstream, AUTH);
    (world, upstream)
}

fn json(world: &World, line: &[&str]) -> Value {
    let shown = world.sidekey(line.iter().copied()).run().succeeds();
    serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{line:?}: {error}\n{shown}"))
}

fn items(world: &World, line: &[&str]) -> Vec<Value> {
    let shown = json(world, line);
    assert_eq!(shown["version"], 1, "{line:?}");
    shown["items"].as_array().unwrap().clone()
}

fn names(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["name"].as_str().unwrap()).collect()
}

fn add(world: &World, line: &[&str], value: &str) -> String {
    let line = ["key", "add"].iter().chain(line).chain(&["--stdin"]).copied();
    world.sidekey(line).stdin(value).run().succeeds()
}

// Keys.

#[test]
fn a_key_is_added_with_its_place_its_hosts_and_the_two_ways_to_use_it() {
    let (world, _upstream) = billing();
    let said = add(&world, &["billing"], CANARY);
    for part in
        ["`billing`", "X-API-Key: …", "billing.test", &format!("http://{}/billing", world.proxy()), "HTTP_PROXY="]
    {
        assert!(said.contains(part), "no {part} in\n{said}");
    }
    assert!(!said.contains("C4nary"));
}

#[test]
fn names_are_numbered_when_they_are_taken() {
    let (world, _upstream) = billing();
    for _ in 0..3 {
        add(&world, &["billing"], CANARY);
    }
    assert_eq!(names(&items(&world, &["key", "list", "--json"])), ["billing", "billing-2", "billing-3"]);
    let error = world.sidekey(["key", "add", "billing", "--name", "billing", "--stdin"]).stdin("x").run().fails_with(2);
    assert!(error.contains("sidekey key rotate billing"), "{error}");
}

#[test]
fn keys_are_listed_and_shown_in_a_stable_shape() {
    let (world, _upstream) = billing();
    add(&world, &["billing", "--env", "prod", "--expires", "2999-12-31"], CANARY);
    add(&world, &["stripe"], OTHER);
    let all = items(&world, &["key", "list", "--json"]);
    assert_eq!(names(&all), ["billing", "stripe"]);
    let billing = &all[0];
    assert_eq!(billing["service"], "billing");
    assert_eq!(billing["environment"], "prod");
    assert_eq!(billing["expires_at"], "3000-01-01T00:00:00Z");
    assert_eq!(billing["expired"], false);
    assert_eq!(billing["version"], 1);
    assert_eq!(billing["owner"], "local");
    assert_eq!(billing["source"], "store");
    assert_eq!(names(&items(&world, &["key", "list", "--service", "stripe", "--json"])), ["stripe"]);
    assert_eq!(names(&items(&world, &["key", "list", "--env", "prod", "--json"])), ["billing"]);
    assert!(items(&world, &["key", "list", "--env", "staging", "--json"]).is_empty());
    let shown = &items(&world, &["key", "show", "billing", "--json"])[0];
    assert_eq!(shown["versions"][0]["current"], true);
    let table = world.sidekey(["key", "list"]).run().succeeds();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("NAME") && lines[1].starts_with("billing"), "{table}");
    assert!(!table.contains(['─', '│', '\x1b']), "a piped table is plain:\n{table}");
}

#[test]
fn declared_keys_are_listed_and_cannot_be_changed() {
    let (world, _upstream) = billing();
    let world = world.toml("[credential.billing-prod]\nservice = \"billing\"\nenv = \"BILLING\"\n");
    let all = items(&world, &["key", "list", "--json"]);
    assert_eq!((names(&all), &all[0]["source"]), (vec!["billing-prod"], &Value::from("declared")));
    add(&world, &["stripe"], CANARY);
    let error = world.sidekey(["key", "rotate", "billing-prod", "--stdin"]).stdin("x").run().fails_with(2);
    assert!(error.contains("[credential.billing-prod]"), "{error}");
    assert!(world.sidekey(["key", "show", "billing-prod"]).run().succeeds().contains("BILLING"));
}

#[test]
fn a_running_proxy_follows_every_change_within_a_second() {
    let (world, upstream) = billing();
    let world = world.serve();
    assert_eq!(world.get("/billing/v1").code(), "credential_missing");
    // Each is awaited as long as a busy machine needs, and the quickest of them tells.
    let mut took = Vec::new();
    let mut follows = |what: &str, holds: &mut dyn FnMut() -> bool| took.push(eventually(what, holds));
    let sends = |value: &str| {
        upstream.forget();
        world.get("/billing/v1").status == 200 && upstream.only_request().values("x-api-key") == [value]
    };
    add(&world, &["billing"], CANARY);
    follows("the key is used", &mut || sends(CANARY));
    let said = world.sidekey(["key", "rotate", "billing", "--stdin"]).stdin(OTHER).run().succeeds();
    assert!(said.contains("version 2") && said.contains("under way finish with the old value"), "{said}");
    follows("the new value is used", &mut || sends(OTHER));
    let said = world.sidekey(["key", "rollback", "billing"]).run().succeeds();
    assert!(said.contains("back at version 1"), "{said}");
    follows("the former value is used again", &mut || sends(CANARY));
    world.sidekey(["key", "delete", "billing", "--yes"]).run().succeeds();
    follows("the key is gone", &mut || world.get("/billing/v1").status == 424);
    assert!(took.iter().min().unwrap().as_millis() < 1000, "{took:?}");
    assert_eq!(world.get("/billing/v1").code(), "credential_missing");
}

#[test]
fn deleting_names_the_callers_that_used_the_key_and_asks() {
    let (world, _upstream) = billing();
    let mut world = world.key("billing", "main", CANARY).serve();
    for _ in 0..3 {
        assert_eq!(world.get("/billing/v1").status, 200);
    }
    world.stop();
    let error = world.sidekey(["key", "delete", "main"]).run().fails_with(2);
    assert!(error.contains("local  3 times, last just now"), "{error}");
    assert!(error.contains("--yes"), "{error}");
    assert_eq!(items(&world, &["key", "list", "--json"]).len(), 1, "nothing was deleted");
    world.sidekey(["key", "delete", "main", "--yes"]).run().succeeds();
    assert!(items(&world, &["key", "list", "--json"]).is_empty());
}

#[test]
fn rolling_back_the_first_version_fails() {
    let (world, _upstream) = billing();
    add(&world, &["billing"], CANARY);
    let error = world.sidekey(["key", "rollback", "billing"]).run().fails_with(1);
    assert!(error.contains("no version before"), "{error}");
}

#[test]
fn several_fields_and_variables_are_taken_from_lines_and_flags() {
    let world = World::new();
    add(&world, &["twilio"], "auth_token=t0k3n\naccount_sid=AC1\n");
    let error = world.sidekey(["key", "add", "twilio", "--stdin"]).stdin("AC1:t0k3n").run().fails_with(2);
    assert!(error.contains("account_sid=VALUE") && !error.contains("t0k3n"), "{error}");
    let error = world.sidekey(["key", "add", "zendesk", "--stdin"]).stdin("x").run().fails_with(2);
    assert!(error.contains("--var"), "{error}");
    let vars = ["zendesk", "--var", "subdomain=acme", "--var", "email=a@example.com"];
    let said = add(&world, &vars, CANARY);
    assert!(said.contains("acme.zendesk.com"), "{said}");
    assert_eq!(items(&world, &["key", "show", "zendesk", "--json"])[0]["variables"]["subdomain"], "acme");
    for wrong in ["evil.example/", "a.b/c", "a@b", ""] {
        let var = format!("subdomain={wrong}");
        let line = ["key", "add", "zendesk", "--var", &var, "--var", "email=a@example.com", "--stdin"];
        world.sidekey(line).stdin("x").run().fails_with(2);
    }
    assert_eq!(items(&world, &["key", "list", "--service", "zendesk", "--json"]).len(), 1);
}

// Values.

#[test]
fn no_value_appears_in_any_output_or_in_any_file() {
    let (world, _upstream) = billing();
    let mut world = world.serve();
    let file = world.file("key.txt", CANARY);
    let file = file.to_str().unwrap();
    let mut said = String::new();
    let mut note = |line: &[&str], stdin: &str| {
        let run = world.sidekey(line.iter().copied()).stdin(stdin).env("THE_KEY", CANARY);
        said += &run.run().all();
    };
    note(&["key", "add", "billing", "--stdin"], CANARY);
    note(&["key", "add", "billing", "--from-env", "THE_KEY"], "");
    note(&["key", "add", "billing", "--from-file", file], "");
    note(&["key", "rotate", "billing", "--stdin"], OTHER);
    note(&["key", "add", "billing", CANARY], "");
    note(&["key", "add", CANARY, "--stdin"], OTHER);
    note(&["key", "add", "billing", "--stdin"], &format!("{CANARY}\n{OTHER}"));
    note(&["key", "add", "billing", "--from-env", CANARY], "");
    note(&["key", "add", "billing", "--from-file", CANARY], "");
    note(&["key", "add", "billing", "--name", CANARY, "--stdin"], OTHER);
    note(&["key", "add", "twilio", "--stdin"], CANARY);
    note(&["key", "list"], "");
    note(&["key", "list", "--json"], "");
    note(&["key", "show", "billing"], "");
    note(&["key", "show", "billing", "--json"], "");
    note(&["explain", "GET", "/billing/v1"], "");
    note(&["audit", "tail", "--json"], "");
    note(&["audit", "export"], "");
    note(&["key", "rollback", "billing"], "");
    note(&["key", "delete", "billing", "--yes"], "");
    fs::remove_file(file).unwrap();
    said += &world.stop().1;
    assert!(!said.contains("C4nary"), "{said}");
    for path in files(world.dir()) {
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"C4nary"), "a value stands in {}", path.display());
    }
}

fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn nothing_is_asked_without_a_terminal() {
    let (world, _upstream) = billing();
    let error = world.sidekey(["key", "add", "billing"]).stdin(CANARY).run().fails_with(2);
    assert!(error.contains("--stdin") && !error.contains("C4nary"), "{error}");
    assert!(items(&world, &["key", "list", "--json"]).is_empty());
}

// Exit codes.

#[test]
fn wrong_use_and_wrong_configuration_end_with_2_and_failures_with_1() {
    let (mut world, _upstream) = billing();
    world.sidekey(["check"]).run().succeeds();
    world.sidekey(["frobnicate"]).run().fails_with(2);
    world.sidekey(["key", "add", "no-such-service", "--stdin"]).run().fails_with(2);
    world.sidekey(["key", "add", "billing", "--expires", "2020-01-01", "--stdin"]).run().fails_with(2);
    world.sidekey(["key", "show", "no-such-key"]).run().fails_with(1);
    world.sidekey(["key", "add", "billing", "--owner", "nobody", "--stdin"]).stdin("x").run().fails_with(1);
    world.rewrite_toml("[service.billing]\nbase_ulr = \"https://billing.test\"\n");
    for line in [&["check"][..], &["serve"], &["up"], &["key", "list"], &["service", "list"], &["explain", "GET", "/x"]]
    {
        let error = world.sidekey(line.iter().copied()).run().fails_with(2);
        assert!(error.contains("proxy.toml:") && error.contains("base_ulr"), "{line:?}: {error}");
    }
    let shown = world.sidekey(["check", "--json"]).run();
    assert_eq!(shown.code, Some(2));
    let report: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((&report["version"], &report["ok"]), (&Value::from(1), &Value::from(false)));
    assert!(report["errors"][0]["line"].is_u64());
}

#[test]
fn check_counts_what_it_read() {
    let (world, _upstream) = billing();
    let said = world.sidekey(["check"]).run().succeeds();
    assert!(said.starts_with("proxy.toml: ok (") && said.contains("0 credentials"), "{said}");
    assert!(!world.path("data").exists(), "check makes nothing");
}

// Callers.

#[test]
fn a_callers_token_is_shown_once_and_proves_it() {
    let (world, _upstream) = billing();
    let world = world.toml("[callers]\nmode = \"token\"\n").key("billing", "main", CANARY);
    let outcome = world.sidekey(["caller", "add", "etl", "--env", "prod"]).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.all());
    let token = outcome.stdout.trim_end().to_owned();
    assert!(token.starts_with("skc_") && !token.contains(char::is_whitespace), "the token stands alone: {token}");
    assert!(!outcome.stderr.contains(&token));
    let world = world.serve();
    let with = |token: &str| world.ask("GET", "/billing/v1").header("X-API-Key", token).reply();
    assert_eq!(with(&token).status, 200);
    assert_eq!(world.get("/billing/v1").code(), "caller_unknown");
    let all = world.sidekey(["caller", "list", "--json"]).run().succeeds();
    assert!(!all.contains(&token) && all.contains("\"etl\""), "{all}");
    let fresh = world.sidekey(["caller", "rotate", "etl"]).run().succeeds();
    eventually("the former token is worth nothing", || with(&token).status == 401);
    assert_eq!(with(fresh.trim_end()).status, 200);
    world.sidekey(["caller", "delete", "etl"]).run().fails_with(2);
    world.sidekey(["caller", "delete", "etl", "--yes"]).run().succeeds();
    eventually("the caller is gone", || with(fresh.trim_end()).status == 401);
}

// Explain.

#[test]
fn explain_agrees_with_the_proxy_and_sends_nothing() {
    let (world, upstream) = billing();
    let world = world.toml("").serve();
    let outcome = |line: &[&str]| json(&world, &[&["explain", "--json"], line].concat());
    let missing = outcome(&["GET", "/billing/v1"]);
    assert_eq!((&missing["outcome"], &missing["code"]), (&Value::from("refused"), &Value::from("credential_missing")));
    assert_eq!(world.get("/billing/v1").code(), "credential_missing");
    add(&world, &["billing"], CANARY);
    for (url, door) in
        [("/billing/v1", "path"), ("http://billing.localhost:8080/v1", "host"), ("http://billing.test/v1", "forward")]
    {
        let found = outcome(&["GET", url]);
        assert_eq!((&found["outcome"], &found["door"]), (&Value::from("sent"), &Value::from(door)), "{url}");
        assert_eq!(found["upstream"], "http://billing.test/v1");
        assert_eq!(found["key"], "billing");
        assert_eq!(found["candidates"][0]["verdict"], "eligible");
    }
    add(&world, &["billing"], OTHER);
    assert_eq!(outcome(&["GET", "/billing/v1"])["code"], "credential_ambiguous");
    assert_eq!(outcome(&["--credential", "billing-2", "GET", "/billing/v1"])["key"], "billing-2");
    assert_eq!(outcome(&["GET", "https://unknown.test/"])["code"], "service_unknown");
    let text = world.sidekey(["explain", "GET", "/billing/v1"]).run().succeeds();
    assert!(text.contains("billing, billing-2") && text.contains("X-API-Key: …"), "{text}");
    assert!(upstream.requests().is_empty(), "explain sent something");
    world.sidekey(["explain", "--as", "nobody", "GET", "/billing/v1"]).run().fails_with(2);
    world.sidekey(["explain", "GET", "ftp://x/"]).run().fails_with(2);
}

#[test]
fn explain_knows_the_rules() {
    let upstream = FakeUpstream::plain();
    let more = format!("{AUTH}\nallow = [\"GET /v1/**\"]");
    let world = World::new().service("billing", &upstream, &more).key("billing", "main", CANARY);
    let outcome = |line: &[&str]| json(&world, &[&["explain", "--json"], line].concat());
    assert_eq!(outcome(&["GET", "/billing/v1/charges"])["outcome"], "sent");
    assert_eq!(outcome(&["POST", "/billing/v1/charges"])["code"], "not_allowed");
    assert_eq!(outcome(&["GET", "/billing/v1/../v2"])["code"], "bad_request");
}

#[test]
fn explain_refuses_in_the_proxys_own_words() {
    let upstream = FakeUpstream::plain();
    let more =
        format!("{AUTH}\nallow = [\"GET /v1/**\"]\nhosts = [\"billing.test\", \"*.eu.test\", \"billing.test:8443\"]");
    let world = World::new().service("billing", &upstream, &more).service("empty", &upstream, AUTH);
    let world = world.toml(&format!("[service.pair]\nbase_url = \"https://pair.test\"\n{AUTH}"));
    let world = world.key("billing", "main", CANARY).key("pair", "one", CANARY);
    let world = world.key("pair", "two", CANARY).serve();
    let refused = [
        ("POST", "/billing/v1/charges", "not_allowed"),
        ("GET", "http://billing.test/v2", "not_allowed"),
        ("GET", "/billing/v1/%2e%2e/v2", "bad_request"),
        ("GET", "/empty/v1", "credential_missing"),
        ("GET", "/pair/v1", "credential_ambiguous"),
        ("GET", "/nobody/v1", "service_unknown"),
        ("GET", "http://nobody.test/v1", "service_unknown"),
        ("GET", "http://billing.test:9999/v1", "service_unknown"),
    ];
    for (method, url, code) in refused {
        let found = json(&world, &["explain", "--json", method, url]);
        let problem = world.ask(method, url).reply();
        assert_eq!((found["code"].as_str(), problem.code().as_str()), (Some(code), code), "{method} {url}: {found}");
        assert_eq!(found["why"], problem.json()["detail"], "{method} {url}");
    }
    for url in ["/billing/v1", "http://billing.test/v1", "http://a.eu.test/v1", "http://billing.test:8443/v1"] {
        assert_eq!(json(&world, &["explain", "--json", "GET", url])["outcome"], "sent", "{url}");
        assert_eq!(world.get(url).status, 200, "{url}");
    }
    let text = world.sidekey(["explain", "POST", "/billing/v1"]).run().succeeds();
    assert!(text.contains("GET /v1/**"), "the rules are shown: {text}");
}

// The audit.

#[test]
fn every_administrative_act_is_in_the_audit() {
    let (world, _upstream) = billing();
    add(&world, &["billing"], CANARY);
    world.sidekey(["key", "rotate", "billing", "--stdin"]).stdin(OTHER).run().succeeds();
    world.sidekey(["key", "rollback", "billing"]).run().succeeds();
    world.sidekey(["caller", "add", "etl"]).run().succeeds();
    world.sidekey(["caller", "rotate", "etl"]).run().succeeds();
    world.sidekey(["caller", "delete", "etl", "--yes"]).run().succeeds();
    world.sidekey(["key", "delete", "billing", "--yes"]).run().succeeds();
    let entries = items(&world, &["audit", "tail", "--json"]);
    let acts: Vec<&str> = entries.iter().filter_map(|entry| entry["act"].as_str()).collect();
    let expected =
        ["key.add", "key.rotate", "key.rollback", "caller.add", "caller.rotate", "caller.delete", "key.delete"];
    assert_eq!(acts, expected);
    assert!(entries.iter().all(|entry| !entry["actor"].as_str().unwrap().is_empty()));
    assert_eq!(entries[0]["object"], "billing");
    assert!(world.sidekey(["audit", "verify"]).run().succeeds().contains("holds"));
}

#[test]
fn the_audit_is_shown_filtered_exported_and_verified() {
    let (world, _upstream) = billing();
    let mut world = world.key("billing", "main", CANARY).serve();
    assert_eq!(world.get("/billing/v1/charges?secret=query").status, 200);
    assert_eq!(world.get("/nothing/at/all").code(), "service_unknown");
    world.stop();
    let tail = world.sidekey(["audit", "tail"]).run().succeeds();
    assert!(tail.contains("key=main") && tail.contains("code=service_unknown"), "{tail}");
    assert!(!tail.contains("secret=query"), "a query is never written: {tail}");
    assert_eq!(items(&world, &["audit", "tail", "--code", "service_unknown", "--json"]).len(), 1);
    assert_eq!(items(&world, &["audit", "tail", "--service", "billing", "--caller", "local", "--json"]).len(), 1);
    let lines = world.sidekey(["audit", "export", "--since", "1h"]).run().succeeds();
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines}");
    let table = world.sidekey(["audit", "export", "--format", "csv"]).run().succeeds();
    assert!(table.starts_with("seq,time,kind"), "{table}");
    assert!(world.sidekey(["audit", "export", "--until", "2020-01-01"]).run().succeeds().is_empty());
    let report = json(&world, &["audit", "verify", "--json"]);
    assert_eq!((&report["version"], &report["ok"]), (&Value::from(1), &Value::from(true)));
    let head = report["report"]["head"].as_str().unwrap();
    world.sidekey(["audit", "verify", "--anchor", head]).run().succeeds();
    let segment = files(&world.path("data/audit"))
        .into_iter()
        .find(|path| fs::read(path).is_ok_and(|bytes| bytes.windows(8).any(|window| window == b"/charges")));
    let segment = segment.expect("the request stands in a segment");
    let forged = fs::read_to_string(&segment).unwrap().replace("/charges", "/refunds");
    fs::write(&segment, forged).unwrap();
    assert!(world.sidekey(["audit", "verify"]).run().fails_with(1).contains("does not hold"));
    world.sidekey(["audit", "tail", "--code", "no_such_code"]).run().fails_with(2);
    world.sidekey(["audit", "tail", "--since", "yesterday"]).run().fails_with(2);
}

// The rest.

#[test]
fn every_command_explains_itself() {
    let world = World::new();
    let commands = [
        "",
        "up",
        "serve",
        "check",
        "doctor",
        "demo",
        "service",
        "service list",
        "service show",
        "service search",
        "service add",
        "service edit",
        "service delete",
        "service import",
        "key",
        "key add",
        "key list",
        "key show",
        "key rotate",
        "key rollback",
        "key delete",
        "caller",
        "caller add",
        "caller list",
        "caller rotate",
        "caller delete",
        "explain",
        "usage",
        "audit",
        "audit tail",
        "audit verify",
        "audit export",
        "completions",
        "man",
    ];
    for command in commands {
        let help = world.sidekey(command.split_whitespace().chain(["--help"])).run().succeeds();
        assert!(help.contains("Examples:\n"), "`{command} --help` has no examples:\n{help}");
        assert!(help.contains("Usage: sidekey"), "{help}");
    }
    assert!(!world.path("data").exists(), "help makes nothing");
}

#[test]
fn the_demo_plays_to_its_end_and_leaves_nothing() {
    let world = World::new();
    let said = world.sidekey(["demo"]).run().succeeds();
    assert_eq!(said.matches("200 OK").count(), 3, "{said}");
    assert_eq!(said.matches("401 Unauthorized").count(), 1, "{said}");
    assert!(said.contains("X-Api-Key: demo_••••••••") && said.contains("Next"), "{said}");
    let left: Vec<_> = files(world.dir()).into_iter().filter(|path| !path.ends_with("proxy.toml")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn up_makes_what_is_missing_and_a_second_one_is_harmless() {
    let (mut world, _upstream) = billing();
    world.start(&[]);
    let said = world.sidekey(["up"]).run().succeeds();
    assert!(said.contains("running already") && said.contains("sidekey key add billing"), "{said}");
    assert!(world.path("data/master.key").exists() && world.path("data/sidekey.db").exists());
}

#[test]
fn the_manual_is_written_page_by_page() {
    let world = World::new();
    assert!(world.sidekey(["man"]).run().succeeds().contains(".TH sidekey 1"));
    world.sidekey(["man", "--dir", "man1"]).run().succeeds();
    for page in ["sidekey.1", "sidekey-key-add.1", "sidekey-audit-verify.1"] {
        assert!(world.path("man1").join(page).exists(), "{page}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(world.sidekey(["completions", shell]).run().succeeds().contains("sidekey"), "{shell}");
    }
}
