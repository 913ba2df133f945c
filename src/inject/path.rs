//! The request target that goes upstream: base path, the credential's segments, and the caller's own path and query bytes.
//! Nothing is normalised or re-encoded: the bytes that rules saw are the bytes that are sent.

use std::borrow::Cow;

use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;
use zeroize::Zeroizing;

use super::pattern::{Pattern, Piece};
use super::{InjectError, Mount, Plan, query};
use crate::domain::Fields;

/// Segments that are filled from the credential.
#[derive(Debug, Clone)]
pub(super) struct PathSlot {
    pattern: Pattern,
    /// Whether a caller's path can be told to have this shape: a template of holes and slashes alone looks like any path.
    recognisable: bool,
}

impl PathSlot {
    /// Takes a compiled template.
    pub(super) fn new(pattern: Pattern) -> Self {
        let recognisable = pattern.literals().any(|text| text.iter().any(|b| *b != b'/'));
        Self { pattern, recognisable }
    }

    /// What follows the caller's own segments of this shape, when `path` starts with them: `/bot123/getMe` → `/getMe`.
    fn after_shape<'a>(&self, path: &'a str) -> Option<&'a str> {
        if !self.recognisable {
            return None;
        }
        let mut rest = path;
        let mut pieces = self.pattern.pieces().iter().peekable();
        while let Some(piece) = pieces.next() {
            rest = match piece {
                Piece::Literal(text) => skip_literal(rest, text)?,
                Piece::Field(_) => match pieces.peek() {
                    Some(Piece::Literal(text)) => skip_hole(rest, text)?,
                    Some(Piece::Field(_)) => rest,
                    None => rest.get(rest.find('/').unwrap_or(rest.len())..)?,
                },
            };
        }
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }
}

/// What goes upstream, in order; `placed` stands between `base` and `rest`.
struct Split<'a> {
    base: &'a str,
    rest: &'a str,
}

/// Splits the caller's path at `mount` into base path and what follows the credential's segments.
fn split<'a>(path: &'a str, mount: &Mount<'_>, plan: &'a Plan) -> Result<Split<'a>, InjectError> {
    let (base, rest) = match mount {
        Mount::Base { skip } => (&*plan.base_path, path.get(*skip..).ok_or(InjectError::Target)?),
        // The caller wrote the upstream's own path, so the base path is in it already; the credential's segments stand behind.
        Mount::Origin(_) if plan.path.is_some() => match path.strip_prefix(&*plan.base_path) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => (&*plan.base_path, rest),
            _ => ("", path),
        },
        Mount::Origin(_) => ("", path),
    };
    if !rest.is_empty() && !rest.starts_with('/') {
        return Err(InjectError::Target);
    }
    let rest = plan.path.as_ref().and_then(|slot| slot.after_shape(rest)).unwrap_or(rest);
    Ok(Split { base, rest })
}

/// The path as rules see it: as it goes upstream, without the credential's segments.
pub(super) fn ruled<'a>(path: &'a str, mount: &Mount<'_>, plan: &'a Plan) -> Result<Cow<'a, str>, InjectError> {
    if path == "*" {
        return Ok(Cow::Borrowed(path));
    }
    let Split { base, rest } = split(path, mount, plan)?;
    Ok(match (base.is_empty(), rest.is_empty()) {
        (true, true) => Cow::Borrowed("/"),
        (true, false) => Cow::Borrowed(rest),
        (false, true) => Cow::Borrowed(base),
        (false, false) => Cow::Owned([base, rest].concat()),
    })
}

