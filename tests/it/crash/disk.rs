//! Disks that fill up: a small filesystem of its own where that may be mounted, else a limit to the size of files.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::{Act, Chance, MANY, State, furnish, judged, rounds, world};
use crate::world::World;

/// Bytes of the filesystem that fills up.
const SIZE: u64 = 8 << 20;
/// What is left free is chosen in pages.
const PAGE: u64 = 4096;

/// A filesystem in memory, unmounted when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one at `folder`, which is the owner's alone; none where that is not allowed.
    fn at(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let options = format!("size={SIZE},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "sidekey"]).arg(folder).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(folder.to_owned()))
    }

    /// Does `work` with no more than `free` bytes left.
    fn filled_up<T>(&self, free: u64, work: impl FnOnce() -> T) -> T {
        let path = self.0.join("filler");
        let mut filler = File::create(&path).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
        let length = filler.metadata().unwrap().len();
        filler.set_len(length.saturating_sub(free)).unwrap();
        let done = work();
        // Emptied first: a process that another test starts has it open for a moment, and it would fill the disk until then.
        filler.set_len(0).unwrap();
        fs::remove_file(path).unwrap();
        done
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The first line of what a failing command said, without what differs from round to round.
fn reason(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().next().unwrap_or_default();
    line.split_whitespace().filter(|word| !word.contains(['/', '`'])).collect::<Vec<_>>().join(" ")
}

/// Does the act again and again with another amount of room left. How much follows what came of it, so that the disk fills up
/// at every depth of the act.
fn full_at_any_moment(act: Act, seed: u64) {
    let (bare, _upstream) = world();
    let disk = SmallDisk::at(&bare.path("data"));
    let world = furnish(bare);
    let (mut chance, mut most, mut before) = (Chance(seed), 256, State::of(&world));
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let (mut done_anyway, mut acknowledged) = (0, 0);
    for _ in 0..rounds() {
        let (told, line, pages) = (act.told(&world), act.line(&before), chance.below(most));
        let output = match &disk {
            Some(disk) => disk.filled_up(pages * PAGE, || super::command(&world, line).output().unwrap()),
            None => limited(&world, pages * PAGE, line),
        };
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
        let (done, after) = judged(&world, act, &before, told, output.status.success());
        before = after;
        if output.status.success() {
            acknowledged += 1;
            most = (most - most / 8).max(8);
        } else {
            *reasons.entry(reason(&output)).or_default() += 1;
            done_anyway += usize::from(done);
            most += most / 8;
        }
    }
    let refused: usize = reasons.values().sum();
    println!(
        "{}: of {} rounds {refused} found the disk full, {done_anyway} of them with the act done; {acknowledged} had room: \
         {reasons:#?}",
        act.called()[0],
        rounds(),
    );
    assert!(rounds() < MANY || (4 * refused >= rounds() && acknowledged > 0), "the disk fills up beside the act");
    assert!(rounds() < MANY || reasons.len() > 1, "the disk fills up at one moment only");
}

/// Runs the command where no file grows beyond `bytes`: what can be had without a filesystem of one's own.
fn limited(world: &World, bytes: u64, line: &str) -> Output {
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" {line}", bytes / 512);
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_sidekey")]).current_dir(world.dir()).output().unwrap()
}

#[test]
fn a_rotation_on_a_disk_that_fills_up_counts_whole_or_not_at_all() {
    full_at_any_moment(Act::Rotate, 0xd15c1);
}

#[test]
fn a_share_on_a_disk_that_fills_up_counts_whole_or_not_at_all() {
    full_at_any_moment(Act::Share, 0xd15c2);
}

#[test]
fn a_rotation_of_the_master_key_on_a_disk_that_fills_up_leaves_a_key_that_fits() {
    full_at_any_moment(Act::Master, 0xd15c3);
}

#[test]
fn a_backup_on_a_disk_that_fills_up_is_whole_or_has_no_name() {
    full_at_any_moment(Act::Backup, 0xd15c4);
}

#[test]
fn a_restore_on_a_disk_that_fills_up_is_done_whole_or_not_at_all() {
    full_at_any_moment(Act::Restore, 0xd15c5);
}

#[test]
fn what_a_full_disk_left_done_is_said_to_be_done() {
    let (bare, _upstream) = world();
    let world = furnish(bare);
    let mut before = State::of(&world);
    for blocks in [0, 4, 16, 40] {
        for act in [Act::Rotate, Act::Share, Act::Master, Act::Backup, Act::Restore] {
            let told = act.told(&world);
            let output = limited(&world, blocks * 512, act.line(&before));
            assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
            let (done, after) = judged(&world, act, &before, told, output.status.success());
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!done || output.status.success() || said.contains("was done"), "{blocks}: {said}");
            before = after;
        }
    }
}
