//! The documentation against the code: every code and every metric is in its table, every file, test and page that a
//! document names exists. What the shown commands do is checked by `tests/docs/commands`, not here.

use std::collections::BTreeSet;
use std::fs;

use regex::Regex;
use sidekey::domain::Code;
use sidekey::metrics::names;

use super::{
    assert_none,
    source::{root, rust},
};

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every document, with its text.
fn documents() -> Vec<(String, String)> {
    let top = ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned);
    let listed = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let pages = listed.map(|name| format!("docs/{}", name.to_str().unwrap()));
    top.into_iter().chain(pages).map(|name| (name.clone(), read(&name))).collect()
}

/// What is written between backticks on one line.
fn quoted(text: &str) -> Vec<&str> {
    let quote = Regex::new("`([^`\n]+)`").unwrap();
    quote.captures_iter(text).filter_map(|found| found.get(1)).map(|found| found.as_str()).collect()
}

#[test]
fn every_code_is_explained() {
    let page = read("docs/errors.md");
    let absent = Code::ALL.iter().filter(|code| !page.contains(&format!("| `{}` |", code.as_str())));
    let absent: Vec<_> = absent.map(|code| code.as_str().to_owned()).collect();
    assert_none("these codes have no row in docs/errors.md", &absent);
}

#[test]
fn every_metric_is_listed() {
    let page = read("docs/metrics.md");
    // A counter's samples end with `_total`.
    let listed = |name: &str| page.contains(&format!("| `{name}` |")) || page.contains(&format!("| `{name}_total` |"));
    let absent: Vec<_> = names::ALL.iter().filter(|metric| !listed(metric.name)).map(|m| m.name.to_owned()).collect();
    assert_none("these metrics have no row in docs/metrics.md", &absent);
}

#[test]
fn every_test_that_a_document_names_exists() {
    let sentence = Regex::new("^[a-z0-9]+(_[a-z0-9]+){3,}$").unwrap();
    let function = Regex::new(r"fn ([a-z0-9_]+)[(<]").unwrap();
    let mut known = BTreeSet::new();
    for file in rust("src").into_iter().chain(rust("tests")) {
        let text = read(&file.path);
        known.extend(function.captures_iter(&text).map(|found| found[1].to_owned()));
    }
    let mut unknown = Vec::new();
    for name in ["ARCHITECTURE.md", "SECURITY.md"] {
        let text = read(name);
        let tests = quoted(&text).into_iter().filter(|word| sentence.is_match(word) && !known.contains(*word));
        unknown.extend(tests.map(|word| format!("{name}: `{word}`")));
    }
    assert_none("these tests are named and do not exist", &unknown);
}

#[test]
fn every_file_that_a_document_names_exists() {
    let place = Regex::new(r"^(src|tests|docs|scripts|benches|\.ci)/[A-Za-z0-9_./-]+$").unwrap();
    let link = Regex::new(r"\]\(([^)#\s]+)(#[^)]*)?\)").unwrap();
    let mut absent = Vec::new();
    for (name, text) in documents() {
        let folder = root().join(&name).parent().unwrap().to_owned();
        let linked = link.captures_iter(&text).map(|found| found[1].to_owned());
        let linked = linked.filter(|target| !target.contains("://")).map(|target| (folder.join(&target), target));
        let named = quoted(&text).into_iter().filter(|word| place.is_match(word));
        let named = named.map(|word| (root().join(word), word.to_owned()));
        let lost = linked.chain(named).filter(|(path, _)| !path.exists());
        absent.extend(lost.map(|(_, target)| format!("{name}: {target}")));
    }
    assert_none("these files are named and do not exist", &absent);
}

#[test]
fn the_map_of_the_house_stays_a_map() {
    assert!(read("ARCHITECTURE.md").lines().count() <= 150, "ARCHITECTURE.md has more than 150 lines");
}
