//! A query parameter as a credential's place. Every byte of the query that is not a removed pair stays as it was sent.

use percent_encoding::percent_decode;

use super::InjectError;
use super::pattern::Pattern;
use crate::domain::Fields;

/// A query parameter that is filled from the credential.
#[derive(Debug, Clone)]
pub(super) struct QuerySlot {
    /// Decoded, for comparison.
    pub(super) name: Box<str>,
    /// Percent-encoded, as we write it.
    pub(super) encoded: Box<[u8]>,
    pub(super) value: Pattern,
}

/// The most bytes that [`write`] appends.
pub(super) fn room(query: Option<&str>, slots: &[QuerySlot], fields: &Fields) -> Result<usize, InjectError> {
    let mut room = query.map_or(0, |q| q.len() + 1);
    for slot in slots {
        room += 2 + slot.encoded.len() + slot.value.room(fields)?;
    }
    Ok(room)
}

/// Appends `?` and the query: the caller's pairs except those at our places, then ours. Only `&` separates pairs (the
/// URL standard's form encoding); a `;` is part of a value.
pub(super) fn write(
    query: Option<&str>,
    slots: &[QuerySlot],
    fields: &Fields,
    out: &mut Vec<u8>,
) -> Result<(), InjectError> {
    if query.is_none() && slots.is_empty() {
        return Ok(());
    }
    out.push(b'?');
    let start = out.len();
    let mut kept = false;
    for pair in query.into_iter().flat_map(|q| q.split('&')) {
        if slots.iter().any(|slot| slot.is_named_by(pair)) {
            continue;
        }
        if kept {
            out.push(b'&');
        }
        out.extend_from_slice(pair.as_bytes());
        kept = true;
    }
    for slot in slots {
        if out.len() > start {
            out.push(b'&');
        }
        out.extend_from_slice(&slot.encoded);
        out.push(b'=');
        slot.value.fill(fields, out)?;
    }
    Ok(())
}

impl QuerySlot {
    /// Whether the pair's name, decoded as a server decodes it (`%41` and `+` for a space), is ours.
    fn is_named_by(&self, pair: &str) -> bool {
        let name = pair.split('=').next().unwrap_or(pair);
        let spaced = name.bytes().any(|b| matches!(b, b'%' | b'+'));
        if !spaced {
            return name == &*self.name;
        }
        let mut ours = self.name.bytes();
        // `+` is a space only where it stands bare; `%2B` decodes to a real plus. So pieces between bare pluses are decoded
        // one by one and a space is expected between them.
        for (at, piece) in name.split('+').enumerate() {
            if at > 0 && ours.next() != Some(b' ') {
                return false;
            }
            for byte in percent_decode(piece.as_bytes()) {
                if ours.next() != Some(byte) {
                    return false;
                }
            }
        }
        ours.next().is_none()
    }
}
