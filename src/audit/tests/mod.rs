//! The log as a whole: what is written is read back, numbered, chained and complete. Tampering, reading and a disk that
//! refuses have their own files.

mod disk;
mod killed;
mod reading;
mod tamper;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use super::append::Chain;
use super::chain::Head;
use super::*;
use crate::domain::{Code, CredentialId, Name, RequestId, UserId};

/// The names that entries borrow.
struct Names {
    caller: Name,
    owner: UserId,
    service: Name,
    credential: Name,
    credential_id: CredentialId,
}

impl Names {
    fn new() -> Self {
        Self {
            caller: Name::new("etl").unwrap(),
            owner: UserId::new("u-ann"),
            service: Name::new("stripe").unwrap(),
            credential: Name::new("stripe-prod").unwrap(),
            credential_id: CredentialId::new("c-1"),
        }
    }

    /// The `n`th request, made `n` seconds after an early moment.
    fn entry(&self, n: u64) -> Entry<'_> {
        Entry {
            time: Duration::from_secs(1_700_000_000 + n),
            request_id: RequestId::new(7, n),
            door: "path",
            client: "127.0.0.1:50312",
            caller: Some(&self.caller),
            owner: Some(&self.owner),
            service: Some(&self.service),
            credential: Some(&self.credential),
            credential_id: Some(&self.credential_id),
            version: Some(3),
            method: "POST",
            host: "api.stripe.com",
            path: "/v1/charges",
            status: 200,
            code: None,
            reason: None,
            attempts: 1,
            bytes_in: 512,
            bytes_out: 2048,
            wait: Duration::ZERO,
            upstream: Duration::from_micros(81_234),
            total: Duration::from_micros(82_001),
            outcome: Outcome::Complete,
        }
    }
}

fn act(object: &str) -> Act<'_> {
    let time = Duration::from_secs(1_700_000_000);
    Act {
        id: None,
        time,
        actor: "os:ann",
        act: "key.add",
        object,
        object_id: Some("c-1"),
        details: &[("service", "stripe")],
    }
}

fn records(dir: &Path) -> Vec<Record> {
    read(dir, Filter::default()).unwrap().collect::<Result<_, _>>().unwrap()
}

fn sound(dir: &Path) -> Report {
    let report = verify(dir, None).unwrap();
    assert_eq!(report.problem, None, "{:?}", fs::read_dir(dir).unwrap().collect::<Vec<_>>());
    report
}

/// Gives other threads a chance until `condition` holds.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    panic!("{what} never came");
}

#[test]
fn a_request_is_read_back_as_it_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names::new();
    let log = Log::open(dir.path()).unwrap();
    let recorder = log.recorder();
    assert!(recorder.has_room());
    recorder.record(&names.entry(1));
    recorder.record(&Entry { status: 0, code: Some(Code::RateLimited), caller: None, ..names.entry(2) });
    log.close().unwrap();
    let records = records(dir.path());
    let Recorded::Request(first) = &records[0].line else { panic!("{records:?}") };
    assert_eq!(first.request, "00000000000000070000000000000001");
    assert_eq!((first.time, first.version, first.status), (1_700_000_001_000_000, Some(3), 200));
    assert_eq!((first.caller.as_deref(), first.credential_id.as_deref()), (Some("etl"), Some("c-1")));
    assert_eq!((first.upstream_us, first.total_us, first.outcome.as_str()), (81_234, 82_001, "complete"));
    let Recorded::Request(second) = &records[1].line else { panic!("{records:?}") };
    assert_eq!((second.caller.as_deref(), second.code.as_deref()), (None, Some("rate_limited")));
    assert_eq!(records.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(sound(dir.path()).entries, 2);
}

#[test]
fn hostile_texts_stay_within_their_line_and_a_query_is_never_written() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names::new();
    let log = Log::open(dir.path()).unwrap();
    let recorder = log.recorder();
    let hostile = "/a\"b\\c\n{\"seal\":9}\u{1b}[2J\u{7f}é";
    recorder.record(&Entry { path: hostile, ..names.entry(1) });
    recorder.record(&Entry { path: "/x?key=canary", host: "h\r\n", ..names.entry(2) });
    let accents = "é".repeat(PATH_LIMIT);
    recorder.record(&Entry { path: &accents, ..names.entry(3) });
    log.close().unwrap();
    let paths: Vec<String> = records(dir.path())
        .into_iter()
        .map(|record| match record.line {
            Recorded::Request(request) => request.path,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(paths, [hostile, "/x", &"é".repeat(PATH_LIMIT / 2)]);
    let text = fs::read_to_string(dir.path().join("audit-00000001.jsonl")).unwrap();
    assert!(!text.contains("canary") && !text.contains('\u{7f}') && !text.contains('\u{1b}'));
    assert_eq!(text.lines().count(), 5);
}

#[test]
fn every_character_at_every_place_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names::new();
    let log = Log::open(dir.path()).unwrap();
    let recorder = log.recorder();
    let characters = (0..=0x180).filter_map(char::from_u32).chain(['\u{2028}', '\u{ffff}', '😀']);
    let hosts: Vec<String> = characters
        .flat_map(|c| [0, 1, 5, 7, 8, 12].map(|at| format!("{}{c}{}", &"aaaaaaaaaaaa"[..at], &"bbbbbbbbbbbb"[at..])))
        .chain((0..9).map(|len| "\\".repeat(len)))
        .collect();
    for host in &hosts {
        recorder.record(&Entry { host, ..names.entry(1) });
    }
    log.close().unwrap();
    let found = records(dir.path());
    assert_eq!(found.len(), hosts.len());
    for (record, host) in found.iter().zip(&hosts) {
        assert!(matches!(&record.line, Recorded::Request(request) if request.host == *host), "{host:?}: {record:?}");
    }
}

