//! A cookie pair as a credential's place, beside the caller's other cookies.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

use super::InjectError;
use super::header::sensitive;
use super::pattern::Pattern;
use crate::domain::Fields;

/// A cookie that is filled from the credential.
#[derive(Debug, Clone)]
pub(super) struct CookieSlot {
    pub(super) name: Box<str>,
    pub(super) value: Pattern,
}

/// Removes the caller's pairs of these names from every Cookie line and adds ours. What remains is one line at the place of
/// the first: RFC 6265 §5.4 knows only one, and RFC 9113 §8.2.3 demands that crumbs be joined.
pub(super) fn place(headers: &mut HeaderMap, slots: &[CookieSlot], fields: &Fields) -> Result<(), InjectError> {
    if slots.is_empty() {
        return Ok(());
    }
    let mut room = kept_room(headers);
    for slot in slots {
        room += 2 + slot.name.len() + 1 + slot.value.room(fields)?;
    }
    let mut line = Zeroizing::new(Vec::with_capacity(room));
    keep(headers, slots, &mut line);
    for slot in slots {
        if !line.is_empty() {
            line.extend_from_slice(b"; ");
        }
        line.extend_from_slice(slot.name.as_bytes());
        line.push(b'=');
        let start = line.len();
        slot.value.fill(fields, &mut line)?;
        // `;` would end the pair early and let a value bring cookies of its own.
        if line.get(start..).is_some_and(|value| value.contains(&b';')) {
            return Err(unplaceable(slot, "it has a semicolon"));
        }
        if line.get(start..).is_some_and(|value| value.iter().any(u8::is_ascii_control)) {
            return Err(unplaceable(slot, "it has a control character, often a line break at its end"));
        }
    }
    let unfit = || InjectError::Unplaceable { place: "header cookie".to_owned(), why: "it has a control character" };
    headers.insert(COOKIE, sensitive(line).ok_or_else(unfit)?);
    Ok(())
}

/// Joins several Cookie lines into one (RFC 9113 §8.2.3). A caller's line without secrets of ours.
pub(super) fn join(headers: &mut HeaderMap) {
    let mut line = Vec::with_capacity(kept_room(headers));
    keep(headers, &[], &mut line);
    if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(line)) {
        headers.insert(COOKIE, value);
    }
}

/// Appends the caller's pairs, except those named by `slots`, byte for byte as they stand between two semicolons.
fn keep(headers: &HeaderMap, slots: &[CookieSlot], line: &mut Vec<u8>) {
    for value in headers.get_all(COOKIE) {
        let mut first = true;
        for pair in value.as_bytes().split(|b| *b == b';') {
            let name = pair.split(|b| *b == b'=').next().unwrap_or(pair).trim_ascii();
            if slots.iter().any(|slot| slot.name.as_bytes() == name) {
                continue;
            }
            if line.is_empty() {
                line.extend_from_slice(pair.trim_ascii_start());
            } else if first {
                line.extend_from_slice(b"; ");
                line.extend_from_slice(pair.trim_ascii_start());
            } else {
                line.push(b';');
                line.extend_from_slice(pair);
            }
            first = false;
        }
    }
}

fn kept_room(headers: &HeaderMap) -> usize {
    headers.get_all(COOKIE).iter().map(|value| value.len() + 2).sum()
}

fn unplaceable(slot: &CookieSlot, why: &'static str) -> InjectError {
    InjectError::Unplaceable { place: format!("cookie {}", slot.name), why }
}
