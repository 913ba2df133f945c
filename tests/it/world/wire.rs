//! An HTTP/1.1 client that sends exactly the bytes it is given and shows exactly what came back: for tests about framing,
//! header order, reuse and everything that a well-behaved client library hides. Blocking, with deadlines.

use std::{
    fmt,
    io::{BufRead, BufReader, ErrorKind, IoSlice, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

use super::{PATIENCE, tls};

trait Duplex: Read + Write + Send {}
impl<T: Read + Write + Send> Duplex for T {}

/// A TCP connection of which the other end hears as soon as it is dropped, although a process that another test starts may have
/// it for a moment longer.
struct Tcp(TcpStream);

impl Read for Tcp {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(room)
    }
}

impl Write for Tcp {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    // A handshake that fails ends with one such write, and what is left of it then is never sent.
    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> std::io::Result<usize> {
        self.0.write_vectored(pieces)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }
}

/// One connection.
pub(crate) struct Wire {
    stream: BufReader<Box<dyn Duplex>>,
    /// The ALPN protocol after `tls`.
    pub(crate) protocol: Option<String>,
    /// Whether a session was resumed in it.
    pub(crate) resumed: bool,
}

impl Wire {
    /// Connects by TCP.
    pub(crate) fn to(address: impl AsRef<str>) -> Self {
        let address = address.as_ref();
        Self::try_to(address).unwrap_or_else(|| panic!("nothing listens on {address}"))
    }

    /// Connects by TCP if something listens there.
    pub(crate) fn try_to(address: impl AsRef<str>) -> Option<Self> {
        let stream = TcpStream::connect(address.as_ref()).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(Self::over(Box::new(Tcp(stream))))
    }

    /// Connects to a Unix socket.
    pub(crate) fn unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::over(Box::new(stream))
    }

    fn over(stream: Box<dyn Duplex>) -> Self {
        Self { stream: BufReader::new(stream), protocol: None, resumed: false }
    }

    /// Goes on in TLS, as a client of `name` that trusts `ca_pem` alone and speaks `protocols`.
    pub(crate) fn tls(self, name: &str, ca_pem: &str, protocols: &[&str]) -> Self {
        self.try_tls(name, ca_pem, protocols).unwrap_or_else(|e| panic!("the handshake with {name} failed: {e}"))
    }

    /// The same, where the handshake may fail.
    pub(crate) fn try_tls(self, name: &str, ca_pem: &str, protocols: &[&str]) -> std::io::Result<Self> {
        self.tls_with(tls::client(ca_pem, protocols), name)
    }

    /// The same with a configuration of one's own.
    pub(crate) fn tls_with(self, config: Arc<ClientConfig>, name: &str) -> std::io::Result<Self> {
        assert!(self.stream.buffer().is_empty(), "the peer spoke before the handshake");
        let name = name.to_owned().try_into().unwrap();
        let mut session = ClientConnection::new(config, name).unwrap();
        let mut inner = self.stream.into_inner();
        while session.is_handshaking() {
            session.complete_io(&mut inner)?;
        }
        let protocol = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        Ok(Self { protocol, resumed, ..Self::over(Box::new(StreamOwned::new(session, inner))) })
    }

    /// Sends bytes as they are. What the peer thinks of them is seen in its answer, so errors are left for that.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let stream = self.stream.get_mut();
        let _ = stream.write_all(bytes.as_ref()).and_then(|()| stream.flush());
        self
    }

    /// Reads one answer to its end.
    pub(crate) fn reply(&mut self) -> Reply {
        self.reply_to("GET")
    }

    /// Reads one answer to a request with this method (an answer to HEAD has no body, a 200 to CONNECT neither).
    pub(crate) fn reply_to(&mut self, method: &str) -> Reply {
        let mut reply = self.head();
        self.read_body(method, &mut reply).unwrap_or_else(|e| panic!("the answer broke off: {e}; so far: {reply:?}"));
        reply
    }

    /// Reads one answer if a whole one comes.
    pub(crate) fn try_reply(&mut self) -> Option<Reply> {
        let mut reply = self.try_head().ok().flatten()?;
        self.read_body("GET", &mut reply).ok()?;
        Some(reply)
    }

    /// Reads an answer up to the empty line after its headers; interim ones (1xx, not 101) are counted and passed over.
    pub(crate) fn head(&mut self) -> Reply {
        match self.try_head() {
            Ok(Some(reply)) => reply,
            Ok(None) => panic!("the connection was closed where an answer was due"),
            Err(e) => panic!("no answer: {e}"),
        }
    }

    fn try_head(&mut self) -> std::io::Result<Option<Reply>> {
        let mut interim = Vec::new();
        loop {
            let first = self.line()?;
            if first.is_empty() {
                return Ok(None);
            }
            let mut words = first.trim_end().splitn(3, ' ');
            let (version, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let status = status.parse().unwrap_or_else(|_| panic!("no status line: {first:?}"));
            let headers = self.fields()?;
            if (100..200).contains(&status) && status != 101 {
                interim.push(status);
                continue;
            }
            let version = version.to_owned();
            return Ok(Some(Reply { version, status, headers, interim, ..Reply::default() }));
        }
    }

    /// One line with its end; empty when the connection was closed.
    pub(crate) fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn fields(&mut self) -> std::io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => fields.push((name.to_owned(), value.trim().to_owned())),
                None if line.is_empty() => return Err(ErrorKind::UnexpectedEof.into()),
                None => return Ok(fields),
            }
        }
    }

    fn read_body(&mut self, method: &str, reply: &mut Reply) -> std::io::Result<()> {
        let bodyless = method == "HEAD" || matches!(reply.status, 101 | 204 | 304);
        if bodyless || (method == "CONNECT" && reply.status == 200) {
            return Ok(());
        }
        if reply.values("transfer-encoding").contains(&"chunked") {
            while let Some(chunk) = self.try_chunk()? {
                reply.body.extend(chunk);
            }
            reply.trailers = self.fields()?;
        } else if let Some(length) = reply.value("content-length") {
            reply.body = vec![0; length.parse().unwrap()];
            self.stream.read_exact(&mut reply.body)?;
        } else {
            self.stream.read_to_end(&mut reply.body)?;
        }
        Ok(())
    }

    /// The next chunk of a chunked body as it was framed, `None` after the last. For answers that must not be buffered.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        self.try_chunk().unwrap_or_else(|e| panic!("the body broke off: {e}"))
    }

    /// The same, where the body may break off.
    pub(crate) fn try_chunk(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let size = line.trim_end().split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).map_err(|_| ErrorKind::UnexpectedEof)?;
        if size == 0 {
            return Ok(None);
        }
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk)?;
        self.line()?;
        Ok(Some(chunk))
    }

    /// Exactly `count` bytes, for what follows an upgrade.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Everything until the peer closes or resets.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        if let Err(e) = self.stream.read_to_end(&mut rest) {
            assert!(!is_timeout(&e), "the connection is still open");
        }
        rest
    }

    /// Whether the peer closes without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.rest().is_empty()
    }
}

