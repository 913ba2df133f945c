//! A template made ready for one kind of place: variables are literals already, literals are encoded already, and only the
//! credential's own fields are left to fill in. It does not know which place it is for; [`Encoding`] says how bytes go in.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use zeroize::Zeroizing;

use super::{InjectError, PlanError};
use crate::domain::{Fields, Name, Part, Secret, Template};

/// RFC 3986 §2.3 unreserved stay; everything else is encoded, also `+`, which many servers read as a space.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// RFC 3986 §3.3 pchar stay, so that `123:ABC` is sent as SDKs send it; `/`, `?`, `#` and `%` are encoded.
const SEGMENT: &AsciiSet = &QUERY
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// How a value's bytes are written at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As they are.
    Raw,
    /// Percent-encoded for a query (RFC 3986 §3.4).
    Query,
    /// Percent-encoded for a path segment (RFC 3986 §3.3).
    Segment,
}

impl Encoding {
    /// Appends `bytes` to `out`, which must have room: see [`Pattern::room`].
    pub(super) fn write(self, bytes: &[u8], out: &mut Vec<u8>) {
        let set = match self {
            Self::Raw => return out.extend_from_slice(bytes),
            Self::Query => QUERY,
            Self::Segment => SEGMENT,
        };
        for chunk in percent_encode(bytes, set) {
            out.extend_from_slice(chunk.as_bytes());
        }
    }

    /// The most bytes that one byte can become.
    const fn growth(self) -> usize {
        match self {
            Self::Raw => 1,
            Self::Query | Self::Segment => 3,
        }
    }
}

/// Ready bytes, or a field of the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Written as it is.
    Literal(Box<[u8]>),
    /// Encoded and written when the request is made.
    Field(Name),
}

/// A template without variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pieces: Box<[Piece]>,
    encoding: Encoding,
}

impl Pattern {
    /// Puts the pinned `variables` into `template`; what is no variable of the service is a field of the credential.
    ///
    /// Literals are encoded like values, except in a path, where they bring the slashes.
    pub(super) fn compile(
        template: &Template,
        variables: &BTreeMap<&str, Option<&str>>,
        encoding: Encoding,
        place: &str,
    ) -> Result<Self, PlanError> {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        for part in template.parts() {
            match part {
                Part::Literal(text) if encoding == Encoding::Segment => literal.extend_from_slice(text.as_bytes()),
                Part::Literal(text) => encoding.write(text.as_bytes(), &mut literal),
                Part::Hole(name) => match variables.get(name.as_str()) {
                    Some(Some(value)) => encoding.write(value.as_bytes(), &mut literal),
                    Some(None) => {
                        return Err(PlanError::MissingVariable { place: place.to_owned(), name: name.clone() });
                    }
                    None => {
                        if !literal.is_empty() {
                            pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
                        }
                        pieces.push(Piece::Field(name.clone()));
                    }
                },
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        Ok(Self { pieces: pieces.into(), encoding })
    }

    /// The pieces in order.
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The literal bytes, for checks when the plan is compiled.
    pub(super) fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(bytes) => Some(&**bytes),
            Piece::Field(_) => None,
        })
    }

    /// The most bytes that [`Pattern::fill`] will append. Reserving them first keeps the buffer from growing, which would
    /// leave an unwiped copy behind.
    pub(super) fn room(&self, fields: &Fields) -> Result<usize, InjectError> {
        self.pieces.iter().try_fold(0, |sum, piece| {
            Ok(sum
                + match piece {
                    Piece::Literal(bytes) => bytes.len(),
                    Piece::Field(name) => field(fields, name)?.len() * self.encoding.growth(),
                })
        })
    }

    /// Appends the filled template.
    pub(super) fn fill(&self, fields: &Fields, out: &mut Vec<u8>) -> Result<(), InjectError> {
        for piece in &*self.pieces {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Field(name) => self.encoding.write(field(fields, name)?, out),
            }
        }
        Ok(())
    }

    /// The filled template in a buffer of its own that wipes itself.
    pub(super) fn filled(&self, fields: &Fields) -> Result<Zeroizing<Vec<u8>>, InjectError> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.room(fields)?));
        self.fill(fields, &mut out)?;
        Ok(out)
    }
}

/// The bytes of one field.
fn field<'a>(fields: &'a Fields, name: &Name) -> Result<&'a [u8], InjectError> {
    fields.get(name.as_str()).map(Secret::expose).ok_or_else(|| InjectError::MissingField(name.clone()))
}
