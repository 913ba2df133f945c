//! Words and places: names that say nothing, notes of unfinished work, paths of somebody's machine, addresses of
//! package registries. Every text file of the project is read.

use super::{
    assert_none,
    source::{root, rust, texts},
};

/// A name made of one of these says nothing about what it names.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"];
/// Notes of unfinished work; written apart so that this file does not find itself.
const NOTES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
/// Where people's own folders are.
const HOMES: [&str; 3] = [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/")];

/// Whether `word` stands in `text` and is no part of a longer word.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !before.ends_with(part) && !after.starts_with(part)
    })
}

/// Whether `path` stands in `line` where a path begins, not in the middle of an address.
fn starts_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~}".contains(c)))
}

/// The words of a name in any style, in lower case.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c.is_uppercase() {
            words.push(String::new());
        }
        words.last_mut().unwrap().extend(c.to_lowercase().filter(|c| *c != '_'));
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Every line of the project that `wrong` objects to.
fn lines_where(wrong: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in texts() {
        let numbered = text.lines().enumerate().filter(|(_, line)| wrong(&path, line));
        faults.extend(numbered.map(|(at, _)| format!("{path}:{}", at + 1)));
    }
    faults
}

#[test]
fn names_say_what_they_name() {
    let mut faults = Vec::new();
    for file in rust("src").into_iter().chain(rust("tests")) {
        let parts = file.path.trim_end_matches(".rs").split('/');
        let mut names: Vec<_> = parts.map(|part| (part.to_owned(), 1)).collect();
        for pair in file.tokens.windows(2) {
            if matches!(pair[0].text.as_str(), "mod" | "struct" | "enum" | "trait" | "type" | "union") {
                names.push((pair[1].text.clone(), pair[1].line));
            }
        }
        let empty = names.into_iter().filter(|(name, _)| {
            name == "types" || words_of(name).iter().any(|word| EMPTY_NAMES.contains(&word.as_str()))
        });
        faults.extend(empty.map(|(name, line)| format!("{}:{line}: `{name}`", file.path)));
    }
    assert_none("these names say nothing", &faults);
}

#[test]
fn no_note_of_unfinished_work_is_committed() {
    let faults = lines_where(|_, line| NOTES.iter().any(|note| has_word(line, note)));
    assert_none("finish it, or say in the documentation what is not there", &faults);
}

#[test]
fn no_path_of_somebodys_machine_is_committed() {
    let here = root().to_string_lossy().into_owned();
    let here = (here.matches('/').count() > 1).then_some(here);
    let faults = lines_where(|path, line| {
        // Unit tests make up people and their folders.
        let made_up = path.starts_with("src/") && path.contains("/tests");
        let home = !made_up && HOMES.iter().any(|home| starts_path(line, home));
        home || here.as_ref().is_some_and(|here| has_word(line, here))
    });
    assert_none("these lines name a path of somebody's machine", &faults);
}

#[test]
fn no_package_registry_is_named() {
    let crates_io = "\"registry+https://github.com/rust-lang/crates.io-index\"";
    let options = [concat!("index", "-url"), concat!("npm_config_", "registry"), concat!("--", "registry")];
    let faults = lines_where(|path, line| {
        let name = path.rsplit('/').next().unwrap_or(path);
        let address = match name {
            "Cargo.lock" => line.starts_with("source") && !line.ends_with(crates_io),
            "package-lock.json" => line.contains("\"resolved\""),
            ".npmrc" | "pip.conf" | "config.toml" => line.contains("://"),
            name if name.starts_with("requirements") => line.contains("://"),
            _ => false,
        };
        let script = path.starts_with("scripts/") || path.starts_with(".ci/");
        address || (script && options.iter().any(|option| line.contains(option)))
    });
    assert_none("packages come from wherever the machine is set up to take them; these lines name a place", &faults);
}

#[test]
fn words_are_found_whole_and_in_any_style() {
    assert!(has_word("// a NOTE: b", "NOTE") && !has_word("NOTES", "NOTE") && !has_word("A_NOTE", "NOTE"));
    assert!(starts_path("a:/srv/b", "/srv/") && !starts_path("https://a.test/srv/b", "/srv/"));
    assert_eq!(words_of("KeyManager"), ["key", "manager"]);
    assert_eq!(words_of("http_utils"), ["http", "utils"]);
}
