//! Every way in which the files can be changed behind our back is found, and the place is named.

use super::*;

/// A chain of two segments and five batches of one to three lines, small enough to change every byte of it.
fn chain(dir: &Path) -> Head {
    let names = Names::new();
    let mut chain = Chain::open(dir, 2200).unwrap();
    let mut n = 0;
    for size in [1_u64, 3, 2, 1, 2] {
        let mut batch = Vec::new();
        for _ in 0..size {
            n += 1;
            let entry = Entry { owner: None, credential: None, client: "", host: "h", ..names.entry(n) };
            entry.write(&mut batch);
        }
        chain.append(&[&batch], size).unwrap();
    }
    let bytes = fs::read(dir.join("head")).unwrap();
    Head::from_file(&bytes).unwrap()
}

fn file(dir: &Path, number: u64) -> std::path::PathBuf {
    dir.join(format!("audit-{number:08}.jsonl"))
}

/// Makes a chain, lets `change` alter the lines of segment `number`, and returns what is found.
fn altered(number: u64, change: impl FnOnce(&mut Vec<String>)) -> Problem {
    let dir = tempfile::tempdir().unwrap();
    chain(dir.path());
    let text = fs::read_to_string(file(dir.path(), number)).unwrap();
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    change(&mut lines);
    fs::write(file(dir.path(), number), lines.concat()).unwrap();
    verify(dir.path(), None).unwrap().problem.expect("the change is found")
}

fn moved(change: impl FnOnce(&Path)) -> Problem {
    let dir = tempfile::tempdir().unwrap();
    chain(dir.path());
    change(dir.path());
    verify(dir.path(), None).unwrap().problem.expect("the change is found")
}

#[test]
fn the_untouched_chain_is_sound() {
    let dir = tempfile::tempdir().unwrap();
    let head = chain(dir.path());
    let report = sound(dir.path());
    assert_eq!((report.segments, report.batches, report.entries), (2, 5, 9));
    assert_eq!(report.head, crate::crypto::digest::hex(&head.hash));
}

#[test]
fn a_changed_byte_anywhere_is_found() {
    let dir = tempfile::tempdir().unwrap();
    chain(dir.path());
    for path in [file(dir.path(), 1), file(dir.path(), 2), dir.path().join("head")] {
        let sound = fs::read(&path).unwrap();
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (at % 7);
            fs::write(&path, &bytes).unwrap();
            let report = verify(dir.path(), None).unwrap();
            assert!(report.problem.is_some(), "byte {at} of {}", path.display());
        }
        fs::write(&path, &sound).unwrap();
    }
}

#[test]
fn a_missing_byte_anywhere_is_found() {
    let dir = tempfile::tempdir().unwrap();
    chain(dir.path());
    for number in [1, 2] {
        let sound = fs::read(file(dir.path(), number)).unwrap();
        for at in (0..sound.len()).step_by(3) {
            let mut bytes = sound.clone();
            bytes.remove(at);
            fs::write(file(dir.path(), number), &bytes).unwrap();
            assert!(verify(dir.path(), None).unwrap().problem.is_some(), "byte {at} of segment {number}");
        }
        fs::write(file(dir.path(), number), &sound).unwrap();
    }
}

#[test]
fn an_end_that_is_cut_off_anywhere_is_found() {
    let dir = tempfile::tempdir().unwrap();
    chain(dir.path());
    for number in [1, 2] {
        let sound = fs::read(file(dir.path(), number)).unwrap();
        for len in 0..sound.len() {
            fs::write(file(dir.path(), number), &sound[..len]).unwrap();
            assert!(verify(dir.path(), None).unwrap().problem.is_some(), "segment {number} cut at {len}");
        }
        fs::write(file(dir.path(), number), &sound).unwrap();
    }
}

#[test]
fn lines_that_are_removed_inserted_or_moved_are_found_at_their_seal() {
    // Segment 1: its first line, entry, seal, three entries, seal, …
    let removed = altered(1, |lines| drop(lines.remove(4)));
    assert_eq!(removed.line, 6, "{removed:?}");
    assert!(removed.meaning.contains("2 lines stand before this seal and it covers 3"), "{removed:?}");
    let inserted = altered(1, |lines| lines.insert(4, lines[1].clone()));
    assert_eq!(inserted.line, 8, "{inserted:?}");
    let moved = altered(1, |lines| lines.swap(3, 4));
    assert_eq!(moved.line, 7, "{moved:?}");
    assert!(moved.meaning.contains("the lines 4 to 6"), "{moved:?}");
    let changed = altered(1, |lines| lines[4] = lines[4].replace("/v1/charges", "/v1/refunds"));
    assert_eq!(changed.line, 7, "{changed:?}");
    assert!(changed.file.ends_with("audit-00000001.jsonl"));
}

#[test]
fn batches_that_are_removed_inserted_or_moved_are_found() {
    let removed = altered(1, |lines| drop(lines.drain(1..3)));
    assert_eq!(removed.line, 5, "{removed:?}");
    assert!(removed.meaning.contains("missing"), "{removed:?}");
    let doubled = altered(1, |lines| {
        let batch: Vec<String> = lines[1..3].to_vec();
        lines.splice(3..3, batch);
    });
    assert!(doubled.meaning.contains("inserted or moved"), "{doubled:?}");
    let moved = altered(1, |lines| lines[1..7].rotate_left(2));
    assert!(moved.meaning.contains("missing"), "{moved:?}");
    let unsealed = altered(1, |lines| drop(lines.remove(2)));
    assert!(unsealed.line > 2, "{unsealed:?}");
    let last = altered(2, |lines| lines.truncate(lines.len() - 3));
    assert!(last.meaning.contains("cut off"), "{last:?}");
    assert!(last.file.ends_with("head"), "{last:?}");
}

