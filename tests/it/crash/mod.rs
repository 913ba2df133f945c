//! Bad luck at random moments: commands that are killed, and disks that fill up. Whatever was acknowledged is there, nothing is
//! half there, the store and the audit log hold, and every change is in the log exactly once.
//!
//! `SIDEKEY_CRASH_ROUNDS` says how often each test tries, a few times by default. With 100 or more they also demand that the
//! moments hit: that most rounds end inside the act and not before or after it.

mod disk;
mod kill;

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;

use crate::world::{FakeUpstream, World};

const AUTH: &str = r#"auth = { location = "header", name = "X-API-Key" }"#;
/// From so many rounds on, how they spread is demanded and not only told.
const MANY: usize = 100;

fn rounds() -> usize {
    std::env::var("SIDEKEY_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}

fn world() -> (World, FakeUpstream) {
    let upstream = FakeUpstream::plain();
    (World::new().service("billing", &upstream, AUTH), upstream)
}

/// What the rounds begin with: a key with a value to rotate to, a user to share it with, and two backups that differ.
fn furnish(world: World) -> World {
    let world = world.key("billing", "billing", "value-1").key("billing", "only-in-one", "x");
    world.file("value", "another");
    sidekey(&world, "user add ada");
    sidekey(&world, "backup one.tar");
    sidekey(&world, "key delete only-in-one --yes");
    sidekey(&world, "backup two.tar");
    world
}

fn sidekey(world: &World, line: &str) -> String {
    world.sidekey(line.split(' ')).run().succeeds()
}

fn command(world: &World, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidekey"));
    command.args(line.split(' ')).current_dir(world.dir());
    command
}

/// Numbers that look random and are the same each time (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

/// An act that is tried again and again.
#[derive(Clone, Copy, PartialEq)]
enum Act {
    Rotate,
    Share,
    Master,
    Backup,
    Restore,
}

/// Everything that the acts change.
#[derive(Debug, Clone, PartialEq)]
struct State {
    version: u64,
    versions: usize,
    overlaps: bool,
    shared: Value,
    master: Vec<u8>,
    backup: bool,
    only_in_one: bool,
}

impl State {
    fn of(world: &World) -> Self {
        let list: Value = serde_json::from_str(&sidekey(world, "key list --json")).unwrap();
        let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
        let shown: Value = serde_json::from_str(&sidekey(world, "key show billing --json")).unwrap();
        let key = &shown["items"][0];
        Self {
            version: key["version"].as_u64().unwrap(),
            versions: key["versions"].as_array().unwrap().len(),
            overlaps: !key["fallback_until"].is_null(),
            shared: key["shared_with"].clone(),
            master: fs::read(world.path("data/master.key")).unwrap(),
            backup: world.path("data/kept.tar").exists(),
            only_in_one: names.contains(&"only-in-one".into()),
        }
    }
}

impl Act {
    /// The command, from the state that is there.
    fn line(self, now: &State) -> &'static str {
        match self {
            Self::Rotate => "key rotate billing --overlap 1h --from-file value",
            Self::Share if now.shared == Value::Array(Vec::new()) => "key share billing --with user:ada",
            Self::Share => "key unshare billing --with user:ada",
            Self::Master => "master rotate",
            Self::Backup => "backup data/kept.tar",
            Self::Restore if now.only_in_one => "restore two.tar --replace",
            Self::Restore => "restore one.tar --replace",
        }
    }

    /// How the audit calls it.
    fn called(self) -> &'static [&'static str] {
        match self {
            Self::Rotate => &["key.rotate"],
            Self::Share => &["key.share", "key.unshare"],
            Self::Master => &["master.rotate"],
            Self::Backup => &["backup.make"],
            Self::Restore => &["backup.restore"],
        }
    }

    /// Whether the act was done, wholly; fails when it was done by half.
    fn done(self, before: &State, after: &State) -> bool {
        if before == after {
            return false;
        }
        let whole = match self {
            Self::Rotate => {
                let version = before.version + 1;
                State { version, versions: before.versions + 1, overlaps: true, ..before.clone() }
            }
            Self::Share => {
                let none = before.shared == Value::Array(Vec::new());
                State { shared: if none { vec!["user:ada"] } else { Vec::new() }.into(), ..before.clone() }
            }
            Self::Master => State { master: after.master.clone(), ..before.clone() },
            Self::Backup => State { backup: true, ..before.clone() },
            Self::Restore => State { only_in_one: !before.only_in_one, ..before.clone() },
        };
        assert_eq!(*after, whole, "half an act");
        true
    }

    /// How often the audit's files tell of it. What a restore moved away is not among them.
    fn told(self, world: &World) -> usize {
        // In the middle of a restore the log has no place.
        let Ok(folder) = fs::read_dir(world.path("data/audit")) else { return 0 };
        let folder = folder.map(|item| item.unwrap().path());
        let segments = folder.filter(|path| path.extension().is_some_and(|kind| kind == "jsonl"));
        let text: String = segments.map(|path| fs::read_to_string(path).unwrap()).collect();
        let begins = self.called().iter().map(|act| format!("{{\"act\":\"{act}\""));
        begins.map(|begin| text.lines().filter(|line| line.starts_with(&begin)).count()).sum()
    }
}

/// Everything holds: the store is sound, every value opens, the audit log is whole.
fn all_holds(world: &World) {
    let shown: Value = serde_json::from_str(&sidekey(world, "backup check.tar --json")).unwrap();
    assert_eq!(shown["items"][0]["unopenable"], Value::Array(Vec::new()));
    fs::remove_file(world.path("check.tar")).unwrap();
    sidekey(world, "audit verify");
}

/// The folders that an act worked in and did not take away, and what restores moved away.
fn left(world: &World) -> Vec<PathBuf> {
    let items = fs::read_dir(world.path("data")).unwrap().map(|item| item.unwrap());
    let ours = |name: &str| name.starts_with(".sidekey-") || name.starts_with("before-restore-");
    items.filter(|item| ours(&item.file_name().to_string_lossy())).map(|item| item.path()).collect()
}

/// Looks at a round: what was acknowledged is there, nothing else is changed, and the log tells of it once. Returns whether
/// the act was done, and the state after it.
fn judged(world: &World, act: Act, before: &State, told: usize, acknowledged: bool) -> (bool, State) {
    let after = State::of(world);
    let done = act.done(before, &after);
    assert!(done || !acknowledged, "what was acknowledged is not there");
    let tells = act.told(world);
    match act {
        // The file gets its name before the log is told of it.
        Act::Backup => assert!(tells == told || (done && tells == told + 1), "{told} → {tells}"),
        // The log came with the restored store, and says it.
        Act::Restore => assert!(!done || tells == 1, "{tells}"),
        _ => assert_eq!(tells, told + usize::from(done), "the log does not tell what was done"),
    }
    for folder in left(world) {
        fs::remove_dir_all(folder).unwrap();
    }
    let _ = fs::remove_file(world.path("data/kept.tar"));
    all_holds(world);
    (done, State { backup: false, ..after })
}
