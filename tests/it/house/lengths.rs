//! Lengths: short functions, short files. Exceptions stand in `ratchet.txt` with the exact number, which may only fall.

use std::collections::BTreeMap;

use super::{
    assert_none,
    source::{Source, production},
};

/// Lines of a function, from `fn` to its brace.
const FUNCTION: usize = 70;
/// Lines of a function on a request's way.
const REQUEST_FUNCTION: usize = 40;
/// Lines of a file.
const FILE: usize = 400;

/// `path`, or `path function`, to the length that is tolerated.
fn ratchet() -> BTreeMap<&'static str, usize> {
    let lines = include_str!("ratchet.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (what, length) = line.rsplit_once(' ').unwrap_or_else(|| panic!("ratchet.txt: no number in `{line}`"));
            (what, length.parse().unwrap_or_else(|_| panic!("ratchet.txt: no number in `{line}`")))
        })
        .collect()
}

/// What is measured in one file: name, where, length, and the most that is allowed.
fn measured(file: &Source) -> Vec<(String, usize, usize)> {
    let most = if file.path.starts_with("src/pipeline/") { REQUEST_FUNCTION } else { FUNCTION };
    let functions = file.functions().into_iter().map(|f| (format!("{} {}", file.path, f.name), f.length, most));
    functions.chain([(file.path.clone(), file.text.lines().count(), FILE)]).collect()
}

#[test]
fn functions_and_files_are_short() {
    let tolerated = ratchet();
    let all: Vec<_> = production().iter().flat_map(measured).collect();
    let too_long = all.iter().filter(|(_, length, most)| length > most);
    let mut faults: Vec<_> = too_long
        .filter(|(name, length, _)| tolerated.get(name.as_str()).is_none_or(|number| length > number))
        .map(|(name, length, most)| format!("{name}: {length} lines, {most} are allowed"))
        .collect();
    for (name, number) in &tolerated {
        let still = all.iter().filter(|(found, length, most)| found == name && length > most);
        match still.map(|(_, length, _)| *length).max() {
            Some(length) if length < *number => {
                faults.push(format!("ratchet.txt: `{name}` is down to {length}; say so"));
            }
            None => faults.push(format!("ratchet.txt: `{name}` needs no exception any more; remove it")),
            Some(_) => {}
        }
    }
    assert_none("too long (split it by duty, do not squeeze it)", &faults);
}

#[test]
fn a_function_is_measured_from_its_name_to_its_brace() {
    let text = "trait T { fn bare(&self); fn short() {} }\nfn long(\n  f: fn(u8) -> u8,\n) {\n  fn inner() {\n  }\n}\n";
    let file = Source::parse("src/x.rs", text.to_owned());
    let lengths: Vec<_> = file.functions().into_iter().map(|f| (f.name, f.line, f.length)).collect();
    assert_eq!(lengths, [("short".into(), 1, 1), ("long".into(), 2, 6), ("inner".into(), 5, 2)]);
}
