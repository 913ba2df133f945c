//! The rules of the house, checked on its own files: floors, lengths, who may touch secrets and ring, words.
//!
//! What is longer than a rule allows is listed in `ratchet.txt` with its length; a number there may only go down.
//! Modules for tests alone may reach where they like and be as long as they like.

mod docs;
mod floors;
mod lengths;
mod source;
mod words;

use source::{Source, production, rust};

/// Fails with all of `faults`, one a line.
fn assert_none(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}:\n  {}\n", faults.join("\n  "));
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    let files = ["src", "tests", "benches", "fuzz"].into_iter().flat_map(rust);
    let mute: Vec<_> = files.filter(|file| !file.text.starts_with("//!")).map(|file| file.path).collect();
    assert_none("these files do not open with `//!`", &mute);
}

#[test]
fn secrets_are_exposed_only_where_they_are_placed_or_sealed() {
    let homes = ["src/inject/", "src/seal/", "src/domain/secret.rs"];
    let strangers = production().into_iter().filter(|file| !homes.iter().any(|home| file.path.starts_with(home)));
    let faults: Vec<_> = strangers
        .flat_map(|file| {
            let lines = file.lines_of(&["expose"]);
            lines.into_iter().map(move |line| format!("{}:{line}", file.path))
        })
        .collect();
    assert_none("`expose` belongs to `inject` and `seal` alone", &faults);
}

#[test]
fn a_key_is_opened_without_a_permit_only_to_be_tried() {
    let homes = ["src/vault/", "src/operations/keys/verify.rs"];
    let strangers = production().into_iter().filter(|file| !homes.iter().any(|home| file.path.starts_with(home)));
    let faults: Vec<_> = strangers.filter(|file| !file.lines_of(&["open_to_try"]).is_empty()).map(|f| f.path).collect();
    assert_none("`open_to_try` belongs to the try of a key alone", &faults);
}

#[test]
fn ring_is_used_only_by_crypto() {
    let provider = ["rustls", ":", ":", "crypto", ":", ":", "ring"];
    let faults: Vec<_> = rust("src")
        .iter()
        .filter(|file| file.module() != Some("crypto"))
        .flat_map(|file| {
            let named = |at: &usize| file.matches(*at, &["ring", ":", ":"]) || file.matches(*at, &["use", "ring"]);
            let uses = (0..file.tokens.len()).filter(named);
            let foreign = uses.filter(|at| *at < 6 || !file.matches(at - 6, &provider));
            foreign.map(|at| format!("{}:{}", file.path, file.tokens[at].line)).collect::<Vec<_>>()
        })
        .collect();
    assert_none("`ring::` belongs to `crypto` alone (TLS names `rustls::crypto::ring` in full)", &faults);
}

#[test]
fn nothing_is_left_unfinished_in_code() {
    let files = ["src", "tests", "benches", "fuzz"].into_iter().flat_map(rust);
    let faults: Vec<_> = files
        .flat_map(|file| {
            let unfinished = (0..file.tokens.len()).filter(|at| {
                let ignored = file.matches(*at, &["#", "[", "ignore"]) && !is_run_by_another(&file, *at);
                ignored || file.matches(*at, &["todo", "!"]) || file.matches(*at, &["unimplemented", "!"])
            });
            unfinished.map(|at| format!("{}:{}", file.path, file.tokens[at].line)).collect::<Vec<_>>()
        })
        .collect();
    assert_none("no ignored test, no unfinished code", &faults);
}

/// A test that another one runs in a process of its own is ignored by the harness, not by us: `#[ignore = "run by …"]`.
fn is_run_by_another(file: &Source, at: usize) -> bool {
    file.matches(at + 3, &["="]) && file.tokens[at + 4].text.starts_with("\"run by ")
}

#[test]
fn modules_for_tests_alone_are_told_from_the_program() {
    let all = rust("src").len();
    let program = production();
    assert!(program.len() < all, "no module for tests alone was found");
    assert!(program.iter().all(|file| !file.path.ends_with("/tests.rs")), "unit tests are taken for the program");
    assert!(program.iter().any(|file| file.path == "src/domain/secret.rs"));
}
