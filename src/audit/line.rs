//! Writing one JSON object as one line, straight into a byte buffer. Not a serialiser: keys are literals of this module's
//! neighbours, values are texts and whole numbers. Keeps the invariant that a line holds no raw newline, whatever was in
//! the texts.
//!
//! This runs for every request, so the methods are inlined into their callers: a key's length is then known to the
//! compiler, and writing it is a store or two.

#![allow(clippy::inline_always, reason = "measured: a key's length must be known where it is written")]

/// One object being written; `end` closes it with a newline.
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Line<'a> {
    /// Begins with the member that tells the kind of the line: `{"KIND":"value"`. The value is plain.
    #[inline(always)]
    pub(super) fn begin(out: &'a mut Vec<u8>, kind: &'static str, value: &str) -> Self {
        // Most lines fit in this, so that the buffer grows at most once for each.
        out.reserve(1024);
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\":\"");
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
        Self { out }
    }

    /// As [`Line::begin`], with any text.
    pub(super) fn begin_with(out: &'a mut Vec<u8>, kind: &'static str, value: &str) -> Self {
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\":");
        text(out, value);
        Self { out }
    }

    /// A text that needs no escaping by what it is: a literal, or a name.
    #[inline(always)]
    pub(super) fn plain(&mut self, key: &'static str, value: &str) {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    /// Any text.
    #[inline(always)]
    pub(super) fn text(&mut self, key: &'static str, value: &str) {
        self.key(key);
        text(self.out, value);
    }

    /// A text of at most `limit` bytes; the rest is cut off at a character's boundary.
    #[inline(always)]
    pub(super) fn clipped(&mut self, key: &'static str, value: &str, limit: usize) {
        if value.len() <= limit {
            self.text(key, value);
        } else {
            self.text(key, value.get(..value.floor_char_boundary(limit)).unwrap_or_default());
        }
    }

    /// A whole number.
    #[inline(always)]
    pub(super) fn number(&mut self, key: &'static str, value: u64) {
        self.key(key);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// An object of texts.
    pub(super) fn object(&mut self, key: &'static str, members: &[(&str, &str)]) {
        self.key(key);
        for (i, (name, value)) in members.iter().enumerate() {
            self.out.push(if i == 0 { b'{' } else { b',' });
            text(self.out, name);
            self.out.push(b':');
            text(self.out, value);
        }
        self.out.push(b'}');
    }

    /// Ends the line.
    #[inline(always)]
    pub(super) fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }

    #[inline(always)]
    fn key(&mut self, key: &'static str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

/// A JSON text.
#[inline]
fn text(out: &mut Vec<u8>, value: &str) {
    if is_plain(value.as_bytes()) {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    } else {
        escaped(out, value);
    }
}

/// Whether JSON can hold these bytes as they stand.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    let escaped = |word: u64| below(word, 0x20) | equal(word, b'"') | equal(word, b'\\') | equal(word, 0x7f);
    !any(bytes, escaped)
}

/// Whether one of the bytes is `one` or `other`.
#[inline]
pub(super) fn has_either(bytes: &[u8], one: u8, other: u8) -> bool {
    any(bytes, |word| equal(word, one) | equal(word, other))
}

/// Asks `marks` for eight bytes at a time, the last eight overlapping those before them; fewer are filled up with the
/// first of them. It answers with the highest bit of a byte that it looks for.
#[inline]
fn any(bytes: &[u8], marks: impl Fn(u64) -> u64) -> bool {
    let Some(first) = bytes.first() else { return false };
    let marks = |chunk: [u8; 8]| marks(u64::from_le_bytes(chunk)) & (ONES << 7);
    let Some(last) = bytes.last_chunk::<8>() else {
        let mut chunk = [*first; 8];
        chunk.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        return marks(chunk) != 0;
    };
    bytes.as_chunks::<8>().0.iter().fold(marks(*last), |found, chunk| found | marks(*chunk)) != 0
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Marks the bytes below `n`, at most 128: they borrow from their highest bit when `n` is taken away. Bytes from 128 on are
/// not marked. The byte after a marked one may be marked wrongly by its borrow, which changes nothing for `any`.
#[inline]
const fn below(word: u64, n: u64) -> u64 {
    word.wrapping_sub(ONES * n) & !word
}

/// Marks the bytes that are `byte`, as [`below`] does.
#[inline]
const fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * byte as u64), 1)
}

/// The slow way, for the few texts that need it. DEL is escaped too, so that a line never moves a terminal's cursor.
#[cold]
fn escaped(out: &mut Vec<u8>, value: &str) {
    let Ok(json) = serde_json::to_string(value) else {
        out.extend_from_slice(b"\"\"");
        return;
    };
    if json.contains('\u{7f}') {
        out.extend_from_slice(json.replace('\u{7f}', "\\u007f").as_bytes());
    } else {
        out.extend_from_slice(json.as_bytes());
    }
}
