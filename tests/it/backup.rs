//! Backups through the real program: made while it serves, read back, restored whole or not at all.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use serde_json::Value;

use crate::world::{Answer, FakeUpstream, World, eventually};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;
const CANARY: &str = "C4naryInTheBackup";

/// A proxy with one service that answers with the key that it was given, and a key of two versions.
fn billing() -> (World, FakeUpstream) {
    let upstream = FakeUpstream::plain();
    upstream.always(|seen| Answer::text(200, seen.values("x-api-key").join(",")));
    let world = World::new().service("billing", &upstream, AUTH).key("billing", "billing", "former");
    world.sidekey(["key", "rotate", "billing", "--stdin"]).stdin(CANARY).run().succeeds();
    (world, upstream)
}

/// An empty folder with the same proxy.toml.
fn elsewhere(world: &World) -> World {
    World::new().toml(world.tables())
}

fn sidekey(world: &World, line: &str) -> String {
    world.sidekey(line.split(' ')).run().succeeds()
}

fn restore_into(world: &World, backup: &Path, more: &[&str]) -> crate::world::Outcome {
    let file = backup.to_string_lossy().into_owned();
    world.sidekey(["restore", &file].into_iter().chain(more.iter().copied())).run()
}

fn copy_key(from: &World, to: &World) {
    fs::create_dir_all(to.path("data")).unwrap();
    fs::set_permissions(to.path("data"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::copy(from.path("data/master.key"), to.path("data/master.key")).unwrap();
}

fn left_in(folder: &Path) -> Vec<String> {
    let Ok(items) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = items.map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_backup_that_was_made_while_the_proxy_served_works_elsewhere() {
    let (world, _upstream) = billing();
    let world = world.serve();
    assert_eq!(world.get("/billing/v1").text(), CANARY);
    let shown: Value = serde_json::from_str(&sidekey(&world, "backup one.tar --json")).unwrap();
    let item = &shown["items"][0];
    assert_eq!((&item["values"], &item["holds_master_key"]), (&3.into(), &false.into()), "{shown}");
    assert_eq!(fs::metadata(world.path("one.tar")).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(world.path("one.tar")).unwrap();
    assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    let again = world.sidekey(["backup", "one.tar"]).run().fails_with(1);
    assert!(again.contains("exists"), "{again}");

    let other = elsewhere(&world);
    let refused = restore_into(&other, &world.path("one.tar"), &[]).fails_with(1);
    assert!(refused.contains("master key"), "{refused}");
    assert!(left_in(&other.path("data")).is_empty());
    copy_key(&world, &other);
    let said = restore_into(&other, &world.path("one.tar"), &[]).succeeds();
    assert!(said.contains("3 sealed values, all opened once"), "{said}");
    assert!(sidekey(&other, "audit tail").contains("backup.restore one.tar"));
    sidekey(&other, "audit verify");
    assert_eq!(left_in(&other.path("data")), ["audit", "master.key", "sidekey.db"]);
    let other = other.serve();
    assert_eq!(other.get("/billing/v1").text(), CANARY);
    sidekey(&other, "key rollback billing");
    eventually("the former value is there too", || other.get("/billing/v1").text() == "former");
}

#[test]
fn the_master_key_is_in_a_backup_only_when_it_is_asked_for() {
    let (world, _upstream) = billing();
    let key = fs::read(world.path("data/master.key")).unwrap();
    let holds = |name: &str| {
        let bytes = fs::read(world.path(name)).unwrap();
        bytes.windows(key.len()).any(|window| window == key)
    };
    sidekey(&world, "backup without.tar");
    let outcome = world.sidekey(["backup", "with.tar", "--with-master-key"]).run();
    assert!(outcome.code == Some(0) && outcome.stderr.contains("can read every key"), "{outcome:?}");
    assert_eq!((holds("without.tar"), holds("with.tar")), (false, true));
    let other = elsewhere(&world);
    restore_into(&other, &world.path("with.tar"), &[]).succeeds();
    assert_eq!(fs::metadata(other.path("data/master.key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(other.serve().get("/billing/v1").text(), CANARY);
}

#[test]
fn a_store_that_is_there_stays_unless_told_and_one_in_use_stays_anyway() {
    let (world, _upstream) = billing();
    sidekey(&world, "backup one.tar");
    world.sidekey(["key", "rotate", "billing", "--stdin"]).stdin("later").run().succeeds();
    let refused = restore_into(&world, &world.path("one.tar"), &[]).fails_with(1);
    assert!(refused.contains("--replace"), "{refused}");
    let mut world = world.serve();
    let refused = restore_into(&world, &world.path("one.tar"), &["--replace"]).fails_with(1);
    assert!(refused.contains("in use"), "{refused}");
    assert_eq!(world.get("/billing/v1").text(), "later");
    world.stop();
    let said = restore_into(&world, &world.path("one.tar"), &["--replace"]).succeeds();
    assert!(said.contains("What was there before is in"), "{said}");
    let world = world.serve();
    assert_eq!(world.get("/billing/v1").text(), CANARY);
    let former = left_in(&world.path("data")).into_iter().find(|name| name.starts_with("before-restore-")).unwrap();
    assert_eq!(left_in(&world.path("data").join(former)), ["audit", "sidekey.db"]);
}

#[test]
fn a_backup_that_was_changed_or_cut_off_is_refused_and_changes_nothing() {
    let (world, _upstream) = billing();
    sidekey(&world, "backup one.tar");
    let whole = fs::read(world.path("one.tar")).unwrap();
    let at = |needle: &[u8]| whole.windows(needle.len()).position(|window| window == needle).unwrap();
    let other = elsewhere(&world);
    copy_key(&world, &other);
    let flipped = |place: usize| {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        bytes
    };
    let store = at(b"SQLite format 3\0");
    for (broken, says) in [
        (flipped(store + 5000), "was changed"),
        (flipped(at(b"{\"segment\":") + 200), "was changed"),
        (flipped(at(b"\"sha256\": \"") + 14), "was changed"),
        (whole[..whole.len() / 2].to_vec(), "no whole backup"),
        (b"not a backup".to_vec(), "no whole backup"),
        (Vec::new(), "no whole backup"),
    ] {
        let file = other.file("broken.tar", broken);
        let refused = restore_into(&other, &file, &[]).fails_with(1);
        assert!(refused.contains(says), "{says}: {refused}");
        assert_eq!(left_in(&other.path("data")), ["master.key"]);
    }
}

#[test]
fn what_a_killed_backup_left_is_removed_and_what_is_in_use_stays() {
    let (world, _upstream) = billing();
    let folder = |number: u8| {
        let path = world.path(&format!("data/.sidekey-00000000000000{number:02x}.tmp"));
        fs::create_dir(&path).unwrap();
        path
    };
    let (left, used, empty, other) = (folder(1), folder(2), folder(3), world.path("data/.sidekey-mine.tmp"));
    fs::create_dir(&other).unwrap();
    for path in [&left, &used, &other] {
        fs::write(path.join("sidekey.db"), "half").unwrap();
    }
    let lock = fs::File::open(&used).unwrap();
    lock.try_lock().unwrap();
    sidekey(&world, "backup data/one.tar");
    assert_eq!([&left, &used, &empty, &other].map(|path| path.exists()), [false, true, true, true]);
    lock.unlock().unwrap();
    let _world = world.serve();
    assert!(!used.exists(), "the start of a proxy removes it too");
}

#[test]
fn no_file_is_left_when_there_is_no_room_for_the_backup() {
    let (world, _upstream) = billing();
    let before = left_in(world.dir());
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 20; exec \"$0\" backup full.tar", env!("CARGO_BIN_EXE_sidekey")]);
    let output = limited.current_dir(world.dir()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(left_in(world.dir()), before);
    sidekey(&world, "backup one.tar");
    sidekey(&world, "audit verify");
}
