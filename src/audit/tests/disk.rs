//! A disk that refuses, by a real limit of the system: nothing that was accepted is dropped silently. The limit and the
//! signal it raises belong to the whole process, so each of these runs in a process of its own.

use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

/// One of the `…_alone` tests in a process of its own, in which exceeding the limit is an error and no death. In the
/// common process these tests do nothing.
pub(super) fn process(test: &str) -> Command {
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(exe);
    command.args(["--exact", &format!("audit::tests::{test}"), "--nocapture"]);
    command
}

fn alone(test: &str) {
    let output = process(&format!("disk::{test}")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// Whether the signal of the limit is ignored, as `alone` has it. Without that the process would die.
pub(super) fn is_alone() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() >> 24 & 1 == 1
}

fn limit_file_size(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

fn segment_len(dir: &Path) -> u64 {
    fs::metadata(dir.join("audit-00000001.jsonl")).unwrap().len()
}

#[test]
fn a_full_disk_stops_admission_and_loses_nothing() {
    alone("full_disk_alone");
}

#[test]
fn full_disk_alone() {
    if !is_alone() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let names = Names::new();
    let log = Log::open(dir.path()).unwrap();
    let recorder = log.recorder();
    log.append_act(&act("before")).unwrap();
    let before = segment_len(dir.path());
    limit_file_size(Some(before + 100));
    for n in 0..1000 {
        recorder.record(&names.entry(n));
    }
    eventually("the failure", || log.failed());
    assert!(!recorder.has_room());
    assert!(log.append_act(&act("refused")).is_err(), "an act that was not written is not acknowledged");
    let health = log.health();
    assert!(health.failures > 0 && health.reason.is_some_and(|reason| reason.contains("cannot write")));
    assert_eq!(sound(dir.path()).entries, 1, "what was half written is gone again");
    assert_eq!(segment_len(dir.path()), before);
    recorder.record(&names.entry(1000));
    limit_file_size(None);
    eventually("the recovery", || !log.failed());
    assert!(recorder.has_room());
    log.close().unwrap();
    let report = sound(dir.path());
    assert_eq!((report.entries, report.notes), (1002, 0));
    let mut times: Vec<u64> = records(dir.path()).iter().skip(1).map(Record::time).collect();
    assert_eq!(times.len(), 1001);
    assert!(times.is_sorted());
    times.dedup();
    assert_eq!(times.len(), 1001, "each exactly once");
}

#[test]
fn what_does_not_even_fit_into_memory_is_counted_and_noted() {
    alone("full_memory_alone");
}

#[test]
fn full_memory_alone() {
    if !is_alone() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let names = Names::new();
    let log = Log::open_bounded(dir.path(), Bounds { waiting: 256 << 10, ..Bounds::default() }).unwrap();
    let recorder = log.recorder();
    limit_file_size(Some(segment_len(dir.path()) + 1000));
    recorder.record(&names.entry(0));
    for n in 1..5000 {
        recorder.record(&names.entry(n));
    }
    eventually("the failure", || log.failed());
    let lost = log.health().lost;
    assert!(lost > 0 && lost < 5000, "{lost}");
    assert!(log.health().waiting_bytes <= (256 << 10) + (128 << 10), "{:?}", log.health());
    limit_file_size(None);
    eventually("the recovery", || !log.failed());
    log.close().unwrap();
    let report = sound(dir.path());
    assert_eq!(report.entries, 5000 - lost + report.notes);
    let noted: u64 = report.listed.iter().filter(|at| at.note.note == "lost").map(|at| at.note.entries).sum();
    assert_eq!(noted, lost);
}

#[test]
fn closing_while_the_disk_refuses_says_what_is_missing() {
    alone("close_alone");
}

#[test]
fn close_alone() {
    if !is_alone() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let names = Names::new();
    let log = Log::open(dir.path()).unwrap();
    let recorder = log.recorder();
    limit_file_size(Some(segment_len(dir.path())));
    recorder.record(&names.entry(0));
    recorder.record(&names.entry(1));
    let error = log.close().unwrap_err();
    assert!(matches!(error, AuditError::Unwritten { entries: 2 }), "{error}");
    assert!(!recorder.has_room());
}
