//! Processes that are killed in the middle of their work: what they acknowledged is there, and the chain is sound.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use super::disk::{is_alone, process};
use super::*;

#[test]
fn two_processes_that_are_killed_leave_a_sound_chain_with_every_acknowledged_act() {
    let dir = tempfile::tempdir().unwrap();
    let mut children: Vec<Child> = (0..2)
        .map(|_| process("killed::endless_alone").current_dir(dir.path()).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    let mut acknowledged = 0;
    let mut pipes: Vec<_> = children.iter_mut().map(|child| BufReader::new(child.stdout.take().unwrap())).collect();
    for pipe in &mut pipes {
        let mut seen = 0;
        while seen < 10 {
            let mut line = String::new();
            assert!(pipe.read_line(&mut line).unwrap() > 0, "the process ended by itself");
            seen += usize::from(line.contains("acknowledged"));
        }
        acknowledged += seen;
    }
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    for pipe in &mut pipes {
        let mut rest = String::new();
        pipe.read_to_string(&mut rest).unwrap();
        acknowledged += rest.matches("acknowledged").count();
    }
    sound(dir.path());
    let acts = || records(dir.path()).iter().filter(|record| matches!(record.line, Recorded::Act(_))).count();
    assert!(acts() >= acknowledged, "{} acts for {acknowledged} acknowledgements", acts());
    Log::open(dir.path()).unwrap().append_act(&act("after")).unwrap();
    let report = sound(dir.path());
    assert_eq!((report.unsealed, report.torn_bytes), (0, 0));
    assert!(report.entries > u64::try_from(acknowledged).unwrap(), "{report:?}");
}

#[test]
fn endless_alone() {
    if !is_alone() {
        return;
    }
    let names = Names::new();
    let log = Log::open_bounded(Path::new("."), Bounds { segment: 60_000, ..Bounds::default() }).unwrap();
    let recorder = log.recorder();
    for n in 0.. {
        for _ in 0..50 {
            recorder.record(&names.entry(n));
        }
        log.append_act(&act("x")).unwrap();
        println!("acknowledged");
    }
}
