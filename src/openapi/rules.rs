//! `allow` rules from operations: one for each method and path. A path parameter stands for one whole segment; where it is
//! only a part of one, the whole segment is open.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::domain::Rule;

use super::operations::Operation;
use super::walk::Walk;

/// What clients percent-encode in a path.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'\\').add(b'^').add(b'|');

/// The rules, each once, by path. `base` is the base URL's path in the record's own syntax.
pub(super) fn of(walk: &mut Walk<'_>, operations: &[Operation<'_>], base: &str) -> Vec<String> {
    let mut rules: BTreeSet<(String, &str)> = BTreeSet::new();
    for operation in operations {
        if operation.elsewhere {
            walk.notes.add(&operation.at, "an operation with a server of its own", "no rule is made for it");
            continue;
        }
        let path = pattern(base, operation.path);
        if Rule::parse(&format!("{} {path}", operation.method)).is_ok() {
            rules.insert((path, &operation.method));
        } else {
            walk.notes.add(&operation.at, "a method or path that no rule can name", "no rule is made for it");
        }
    }
    rules.into_iter().map(|(path, method)| format!("{method} {path}")).collect()
}

/// The pattern of a path below `base`.
fn pattern(base: &str, path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let whole = format!("{base}/{}", path.trim_start_matches('/'));
    let segments = whole.split('/').map(|segment| {
        let tail = segment.starts_with('{') && (segment.ends_with("+}") || segment.ends_with("*}"));
        if tail {
            "**".to_owned()
        } else if segment.contains(['{', '}', '*']) {
            "*".to_owned()
        } else {
            utf8_percent_encode(segment, ENCODED).to_string()
        }
    });
    segments.collect::<Vec<_>>().join("/")
}
