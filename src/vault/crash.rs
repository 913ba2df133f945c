//! Killing a process in the middle of its work, again and again: what it acknowledged is there afterwards and opens.
//!
//! The process is this test program itself, told to run the one test [`writer`], which does nothing by itself.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::tests::{opened, stripe, value};
use super::*;
use crate::crypto::random;
use crate::domain::{CredentialId, KeyPlace, Name, SystemClock};
use crate::store::Sqlite;

const ROUNDS: u32 = 30;
const ACKNOWLEDGED: &str = "acknowledged ";

fn open(folder: &Path) -> Vault {
    let store = Arc::new(Sqlite::open(&folder.join("sidekey.db")).unwrap());
    Vault::open(store, &key(folder), Arc::new(SystemClock)).unwrap()
}

fn key(folder: &Path) -> MasterKeySource {
    MasterKeySource::File(folder.join("master.key"))
}

/// The value of one version says whose and which it is.
fn text(id: &str, version: u32) -> String {
    format!("{id}/{version}")
}

/// Adds and rotates credentials, and the master key now and then, until it is killed; says on standard output what the
/// vault has acknowledged. Which folder to work in stands on its standard input.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn writer() {
    let mut folder = String::new();
    if std::io::stdin().is_terminal() {
        return;
    }
    std::io::stdin().read_line(&mut folder).unwrap();
    if folder.is_empty() {
        return;
    }
    let folder = Path::new(folder.trim_end());
    let vault = open(folder);
    let mut out = std::io::stdout().lock();
    let mut say = |id: &CredentialId, version: u32| {
        writeln!(out, "\n{ACKNOWLEDGED}{id} {version}").and_then(|()| out.flush()).unwrap();
    };
    for i in 0_u64.. {
        let (added, _) = vault.add(stripe(&format!("k{}", vault.fresh_id().unwrap())), &value("first")).unwrap();
        say(&added.id, 1);
        let (rotated, _) = vault.rotate(&added.id, &value(&text(added.id.as_str(), 2))).unwrap();
        say(&rotated.id, rotated.version);
        if i % 5 == 4 {
            let (source, look) = (key(folder), |place: &KeyPlace| match place {
                KeyPlace::File(path) => Ok(MasterKeySource::File(path.clone())),
                other => Err(other.to_string()),
            });
            let refuse = OutOfReach::Refuse;
            let rotation = MasterRotation { present: &source, next: &source, look: &look, out_of_reach: refuse };
            vault.rotate_master(&rotation).unwrap();
            let others = vault.slots().unwrap().into_iter().filter(|slot| slot.name.as_str() != "file");
            for slot in others.skip(2) {
                vault.remove_slot(&source, &slot.name).unwrap();
            }
            let name = Name::new(&vault.fresh_id().unwrap()).unwrap();
            let spare = MasterKeySource::File(folder.join(format!("{name}.key")));
            vault.add_slot(&source, Some(name), &spare).unwrap();
        }
    }
}

fn start(folder: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "vault::crash::writer", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", folder.display()).unwrap();
    child
}

/// Runs a writer, kills it at a random moment, and returns everything that it had acknowledged by then.
fn round(folder: &Path) -> Vec<(String, u32)> {
    let mut child = start(folder);
    let output = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let parts = line.strip_prefix(ACKNOWLEDGED).and_then(|rest| rest.split_once(' '));
            // A line that the kill cut short acknowledges nothing.
            let read = parts.and_then(|(id, version)| Some((id.to_owned(), version.parse::<u32>().ok()?)));
            let _ = read.map(|acknowledged| sender.send(acknowledged));
        }
    });
    let [count, wait] = random::bytes::<2>().unwrap();
    let mut acknowledged: Vec<_> = lines.iter().take(usize::from(count % 24) + 1).collect();
    let moment = Duration::from_micros(u64::from(wait) * 20);
    acknowledged.extend(lines.recv_timeout(moment));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
    acknowledged.extend(lines.iter());
    acknowledged
}

#[test]
fn whatever_was_acknowledged_survives_a_kill_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("data");
    let mut acknowledged: HashMap<String, u32> = HashMap::new();
    for round_number in 0..ROUNDS {
        let said = round(&folder);
        assert!(!said.is_empty());
        for (id, version) in said {
            let highest = acknowledged.entry(id).or_default();
            *highest = version.max(*highest);
        }
        let vault = open(&folder);
        vault.store().check_integrity().unwrap();
        let inventory = vault.inventory().unwrap();
        let found: HashMap<&str, &Credential> = inventory.credentials.iter().map(|c| (c.id.as_str(), c)).collect();
        for (id, version) in &acknowledged {
            let credential = found.get(id.as_str()).unwrap_or_else(|| panic!("round {round_number}: {id} is gone"));
            assert!(credential.version >= *version, "round {round_number}: {id}");
        }
        for credential in &inventory.credentials {
            let expected = match credential.version {
                1 => "first".to_owned(),
                version => text(credential.id.as_str(), version),
            };
            assert_eq!(opened(&vault, credential), expected, "round {round_number}");
        }
    }
    println!("{} acknowledged credentials after {ROUNDS} kills", acknowledged.len());
}
