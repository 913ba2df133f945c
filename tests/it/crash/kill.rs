//! `kill -9` at random moments.

use std::{fs, path::PathBuf, process::Stdio, thread, time::Duration};

use super::{Act, Chance, MANY, State, all_holds, furnish, judged, left, rounds, sidekey, world};
use crate::world::{Ask, Wire, World};

/// When to kill, and how well that was chosen. A process begins with everything but its act, which takes another while each
/// time on a busy machine: so the moment is counted from when the act is seen to begin. How far it reaches follows what was
/// hit, so that the kills spread over the whole act and its end.
struct Moments {
    chance: Chance,
    /// Microseconds from the act's begin.
    reach: u64,
    hits: [usize; 3],
}

/// Where a kill hit.
#[derive(Clone, Copy, PartialEq)]
enum Hit {
    /// Before the act began.
    Before,
    /// With the store open, or in the middle of a backup's or a restore's files.
    Inside,
    /// The process had ended.
    After,
}

impl Moments {
    fn new(seed: u64) -> Self {
        Self { chance: Chance(seed), reach: 20_000, hits: [0; 3] }
    }

    /// Runs a command, kills it after a moment, and says whether it had acknowledged, and where the kill hit.
    fn kill(&mut self, world: &World, line: &str) -> (bool, Hit) {
        let mut child = super::command(world, line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // One in sixteen is killed wherever its process is.
        let at_begin = self.chance.below(16) == 0;
        while !at_begin && !has_begun(world) && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_micros(50));
        }
        thread::sleep(Duration::from_micros(self.chance.below(self.reach)));
        child.kill().unwrap();
        let code = child.wait().unwrap().code();
        assert!(matches!(code, None | Some(0)), "`{line}` failed by itself");
        let hit = match code {
            Some(_) => Hit::After,
            None if has_begun(world) => Hit::Inside,
            None => Hit::Before,
        };
        match hit {
            Hit::Before => {}
            Hit::Inside => self.reach += self.reach / 32,
            Hit::After => self.reach -= self.reach / 8,
        }
        self.hits[hit as usize] += 1;
        (code.is_some(), hit)
    }
}

/// Whether a command has the store open, or its files of a backup or a restore stand there.
fn has_begun(world: &World) -> bool {
    // Whoever closes the store as the last takes the first of these away.
    let marks = ["data/sidekey.db-shm", "data/restore.pending"];
    marks.iter().any(|name| world.path(name).exists()) || !left(world).is_empty()
}

/// Kills the act again and again.
fn killed_at_any_moment(act: Act, seed: u64) {
    let (bare, _upstream) = world();
    let world = furnish(bare);
    let (mut moments, mut silent, mut unrecorded) = (Moments::new(seed), 0, 0);
    let mut before = State::of(&world);
    for _ in 0..rounds() {
        let told = act.told(&world);
        let (acknowledged, hit) = moments.kill(&world, act.line(&before));
        let tells = act.told(&world);
        let (done, after) = judged(&world, act, &before, told, acknowledged);
        silent += usize::from(done && hit == Hit::Inside);
        unrecorded += usize::from(done && act != Act::Restore && tells == told);
        before = after;
    }
    let [early, inside, late] = moments.hits;
    println!(
        "{}: of {} kills {early} came before the act, {inside} inside, {late} after the end; {silent} of those \
         inside left the act done, {unrecorded} before the log had it",
        act.called()[0],
        rounds(),
    );
    assert!(rounds() < MANY || 2 * inside >= rounds(), "the kills miss the act");
    assert!(rounds() < MANY || (silent > 0 && silent < inside), "all kills hit the same side of the act");
}

#[test]
fn a_rotation_that_is_killed_at_any_moment_counts_whole_or_not_at_all() {
    killed_at_any_moment(Act::Rotate, 0x5eed);
}

#[test]
fn a_share_that_is_killed_at_any_moment_counts_whole_or_not_at_all() {
    killed_at_any_moment(Act::Share, 0xada);
}

#[test]
fn a_rotation_of_the_master_key_that_is_killed_at_any_moment_leaves_a_key_that_fits() {
    killed_at_any_moment(Act::Master, 0xbeef);
}

#[test]
fn a_backup_that_is_killed_at_any_moment_is_whole_or_has_no_name() {
    killed_at_any_moment(Act::Backup, 0xbac);
}

#[test]
fn a_restore_that_is_killed_at_any_moment_is_done_whole_or_not_at_all() {
    killed_at_any_moment(Act::Restore, 0xde5);
}

#[test]
fn a_restore_into_a_proxy_that_is_killed_at_any_moment_is_done_whole_or_not_at_all() {
    let (bare, _upstream) = world();
    let bearer = format!("Bearer {}", sidekey(&bare, "token add crash").trim_end());
    let mut world = furnish(bare);
    let (mut chance, mut reach, mut before) = (Chance(0x0411e), 400_000, State::of(&world));
    let (mut silent, mut undone, mut late) = (0, 0, 0);
    for _ in 0..rounds() {
        let told = Act::Restore.told(&world);
        let backup = fs::read(world.path(if before.only_in_one { "two.tar" } else { "one.tar" })).unwrap();
        world.start(&[]);
        let ask = Ask::new(&world.console(), "POST", "/api/v1/restore").header("Authorization", &bearer);
        let bytes = ask.header("Content-Type", "application/x-tar").body(backup).bytes("close");
        let mut wire = Wire::to(world.console());
        let asking = thread::spawn(move || wire.send(bytes).try_reply().map(|reply| reply.status));
        thread::sleep(Duration::from_micros(chance.below(reach)));
        world.kill();
        let status = asking.join().unwrap();
        assert!(matches!(status, None | Some(200)), "{status:?}");
        // Whoever opens the store next records what was done.
        all_holds(&world);
        let after = State::of(&world);
        let done = Act::Restore.done(&before, &after);
        assert!(done || status.is_none(), "what was acknowledged is not there");
        assert_eq!(Act::Restore.told(&world), told + usize::from(done), "the log goes on, and tells what was done");
        let is_former =
            |path: &PathBuf| path.join("sidekey.db").exists() && !path.display().to_string().contains(".tmp");
        assert!(!done || left(&world).iter().filter(|path| is_former(path)).count() == 1, "the former store is kept");
        for folder in left(&world) {
            fs::remove_dir_all(folder).unwrap();
        }
        match (status, done) {
            (Some(_), _) => (late, reach) = (late + 1, reach - reach / 8),
            (None, true) => silent += 1,
            (None, false) => (undone, reach) = (undone + 1, reach + reach / 16),
        }
        before = after;
    }
    println!(
        "restore into a proxy: {undone} kills came before it counted, {silent} after and before the answer, {late} late"
    );
    assert!(rounds() < MANY || (silent > 0 && undone > 0), "all kills hit the same side of the act");
}
