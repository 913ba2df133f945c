//! `kill -9` at random moments.

use std::{
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use super::{Act, Chance, MANY, State, furnish, judged, left, rounds, world};
use crate::world::World;

/// When to kill, and how well that was chosen. The window follows what was hit, so that the moments spread over the act itself
/// however fast the machine is today, and over its edges.
struct Moments {
    chance: Chance,
    /// Microseconds from the process's start.
    from: u64,
    to: u64,
    hits: [usize; 3],
}

/// Where a kill hit.
#[derive(Clone, Copy, PartialEq)]
enum Hit {
    /// Before the store was opened.
    Before,
    /// With the store open, or in the middle of a backup's or a restore's files.
    Inside,
    /// The process had ended.
    After,
}

const STEP: u64 = 4_000;

impl Moments {
    /// Begins with the second half of `whole`, since a process begins with everything but its act.
    fn new(seed: u64, whole: Duration) -> Self {
        let to = u64::try_from(whole.as_micros()).unwrap();
        Self { chance: Chance(seed), from: to / 2, to, hits: [0; 3] }
    }

    /// Runs a command, kills it after a moment, and says whether it had acknowledged, and where the kill hit.
    fn kill(&mut self, world: &World, line: &str) -> (bool, Hit) {
        let mut child = super::command(world, line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moment = self.from + self.chance.below(self.to - self.from);
        thread::sleep(Duration::from_micros(moment));
        child.kill().unwrap();
        let code = child.wait().unwrap().code();
        assert!(matches!(code, None | Some(0)), "`{line}` failed by itself");
        // Whoever closes the store as the last takes this file away.
        let open = ["data/sidekey.db-shm", "data/restore.pending"].iter().any(|name| world.path(name).exists());
        let hit = match code {
            Some(_) => Hit::After,
            None if open || !left(world).is_empty() => Hit::Inside,
            None => Hit::Before,
        };
        match hit {
            Hit::Before => self.from = (self.from + STEP).min(self.to - STEP),
            Hit::Inside => (self.from, self.to) = (self.from.saturating_sub(STEP / 8), self.to + STEP / 8),
            Hit::After => self.to = (self.to - STEP).max(self.from + STEP),
        }
        self.hits[hit as usize] += 1;
        (code.is_some(), hit)
    }
}

/// Kills the act again and again.
fn killed_at_any_moment(act: Act, seed: u64) {
    let (bare, _upstream) = world();
    let world = furnish(bare);
    let (first, told, started) = (State::of(&world), act.told(&world), Instant::now());
    super::sidekey(&world, act.line(&first));
    let mut moments = Moments::new(seed, started.elapsed());
    let (_, mut before) = judged(&world, act, &first, told, true);
    let (mut silent, mut unrecorded) = (0, 0);
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
        "{}: of {} kills {early} came before the store was open, {inside} inside, {late} after the end; {silent} of those \
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
