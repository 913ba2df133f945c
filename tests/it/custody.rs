//! The life of a key's value and of the master key, through the real program: tried at the service, deleted and wanted back,
//! destroyed, put under another master key under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rusqlite::Connection;
use serde_json::Value;

use crate::world::{Answer, Ask, FakeUpstream, Seen, Wire, World, eventually};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;
const VERIFY: &str = r#"verify = { path = "/v1/me?short=yes", expect = [200, 204] }"#;

fn key_of(seen: &Seen) -> String {
    seen.values("x-api-key").join(",")
}

/// A service that takes the keys that begin with `good` and refuses every other.
fn billing(more: &str) -> (World, FakeUpstream) {
    let upstream = FakeUpstream::plain();
    upstream.always(|seen| match key_of(seen) {
        key if key.starts_with("good") => Answer::text(200, key),
        _ => Answer::text(401, "no"),
    });
    let world = World::new().service("billing", &upstream, &format!("{AUTH}\n{more}"));
    (world, upstream)
}

fn sidekey(world: &World, line: &str) -> String {
    world.sidekey(line.split(' ')).run().succeeds()
}

fn acts(world: &World) -> Vec<Value> {
    let all = sidekey(world, "audit export --format jsonl");
    let lines = all.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line.get("act").is_some()).collect()
}

// Trying a key.

#[test]
fn a_key_is_tried_as_the_proxy_would_send_it_and_never_shown() {
    let (world, upstream) = billing(VERIFY);
    let world = world.key("billing", "billing", "good-C4nary");
    let said = sidekey(&world, "key verify billing");
    assert_eq!(said, "GET http://billing.test/v1/me?short=yes answered 200: the key `billing` works.\n");
    let seen = upstream.only_request();
    assert_eq!((key_of(&seen).as_str(), seen.values("host")), ("good-C4nary", vec!["billing.test"]));
    let shown: Value = serde_json::from_str(&sidekey(&world, "key verify billing --json")).unwrap();
    assert_eq!((&shown["items"][0]["verdict"], &shown["items"][0]["status"]), (&"works".into(), &200.into()));
    let acts = acts(&world);
    let last = acts.last().unwrap();
    assert_eq!((&last["act"], &last["details"]["verdict"]), (&"key.verify".into(), &"works".into()), "{last}");
    assert!(!format!("{said}{shown}{acts:?}").contains("C4nary"));
}

#[test]
fn what_came_back_is_told_with_what_it_means() {
    let (world, upstream) = billing(&format!("{VERIFY}\nkey_url = \"https://billing.test/keys\""));
    let world = world.key("billing", "billing", "bad");
    for (answer, says) in [
        (Answer::status(401), "does not take the key `billing`"),
        (Answer::status(403), "https://billing.test/keys"),
        (Answer::throttled("7"), "nothing is known"),
        (Answer::status(500), "says neither"),
        (Answer::hang_up(), "could not be asked"),
    ] {
        upstream.then(answer);
        let outcome = world.sidekey(["key", "verify", "billing"]).run();
        assert!(outcome.code == Some(1) && outcome.stdout.contains(says), "{says}: {outcome:?}");
    }
    let other = World::new().service("other", &upstream, AUTH).key("other", "other", "k");
    let none = other.sidekey(["key", "verify", "other"]).run().fails_with(2);
    assert!(none.contains("`other` has no call to try a key with"), "{none}");
}