/// The request target of this request. The caller's own bytes are shared, not copied, when there is nothing to add.
pub(super) fn target(uri: &Uri, mount: &Mount<'_>, plan: &Plan, fields: &Fields) -> Result<PathAndQuery, InjectError> {
    let whole = uri.path_and_query();
    let path = whole.map_or("/", PathAndQuery::path);
    let query = whole.and_then(PathAndQuery::query);
    let unmoved = match mount {
        Mount::Origin(_) => true,
        Mount::Base { skip } => *skip == 0 && plan.base_path.is_empty(),
    };
    if path == "*" || (unmoved && plan.path.is_none() && plan.queries.is_empty()) {
        return Ok(whole.cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    }
    let Split { base, rest } = split(path, mount, plan)?;
    let placed = plan.path.as_ref().map_or(Ok(0), |slot| slot.pattern.room(fields))?;
    let room = base.len() + placed + rest.len() + 1 + query::room(query, &plan.queries, fields)?;
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    out.extend_from_slice(base.as_bytes());
    if let Some(slot) = &plan.path {
        let start = out.len();
        slot.pattern.fill(fields, &mut out)?;
        // A value such as `..` would climb out of its place.
        if out.get(start..).is_some_and(climbs) {
            return Err(InjectError::Unplaceable { place: "the path".to_owned(), why: "it makes a dot segment" });
        }
    }
    out.extend_from_slice(rest.as_bytes());
    if out.is_empty() {
        out.push(b'/');
    }
    query::write(query, &plan.queries, fields, &mut out)?;
    PathAndQuery::from_maybe_shared(Bytes::from_owner(out)).map_err(|_| InjectError::Target)
}

/// Whether a server might read a `.` or `..` segment in `path`: plain or as `%2e`, between `/`, `\` or their encoded forms,
/// also before a `;` (some servers cut path parameters off first). Rules and base paths mean nothing on such a path.
pub fn has_dot_segments(path: &str) -> bool {
    climbs(path.as_bytes())
}

fn climbs(path: &[u8]) -> bool {
    let mut rest = path;
    let mut segment = Segment::Start;
    loop {
        let (byte, after) = match rest {
            [] => return segment.is_dots(),
            [b'%', high, low, after @ ..] => match (high.to_ascii_lowercase(), low.to_ascii_lowercase()) {
                (b'2', b'e') => (b'.', after),
                (b'2', b'f') => (b'/', after),
                (b'5', b'c') => (b'\\', after),
                (b'3', b'b') => (b';', after),
                _ => (b'%', after),
            },
            [byte, after @ ..] => (*byte, after),
        };
        rest = after;
        segment = match (byte, segment) {
            (b'/' | b'\\' | b';', dots) if dots.is_dots() => return true,
            (b'/' | b'\\', _) => Segment::Start,
            (b'.', Segment::Start) => Segment::Dot,
            (b'.', Segment::Dot) => Segment::DotDot,
            _ => Segment::Other,
        };
    }
}

/// What has been read of a path segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Segment {
    Start,
    Dot,
    DotDot,
    Other,
}

impl Segment {
    fn is_dots(self) -> bool {
        matches!(self, Self::Dot | Self::DotDot)
    }
}

/// What follows `literal` when `path` starts with it; both compared decoded, so that `/%62ot1` has the shape of `/bot{key}`.
/// An encoded slash is no slash.
fn skip_literal<'a>(path: &'a str, literal: &[u8]) -> Option<&'a str> {
    let mut path_bytes = path.as_bytes();
    let mut literal = literal;
    while let Some((wanted, after)) = next_decoded(literal) {
        let (found, rest) = next_decoded(path_bytes)?;
        if found != wanted {
            return None;
        }
        path_bytes = rest;
        literal = after;
    }
    path.get(path.len() - path_bytes.len()..)
}

/// What follows the shortest value that ends where `literal` starts, within one segment. The literal itself stays.
fn skip_hole<'a>(path: &'a str, literal: &[u8]) -> Option<&'a str> {
    let end = path.find('/').unwrap_or(path.len());
    let within = (0..=end).filter_map(|at| path.get(at..));
    within.into_iter().find(|rest| skip_literal(rest, literal).is_some())
}

/// The first byte, decoded unless that makes a slash, and what follows.
fn next_decoded(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    match bytes {
        [b'%', high, low, rest @ ..] => match (digit(*high), digit(*low)) {
            (Some(h), Some(l)) if h * 16 + l != b'/' => Some((h * 16 + l, rest)),
            _ => bytes.split_first().map(|(b, rest)| (*b, rest)),
        },
        _ => bytes.split_first().map(|(b, rest)| (*b, rest)),
    }
}