#[test]
fn a_path_is_cut_at_a_characters_boundary() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names::new();
    let log = Log::open(dir.path()).unwrap();
    let path = format!("/{}", "é".repeat(PATH_LIMIT));
    log.recorder().record(&Entry { path: &path, ..names.entry(1) });
    log.close().unwrap();
    let Recorded::Request(request) = &records(dir.path())[0].line else { panic!() };
    assert_eq!(request.path.len(), PATH_LIMIT - 1);
}

#[test]
fn the_folder_and_its_files_are_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("audit");
    fs::create_dir(&inner).unwrap();
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).unwrap();
    Log::open(&inner).unwrap().append_act(&act("a")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    for item in fs::read_dir(&inner).unwrap() {
        assert_eq!(mode(&item.unwrap().path()), 0o600);
    }
}

#[test]
fn an_act_is_in_the_file_when_it_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    log.append_act(&act("stripe-prod")).unwrap();
    let records = records(dir.path());
    let Recorded::Act(found) = &records[0].line else { panic!("{records:?}") };
    assert_eq!((found.act.as_str(), found.actor.as_str(), found.object.as_str()), ("key.add", "os:ann", "stripe-prod"));
    assert_eq!(found.details["service"], "stripe");
}

#[test]
fn what_is_recorded_is_written_without_being_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names::new();
    let log = Log::open(dir.path()).unwrap();
    let recorder = log.recorder();
    for n in 1..=3 {
        // Each time the writer has gone to sleep before, or is about to.
        recorder.record(&names.entry(n));
        eventually("the entry", || records(dir.path()).len() == usize::try_from(n).unwrap());
    }
    assert_eq!(log.health(), Health { waiting_bytes: 0, failures: 0, lost: 0, reason: None });
}

#[test]
fn two_logs_with_many_threads_make_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names::new();
    let bounds = Bounds { segment: 100_000, ..Bounds::default() };
    let logs = [Log::open_bounded(dir.path(), bounds).unwrap(), Log::open_bounded(dir.path(), bounds).unwrap()];
    let start = Barrier::new(6);
    std::thread::scope(|scope| {
        for core in 0..4_usize {
            let (log, names, start) = (&logs[core % 2], &names, &start);
            let recorder = log.recorder();
            scope.spawn(move || {
                start.wait();
                for n in 0..500 {
                    recorder.record(&names.entry(n));
                }
            });
        }
        for log in &logs {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                for _ in 0..20 {
                    log.append_act(&act("x")).unwrap();
                }
            });
        }
    });
    for log in &logs {
        log.close().unwrap();
    }
    let report = sound(dir.path());
    assert_eq!((report.entries, report.unsealed, report.notes), (2040, 0, 0));
    assert!(report.segments > 1, "{report:?}");
    let records = records(dir.path());
    assert!(records.iter().map(|record| record.seq).eq(1..=2040), "numbers have no gaps");
    let acts = records.iter().filter(|record| matches!(record.line, Recorded::Act(_))).count();
    assert_eq!(acts, 40);
}

#[test]
fn entries_of_one_core_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names::new();
    let log = Log::open(dir.path()).unwrap();
    let recorder = log.recorder();
    for n in 0..3000 {
        recorder.record(&names.entry(n));
    }
    log.close().unwrap();
    let times: Vec<u64> = records(dir.path()).iter().map(Record::time).collect();
    assert_eq!(times.len(), 3000);
    assert!(times.is_sorted());
}

#[test]
fn a_chain_goes_on_after_it_was_closed() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let log = Log::open_bounded(dir.path(), Bounds { segment: 300, ..Bounds::default() }).unwrap();
        log.append_act(&act("x")).unwrap();
        assert_eq!(sound(dir.path()).entries, round);
    }
    assert!(sound(dir.path()).segments >= 2);
}

