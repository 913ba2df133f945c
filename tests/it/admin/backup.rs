//! Backups by the API: down as a file, and up into a store that is in use.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{AUTH, Client, billing, problem, sidekey};
use crate::world::{Answer, Ask, FakeUpstream, Reply, Wire, World, eventually};

const TAR: &str = "application/x-tar";

/// A proxy whose service answers with the key that it was given.
fn telling() -> (World, FakeUpstream) {
    let upstream = FakeUpstream::plain();
    upstream.always(|seen| Answer::text(200, seen.values("x-api-key").join(",")));
    let world = World::new().service("billing", &upstream, AUTH).key("billing", "main", "first").serve();
    (world, upstream)
}

fn back_up(client: &Client<'_>) -> Reply {
    let reply = client.ask("POST", "/backup").reply();
    assert_eq!((reply.status, reply.value("content-type")), (200, Some(TAR)), "{:?}", reply.headers);
    reply
}

fn restoring(client: &Client<'_>, backup: &[u8]) -> Ask {
    client.ask("POST", "/restore").header("Content-Type", TAR).body(backup)
}

fn rotate(client: &Client<'_>, value: &str) {
    client.sent("POST", "/keys/main/rotate", &json!({ "value": value }), 200);
}

/// What is in the data folder beside what belongs there.
fn left(world: &World) -> Vec<PathBuf> {
    let items = fs::read_dir(world.path("data")).unwrap().map(|item| item.unwrap().path());
    items.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(".sidekey-")).collect()
}

fn former(world: &World) -> Vec<PathBuf> {
    let items = fs::read_dir(world.path("data")).unwrap().map(|item| item.unwrap().path());
    items.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("before-restore-")).collect()
}

