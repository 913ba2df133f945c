//! `sidekey doctor`: each check where the thing is really broken, with the command that mends it, and where all is well.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::world::{Answer, FakeUpstream, Run, World, eventually, free_port, skip};

const KEY: &str = r#"auth = { location = "header", name = "X-Api-Key" }"#;

/// A service `api` that says what time it is there, ahead of this machine by so many seconds.
fn told_time(ahead: i64) -> FakeUpstream {
    let upstream = FakeUpstream::plain();
    upstream.always(move |_| {
        let (now, by) = (SystemTime::now(), Duration::from_secs(ahead.unsigned_abs()));
        let there = if ahead < 0 { now - by } else { now + by };
        Answer::status(404).header("date", &httpdate::fmt_http_date(there))
    });
    upstream
}

fn sound(upstream: &FakeUpstream) -> World {
    World::new().service("api", upstream, KEY).key("api", "api-prod", "s3cret").serve()
}

/// What the doctor finds, and its exit code. Where programs matter, the test says which there are.
fn findings(run: Run) -> (i32, Vec<Value>) {
    let outcome = run.run();
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{outcome:?}"));
    let items = report["items"].as_array().unwrap().clone();
    let wrong = items.iter().any(|item| item["verdict"] == "problem");
    assert_eq!((&report["version"], &report["ok"]), (&Value::from(1), &Value::from(!wrong)));
    assert_eq!(outcome.code, Some(i32::from(wrong)), "{outcome:?}");
    (i32::from(wrong), items)
}

fn asked(world: &World, only: &[&str]) -> Run {
    let only = only.iter().flat_map(|check| ["--only", check]);
    world.sidekey(["doctor", "--json"].into_iter().chain(only))
}

/// The one finding of a check, as `verdict`, what was found, and what mends it.
fn one(items: &[Value], check: &str) -> (String, String, String) {
    let found: Vec<_> = items.iter().filter(|item| item["check"] == check).collect();
    assert_eq!(found.len(), 1, "{check}: {items:#?}");
    let text = |name: &str| found[0][name].as_str().unwrap_or_default().to_owned();
    (text("verdict"), text("found"), text("mend"))
}

/// Asks for one check, which must be judged so and say so. Returns what mends it.
#[track_caller]
fn is_so(world: &World, check: &str, verdict: &str, words: &str) -> String {
    let (_, items) = findings(asked(world, &[check]));
    let (judged, found, mend) = one(&items, check);
    assert!(judged == verdict && found.contains(words), "{items:#?}");
    mend
}

/// Does what the doctor says that mends it.
fn mend(command: &str) {
    let done = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(done.status.success(), "{command}: {done:?}");
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$0\"", program]).output();
    found.is_ok_and(|output| output.status.success())
}

