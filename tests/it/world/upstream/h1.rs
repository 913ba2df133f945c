//! The HTTP/1.1 side, by hand: heads are kept byte by byte, answers are written as told, valid or not.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
    time::Duration,
};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    Answer, Seen, Shared,
    answer::{Act, Echo, Piece, Then},
};

/// Serves one connection to its end.
pub(super) async fn serve<S>(stream: S, shared: &Arc<Shared>, connection: Seen, socket: &socket2::Socket)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut server = Server { stream: BufReader::new(stream), shared, socket };
    while let Ok(Next::Request) = server.exchange(&connection).await {}
}

struct Server<'a, S> {
    stream: BufReader<S>,
    shared: &'a Arc<Shared>,
    socket: &'a socket2::Socket,
}

/// What may follow on the connection.
enum Next {
    Request,
    Nothing,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Server<'_, S> {
    async fn exchange(&mut self, connection: &Seen) -> io::Result<Next> {
        let Some(seen) = self.head(connection).await? else { return Ok(Next::Nothing) };
        let number = self.shared.begin(seen.clone());
        let closes = seen.values("connection").iter().any(|value| value.eq_ignore_ascii_case("close"));
        let at_once = self.shared.answers_at_once();
        if !at_once {
            if seen.has("expect") {
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            self.request_body(&seen, number).await?;
        }
        let answer = self.shared.answer(number);
        let next = self.act(answer, &seen).await?;
        if at_once && matches!(next, Next::Request) {
            self.request_body(&seen, number).await?;
        }
        Ok(if closes { Next::Nothing } else { next })
    }

    async fn head(&mut self, connection: &Seen) -> io::Result<Option<Seen>> {
        let mut seen = connection.clone();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(None);
            }
            seen.head.extend_from_slice(&line);
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            if seen.method.is_empty() {
                let mut words = text.splitn(3, ' ').map(str::to_owned);
                let mut word = || words.next().unwrap_or_default();
                (seen.method, seen.target, seen.version) = (word(), word(), word());
            } else if let Some((name, value)) = text.split_once(':') {
                seen.headers.push((name.to_owned(), value.trim().to_owned()));
            } else {
                seen.authority = seen.values("host").concat();
                return Ok(Some(seen));
            }
        }
    }

    async fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        Ok(line)
    }

    async fn request_body(&mut self, seen: &Seen, number: usize) -> io::Result<()> {
        let mut trailers = Vec::new();
        if seen.values("transfer-encoding").contains(&"chunked") {
            trailers = self.chunks(number).await?;
        } else if let Some(length) = seen.values("content-length").first() {
            let length = length.parse().map_err(|_| ErrorKind::InvalidData)?;
            self.bytes(length, number).await?;
        }
        self.shared.complete(number, trailers);
        Ok(())
    }

    async fn bytes(&mut self, mut length: usize, number: usize) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        while length > 0 {
            let most = length.min(buffer.len());
            let count = self.stream.read(&mut buffer[..most]).await?;
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.shared.body(number, &buffer[..count]);
            length -= count;
        }
        Ok(())
    }

    async fn chunks(&mut self, number: usize) -> io::Result<Vec<(String, String)>> {
        loop {
            let line = self.line().await?;
            let text = String::from_utf8_lossy(&line);
            let size = text.trim_end().split(';').next().unwrap_or_default();
            match usize::from_str_radix(size, 16).map_err(|_| ErrorKind::InvalidData)? {
                0 => break,
                size => self.bytes(size, number).await?,
            }
            self.line().await?;
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.line().await?;
            match String::from_utf8_lossy(&line).trim_end().split_once(':') {
                Some((name, value)) => trailers.push((name.to_owned(), value.trim().to_owned())),
                None => return Ok(trailers),
            }
        }
    }

    async fn act(&mut self, answer: Answer, seen: &Seen) -> io::Result<Next> {
        let Answer { act, status, headers, interim, delay } = answer;
        tokio::time::sleep(delay).await;
        for status in interim {
            self.write(format!("HTTP/1.1 {status} Interim\r\nLink: </a>; rel=preload\r\n\r\n").as_bytes()).await?;
        }
        let mut head = format!("HTTP/1.1 {status} Fake\r\n");
        for (name, value) in &headers {
            head += &format!("{name}: {value}\r\n");
        }
        match act {
            Act::Whole(body) => self.whole(head, status, &body, seen).await,
            Act::Fed(mut pieces) => {
                let chunked = !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
                self.fed(head, chunked, &mut pieces).await
            }
            Act::Raw { bytes, then } => {
                self.write(&bytes).await?;
                Ok(if then == Then::KeepOpen { Next::Request } else { Next::Nothing })
            }
            Act::Stall => match self.stream.fill_buf().await {
                Ok(bytes) if !bytes.is_empty() => std::future::pending().await,
                _ => Ok(Next::Nothing), // whoever waited has left
            },
            Act::Reset => {
                // Resets it at once, whoever else has it.
                rustix::net::connect_unspec(self.socket)?;
                Ok(Next::Nothing)
            }
            Act::HangUp => Ok(Next::Nothing),
            Act::Refuse => panic!("streams are of HTTP/2"),
            Act::Echo(echo) => {
                self.upgrade(head, seen).await?;
                match echo {
                    Echo::Bytes => self.echo_bytes().await,
                    Echo::WebSocketFrames => self.echo_frames().await,
                }
            }
        }
    }

    async fn whole(&mut self, mut head: String, status: u16, body: &[u8], seen: &Seen) -> io::Result<Next> {
        let bodyless = matches!(status, 204 | 304);
        if !bodyless {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        let body = if bodyless || seen.method == "HEAD" { &[] } else { body };
        self.write(&[head.as_bytes(), b"\r\n", body].concat()).await?;
        Ok(Next::Request)
    }

    async fn fed(
        &mut self,
        mut head: String,
        chunked: bool,
        pieces: &mut tokio::sync::mpsc::UnboundedReceiver<Piece>,
    ) -> io::Result<Next> {
        if chunked {
            head += "Transfer-Encoding: chunked\r\n";
        }
        self.write(format!("{head}\r\n").as_bytes()).await?;
        let mut trailers = Vec::new();
        loop {
            let piece = tokio::select! {
                piece = pieces.recv() => piece,
                gone = self.stream.fill_buf() => match gone {
                    Ok(bytes) if !bytes.is_empty() => pieces.recv().await, // the next request waits already
                    _ => return Ok(Next::Nothing),
                },
            };
            match piece {
                Some(Piece::Data(bytes)) if chunked => {
                    let size = format!("{:x}\r\n", bytes.len());
                    self.write(&[size.as_bytes(), &bytes, b"\r\n"].concat()).await?;
                }
                Some(Piece::Data(bytes)) => self.write(&bytes).await?,
                Some(Piece::Break) => return Ok(Next::Nothing),
                Some(Piece::Trailers(fields)) => trailers = fields,
                None => break,
            }
        }
        if chunked {
            let mut end = String::from("0\r\n");
            for (name, value) in trailers {
                end += &format!("{name}: {value}\r\n");
            }
            self.write(format!("{end}\r\n").as_bytes()).await?;
        }
        Ok(Next::Request)
    }

    async fn upgrade(&mut self, mut head: String, seen: &Seen) -> io::Result<()> {
        head += &format!("Connection: Upgrade\r\nUpgrade: {}\r\n", seen.values("upgrade").concat());
        if let Some(key) = seen.values("sec-websocket-key").first() {
            head += &format!("Sec-WebSocket-Accept: {}\r\n", derive_accept_key(key.as_bytes()));
        }
        self.write(format!("{head}\r\n").as_bytes()).await
    }

    async fn echo_bytes(&mut self) -> io::Result<Next> {
        let mut buffer = [0; 8192];
        loop {
            match self.stream.read(&mut buffer).await? {
                0 => return Ok(Next::Nothing),
                count => self.write(&buffer[..count]).await?,
            }
        }
    }

    /// Sends every frame back unmasked, as a server must (RFC 6455, section 5.1), the closing one too.
    async fn echo_frames(&mut self) -> io::Result<Next> {
        loop {
            let first = self.stream.read_u8().await?;
            let length = match self.stream.read_u8().await? & 0x7f {
                126 => u64::from(self.stream.read_u16().await?),
                127 => self.stream.read_u64().await?,
                short => u64::from(short),
            };
            let mask = self.stream.read_u32().await?.to_be_bytes();
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut payload).await?;
            payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            let mut frame = vec![first];
            if let Ok(short @ 0..=125) = u8::try_from(length) {
                frame.push(short);
            } else {
                frame.push(127);
                frame.extend(length.to_be_bytes());
            }
            frame.extend(payload);
            self.write(&frame).await?;
            if first & 0x0f == 8 {
                return Ok(Next::Nothing);
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }
}