/// An empty folder with the key file of `world`, whose store has another master key behind it.
fn with_key_of(world: &World) -> World {
    let other = World::new().toml(world.tables());
    fs::create_dir_all(other.path("data")).unwrap();
    fs::set_permissions(other.path("data"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::copy(world.path("data/master.key"), other.path("data/master.key")).unwrap();
    other
}

#[test]
fn a_backup_comes_down_as_a_file_that_the_command_restores() {
    let (world, _upstream) = telling();
    let (admin, member) = (Client::admin(&world), Client::member(&world, "ada"));
    assert_eq!(member.refused("POST", "/backup"), (403, "forbidden".to_owned()));
    let reply = back_up(&admin);
    assert_eq!(reply.value("content-length").unwrap(), reply.body.len().to_string());
    let named = reply.value("content-disposition").unwrap();
    assert!(named.starts_with("attachment; filename=\"sidekey-20") && named.ends_with("Z.tar\""), "{named}");
    let number = |name: &str| reply.value(name).unwrap().parse::<u64>().unwrap();
    assert_eq!((number("sidekey-values"), number("sidekey-unopenable")), (2, 0));
    assert!(number("sidekey-audit-entries") >= 4);
    let key = fs::read(world.path("data/master.key")).unwrap();
    assert!(!reply.body.windows(key.len()).any(|window| window == key), "the master key does not travel");
    assert!(left(&world).is_empty());
    let anchor = reply.value("sidekey-audit-head").unwrap();
    assert_eq!(admin.get(&format!("/audit/verify?anchor={anchor}"))["ok"], true);
    assert!(sidekey(&world, "audit tail").contains("backup.make sidekey-20"));

    let other = with_key_of(&world);
    other.file("from-the-api.tar", &reply.body);
    let said = sidekey(&other, "restore from-the-api.tar");
    assert!(said.contains("2 sealed values, all opened once"), "{said}");
    assert_eq!(other.serve().get("/billing/v1").text(), "first");
}

#[test]
fn whoever_stops_reading_a_backup_leaves_nothing_behind() {
    let (world, _upstream) = telling();
    let admin = Client::admin(&world);
    let mut wire = Wire::to(world.console());
    assert_eq!(wire.send(admin.ask("POST", "/backup").bytes("close")).head().status, 200);
    drop(wire);
    assert!(left(&world).is_empty());
    back_up(&admin);
}

#[test]
fn a_backup_takes_the_place_of_the_store_while_the_proxy_serves() {
    let (world, _upstream) = telling();
    let (world, admin) = (&world, Client::admin(&world));
    let backup = back_up(&admin).body;
    rotate(&admin, "second");
    admin.sent("POST", "/keys", &json!({ "service": "stripe", "name": "later", "value": "another" }), 201);
    let late = Client { world, token: sidekey(world, "token add late") };
    eventually("the new value is used", || world.get("/billing/v1").text() == "second");

    let over = Arc::new(AtomicBool::new(false));
    let (ends, address) = (Arc::clone(&over), world.proxy());
    let load = thread::spawn(move || {
        let (mut wire, mut told) = (Wire::to(&address), Vec::new());
        while !ends.load(Ordering::Relaxed) {
            let reply = Ask::new(&address, "GET", "/billing/v1").reply_on(&mut wire);
            told.push((reply.status, reply.text()));
            thread::sleep(Duration::from_millis(1)); // steady, and leaves the machine to others
        }
        told
    });
    let reply = restoring(&admin, &backup).reply();
    assert_eq!(reply.status, 200, "{reply:?}");
    let restored = reply.json();
    assert_eq!((&restored["values"], &restored["unopenable"]), (&json!(2), &json!([])), "{restored}");
    eventually("the former value is used", || world.get("/billing/v1").text() == "first");
    over.store(true, Ordering::Relaxed);
    let told = load.join().unwrap();
    let turned = told.iter().position(|(_, key)| key == "first").unwrap_or(told.len());
    let right = told
        .iter()
        .enumerate()
        .all(|(at, (status, key))| *status == 200 && key == if at < turned { "second" } else { "first" });
    assert!(right, "every request met one of both: {told:?}");

    assert_eq!(admin.names("/keys"), ["main"]);
    assert_eq!(late.refused("GET", "/whoami").0, 401, "tokens are those of the backup");
    assert!(left(world).is_empty());
    // The log goes on and tells of all of it, once.
    let acts = sidekey(world, "audit tail -n 1000000");
    for act in ["key.add later", "token.add late", "backup.restore backup of 20"] {
        assert_eq!(acts.matches(act).count(), 1, "{act}: {acts}");
    }
    let restored_by = acts.lines().find(|line| line.contains("backup.restore")).unwrap();
    assert!(restored_by.contains("by user:local") && restored_by.contains(" former=before-restore-"), "{restored_by}");
    assert_eq!(admin.get("/audit/verify")["ok"], true);
    // What was there before is whole in its folder.
    let former = former(world);
    assert_eq!(former.len(), 1);
    assert_eq!(restored["former"], *former[0].file_name().unwrap().to_str().unwrap());
    let other = with_key_of(world);
    fs::copy(former[0].join("sidekey.db"), other.path("data/sidekey.db")).unwrap();
    assert!(sidekey(&other, "key list --json").contains("\"later\""));
    // And changes go on.
    rotate(&admin, "third");
    eventually("the next value is used", || world.get("/billing/v1").text() == "third");
}

#[test]
fn a_backup_of_another_store_brings_its_own_master_key_when_the_key_file_opens_it() {
    let (world, _upstream) = telling();
    let backup = back_up(&Client::admin(&world)).body;
    let token = sidekey(&world, "token add of-the-first");
    let with_token = back_up(&Client { world: &world, token: token.clone() }).body;
    let other = with_key_of(&world).key("billing", "own", "of the other").serve();
    let admin = Client::admin(&other);
    assert_eq!(other.get("/billing/v1").text(), "of the other");
    assert_eq!(restoring(&admin, &with_token).reply().status, 200);
    eventually("its keys open here", || other.get("/billing/v1").text() == "first");
    assert_eq!(admin.refused("GET", "/keys").0, 401, "tokens are those of the backup");
    let admin = Client { world: &other, token };
    assert_eq!(admin.names("/keys"), ["main"]);
    rotate(&admin, "second");
    eventually("keys are sealed by it", || other.get("/billing/v1").text() == "second");
    let authorities = admin.get("/ca");
    assert_eq!(authorities.as_array().unwrap().len(), 1);
    assert_eq!(authorities[0]["certificate"], other.ca_pem());

    let stranger = World::new().toml(world.tables()).serve();
    let admin = Client::admin(&stranger);
    let refused = restoring(&admin, &backup).reply();
    assert_eq!(problem(&refused), (409, "conflict".to_owned()));
    assert!(refused.text().contains("master key"), "{refused:?}");
    assert!(former(&stranger).is_empty() && left(&stranger).is_empty());
    assert!(admin.get("/whoami")["user"] == "local");
}

#[test]
fn what_is_no_backup_changes_nothing_and_leaves_nothing() {
    let (world, _upstream) = telling();
    let (admin, member) = (Client::admin(&world), Client::member(&world, "ada"));
    let whole = back_up(&admin).body;
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for broken in [&flipped[..], &whole[..whole.len() / 2], b"not a backup", b""] {
        assert_eq!(problem(&restoring(&admin, broken).reply()), (422, "invalid".to_owned()));
    }
    assert_eq!(problem(&restoring(&member, &whole).reply()), (403, "forbidden".to_owned()));
    let as_json = admin.ask("POST", "/restore").header("Content-Type", "application/json").body("{}");
    assert_eq!(problem(&as_json.reply()), (415, "unsupported_media_type".to_owned()));
    let long = restoring(&admin, b"").header("Content-Length", "17179869185");
    assert_eq!(problem(&long.reply()), (413, "too_large".to_owned()));
    // Whoever goes away in the middle.
    let mut wire = Wire::to(world.console());
    let bytes = restoring(&admin, &whole).bytes("close");
    wire.send(&bytes[..bytes.len() / 2]);
    eventually("it is being received", || !left(&world).is_empty());
    drop(wire);
    eventually("what came is removed", || left(&world).is_empty());
    assert!(former(&world).is_empty());
    assert_eq!(world.get("/billing/v1").text(), "first");
    assert_eq!(admin.get("/audit?limit=500")["items"].to_string().matches("backup.restore").count(), 0);
}

#[test]
fn the_audit_log_is_verified_and_a_change_in_it_is_told() {
    let (world, _upstream) = telling();
    let (admin, member) = (Client::admin(&world), Client::member(&world, "ada"));
    for path in ["/audit/verify", "/audit/export"] {
        assert_eq!(member.refused("GET", path), (403, "forbidden".to_owned()));
    }
    let report = || admin.get("/audit/verify");
    eventually("the last requests are written, and both tell the same", || {
        let said: Value = serde_json::from_str(&sidekey(&world, "audit verify --json")).unwrap();
        let report = report();
        ["entries", "batches", "segments", "head"].iter().all(|member| report[member] == said["report"][member])
    });
    let report = report();
    assert_eq!((&report["ok"], &report["problem"]), (&json!(true), &Value::Null));
    let wrong = admin.get(&format!("/audit/verify?anchor={}", "f".repeat(64)));
    assert_eq!(wrong["ok"], false);
    let segment = world.path("data/audit/audit-00000001.jsonl");
    let file = fs::read_dir(world.path("data/audit")).unwrap().map(|item| item.unwrap().path());
    let segment = file.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "jsonl")).unwrap_or(segment);
    let text = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, text.replacen("\"main\"", "\"mein\"", 1)).unwrap();
    let report = admin.get("/audit/verify");
    assert_eq!((&report["ok"], report["problem"]["line"].as_u64().is_some()), (&json!(false), true), "{report}");
    assert_eq!(report["problem"]["file"], *segment.file_name().unwrap().to_str().unwrap());
}