#[test]
fn nothing_is_wrong_where_all_is_well() {
    let upstream = told_time(0);
    let world = sound(&upstream);
    let (code, items) = findings(asked(&world, &[]).env("PATH", "/nowhere"));
    assert_eq!(code, 0, "{items:#?}");
    let ours = |item: &&Value| {
        !["disk", "open_files", "runtime", "system_trust", "declared_key"].contains(&item["check"].as_str().unwrap())
    };
    for item in items.iter().filter(ours) {
        assert_eq!(item["verdict"], "ok", "{item:#?}");
    }
    assert_eq!(one(&items, "runtime").0, "not_checked", "there is no program here");
    assert!(upstream.requests().iter().all(|seen| !seen.has("x-api-key") && seen.method == "HEAD"), "no key was sent");
    let table = world.sidekey(["doctor"]).env("PATH", "/nowhere").run().succeeds();
    assert!(table.contains("store files") && table.contains("0 problems"), "{table}");
    let all = items.iter().map(|item| item["check"].as_str().unwrap()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(all.len(), 19, "every check says something: {all:?}");
}

#[test]
fn a_check_that_does_not_exist_is_wrong_use() {
    let world = World::new();
    let said = world.sidekey(["doctor", "--only", "weather"]).run().fails_with(2);
    assert!(said.contains("there is no check `weather`") && said.contains("proxy_variables"), "{said}");
    assert!(!world.path("data").exists(), "nothing was made");
}

#[test]
fn files_that_others_can_read_are_found_and_the_command_mends_them() {
    let upstream = told_time(0);
    let mut world = sound(&upstream);
    world.stop();
    for (file, mode, check) in [
        ("data/master.key", 0o644, "master_key_file"),
        ("data/sidekey.db", 0o640, "store_files"),
        ("data", 0o755, "store_files"),
        ("data/audit", 0o705, "store_files"),
    ] {
        chmod(&world.path(file), mode);
        let command = is_so(&world, check, "problem", "open to other users");
        assert!(command.starts_with("chmod"), "{command}");
        mend(&command);
        is_so(&world, check, "ok", "");
    }
    let (_, items) = findings(asked(&world, &["key"]));
    assert_eq!(one(&items, "key").0, "ok");
}

#[test]
fn files_of_another_user_are_found() {
    let upstream = told_time(0);
    let mut world = sound(&upstream);
    world.stop();
    let chown = |whose: u32, file: &str| std::os::unix::fs::chown(world.path(file), Some(whose), None);
    if chown(65_532, "data/sidekey.db").is_err() {
        return skip("only root gives files away");
    }
    let command = is_so(&world, "store_files", "problem", "belongs to the user 65532");
    mend(command.trim_start_matches("sudo "));
    is_so(&world, "store_files", "ok", "");
    chown(65_532, "data/master.key").unwrap();
    let command = is_so(&world, "master_key_file", "problem", "belongs to the user 65532");
    mend(command.trim_start_matches("sudo "));
    is_so(&world, "master_key_file", "ok", "");
}

#[test]
fn a_token_that_a_program_repeats_is_not_shown() {
    let upstream = told_time(0);
    let world = World::new().service("api", &upstream, KEY).toml("[callers]\nmode = \"token\"\n").serve();
    world.sidekey(["caller", "add", "etl"]).run().succeeds();
    let script = "#!/bin/sh\necho \"cannot call $https_proxy\" >&2\nexit 1\n";
    world.program("bin/curl", script);
    let item = runtime(&world, "curl", &["--as", "etl"], &format!("{}:{}", world.path("bin").display(), path()));
    let found = item["found"].as_str().unwrap();
    assert!(item["verdict"] == "problem" && found.contains("cannot call http://etl:…@127.0.0.1"), "{item:#}");
}

#[test]
fn what_stands_in_the_way_of_other_checks_is_said_of_them() {
    let world = World::new().toml("[service.api]\nbase_url = 7\n");
    let (_, items) = findings(asked(&world, &[]));
    let (verdict, found, mend) = one(&items, "configuration");
    assert_eq!((verdict.as_str(), mend.as_str()), ("problem", "sidekey check"), "{found}");
    assert!(found.contains("line 6"), "{found}");
    let (verdict, found, _) = one(&items, "store");
    assert_eq!((verdict.as_str(), found.as_str()), ("not_checked", "the configuration comes first"));
    let fresh = World::new();
    let (_, items) = findings(asked(&fresh, &[]));
    assert_eq!(one(&items, "store").2, "sidekey up");
    assert_eq!(one(&items, "key").1, "there is no store yet");
    assert!(!fresh.path("data").exists(), "nothing was made");
}

#[test]
fn listeners_that_do_not_answer_are_found() {
    let upstream = told_time(0);
    let mut world = sound(&upstream);
    world.stop();
    let (code, items) = findings(asked(&world, &["listener", "runtime"]));
    let subjects: Vec<_> =
        items.iter().filter(|item| item["verdict"] == "problem").map(|item| &item["subject"]).collect();
    assert_eq!((code, subjects), (1, vec![&Value::from("proxy"), &Value::from("console")]));
    assert!(one(&items, "runtime").1.contains("does not answer"), "{items:#?}");
    world.start(&[]);
    assert_eq!(findings(asked(&world, &["listener"])).0, 0);
}

#[test]
fn a_restore_that_was_cut_off_is_told() {
    let upstream = told_time(0);
    let mut world = sound(&upstream);
    world.stop();
    let fresh = world.path("data/fresh");
    let pending = serde_json::json!({ "fresh": fresh, "former": world.path("data/former") });
    world.file("data/restore.pending", pending.to_string());
    is_so(&world, "restore", "problem", "cut off");
    assert!(world.path("data/restore.pending").exists(), "it only looks");
    world.sidekey(["key", "list"]).run().succeeds();
    is_so(&world, "restore", "ok", "");
}

#[test]
fn a_damaged_store_a_strange_master_key_and_a_forged_audit_log_are_found() {
    let upstream = told_time(0);
    let mut world = sound(&upstream);
    world.stop();
    is_so(&world, "store", "ok", "opens and is whole");
    is_so(&world, "master_key", "ok", "sealed values");
    is_so(&world, "audit", "ok", "its end holds");
    let segment = world.path("data/audit/audit-00000001.jsonl");
    let lines = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, lines.replace("api-prod", "api-test")).unwrap();
    assert_eq!(is_so(&world, "audit", "problem", "audit-00000001.jsonl"), "sidekey audit verify");
    fs::write(&segment, lines).unwrap();
    let key = fs::read(world.path("data/master.key")).unwrap();
    fs::write(world.path("data/master.key"), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
    is_so(&world, "master_key", "problem", "");
    fs::write(world.path("data/master.key"), key).unwrap();
    let store = world.path("data/sidekey.db");
    let mut bytes = fs::read(&store).unwrap();
    let pages = bytes.len();
    bytes[4096..pages].iter_mut().step_by(7).for_each(|byte| *byte ^= 0x5a);
    fs::write(&store, bytes).unwrap();
    is_so(&world, "store", "problem", "sidekey.db");
}

#[test]
fn a_disk_that_is_almost_full_is_told() {
    let world = World::new().toml("[store]\nurl = \"sqlite:small/sidekey.db\"\n");
    let folder = world.path("small");
    fs::create_dir(&folder).unwrap();
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m,mode=0700", "sidekey"]).arg(&folder).status();
    if !mount.is_ok_and(|status| status.success()) {
        return skip("no filesystem can be mounted");
    }
    let world = world.key("openai", "main", "s3cret");
    let (code, items) = findings(asked(&world, &["disk"]));
    Command::new("umount").arg("-l").arg(&folder).status().unwrap();
    assert_eq!((code, one(&items, "disk").2), (1, format!("df -h {}", folder.display())), "{items:#?}");
}

#[test]
fn the_proxy_of_another_store_is_not_taken_for_this_one() {
    let upstream = told_time(0);
    let other = sound(&upstream);
    let world = World::new().service("api", &upstream, KEY).key("api", "api-prod", "s3cret");
    is_so(&world, "authority", "warning", "the first start makes it");
    world.sidekey(["ca", "show"]).run().succeeds();
    is_so(&world, "authority", "ok", "signs");
    let config = fs::read_to_string(world.config()).unwrap();
    fs::write(world.config(), config.replace(&world.proxy(), &other.proxy())).unwrap();
    is_so(&world, "authority", "problem", "another authority");
    let listed = fs::read_to_string(other.config()).unwrap() + "[intercept]\nhosts = [\"api.test\"]\n";
    fs::write(other.config(), listed).unwrap();
    assert_eq!(is_so(&other, "authority", "warning", "other hosts"), "sidekey ca rotate");
}

#[test]
fn places_that_trust_and_that_do_not_are_told() {
    let upstream = told_time(0);
    let world = sound(&upstream);
    world.file(".pki/nssdb/cert9.db", "");
    world.program("bin/certutil", "#!/bin/sh\n[ -e \"$0.trusts\" ]\n");
    let nss = |verdict: &str, words: &str| {
        let run = asked(&world, &["system_trust:nss"]).env("PATH", &world.path("bin").to_string_lossy());
        let (_, items) = findings(run);
        let (judged, found, _) = one(&items, "system_trust");
        assert!(judged == verdict && found.contains(words), "{items:#?}");
    };
    nss("ok", "does not trust the authority");
    world.file("bin/certutil.trusts", "");
    nss("ok", "it trusts");
}

#[test]
fn variables_of_the_shell_that_lead_elsewhere_are_told() {
    let upstream = told_time(0);
    let world = sound(&upstream);
    let told = |name: &str, value: &str, check: &str| {
        let (_, items) = findings(asked(&world, &[check]).env(name, value));
        one(&items, check)
    };
    let own = format!("http://etl:skc_C4nary@{}", world.proxy());
    let (verdict, found, _) = told("HTTPS_PROXY", &own, "proxy_variables");
    assert!(verdict == "ok" && found.contains("HTTPS_PROXY") && !found.contains("C4nary"), "{found}");
    let (verdict, found, mend) = told("https_proxy", "http://me:C4nary@proxy.test:3128", "proxy_variables");
    assert!(verdict == "warning" && found.contains("proxy.test:3128") && !found.contains("C4nary"), "{found}");
    assert!(mend.contains("sidekey env"), "{mend}");
    for around in ["api.test", "corp.test, .test", "*", "*.test"] {
        let (verdict, found, mend) = told("NO_PROXY", around, "no_proxy");
        assert!(verdict == "problem" && found.contains("api.test"), "{around}: {found}");
        assert!(mend.starts_with("unset NO_PROXY"), "{mend}");
    }
    assert_eq!(told("NO_PROXY", "localhost,corp.test", "no_proxy").0, "ok");
    // In a shell where it is set already, the doctor itself goes as the proxy does.
    assert_eq!(told("HTTPS_PROXY", &own, "service").0, "ok");
}

#[test]
fn too_few_files_are_told() {
    let world = World::new();
    let script = "ulimit -Sn 256 && ulimit -Hn 256 && exec \"$0\" doctor --json --only open_files";
    let told = Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_sidekey")]).current_dir(world.dir()).output();
    let report: Value = serde_json::from_slice(&told.unwrap().stdout).unwrap();
    assert_eq!(report["items"][0]["verdict"], "warning", "{report}");
    assert!(report["items"][0]["found"].as_str().unwrap().contains("256"), "{report}");
}

#[test]
fn keys_that_need_something_are_told() {
    let upstream = FakeUpstream::plain();
    upstream.always(|seen| match seen.values("x-api-key").join(",").as_str() {
        "good" => Answer::text(200, "{}"),
        _ => Answer::text(401, "no"),
    });
    let verify = format!("{KEY}\nverify = {{ path = \"/v1/me\", expect = [200] }}");
    let world = World::new().service("api", &upstream, &verify).key("api", "good", "good").key("api", "bad", "no");
    let short = ["key", "add", "api", "--name", "short", "--expires", "3s", "--stdin"];
    world.sidekey(short).stdin("good").run().succeeds();
    let old = ["key", "add", "api", "--name", "old", "--rotate-every", "1s", "--stdin"];
    world.sidekey(old).stdin("good").run().succeeds();
    let key = |name: &str| {
        let (_, items) = findings(asked(&world, &[&format!("key:{name}")]));
        let item = items.first().cloned().unwrap_or_default();
        (item["verdict"].as_str().unwrap_or("none").to_owned(), item["mend"].as_str().unwrap_or_default().to_owned())
    };
    eventually("it has expired", || key("short").0 == "problem");
    assert!(key("short").1.contains("sidekey key rotate short"));
    eventually("a new value is due", || key("old") == ("warning".to_owned(), "sidekey key rotate old".to_owned()));
    assert_eq!(key("bad").0, "ok", "nothing is known of it yet");
    let run = world.sidekey(["doctor", "--json", "--verify", "--only", "key"]);
    let (_, items) = findings(run);
    let tried = |name: &str| items.iter().any(|item| item["subject"] == name && item["verdict"] == "problem");
    assert!(tried("bad") && !tried("good"), "{items:#?}");
    assert_eq!(key("bad"), ("problem".to_owned(), "sidekey key rotate bad --verify".to_owned()), "it is known now");
    assert_eq!(key("good").0, "ok");
}

#[test]
fn services_that_cannot_be_reached_are_told_and_why() {
    let tls = FakeUpstream::tls();
    let closed = free_port();
    let world = World::new()
        .service("good", &tls, KEY)
        .toml(&format!("[service.closed]\nbase_url = \"http://127.0.0.1:{closed}\"\n{KEY}\nupstream.allow_private = true\n"))
        .toml(&format!("[service.private]\nbase_url = \"https://private.test\"\n{KEY}\nupstream.connect_to = \"localhost:{closed}\"\n"))
        .toml(&format!("[service.nowhere]\nbase_url = \"https://nowhere.invalid\"\n{KEY}\n"))
        .toml(&format!(
            "[service.strange]\nbase_url = \"https://strange.test\"\n{KEY}\nupstream.connect_to = \"{}\"\nupstream.allow_private = true\n",
            tls.address()
        ));
    for service in ["good", "closed", "private", "nowhere", "strange"] {
        world.sidekey(["key", "add", service, "--name", service, "--stdin"]).stdin("s3cret").run().succeeds();
    }
    let (_, items) = findings(asked(&world, &["service"]));
    for (service, verdict, words) in [
        ("good", "ok", "https://good.test answers (200)"),
        ("closed", "problem", "cannot be connected to"),
        ("private", "problem", "is not dialled"),
        ("nowhere", "problem", "resolv"),
        ("strange", "problem", "TLS with `strange.test` failed"),
    ] {
        let item = items.iter().find(|item| item["subject"] == service).unwrap();
        assert!(item["verdict"] == verdict && item["found"].as_str().unwrap().contains(words), "{item:#?}");
    }
}

#[test]
fn a_clock_that_services_disagree_with_is_told() {
    for (ahead, verdict, words) in [
        (3600, "problem", "behind that of `api`"),
        (-3600, "problem", "ahead of that of `api`"),
        (90, "warning", "behind"),
    ] {
        let upstream = told_time(ahead);
        let world = World::new().service("api", &upstream, KEY).key("api", "api-prod", "s3cret");
        assert_eq!(is_so(&world, "clock", verdict, words), "timedatectl set-ntp true");
    }
    let silent = FakeUpstream::plain();
    let world = World::new().service("api", &silent, KEY).key("api", "api-prod", "s3cret");
    is_so(&world, "clock", "not_checked", "no service");
}

/// What the doctor finds of one runtime, and how long that may take.
fn runtime(world: &World, subject: &str, more: &[&str], path: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidekey"));
    command.arg("--config").arg(world.config()).args(["doctor", "--json", "--only", &format!("runtime:{subject}")]);
    command.args(more).current_dir(world.dir()).env_clear().env("HOME", world.dir()).env("PATH", path);
    // Go compiles its library into a cache, which takes long the first time.
    command.env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"));
    let output = command.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert!(report["items"].as_array().unwrap().len() <= 1, "{report:#}");
    report["items"][0].clone()
}

fn path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

#[test]
fn each_runtime_that_is_here_calls_through_the_proxy() {
    let upstream = told_time(0);
    let world = sound(&upstream);
    for (subject, program) in [
        ("curl", "curl"),
        ("python", "python3"),
        ("node", "node"),
        ("java", "java"),
        ("go", "go"),
        ("git", "git"),
        ("ruby", "ruby"),
    ] {
        if !has(program) {
            skip(&format!("{program} is not installed"));
            continue;
        }
        let item = runtime(&world, subject, &[], &path());
        let found = item["found"].as_str().unwrap_or_default();
        assert!(item["verdict"] == "ok" && found.ends_with("called through the proxy, as `local`"), "{item:#}");
    }
    for subject in ["perl", "python-requests", "python-httpx"] {
        let item = runtime(&world, subject, &[], &path());
        assert!(item.is_null() || item["verdict"] != "problem", "{item:#}");
    }
    assert!(upstream.requests().is_empty(), "nothing left the proxy");
    assert!(
        fs::read_dir(world.path("data"))
            .unwrap()
            .all(|entry| { !entry.unwrap().file_name().to_string_lossy().starts_with("doctor-") })
    );
}

#[test]
fn a_runtime_that_goes_around_the_proxy_or_does_not_trust_it_is_told() {
    if !has("curl") {
        return skip("curl is not installed");
    }
    let upstream = told_time(0);
    let world = sound(&upstream);
    // A program of that name that takes away what `sidekey run` has set.
    let curl = |unset: &str| {
        let script = format!("#!/bin/sh\nunset {unset}\nPATH='{}'\nexec curl \"$@\"\n", path());
        world.program("bin/curl", &script);
        runtime(&world, "curl", &[], &format!("{}:{}", world.path("bin").display(), path()))
    };
    for (unset, verdict, words) in [
        ("NOTHING", "ok", "through the proxy"),
        ("CURL_CA_BUNDLE SSL_CERT_FILE", "problem", "does not trust the authority"),
        ("https_proxy HTTPS_PROXY all_proxy ALL_PROXY", "problem", "around the proxy"),
    ] {
        let item = curl(unset);
        assert!(item["verdict"] == verdict && item["found"].as_str().unwrap().contains(words), "{item:#}");
    }
}

#[test]
fn where_callers_prove_who_they_are_runtimes_call_as_one_of_them() {
    let upstream = told_time(0);
    let world = World::new().service("api", &upstream, KEY).toml("[callers]\nmode = \"token\"\n");
    let world = world.key("api", "api-prod", "s3cret");
    world.sidekey(["caller", "add", "etl"]).run().succeeds();
    let world = world.serve();
    let (verdict, _, mend) = one(&findings(asked(&world, &["runtime"])).1, "runtime");
    assert_eq!((verdict.as_str(), mend.as_str()), ("not_checked", "sidekey doctor --as CALLER"));
    for (subject, program) in [("curl", "curl"), ("python", "python3"), ("git", "git")] {
        if !has(program) {
            skip(&format!("{program} is not installed"));
            continue;
        }
        let item = runtime(&world, subject, &["--as", "etl"], &path());
        assert!(item["verdict"] == "ok" && item["found"].as_str().unwrap().contains("as `etl`"), "{item:#}");
    }
    let item = runtime(&world, "curl", &["--as", "nobody"], &path());
    assert!(item["verdict"] == "problem" && item["mend"] == "sidekey caller list", "{item:#}");
    let acts = world.sidekey(["audit", "export"]).run().succeeds();
    assert!(acts.contains("\"caller.run\"") && acts.contains("sidekey doctor") && !acts.contains("skc_"), "{acts}");
}