#[test]
fn a_service_that_answers_200_to_everything_says_in_its_body_whether_the_key_works() {
    let upstream = FakeUpstream::plain();
    upstream.always(|seen| {
        assert_eq!((seen.text().as_str(), seen.values("content-type")), ("{}", vec!["application/json"]));
        Answer::json(
            200,
            if key_of(seen) == "good" { r#"{"ok":true}"# } else { r#"{"ok":false,"error":"invalid_auth"}"# },
        )
    });
    let verify = r#"verify = { method = "POST", path = "/api/auth.test", body = "{}", expect_true = "ok" }"#;
    let world = World::new().service("chat", &upstream, &format!("{AUTH}\n{verify}"));
    let world = world.key("chat", "chat", "good").key("chat", "old", "bad");
    assert!(sidekey(&world, "key verify chat").contains("works"));
    let refused = world.sidekey(["key", "verify", "old"]).run();
    assert!(refused.code == Some(1) && refused.stdout.contains("does not take"), "{refused:?}");
}

#[test]
fn a_declared_key_is_tried_with_the_value_of_its_place() {
    let (world, upstream) = billing(VERIFY);
    world.file("value", "good-from-file\n");
    let world =
        world.toml("[credential.declared]\nservice = \"billing\"\nfile = \"value\"\n").key("billing", "other", "good");
    assert!(sidekey(&world, "key verify declared").contains("works"));
    assert_eq!(key_of(&upstream.only_request()), "good-from-file");
}

#[test]
fn a_new_value_that_does_not_work_changes_nothing() {
    let (world, upstream) = billing(VERIFY);
    let world = world.key("billing", "billing", "good-1");
    let rotate = |value: &str| world.sidekey(["key", "rotate", "billing", "--verify", "--stdin"]).stdin(value).run();
    let refused = rotate("bad");
    assert!(refused.code == Some(1) && refused.stderr.contains("Nothing was changed"), "{refused:?}");
    assert_eq!(key_of(&upstream.last_request()), "bad");
    assert!(sidekey(&world, "key show billing").contains("version 1"));
    upstream.then(Answer::hang_up());
    assert_eq!(rotate("good-2").code, Some(1), "nothing is known of it");
    rotate("good-2").succeeds();
    sidekey(&world, "key verify billing");
    assert_eq!(key_of(&upstream.last_request()), "good-2");
    let add =
        |value: &str| world.sidekey(["key", "add", "billing", "--name", "b", "--verify", "--stdin"]).stdin(value).run();
    let refused = add("bad");
    assert!(refused.code == Some(1) && refused.stderr.contains("Nothing was added"), "{refused:?}");
    add("good-3").succeeds();
}

// Rotation with an overlap.

/// What of the metrics begins with `name`.
fn metric(world: &World, name: &str) -> Vec<String> {
    let reply = Ask::new(&world.console(), "GET", "/metrics").reply();
    reply.text().lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

fn rotate(world: &World, value: &str, more: &[&str]) -> String {
    let words = ["key", "rotate", "billing", "--stdin"].into_iter().chain(more.iter().copied());
    world.sidekey(words).stdin(value).run().succeeds()
}

/// Does something to the store behind its back, and has every process follow.
fn behind_its_back(world: &World, sql: &str) {
    let connection = Connection::open(world.path("data/sidekey.db")).unwrap();
    assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
    connection.execute("UPDATE changes SET counter = counter + 1", []).unwrap();
}

#[test]
fn what_the_service_refuses_with_a_new_value_goes_once_more_with_the_former() {
    let (world, upstream) = billing("");
    let world = world.key("billing", "billing", "good-1").serve();
    assert_eq!(world.get("/billing/v1").text(), "good-1");
    let said = rotate(&world, "not-yet-taken", &["--overlap", "1h"]);
    assert!(said.contains("the old value is used where the service refuses the new one"), "{said}");
    let new = |seen: &[Seen]| seen.iter().any(|seen| key_of(seen) == "not-yet-taken");
    eventually("the proxy follows", || {
        assert_eq!(world.get("/billing/v1?q=1").text(), "good-1");
        new(&upstream.requests())
    });
    upstream.forget();
    let reply = world.ask("DELETE", "/billing/v1/x?q=1").header("X-Mine", "kept").reply();
    assert_eq!((reply.status, reply.text().as_str()), (200, "good-1"));
    let seen = upstream.requests();
    assert_eq!(seen.iter().map(key_of).collect::<Vec<_>>(), ["not-yet-taken", "good-1"]);
    let (first, second) = (&seen[0], &seen[1]);
    assert_eq!((&first.method, &first.target, first.names()), (&second.method, &second.target, second.names()));
    assert_eq!(second.values("x-mine"), ["kept"]);
    let with_body = world.ask("POST", "/billing/v1").body("a body").reply();
    assert_eq!((with_body.status, with_body.text().as_str()), (401, "no"), "a body is gone once it was sent");
    eventually("the audit says which version it was", || {
        let all = sidekey(&world, "audit export --format jsonl");
        let lines = all.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut deleted = lines.filter(|line| line["method"] == "DELETE");
        deleted.next().is_some_and(|line| line["version"] == 1 && line["attempts"] == 2)
    });
    assert!(!metric(&world, "sidekey_key_fallbacks_total{service=\"billing\"}").is_empty());
    let told = || world.log().matches("the former is used").count();
    eventually("the log tells", || told() > 0);
    assert_eq!(told(), 1, "{}", world.log());
    assert!(sidekey(&world, "key show billing").contains("fall-back"));
    behind_its_back(&world, "UPDATE credentials SET overlap_until = unixepoch() - 1");
    eventually("the overlap ends by itself", || world.get("/billing/v1").status == 401);
}

#[test]
fn without_an_overlap_the_services_refusal_stands() {
    let (world, upstream) = billing("");
    let world = world.key("billing", "billing", "good-1").serve();
    rotate(&world, "bad-2", &["--overlap", "1h"]);
    rotate(&world, "bad-3", &[]);
    eventually("the proxy follows", || world.get("/billing/v1").status == 401);
    upstream.forget();
    assert_eq!(world.get("/billing/v1").status, 401);
    assert_eq!(key_of(&upstream.only_request()), "bad-3");
    rotate(&world, "bad-4", &["--overlap", "1h"]);
    eventually("the former is refused too, and the first answer stands", || {
        upstream.forget();
        let status = world.get("/billing/v1").status;
        let keys: Vec<_> = upstream.requests().iter().map(key_of).collect();
        assert_eq!(status, 401);
        keys == ["bad-4", "bad-3"]
    });
    let long = world.sidekey(["key", "rotate", "billing", "--overlap", "8d", "--stdin"]).stdin("x").run().fails_with(2);
    assert!(long.contains("at most 7d"), "{long}");
}

// Reminders.

#[test]
fn keys_that_need_somebody_are_spoken_of_everywhere() {
    let (world, _upstream) = billing(VERIFY);
    let add = |name: &str, value: &str, more: &[&str]| {
        let words = ["key", "add", "billing", "--name", name, "--stdin"].into_iter().chain(more.iter().copied());
        world.sidekey(words).stdin(value).run().succeeds();
    };
    add("fine", "good", &["--expires", "90d", "--rotate-every", "90d"]);
    add("soon", "good", &["--expires", "5d"]);
    add("old", "good", &["--rotate-every", "90d"]);
    add("bad", "bad", &[]);
    assert_eq!(world.sidekey(["key", "verify", "bad"]).run().code, Some(1));
    let of_old = "(SELECT id FROM credentials WHERE name = 'old')";
    let back = format!("UPDATE versions SET created_at = created_at - 95 * 86400 WHERE credential = {of_old}");
    behind_its_back(&world, &back);
    let listed = world.sidekey(["key", "list"]).run();
    for says in ["`soon` expires in", "`old` was to get a new value 5 d ago", "`bad` was not taken by its service"] {
        assert!(listed.stderr.contains(says), "{says}: {listed:?}");
    }
    assert!(!listed.stderr.contains("`fine`"), "{listed:?}");
    let shown = sidekey(&world, "key show bad");
    assert!(shown.contains("last try") && shown.contains("refused"), "{shown}");
    let world = world.serve();
    let count = |state: &str| metric(&world, &format!("sidekey_keys_in_state{{state=\"{state}\"}} 1")).len();
    eventually("the metrics count", || ["ok", "rotation_due", "expires_soon", "refused"].map(count) == [1; 4]);
    eventually("the log speaks", || world.log().matches("a key needs somebody").count() == 3);
    eventually("the audit has it", || acts(&world).iter().filter(|act| act["act"] == "key.state").count() == 3);
    sidekey(&world, "key edit old --no-rotate-every");
    assert!(!world.sidekey(["key", "list"]).run().stderr.contains("`old`"));
}

#[test]
fn a_running_proxy_tries_a_key_by_itself_when_it_was_told_to() {
    let (world, upstream) = billing(VERIFY);
    let world = world.key("billing", "asked", "bad").key("billing", "unasked", "good");
    sidekey(&world, "key edit asked --verify-every 24h");
    let world = world.serve();
    eventually("it is tried and shown", || sidekey(&world, "key show asked").contains("refused"));
    assert_eq!(key_of(&upstream.only_request()), "bad");
    let tried: Vec<_> = acts(&world).into_iter().filter(|act| act["act"] == "key.verify").collect();
    assert_eq!((tried.len(), &tried[0]["actor"], &tried[0]["object"]), (1, &"(proxy)".into(), &"asked".into()));
}

// Deleted, wanted back, destroyed.

#[test]
fn a_deleted_key_comes_back_for_the_next_request_as_it_was() {
    let (world, _upstream) = billing("");
    let world = world.key("billing", "billing", "good-1").serve();
    assert_eq!(world.get("/billing/v1").text(), "good-1");
    sidekey(&world, "key delete billing --yes");
    eventually("the key is gone", || world.get("/billing/v1").status == 424);
    assert!(sidekey(&world, "key list --deleted").contains("billing"));
    sidekey(&world, "key restore billing");
    eventually("the key is back", || world.get("/billing/v1").text() == "good-1");
    assert!(!sidekey(&world, "key list --deleted --json").contains("billing"));
    let none = world.sidekey(["key", "restore", "billing"]).run().fails_with(1);
    assert!(none.contains("billing"), "{none}");
    assert!(acts(&world).iter().any(|act| act["act"] == "key.restore"));
}

#[test]
fn after_seven_days_a_running_proxy_destroys_what_was_deleted_and_writes_it_down() {
    let (world, _upstream) = billing("");
    let world = world.key("billing", "old", "good-old-C4nary").key("billing", "young", "good-young");
    sidekey(&world, "key delete old --yes");
    sidekey(&world, "key delete young --yes");
    let store = world.path("data/sidekey.db");
    let connection = Connection::open(&store).unwrap();
    let moved = "UPDATE credentials SET deleted_at = deleted_at - 7 * 86400 - 60 WHERE name = 'old'";
    assert_eq!(connection.execute(moved, []).unwrap(), 1);
    drop(connection);
    let world = world.serve();
    eventually("it is written down", || acts(&world).iter().any(|act| act["act"] == "key.destroy"));
    let destroyed: Vec<_> = acts(&world).into_iter().filter(|act| act["act"] == "key.destroy").collect();
    assert_eq!(
        (destroyed.len(), &destroyed[0]["object"], &destroyed[0]["actor"]),
        (1, &"old".into(), &"(proxy)".into())
    );
    let left = sidekey(&world, "key list --deleted");
    assert!(left.contains("young") && !left.contains("old"), "{left}");
    let refused = world.sidekey(["key", "restore", "old"]).run();
    assert_eq!(refused.code, Some(1), "{refused:?}");
}

// The master key.

#[test]
fn the_master_key_is_rotated_under_load_without_a_failed_request() {
    let (world, _upstream) = billing("");
    let world = world.key("billing", "billing", "good-1").serve();
    let over = Arc::new(AtomicBool::new(false));
    let client = |_| {
        let (over, address) = (Arc::clone(&over), world.proxy());
        thread::spawn(move || {
            let mut wire = Wire::to(&address);
            let mut answers = Vec::new();
            while !over.load(Ordering::Relaxed) || answers.len() < 4 {
                let reply = Ask::new(&address, "GET", "/billing/v1").reply_on(&mut wire);
                answers.push((reply.status, reply.text()));
                thread::sleep(Duration::from_millis(1)); // steady, and leaves the machine to others
            }
            answers
        })
    };
    let clients: Vec<_> = (0..4).map(client).collect();
    for number in 2..5 {
        let former = std::fs::read(world.path("data/master.key")).unwrap();
        let said = sidekey(&world, "master rotate");
        assert!(said.contains(&format!("master key {number}")), "{said}");
        assert_ne!(std::fs::read(world.path("data/master.key")).unwrap(), former);
        // A change that is sealed under the new key: the proxy follows only when it has it.
        let value = format!("good-{number}");
        world.sidekey(["key", "rotate", "billing", "--stdin"]).stdin(&value).run().succeeds();
        eventually("the proxy follows", || world.get("/billing/v1").text() == value);
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        let answers = client.join().unwrap();
        assert!(answers.len() > 3 && answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    }
    assert_eq!(acts(&world).iter().filter(|act| act["act"] == "master.rotate").count(), 3);
}

#[test]
fn the_master_key_moves_to_another_source_and_the_command_says_what_to_write() {
    let (mut world, _upstream) = billing("");
    world = world.key("billing", "billing", "good-1").serve();
    let said = sidekey(&world, "master rotate --to-file other.key");
    assert!(said.contains(&format!("master_key = {{ file = {:?} }}", world.path("other.key"))), "{said}");
    assert_eq!(world.get("/billing/v1").text(), "good-1", "the running proxy goes on");
    let wrong = world.sidekey(["key", "show", "billing"]).run().fails_with(1);
    assert!(wrong.contains("another master key"), "{wrong}");
    let tables = world.tables().to_owned();
    world.rewrite_toml(&format!("{tables}\n[master_key]\nfile = \"other.key\"\n"));
    world.sidekey(["key", "rotate", "billing", "--stdin"]).stdin("good-2").run().succeeds();
    eventually("the proxy follows", || world.get("/billing/v1").text() == "good-2");
}