fn is_timeout(e: &std::io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// An answer as it came.
#[derive(Default, Clone)]
pub(crate) struct Reply {
    /// `HTTP/1.1`
    pub(crate) version: String,
    /// Its status.
    pub(crate) status: u16,
    /// In the order and the case in which they came.
    pub(crate) headers: Vec<(String, String)>,
    /// Without framing.
    pub(crate) body: Vec<u8>,
    /// What followed the last chunk.
    pub(crate) trailers: Vec<(String, String)>,
    /// The statuses of interim answers before it.
    pub(crate) interim: Vec<u16>,
}

impl Reply {
    /// All values of a header, its name in any case.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        values(&self.headers, name)
    }

    /// The value of a header that stands there at most once.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() < 2, "{name} stands there {} times", values.len());
        values.first().copied()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }

    /// The stable code of an answer that sidekey made itself; fails the test when it is the upstream's.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.value("content-type"), Some("application/problem+json"), "{self:?}");
        assert!(self.values("proxy-status").iter().any(|value| value.starts_with("sidekey")), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        problem["code"].as_str().unwrap_or_else(|| panic!("no code: {self:?}")).to_owned()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.version, self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        write!(f, "\n{}", self.text())
    }
}

/// All values of the field `name` among `fields`, in any case.
pub(super) fn values<'a>(fields: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let found = fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str()).collect()
}

/// A request in the making, for tests that do not care about bytes. It has a connection of its own.
pub(crate) struct Ask {
    address: String,
    method: String,
    target: String,
    host: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    /// `target` is a path, or a whole `http://` URL for the forward door.
    pub(crate) fn new(address: &str, method: &str, target: &str) -> Self {
        let host = target.strip_prefix("http://").map_or(address, |rest| rest.split('/').next().unwrap_or(rest));
        Self {
            address: address.to_owned(),
            method: method.to_owned(),
            target: target.to_owned(),
            host: Some(host.to_owned()),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Sends this `Host` instead, for the host door.
    pub(crate) fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends a body with its length.
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        body.as_ref().clone_into(&mut self.body);
        self
    }

    /// The bytes of the request.
    pub(crate) fn bytes(&self, connection: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let host = self.host.iter().map(|host| ("Host", host.as_str()));
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in host.chain(own) {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head += &format!("Connection: {connection}\r\n\r\n");
        [head.as_bytes(), &self.body].concat()
    }

    /// Sends it on a new connection and reads the answer.
    pub(crate) fn reply(self) -> Reply {
        Wire::to(&self.address).send(self.bytes("close")).reply_to(&self.method)
    }

    /// Sends it on `wire`, which stays open, and reads the answer.
    pub(crate) fn reply_on(self, wire: &mut Wire) -> Reply {
        wire.send(self.bytes("keep-alive")).reply_to(&self.method)
    }

    /// Sends it in a thread of its own; join it for the answer.
    pub(crate) fn reply_later(self) -> std::thread::JoinHandle<Reply> {
        std::thread::spawn(move || self.reply())
    }
}
