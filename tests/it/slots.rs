//! Several places that open one store, through the real program: a machine with another key, a lost key, a rotation, a backup.

use std::fs;

use serde_json::Value;

use crate::world::{Answer, FakeUpstream, World, eventually};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;
const PHRASE: (&str, &str) = ("SIDEKEY_PHRASE", "correct horse battery staple");

fn billing() -> (World, FakeUpstream) {
    let upstream = FakeUpstream::plain();
    upstream.always(|seen| Answer::text(200, seen.values("x-api-key").join(",")));
    (World::new().service("billing", &upstream, AUTH).key("billing", "billing", "value-1"), upstream)
}

fn sidekey(world: &World, line: &str) -> String {
    world.sidekey(line.split(' ')).run().succeeds()
}

fn slots(world: &World) -> Vec<String> {
    let listed: Value = serde_json::from_str(&sidekey(world, "master slot list --json")).unwrap();
    let slot = |item: &Value| format!("{} {}", item["name"].as_str().unwrap(), item["kind"].as_str().unwrap());
    listed["items"].as_array().unwrap().iter().map(slot).collect()
}

fn name_place(world: &mut World, master_key: &str) {
    let services = world.tables().split("[master_key]").next().unwrap_or_default().to_owned();
    world.rewrite_toml(&format!("{services}\n[master_key]\n{master_key}\n"));
}

#[test]
fn a_store_is_opened_by_each_of_its_slots_and_says_which_there_are() {
    let (mut world, _upstream) = billing();
    let said = world.sidekey(["master", "slot", "add", "--passphrase-env", PHRASE.0]).env(PHRASE.0, PHRASE.1).run();
    assert!(said.succeeds().contains(r#"master_key = { passphrase_env = "SIDEKEY_PHRASE" }"#));
    let said = sidekey(&world, "master slot add --name stick --file stick.key");
    assert!(said.contains(&format!("master_key = {{ file = {:?} }}", world.path("stick.key"))), "{said}");
    world.file("printed.key", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
    sidekey(&world, "master slot add --command cat printed.key");
    assert_eq!(slots(&world), ["command command", "file file", "passphrase passphrase", "stick file"]);
    let shown = sidekey(&world, "master slot list");
    assert!(shown.contains("the command `cat`") && shown.contains("stick.key`"), "{shown}");

    fs::remove_file(world.path("data/master.key")).unwrap();
    let lost = world.sidekey(["key", "list"]).run().fails_with(1);
    for said in ["`command` (command)", "`file` (file)", "`passphrase` (passphrase)", "`stick` (file)"] {
        assert!(lost.contains(said), "{lost}");
    }
    assert!(!world.path("data/master.key").exists());
    let key = fs::read_to_string(world.path("stick.key")).unwrap();
    assert!(!lost.contains(key.trim()), "{lost}");

    name_place(&mut world, "file = \"stick.key\"");
    assert!(sidekey(&world, "key list").contains("billing"));
    name_place(&mut world, "passphrase_env = \"SIDEKEY_PHRASE\"");
    let wrong = world.sidekey(["key", "list"]).env(PHRASE.0, "correct horse battery stable").run().fails_with(1);
    assert!(wrong.contains("another master key") && wrong.contains("`stick` (file)"), "{wrong}");
    assert!(!wrong.contains("stable"), "{wrong}");
    // A machine that has nothing but the passphrase serves.
    let world = world.serve_with(&[PHRASE]);
    assert_eq!(world.get("/billing/v1").text(), "value-1");
}

#[test]
fn a_slot_that_is_removed_opens_nothing_and_the_last_one_stays() {
    let (mut world, _upstream) = billing();
    let last = world.sidekey(["master", "slot", "remove", "file"]).run().fails_with(1);
    assert!(last.contains("last slot"), "{last}");
    sidekey(&world, "master slot add --name stick --file stick.key");
    let used = world.sidekey(["master", "slot", "remove", "file"]).run().fails_with(1);
    assert!(used.contains("[master_key]"), "{used}");
    let said = sidekey(&world, "master slot remove stick");
    assert!(said.contains("master rotate"), "{said}");
    name_place(&mut world, "file = \"stick.key\"");
    let refused = world.sidekey(["key", "list"]).run().fails_with(1);
    assert!(refused.contains("opens none of its slots, `file` (file)"), "{refused}");
    name_place(&mut world, "file = \"data/master.key\"");
    let log = sidekey(&world, "audit export --format jsonl");
    let acts: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |act: &str| acts.iter().filter(|line| line["act"] == act && line["object"] == "stick").count();
    assert_eq!((of("master.slot_add"), of("master.slot_remove")), (1, 1));
}

#[test]
fn a_rotation_reaches_every_slot_or_is_refused_and_proxies_follow_by_their_own_slot() {
    let (mut world, _upstream) = billing();
    let add = world.sidekey(["master", "slot", "add", "--passphrase-env", PHRASE.0]).env(PHRASE.0, PHRASE.1).run();
    add.succeeds();
    name_place(&mut world, "passphrase_env = \"SIDEKEY_PHRASE\"");
    let mut world = world.serve_with(&[PHRASE]);
    name_place(&mut world, "file = \"data/master.key\"");
    let former = fs::read(world.path("data/master.key")).unwrap();
    let refused = world.sidekey(["master", "rotate"]).run().fails_with(1);
    assert!(refused.contains("`passphrase`") && refused.contains("is not set"), "{refused}");
    assert!(refused.contains("--drop-slots"), "{refused}");
    assert_eq!(fs::read(world.path("data/master.key")).unwrap(), former);

    world.sidekey(["master", "rotate"]).env(PHRASE.0, PHRASE.1).run().succeeds();
    assert_ne!(fs::read(world.path("data/master.key")).unwrap(), former);
    world.sidekey(["key", "rotate", "billing", "--stdin"]).stdin("value-2").run().succeeds();
    eventually("the proxy follows by its passphrase", || world.get("/billing/v1").text() == "value-2");

    let said = sidekey(&world, "master rotate --drop-slots");
    assert!(said.contains("`passphrase`") && said.contains("no more"), "{said}");
    assert_eq!(slots(&world), ["file file"]);
}

#[test]
fn a_backup_carries_the_slots() {
    let (world, _upstream) = billing();
    sidekey(&world, "master slot add --name stick --file stick.key");
    sidekey(&world, "backup kept.tar");
    let mut other = World::new();
    for file in ["kept.tar", "stick.key"] {
        fs::copy(world.path(file), other.path(file)).unwrap();
    }
    name_place(&mut other, "file = \"stick.key\"");
    let said = sidekey(&other, "restore kept.tar");
    assert!(said.contains("opened"), "{said}");
    assert_eq!(slots(&other), ["file file", "stick file"]);
    assert!(sidekey(&other, "key list").contains("billing"));
}
