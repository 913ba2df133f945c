//! Where each request on a client's HTTP/1 connection ends, and which of them gives its length twice: by `Content-Length` and
//! by `Transfer-Encoding` (RFC 9112 §6.1), of which the HTTP library hides one. Pure: it sees the bytes as they are read, in
//! pieces of any size, keeps the start of one line, and changes nothing. Where the library goes on, it counts the same
//! requests; where it cannot follow, it is silent for good, and the library's reading holds: chunks, then the end.

/// How much is kept of a line that comes in several pieces: more than `Transfer-Encoding:`, and than `Content-Length:` with
/// the longest number.
const KEPT: usize = 48;

/// One connection, followed from its first byte.
#[derive(Debug)]
pub(super) struct Framing {
    at: At,
    begun: Begun,
    heads: u32,
}

#[derive(Debug)]
enum At {
    /// In a head, or before one.
    Head(Head),
    /// So many bytes before the next head.
    Body(u64),
    /// Before a line with the size of a chunk.
    Size,
    /// So many bytes before the next such line.
    Chunk(u64),
    /// After the last chunk, before the empty line.
    Trailers,
    /// Nothing more is known.
    Lost,
}

#[derive(Debug, Clone, Copy, Default)]
struct Head {
    /// Whether the request line has come.
    named: bool,
    coded: bool,
    length: Length,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Length {
    #[default]
    None,
    Of(u64),
    /// Several, or no number; the library takes it for no request unless there are chunks as well.
    Unclear,
}

/// A line without its end.
#[derive(Clone, Copy)]
struct Line<'a> {
    start: &'a [u8],
    /// Whether `start` is all of it.
    whole: bool,
    /// Whether it ended in CR LF, and not in LF alone.
    crlf: bool,
}

/// The start of a line whose end has not come.
#[derive(Debug)]
struct Begun {
    start: [u8; KEPT],
    length: usize,
    last: u8,
}

impl Framing {
    /// Before the first byte.
    pub(super) fn new() -> Self {
        let begun = Begun { start: [0; KEPT], length: 0, last: 0 };
        Self { at: At::Head(Head::default()), begun, heads: 0 }
    }

    /// For a connection that has its frames from another protocol.
    pub(super) fn foreign() -> Self {
        Self { at: At::Lost, ..Self::new() }
    }

    /// Follows `bytes`, which come next. Says once which request, counted from 1, gives its length twice: the library ends
    /// the connection after it.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> Option<u32> {
        while !bytes.is_empty() {
            match &mut self.at {
                At::Lost => return None,
                At::Body(left) | At::Chunk(left) => bytes = skip(left, bytes),
                At::Head(Head { named: true, .. }) if self.begun.length == 0 => {
                    bytes = self.line(past_others(bytes))?;
                }
                _ => bytes = self.line(bytes)?,
            }
            match self.at {
                At::Body(0) => self.at = At::Head(Head::default()),
                At::Chunk(0) => self.at = At::Size,
                At::Head(head) if head.is_twice() => {
                    self.at = At::Lost;
                    return Some(self.heads + 1);
                }
                _ => {}
            }
        }
        None
    }

    /// Takes one line off `bytes` and returns what follows it; none when its end has not come.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let end = memchr::memchr(b'\n', bytes);
        let Some((line, rest)) = end.and_then(|end| Some((bytes.get(..end)?, bytes.get(end + 1..)?))) else {
            self.begun.extend(bytes);
            return None;
        };
        if self.begun.length == 0 {
            self.heads += self.at.pass(Line::of(line));
        } else {
            self.begun.extend(line);
            self.heads += self.at.pass(self.begun.line());
            self.begun.length = 0;
        }
        Some(rest)
    }
}

impl At {
    /// Moves past `line` and returns how many heads ended with it.
    fn pass(&mut self, line: Line<'_>) -> u32 {
        match self {
            Self::Head(head) if line.is_empty() && head.named => {
                *self = head.body();
                return 1;
            }
            Self::Head(head) => *self = head.read(line).map_or(Self::Lost, Self::Head),
            // In what follows a head the library wants CR LF.
            _ if !line.crlf => *self = Self::Lost,
            Self::Trailers if line.is_empty() => *self = Self::Head(Head::default()),
            Self::Size => {
                *self = match line.size() {
                    Some(0) => Self::Trailers,
                    // The chunk ends in CR LF too.
                    Some(size) => size.checked_add(2).map_or(Self::Lost, Self::Chunk),
                    None => Self::Lost,
                }
            }
            _ => {}
        }
        0
    }
}

