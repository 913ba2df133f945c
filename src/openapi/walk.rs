//! Moving about in a document: texts as they are meant, pointers, and references within the document. A reference that
//! leads nowhere, in circles or to another document is noted, and what it stood for counts as absent.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::Version;
use super::notes::Notes;

/// How many references may stand behind one another.
const MOST_HOPS: usize = 16;

/// A document that is being read, and what was noted so far.
pub(super) struct Walk<'d> {
    /// The document.
    pub(super) root: &'d Value,
    /// Its shape.
    pub(super) version: Version,
    /// What was noted.
    pub(super) notes: Notes,
}

impl<'d> Walk<'d> {
    /// The value itself, or what it refers to.
    pub(super) fn resolved(&mut self, value: &'d Value, at: &str) -> Option<&'d Value> {
        let mut found = value;
        for _ in 0..MOST_HOPS {
            let Some(reference) = found.get("$ref").and_then(Value::as_str) else { return Some(found) };
            let Some(fragment) = reference.strip_prefix('#') else {
                self.notes.add(at, "a reference to another document", "left out; bundle the description into one file");
                return None;
            };
            let pointer: Cow<'_, str> = percent_decode_str(fragment).decode_utf8_lossy();
            let Some(target) = self.root.pointer(&pointer) else {
                self.notes.add(at, "a reference that leads nowhere", "left out");
                return None;
            };
            found = target;
        }
        self.notes.add(at, "a reference that leads in circles", "left out");
        None
    }
}

/// A text, or a number or truth value as a text; without control characters, which could repaint a terminal, and with
/// single spaces.
pub(super) fn text(value: &Value) -> Option<String> {
    let written = match value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        Value::Number(number) => Cow::Owned(number.to_string()),
        Value::Bool(value) => Cow::Owned(value.to_string()),
        _ => return None,
    };
    let words = written.split_whitespace().map(visible);
    Some(words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
}

/// `text` without what could repaint a terminal.
pub(super) fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !is_format(*c)).collect()
}

/// Characters without a shape that turn the direction of what follows, or hide in it.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The text of a member.
pub(super) fn member(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(text).filter(|text| !text.is_empty())
}

/// The pointer to the member `key` below `at` (RFC 6901 §3), as far as a terminal can show it.
pub(super) fn below(at: &str, key: &str) -> String {
    format!("{at}/{}", visible(key).replace('~', "~0").replace('/', "~1"))
}