#[test]
fn the_audit_log_is_exported_as_the_command_exports_it() {
    let (world, _upstream) = billing();
    let admin = Client::admin(&world);
    admin.key("main", "k");
    (0..3).for_each(|_| drop(world.get("/billing/v1")));
    (0..2).for_each(|_| drop(world.get("/nothing/v1")));
    let written = || sidekey(&world, "audit export").matches("\"door\":\"path\"").count();
    eventually("all is written", || written() == 5);
    let export = |query: &str| admin.ask("GET", &format!("/audit/export{query}")).reply();
    for (query, line, kind) in [
        ("", "audit export", "application/x-ndjson"),
        ("?format=csv", "audit export --format csv", "text/csv; charset=utf-8"),
        ("?service=billing", "audit export --service billing", "application/x-ndjson"),
        (
            "?code=service_unknown&format=csv",
            "audit export --code service_unknown --format csv",
            "text/csv; charset=utf-8",
        ),
        ("?since=2100-01-01T00:00:00Z", "audit export --since 2100-01-01", "application/x-ndjson"),
    ] {
        let reply = export(query);
        assert_eq!((reply.status, reply.value("content-type")), (200, Some(kind)), "{reply:?}");
        let said = world.sidekey(line.split(' ')).run().succeeds();
        assert_eq!(reply.text().trim_end(), said.trim_end(), "{query}");
    }
    for wrong in ["?format=xml", "?code=no_such", "?since=yesterday", "?limit=5"] {
        assert_eq!(problem(&export(wrong)), (422, "invalid".to_owned()), "{wrong}");
    }
    let table = admin.ask("GET", "/audit/export?format=csv").header("Accept", "text/csv").reply();
    assert_eq!(table.status, 200);
}

