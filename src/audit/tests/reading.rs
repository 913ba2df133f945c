//! Reading back: the last lines, what comes next, filters and exports, over segments and while others write.

use std::io::Write;

use super::*;

/// Three segments or more of `count` requests, one a batch.
fn filled(dir: &Path, count: u64) -> Chain {
    let names = Names::new();
    let other = Name::new("github").unwrap();
    let mut chain = Chain::open(dir, 2000).unwrap();
    for n in 1..=count {
        let service = if n % 2 == 0 { &other } else { &names.service };
        let mut line = Vec::new();
        Entry { service: Some(service), ..names.entry(n) }.write(&mut line);
        chain.append(&[&line], 1).unwrap();
    }
    chain
}

fn numbers(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.seq).collect()
}

#[test]
fn the_last_records_are_found_across_segments() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 20);
    assert!(sound(dir.path()).segments >= 3);
    let last = |count, filter| numbers(&tail(dir.path(), count, filter).unwrap().0);
    assert_eq!(last(0, Filter::default()), [0; 0]);
    assert_eq!(last(2, Filter::default()), [19, 20]);
    assert_eq!(last(12, Filter::default()), (9..=20).collect::<Vec<_>>());
    assert_eq!(last(99, Filter::default()), (1..=20).collect::<Vec<_>>());
    let github = Filter { service: Some("github".to_owned()), ..Filter::default() };
    assert_eq!(last(6, github), [10, 12, 14, 16, 18, 20]);
}

#[test]
fn a_follower_sees_each_record_once_over_segments_and_nothing_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names::new();
    let mut chain = filled(dir.path(), 5);
    let (last, mut follow) = tail(dir.path(), 1, Filter::default()).unwrap();
    assert_eq!(numbers(&last), [5]);
    assert_eq!(follow.more().unwrap(), []);
    let mut seen = Vec::new();
    for n in 6..=20 {
        let mut line = Vec::new();
        names.entry(n).write(&mut line);
        chain.append(&[&line], 1).unwrap();
        if n % 3 == 0 {
            seen.extend(numbers(&follow.more().unwrap()));
        }
    }
    seen.extend(numbers(&follow.more().unwrap()));
    assert_eq!(seen, (6..=20).collect::<Vec<_>>());
    let segments = sound(dir.path()).segments;
    let path = dir.path().join(format!("audit-{segments:08}.jsonl"));
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(b"{\"act\":\"x\"").unwrap();
    assert_eq!(follow.more().unwrap(), []);
    file.write_all(b"}\n").unwrap();
    assert_eq!(numbers(&follow.more().unwrap()), [21]);
}

#[test]
fn a_follower_may_be_there_before_the_first_record() {
    let dir = tempfile::tempdir().unwrap();
    let (last, mut follow) = tail(dir.path(), 5, Filter::default()).unwrap();
    assert_eq!(last, []);
    filled(dir.path(), 3);
    assert_eq!(numbers(&follow.more().unwrap()), [1, 2, 3]);
}

#[test]
fn filters_narrow_by_service_caller_code_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names::new();
    let log = Log::open(dir.path()).unwrap();
    let recorder = log.recorder();
    recorder.record(&names.entry(1));
    recorder.record(&Entry { service: None, code: Some(Code::ServiceUnknown), ..names.entry(2) });
    recorder.record(&Entry { caller: None, code: Some(Code::CallerUnknown), ..names.entry(3) });
    log.close().unwrap();
    let log = Log::open(dir.path()).unwrap();
    log.append_act(&Act { time: Duration::from_secs(1_700_000_004), ..act("stripe-prod") }).unwrap();
    let with = |filter: Filter| {
        let found: Vec<Record> = read(dir.path(), filter).unwrap().collect::<Result<_, _>>().unwrap();
        numbers(&found)
    };
    assert_eq!(with(Filter { service: Some("stripe".to_owned()), ..Filter::default() }), [1, 3, 4]);
    assert_eq!(with(Filter { caller: Some("etl".to_owned()), ..Filter::default() }), [1, 2]);
    assert_eq!(with(Filter { code: Some(Code::CallerUnknown), ..Filter::default() }), [3]);
    let at = |seconds: u64| Some(Duration::from_secs(1_700_000_000 + seconds));
    assert_eq!(with(Filter { since: at(2), ..Filter::default() }), [2, 3, 4]);
    assert_eq!(with(Filter { since: at(2), until: at(4), ..Filter::default() }), [2, 3]);
}

#[test]
fn segments_that_were_last_written_before_the_wanted_time_are_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 20);
    let old = dir.path().join("audit-00000001.jsonl");
    let file = fs::OpenOptions::new().append(true).open(&old).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_600_000_000)).unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o000)).unwrap();
    let since = Some(Duration::from_secs(1_700_000_000));
    let found: Vec<_> = read(dir.path(), Filter { since, ..Filter::default() }).unwrap().collect();
    assert!(found.len() < 20 && found.iter().all(Result::is_ok));
}

#[test]
fn an_export_as_json_lines_holds_numbered_records() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3);
    let mut out = Vec::new();
    assert_eq!(export(read(dir.path(), Filter::default()).unwrap(), Format::JsonLines, &mut out).unwrap(), 3);
    let rows: Vec<serde_json::Value> =
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows[2]["seq"].as_u64(), rows[2]["service"].as_str()), (Some(3), Some("stripe")));
}

#[test]
fn an_export_as_csv_is_one_table_that_no_spreadsheet_runs() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names::new();
    let log = Log::open(dir.path()).unwrap();
    let recorder = log.recorder();
    recorder.record(&Entry { method: "-X", path: "/a,\"b\"", ..names.entry(0) });
    log.close().unwrap();
    Log::open(dir.path()).unwrap().append_act(&act("=cmd|x")).unwrap();
    let mut out = Vec::new();
    assert_eq!(export(read(dir.path(), Filter::default()).unwrap(), Format::Csv, &mut out).unwrap(), 2);
    let text = String::from_utf8(out).unwrap();
    let rows: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(
        rows[1],
        "1,2023-11-14T22:13:20.000000Z,request,00000000000000070000000000000000,path,127.0.0.1:50312,etl,u-ann,stripe,\
         stripe-prod,c-1,3,\"'-X\",api.stripe.com,\"/a,\"\"b\"\"\",200,,1,512,2048,0,81234,82001,complete,,,,,,"
    );
    let commas = |row: &str| row.matches(',').count();
    assert_eq!(commas(rows[2]), commas(rows[0]));
    assert!(rows[2].ends_with("key.add,os:ann,\"'=cmd|x\",c-1,service=stripe,"), "{}", rows[2]);
}

#[test]
fn a_line_that_is_no_entry_is_named_by_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 1);
    let path = dir.path().join("audit-00000001.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("{\"request\"", "{\"quest\"")).unwrap();
    let error = read(dir.path(), Filter::default()).unwrap().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("audit-00000001.jsonl, line 2"), "{error}");
}
