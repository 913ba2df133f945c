//! A header line as a credential's place, and how bytes that hold a secret become a header value.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::InjectError;
use super::basic::Basic;
use super::pattern::Pattern;
use crate::domain::Fields;

/// A header that is filled from the credential.
#[derive(Debug, Clone)]
pub(super) struct HeaderSlot {
    pub(super) name: HeaderName,
    pub(super) value: Filling,
}

/// What the header's value is made of.
#[derive(Debug, Clone)]
pub(super) enum Filling {
    /// A template.
    Text(Pattern),
    /// `Basic` of two templates.
    Basic(Basic),
}

impl HeaderSlot {
    /// The value of this request.
    pub(super) fn fill(&self, fields: &Fields) -> Result<HeaderValue, InjectError> {
        let bytes = match &self.value {
            Filling::Text(pattern) => pattern.filled(fields)?,
            Filling::Basic(basic) => basic.fill(fields)?,
        };
        sensitive(bytes).ok_or_else(|| InjectError::Unplaceable {
            place: format!("header {}", self.name),
            why: "it has a control character, often a line break at its end",
        })
    }
}

/// A header value that prints nothing, is never indexed by HPACK, and whose memory is wiped when its last clone is dropped.
/// `None` when the bytes cannot stand in a header (RFC 9110 §5.5).
pub(super) fn sensitive(bytes: Zeroizing<Vec<u8>>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(bytes)).ok()?;
    value.set_sensitive(true);
    Some(value)
}
