//! The demo's workflow: a plain HTTP/1.1 client on a bare socket, so that what is shown is what was sent, byte for byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// A request to send.
pub(super) struct Ask {
    target: String,
    host: String,
}

/// What came back.
pub(super) struct Answer {
    /// The status; 0 when the first line has none.
    pub(super) status: u16,
    reason: String,
    body: String,
    raw: Vec<u8>,
}

impl Ask {
    /// `GET target` with this `Host`.
    pub(super) fn new(target: &str, host: &str) -> Self {
        Self { target: target.to_owned(), host: host.to_owned() }
    }

    /// The request line and the headers.
    pub(super) fn lines(&self) -> Vec<String> {
        vec![format!("GET {} HTTP/1.1", self.target), format!("Host: {}", self.host)]
    }

    /// Sends it to `address` and reads the answer.
    ///
    /// # Errors
    /// When nobody answers in time, or no HTTP.
    pub(super) fn send(&self, address: SocketAddr) -> anyhow::Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).context("nobody listens there")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = format!("{}\r\nConnection: close\r\n\r\n", self.lines().join("\r\n"));
        stream.write_all(request.as_bytes()).context("the request could not be sent")?;
        let mut raw = Vec::new();
        stream.take(LONGEST).read_to_end(&mut raw).context("the answer could not be read")?;
        Answer::parse(raw).context("what came back is no HTTP answer")
    }
}

impl Answer {
    /// Reads an answer that ends with its connection and has its body in one piece.
    pub(super) fn parse(raw: Vec<u8>) -> Option<Self> {
        let text = String::from_utf8_lossy(&raw).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut words = head.lines().next()?.splitn(3, ' ');
        let (_version, status, reason) = (words.next()?, words.next()?, words.next().unwrap_or_default());
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if chunked { dechunked(body)? } else { body.to_owned() };
        Some(Self { status: status.parse().ok()?, reason: reason.to_owned(), body: body.trim().to_owned(), raw })
    }

    /// `200 OK   {"…"}`
    pub(super) fn summary(&self) -> String {
        format!("{} {}   {}", self.status, self.reason, self.body)
    }

    /// Whether `text` is anywhere in what came back.
    pub(super) fn holds(&self, text: &str) -> bool {
        self.raw.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

/// The chunks put together (RFC 9112 §7.1).
fn dechunked(mut rest: &str) -> Option<String> {
    let mut out = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(out);
        }
        out.push_str(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}