#[test]
fn an_act_with_an_identifier_is_appended_once_however_often_it_is_tried() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (Log::open(dir.path()).unwrap(), Log::open(dir.path()).unwrap());
    let (first, second) =
        (Act { id: Some("a-1"), ..act("x") }, Act { id: Some("a-2"), act: "key.\"odd\"", ..act("y") });
    let before = one.end();
    one.append_act(&act("z")).unwrap();
    one.append_missing(&[first], before).unwrap();
    other.append_missing(&[first, second], before).unwrap();
    one.append_missing(&[second], before).unwrap();
    let middle = Place { offset: before.offset + 7, ..before };
    other.append_missing(&[first, second], middle).unwrap();
    let beyond = Place { segment: 9, offset: 0 };
    let act_of = |record: Record| match record.line {
        Recorded::Act(act) => Some((act.id, act.act)),
        _ => None,
    };
    let told: Vec<_> = records(dir.path()).into_iter().filter_map(act_of).collect();
    let odd = "key.\"odd\"".to_owned();
    let expected = [(None, "key.add".to_owned()), (Some("a-1".into()), "key.add".into()), (Some("a-2".into()), odd)];
    assert_eq!(told, expected);
    one.append_missing(&[first], beyond).unwrap();
    assert_eq!(sound(dir.path()).entries, 4, "a log that was replaced by a shorter one takes it again");
}

#[test]
fn a_crash_in_the_middle_of_a_line_is_sealed_with_a_note() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names::new();
    Log::open(dir.path()).unwrap().append_act(&act("before")).unwrap();
    let file = dir.path().join("audit-00000001.jsonl");
    let mut bytes = fs::read(&file).unwrap();
    names.entry(1).write(&mut bytes);
    names.entry(2).write(&mut bytes);
    bytes.extend_from_slice(b"{\"request\":\"torn \x00\xff");
    fs::write(&file, &bytes).unwrap();

    let crashed = sound(dir.path());
    assert_eq!((crashed.entries, crashed.unsealed, crashed.torn_bytes), (1, 2, 19));
    assert_eq!(records(dir.path()).len(), 3, "unsealed entries are read");

    Log::open(dir.path()).unwrap().append_act(&act("after")).unwrap();
    let report = sound(dir.path());
    assert_eq!((report.entries, report.unsealed, report.torn_bytes, report.notes), (5, 0, 0, 1));
    let note = &report.listed[0].note;
    assert_eq!((note.note.as_str(), note.entries, note.fragment_bytes), ("recovered", 2, Some(19)));
    assert_eq!(note.fragment.as_deref(), Some("{\"request\":\"torn \0\u{fffd}"));
}

#[test]
fn a_crash_while_a_segment_was_begun_is_repaired() {
    for torn in [&b""[..], b"{\"segment\":2,\"for"] {
        let dir = tempfile::tempdir().unwrap();
        Log::open(dir.path()).unwrap().append_act(&act("before")).unwrap();
        fs::write(dir.path().join("audit-00000002.jsonl"), torn).unwrap();
        sound(dir.path());
        assert_eq!(records(dir.path()).len(), 1);
        Log::open(dir.path()).unwrap().append_act(&act("after")).unwrap();
        let report = sound(dir.path());
        assert_eq!((report.segments, report.entries, report.notes), (2, 2, 0));
    }
}

#[test]
fn a_running_log_continues_when_its_folder_is_moved_away_and_the_gap_shows() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("audit");
    let log = Log::open(&inner).unwrap();
    log.append_act(&act("before")).unwrap();
    let away = dir.path().join("away");
    fs::rename(&inner, &away).unwrap();
    log.append_act(&act("after")).unwrap();
    assert_eq!(sound(&away).entries, 1, "what was moved away is not written to");
    let problem = verify(&inner, None).unwrap().problem.unwrap();
    assert!(problem.meaning.contains("segment 1 is missing"), "{problem:?}");
    let records = records(&inner);
    assert!(matches!(&records[0].line, Recorded::Act(act) if act.object == "after"), "{records:?}");
    assert_eq!(records[0].seq, 2);
    fs::remove_dir_all(&inner).unwrap();
    log.append_act(&act("again")).unwrap();
    assert!(inner.join("audit-00000003.jsonl").exists());
}

#[test]
fn a_chain_whose_end_cannot_be_read_is_not_continued() {
    let dir = tempfile::tempdir().unwrap();
    Log::open(dir.path()).unwrap().append_act(&act("x")).unwrap();
    let file = dir.path().join("audit-00000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("{\"seal\":1,", "{\"seal\":x,")).unwrap();
    let error = Log::open(dir.path()).unwrap_err();
    assert!(matches!(error, AuditError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("audit verify"), "{error}");
}

#[test]
fn a_writer_waits_for_another_ones_lock() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    let other = fs::File::open(dir.path().join("head")).unwrap();
    other.lock().unwrap();
    std::thread::scope(|scope| {
        let written = scope.spawn(|| log.append_act(&act("x")));
        std::thread::park_timeout(Duration::from_millis(20));
        assert!(!written.is_finished());
        other.unlock().unwrap();
        written.join().unwrap().unwrap();
    });
}