impl Head {
    /// With what `line` says; none when it cannot be the line of a request.
    fn read(mut self, line: Line<'_>) -> Option<Self> {
        if !self.named {
            // The library passes over empty lines before a request.
            self.named = !line.is_empty();
            return (line.is_empty() || line.ends_in_version()).then_some(self);
        }
        match line.start.first() {
            Some(b'T' | b't') => self.coded |= line.value_of(b"transfer-encoding:").is_some(),
            Some(b'C' | b'c') => {
                if let Some(value) = line.value_of(b"content-length:") {
                    let length = if line.whole { decimal(value) } else { None };
                    self.length = match (self.length, length) {
                        (Length::None, Some(length)) => Length::Of(length),
                        (Length::Of(before), Some(length)) if before == length => Length::Of(length),
                        _ => Length::Unclear,
                    };
                }
            }
            _ => {}
        }
        Some(self)
    }

    fn is_twice(self) -> bool {
        self.coded && self.length != Length::None
    }

    fn body(self) -> At {
        match self.length {
            _ if self.coded => At::Size,
            Length::None => At::Head(Self::default()),
            Length::Of(length) => At::Body(length),
            Length::Unclear => At::Lost,
        }
    }
}

impl<'a> Line<'a> {
    fn of(line: &'a [u8]) -> Self {
        let stripped = line.strip_suffix(b"\r");
        Self { start: stripped.unwrap_or(line), whole: true, crlf: stripped.is_some() }
    }

    fn is_empty(&self) -> bool {
        self.start.is_empty()
    }

    /// The value of the field with this name in lower case and its colon, when the line is such a field.
    fn value_of(&self, name: &[u8]) -> Option<&'a [u8]> {
        let (start, value) = self.start.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then_some(value)
    }

    /// As far as it is known.
    fn ends_in_version(&self) -> bool {
        let version = self.start.len().checked_sub(9).and_then(|at| self.start.get(at..));
        !self.whole || version.is_some_and(|version| version.starts_with(b" HTTP/1."))
    }

    /// The size of a chunk: hexadecimal digits, then nothing, a space or an extension.
    fn size(&self) -> Option<u64> {
        let end = self.start.iter().position(|byte| !byte.is_ascii_hexdigit());
        if end.is_none() && !self.whole {
            return None;
        }
        let digits = end.map_or(self.start, |end| self.start.get(..end).unwrap_or_default());
        u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

impl Begun {
    fn extend(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.last = *last;
        let room = self.start.get_mut(self.length..).unwrap_or_default();
        for (kept, byte) in room.iter_mut().zip(bytes) {
            *kept = *byte;
        }
        self.length = self.length.saturating_add(bytes.len());
    }

    fn line(&self) -> Line<'_> {
        let whole = self.start.get(..self.length).map(Line::of);
        whole.unwrap_or(Line { start: &self.start, whole: false, crlf: self.last == b'\r' })
    }
}

/// Passes over the whole lines of a head that cannot be about lengths, nor its end: nearly all of them.
fn past_others(mut bytes: &[u8]) -> &[u8] {
    loop {
        let is_other = match bytes.first() {
            Some(b'T' | b't') => bytes.get(8).is_some_and(|byte| *byte != b'-'),
            Some(b'C' | b'c') => bytes.get(8).is_some_and(|byte| !matches!(byte, b'L' | b'l')),
            first => !matches!(first, None | Some(b'\r' | b'\n')),
        };
        let end = if is_other { memchr::memchr(b'\n', bytes) } else { None };
        match end.and_then(|end| bytes.get(end + 1..)) {
            Some(rest) => bytes = rest,
            None => return bytes,
        }
    }
}

/// Passes over at most `left` bytes.
fn skip<'a>(left: &mut u64, bytes: &'a [u8]) -> &'a [u8] {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= taken as u64;
    bytes.get(taken..).unwrap_or_default()
}

/// A number in decimal digits with blanks around it, as the library reads one.
fn decimal(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value.trim_ascii()).ok()?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}