#[test]
fn certificate_authorities_are_told_exported_and_rotated() {
    let (world, _upstream) = billing();
    let (admin, member) = (Client::admin(&world), Client::member(&world, "ada"));
    let first = member.get("/ca");
    assert_eq!((&first[0]["state"], &first[0]["hosts"]), (&json!("signing"), &json!([])), "{first}");
    let said: Value = serde_json::from_str(&sidekey(&world, "ca show --json")).unwrap();
    assert_eq!(first, said["items"]);
    assert_eq!(member.refused_with("POST", "/ca/rotate", &json!({})), (403, "forbidden".to_owned()));
    for wrong in [json!({ "overlap_s": 31_536_001 }), json!({ "overlap_s": 5, "now": true }), json!({ "overlap": 1 })] {
        assert_eq!(admin.refused_with("POST", "/ca/rotate", &wrong), (422, "invalid".to_owned()), "{wrong}");
    }
    let both = admin.sent("POST", "/ca/rotate", &json!({ "overlap_s": 604_800 }), 200);
    assert_eq!((&both[0]["state"], &both[1]["state"]), (&json!("signing"), &json!("next")), "{both}");
    assert_eq!(admin.refused_with("POST", "/ca/rotate", &json!({})), (422, "invalid".to_owned()));
    let pem = admin.ask("GET", "/ca.pem").header("Accept", "application/pem-certificate-chain").reply();
    assert_eq!(pem.value("content-type"), Some("application/pem-certificate-chain"));
    assert_eq!(pem.text().trim_end(), sidekey(&world, "ca export"));
    eventually("both are handed out", || world.ca_pem() == pem.text());
    let one = admin.sent("POST", "/ca/rotate", &json!({ "now": true }), 200);
    assert_eq!((one.as_array().unwrap().len(), &one[0]["fingerprint"]), (1, &both[1]["fingerprint"]), "{one}");
    assert!(sidekey(&world, "audit tail").contains("ca.rotate"));
}

#[test]
fn a_slot_for_a_passphrase_opens_the_store_where_the_variable_is() {
    let (mut world, _upstream) = telling();
    let (admin, member) = (Client::admin(&world), Client::member(&world, "ada"));
    let slot = |passphrase: &str| json!({ "name": "phrase", "variable": "OUR_PHRASE", "passphrase": passphrase });
    let phrase = "C4nary of twelve words and more";
    assert_eq!(member.refused_with("POST", "/master/slots", &slot(phrase)), (403, "forbidden".to_owned()));
    assert_eq!(admin.refused_with("POST", "/master/slots", &slot("too short")), (422, "invalid".to_owned()));
    let odd = json!({ "variable": "not a name", "passphrase": phrase });
    assert_eq!(admin.refused_with("POST", "/master/slots", &odd), (422, "invalid".to_owned()));
    let made = admin.sent("POST", "/master/slots", &slot(phrase), 201);
    assert_eq!((&made["name"], &made["kind"]), (&json!("phrase"), &json!("passphrase")), "{made}");
    assert_eq!(admin.refused_with("POST", "/master/slots", &slot(phrase)), (409, "name_taken".to_owned()));
    let again = json!({ "name": "other", "variable": "OUR_PHRASE", "passphrase": phrase });
    assert_eq!(admin.refused_with("POST", "/master/slots", &again), (409, "conflict".to_owned()));
    let audit = sidekey(&world, "audit tail -n 500 --json");
    assert!(audit.contains("master.slot_add") && !audit.contains("C4nary"), "{audit}");
    let (_, log) = world.stop();
    assert!(!log.contains("C4nary"), "{log}");
    let tables = format!("{}\n[master_key]\npassphrase_env = \"OUR_PHRASE\"\n", world.tables());
    world.rewrite_toml(&tables);
    fs::remove_file(world.path("data/master.key")).unwrap();
    world.start(&[("OUR_PHRASE", phrase)]);
    assert_eq!(world.get("/billing/v1").text(), "first");
}