#[test]
fn a_batch_that_was_forged_with_a_fitting_seal_breaks_the_next() {
    let forged = altered(1, |lines| {
        lines[1] = lines[1].replace("\"status\":200", "\"status\":404");
        let mut hasher = Head::GENESIS.hasher();
        hasher.update(lines[1].as_bytes());
        let (_, seal) = Head::GENESIS.seal(1, hasher.finish());
        lines[2] = String::from_utf8(seal).unwrap();
    });
    assert_eq!(forged.line, 7, "{forged:?}");
    assert!(forged.meaning.contains("does not continue"), "{forged:?}");
}

#[test]
fn segments_that_are_missing_doubled_or_exchanged_are_found() {
    let first = moved(|dir| fs::remove_file(file(dir, 1)).unwrap());
    assert!(first.meaning.contains("segment 1 is missing"), "{first:?}");
    let last = moved(|dir| fs::remove_file(file(dir, 2)).unwrap());
    assert!(last.meaning.contains("cut off"), "{last:?}");
    let doubled = moved(|dir| {
        fs::copy(file(dir, 2), file(dir, 3)).unwrap();
    });
    assert!(doubled.meaning.contains("copy"), "{doubled:?}");
    assert!(doubled.file.ends_with("audit-00000003.jsonl"), "{doubled:?}");
    let exchanged = moved(|dir| {
        fs::rename(file(dir, 1), dir.join("aside")).unwrap();
        fs::rename(file(dir, 2), file(dir, 1)).unwrap();
        fs::rename(dir.join("aside"), file(dir, 2)).unwrap();
    });
    assert_eq!(exchanged.line, 1, "{exchanged:?}");
    let gone = moved(|dir| {
        fs::remove_file(file(dir, 1)).unwrap();
        fs::remove_file(file(dir, 2)).unwrap();
    });
    assert!(gone.meaning.contains("cut off"), "{gone:?}");
}

#[test]
fn a_head_file_that_is_missing_or_of_another_chain_is_found() {
    let missing = moved(|dir| fs::remove_file(dir.join("head")).unwrap());
    assert!(missing.meaning.contains("head file is missing"), "{missing:?}");
    let other = Head { seals: 3, entries: 6, hash: [9; 32] };
    let exchanged = moved(|dir| fs::write(dir.join("head"), other.to_file()).unwrap());
    assert!(exchanged.meaning.contains("does not go through"), "{exchanged:?}");
}

#[test]
fn a_head_file_that_is_behind_is_what_a_power_cut_leaves_and_no_problem() {
    let dir = tempfile::tempdir().unwrap();
    chain(dir.path());
    fs::write(dir.path().join("head"), Head::GENESIS.to_file()).unwrap();
    sound(dir.path());
}

#[test]
fn a_chain_that_was_cut_off_and_continued_says_so_itself() {
    let dir = tempfile::tempdir().unwrap();
    let head = chain(dir.path());
    let text = fs::read_to_string(file(dir.path(), 2)).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    fs::write(file(dir.path(), 2), lines[..lines.len() - 3].concat()).unwrap();
    Log::open(dir.path()).unwrap().append_act(&act("after")).unwrap();
    let report = sound(dir.path());
    let note = &report.listed[0].note;
    assert_eq!((note.note.as_str(), note.entries, note.known_seals), ("cut_off", 2, Some(5)));
    assert_eq!(note.known_hash, Some(crate::crypto::digest::hex(&head.hash)));
}

#[test]
fn an_anchor_kept_elsewhere_finds_a_chain_that_was_replaced_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    log.append_act(&act("first")).unwrap();
    let anchor = sound(dir.path()).head;
    log.append_act(&act("second")).unwrap();
    assert_eq!(verify(dir.path(), Some(&anchor)).unwrap().problem, None);
    let other = tempfile::tempdir().unwrap();
    Log::open(other.path()).unwrap().append_act(&act("another first")).unwrap();
    let problem = verify(other.path(), Some(&anchor)).unwrap().problem.unwrap();
    assert!(problem.meaning.contains(&anchor), "{problem:?}");
}

#[test]
fn an_empty_folder_is_a_sound_chain_of_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(sound(dir.path()).entries, 0);
    drop(Log::open(dir.path()).unwrap());
    assert_eq!(sound(dir.path()).segments, 1);
}

#[test]
fn the_last_segment_alone_is_held_against_what_its_first_line_says() {
    let dir = tempfile::tempdir().unwrap();
    let head = chain(dir.path());
    let end = || verify_end(dir.path()).unwrap();
    let report = end();
    assert_eq!((report.segments, report.batches, report.entries, report.problem), (1, 5, 9, None));
    assert_eq!(report.head, crate::crypto::digest::hex(&head.hash));
    let (first, last) = (file(dir.path(), 1), file(dir.path(), 2));
    for path in [last, dir.path().join("head")] {
        let sound = fs::read(&path).unwrap();
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (at % 7);
            fs::write(&path, &bytes).unwrap();
            assert!(end().problem.is_some(), "byte {at} of {}", path.display());
        }
        fs::write(&path, &sound).unwrap();
    }
    fs::write(first, "what stands before is not looked at").unwrap();
    assert_eq!(end().problem, None);
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(verify_end(empty.path()).unwrap().problem, None);
}
