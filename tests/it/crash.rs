//! Commands that are killed at random moments, and disks that are full: whatever was acknowledged is there, nothing is half
//! there, and the store and the audit log hold.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::world::{FakeUpstream, World};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;

/// How often each test kills; more when the environment says so.
fn rounds() -> u64 {
    std::env::var("SIDEKEY_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

fn world() -> (World, FakeUpstream) {
    let upstream = FakeUpstream::plain();
    let world = World::new().service("billing", &upstream, AUTH).key("billing", "billing", "value-1");
    (world, upstream)
}

fn sidekey(world: &World, line: &str) -> String {
    world.sidekey(line.split(' ')).run().succeeds()
}

fn key(world: &World) -> Value {
    let shown: Value = serde_json::from_str(&sidekey(world, "key show billing --json")).unwrap();
    shown["items"][0].clone()
}

/// Numbers that look random and are the same each time (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Runs a command, kills it after a moment, and says whether it had acknowledged.
fn killed(world: &World, line: &str, chance: &mut Chance) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sidekey"))
        .args(line.split(' '))
        .current_dir(world.dir())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The whole command takes about as long as the longest of these.
    thread::sleep(Duration::from_micros(chance.below(120_000)));
    let _ = child.kill();
    child.wait().unwrap().success()
}

/// Everything holds: the store is sound, every value opens, the audit log is whole.
fn all_holds(world: &World, round: u64) {
    let shown: Value = serde_json::from_str(&sidekey(world, "backup check.tar --json")).unwrap();
    assert_eq!(shown["items"][0]["unopenable"], Value::Array(Vec::new()), "round {round}");
    fs::remove_file(world.path("check.tar")).unwrap();
    sidekey(world, "audit verify");
}

#[test]
fn a_rotation_that_is_killed_at_any_moment_counts_whole_or_not_at_all() {
    let (world, _upstream) = world();
    world.file("value", "another");
    let (mut chance, mut counted) = (Chance(0x5eed), 0);
    for round in 0..rounds() {
        let before = key(&world)["version"].as_u64().unwrap();
        let acknowledged = killed(&world, "key rotate billing --overlap 1h --from-file value", &mut chance);
        let after = key(&world);
        let version = after["version"].as_u64().unwrap();
        assert!(version == before + 1 || (version == before && !acknowledged), "round {round}: {before} → {version}");
        assert_eq!(after["versions"].as_array().unwrap().len() as u64, version, "round {round}");
        assert_eq!(version > 1, !after["fallback_until"].is_null(), "round {round}: half a rotation");
        all_holds(&world, round);
        counted += version - before;
    }
    println!("{counted} of {} rotations counted", rounds());
}

#[test]
fn a_share_that_is_killed_at_any_moment_counts_whole_or_not_at_all() {
    let (world, _upstream) = world();
    sidekey(&world, "user add ada");
    let (mut chance, mut counted) = (Chance(0xada), 0);
    for round in 0..rounds() {
        let shared = |world: &World| key(world)["shared_with"] == Value::from(vec!["user:ada"]);
        let before = shared(&world);
        let deed = if before { "unshare" } else { "share" };
        let acknowledged = killed(&world, &format!("key {deed} billing --with user:ada"), &mut chance);
        let after = shared(&world);
        assert!(before != after || !acknowledged, "round {round}: what was acknowledged is not there");
        all_holds(&world, round);
        counted += u32::from(before != after);
    }
    println!("{counted} of {} changes counted", rounds());
}

#[test]
fn a_rotation_of_the_master_key_that_is_killed_at_any_moment_leaves_a_key_that_fits() {
    let (world, _upstream) = world();
    world.sidekey(["key", "rotate", "billing", "--stdin"]).stdin("value-2").run().succeeds();
    let (mut chance, mut changed) = (Chance(0xbeef), 0);
    for round in 0..rounds() {
        let former = fs::read(world.path("data/master.key")).unwrap();
        let acknowledged = killed(&world, "master rotate", &mut chance);
        all_holds(&world, round);
        let now = fs::read(world.path("data/master.key")).unwrap();
        assert!(now != former || !acknowledged, "round {round}: what was acknowledged is not there");
        changed += u32::from(now != former);
    }
    println!("{changed} of {} master keys changed", rounds());
}

#[test]
fn a_backup_that_is_killed_at_any_moment_is_whole_or_has_no_name() {
    let (world, _upstream) = world();
    let mut chance = Chance(0xbac);
    let mut whole = 0;
    for round in 0..rounds() {
        let acknowledged = killed(&world, "backup kept.tar", &mut chance);
        let there = world.path("kept.tar").exists();
        assert!(there || !acknowledged, "round {round}: what was acknowledged is not there");
        if there {
            sidekey(&world, "restore kept.tar --replace");
            fs::remove_file(world.path("kept.tar")).unwrap();
        }
        all_holds(&world, round);
        whole += u32::from(there);
    }
    println!("{whole} of {} backups got their name", rounds());
}

#[test]
fn a_full_disk_refuses_changes_and_leaves_everything_as_it_was() {
    let (world, _upstream) = world();
    world.file("value", "another");
    let limited = |blocks: u64, line: &str| {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" {line}");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_sidekey")]).current_dir(world.dir());
        command.output().unwrap()
    };
    sidekey(&world, "user add ada");
    for blocks in [0, 4, 16, 40] {
        for line in [
            "key rotate billing --from-file value",
            "key share billing --with user:ada",
            "master rotate",
            "backup kept.tar",
        ] {
            let before = (key(&world), fs::read(world.path("data/master.key")).unwrap());
            let output = limited(blocks, line);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(matches!(output.status.code(), Some(0 | 1)), "{blocks} {line}: {said}");
            all_holds(&world, blocks);
            let after = (key(&world), fs::read(world.path("data/master.key")).unwrap());
            // What failed may have been done when only its record found no room, and says so then.
            let done = output.status.success() || said.contains("was done");
            assert!(done || before == after, "{blocks} {line}: {said}");
            let _ = fs::remove_file(world.path("kept.tar"));
        }
    }
}
