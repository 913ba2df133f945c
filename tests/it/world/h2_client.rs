//! An HTTP/2 client on one connection, in the clear (prior knowledge) or through a CONNECT tunnel with TLS. Blocking: it
//! keeps a runtime of its own.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    sync::mpsc::UnboundedReceiver,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{PATIENCE, Reply, tls};

/// One connection. Clone its `sender` by sending several requests with `all`.
pub(crate) struct H2 {
    runtime: Runtime,
    sender: Sender,
    scheme: &'static str,
    authority: String,
}

type Sender = http2::SendRequest<BoxBody<Bytes, Infallible>>;

trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

impl H2 {
    /// HTTP/2 from the first byte.
    pub(crate) fn prior_knowledge(address: &str) -> Self {
        let stream = {
            let address = address.to_owned();
            async move { Box::pin(TcpStream::connect(address).await.unwrap()) as Pin<Box<dyn Duplex>> }
        };
        Self::over("http", address.to_owned(), stream)
    }

    /// `CONNECT authority` at `proxy`, then TLS that trusts `ca_pem` alone and speaks nothing but h2.
    pub(crate) fn through(proxy: &str, authority: &str, ca_pem: &str) -> Self {
        let (host, _) = authority.rsplit_once(':').expect("host:port");
        let (name, config) = (host.to_owned().try_into().unwrap(), tls::client(ca_pem, &["h2"]));
        let (proxy, tunnel) = (proxy.to_owned(), authority.to_owned());
        let stream = async move {
            let mut tcp = TcpStream::connect(proxy).await.unwrap();
            let connect = format!("CONNECT {tunnel} HTTP/1.1\r\nHost: {tunnel}\r\n\r\n");
            tcp.write_all(connect.as_bytes()).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(tcp.read_u8().await.unwrap());
            }
            assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
            let stream = TlsConnector::from(config).connect(name, tcp).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "the peer did not choose h2");
            Box::pin(stream) as Pin<Box<dyn Duplex>>
        };
        Self::over("https", host.to_owned(), stream)
    }

    fn over(scheme: &'static str, authority: String, stream: impl Future<Output = Pin<Box<dyn Duplex>>>) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let sender = runtime.block_on(async {
            let io = TokioIo::new(stream.await);
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender, scheme, authority }
    }

    /// A request for `path` on this connection's host.
    pub(crate) fn ask(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("{}://{}{path}", self.scheme, self.authority))
    }

    /// `GET path` and the answer.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send(self.ask("GET", path).body(Full::default()).unwrap())
    }

    /// Sends one request and reads its answer.
    pub(crate) fn send(&self, request: Request<Full<Bytes>>) -> Reply {
        self.try_send(request).unwrap_or_else(|e| panic!("no answer: {e}"))
    }

    /// The same, where the stream may be reset.
    pub(crate) fn try_send(&self, request: Request<Full<Bytes>>) -> hyper::Result<Reply> {
        let answer = exchange(self.sender.clone(), request);
        self.runtime.block_on(async { timeout(PATIENCE, answer).await.expect("no answer in time") })
    }

    /// `CONNECT authority` on a stream of this connection, then TLS in it that trusts `ca_pem` alone, and `request` in that;
    /// everything that comes back.
    pub(crate) fn tunnelled(&self, authority: &str, ca_pem: &str, request: &str) -> String {
        let (host, _) = authority.rsplit_once(':').expect("host:port");
        let (name, config) = (host.to_owned().try_into().unwrap(), tls::client(ca_pem, &["http/1.1"]));
        let mut sender = self.sender.clone();
        self.runtime.block_on(async {
            let connect = Request::builder().method("CONNECT").uri(authority).body(nothing()).unwrap();
            let answer = timeout(PATIENCE, sender.send_request(connect)).await.expect("no answer in time").unwrap();
            assert_eq!(answer.status(), 200);
            let stream = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
            let mut stream = TlsConnector::from(config).connect(name, stream).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            let mut back = Vec::new();
            // How the end comes is not what is asked here.
            let _ = timeout(PATIENCE, stream.read_to_end(&mut back)).await.expect("no end in time");
            String::from_utf8_lossy(&back).into_owned()
        })
    }

    /// An extended CONNECT (RFC 8441) for a WebSocket at `path`: the answer, and what comes back for `sent` up to `expected`
    /// bytes when it is yes.
    pub(crate) fn websocket(&self, path: &str, sent: &[u8], expected: usize) -> (Reply, Vec<u8>) {
        let ask = self.ask("CONNECT", path).extension(hyper::ext::Protocol::from_static("websocket"));
        let ask = ask.header("sec-websocket-version", "13").header("cookie", "a=1").header("cookie", "b=2");
        let mut sender = self.sender.clone();
        self.runtime.block_on(async {
            sender.ready().await.unwrap();
            let answer = timeout(PATIENCE, sender.send_request(ask.body(nothing()).unwrap())).await;
            let answer = answer.expect("no answer in time").unwrap();
            if answer.status() != 200 {
                return (read(answer).await.unwrap(), Vec::new());
            }
            let reply = Reply { status: 200, headers: fields(answer.headers()), ..Reply::default() };
            let mut stream = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
            stream.write_all(sent).await.unwrap();
            let mut back = vec![0; expected];
            timeout(PATIENCE, stream.read_exact(&mut back)).await.expect("no end in time").unwrap();
            (reply, back)
        })
    }

    /// Sends a body piece by piece, the next when something of the answer to the last has come back; the answer.
    pub(crate) fn converse(&self, request: http::request::Builder, pieces: &[&'static [u8]]) -> Reply {
        let (feed, frames) = tokio::sync::mpsc::unbounded_channel();
        let body = Fed(frames).boxed();
        let mut sender = self.sender.clone();
        self.runtime.block_on(async {
            sender.ready().await.unwrap();
            feed.send(Bytes::from_static(pieces[0])).unwrap();
            let answer = timeout(PATIENCE, sender.send_request(request.body(body).unwrap())).await;
            let mut answer = answer.expect("no answer in time").unwrap();
            let mut got = Vec::new();
            for piece in &pieces[1..] {
                let frame = timeout(PATIENCE, answer.body_mut().frame()).await.expect("nothing came back").unwrap();
                got.extend_from_slice(frame.unwrap().data_ref().unwrap());
                feed.send(Bytes::from_static(piece)).unwrap();
            }
            drop(feed);
            let mut reply = timeout(PATIENCE, read(answer)).await.expect("no end in time").unwrap();
            got.append(&mut reply.body);
            Reply { body: got, ..reply }
        })
    }

    /// Sends requests side by side on this one connection; answers in the order of the requests.
    pub(crate) fn all(&self, requests: Vec<Request<Full<Bytes>>>) -> Vec<Reply> {
        self.runtime.block_on(async {
            let ask = |request| tokio::spawn(exchange(self.sender.clone(), request));
            let under_way: Vec<_> = requests.into_iter().map(ask).collect();
            let mut replies = Vec::new();
            for one in under_way {
                replies.push(timeout(PATIENCE, one).await.expect("no answer in time").unwrap().unwrap());
            }
            replies
        })
    }
}

fn nothing() -> BoxBody<Bytes, Infallible> {
    Full::default().boxed()
}

/// A body that is fed piece by piece.
struct Fed(UnboundedReceiver<Bytes>);

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

async fn exchange(mut sender: Sender, request: Request<Full<Bytes>>) -> hyper::Result<Reply> {
    sender.ready().await?;
    read(sender.send_request(request.map(BodyExt::boxed)).await?).await
}

async fn read(answer: Response<Incoming>) -> hyper::Result<Reply> {
    let (head, body) = answer.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().map(fields).unwrap_or_default();
    Ok(Reply {
        version: "HTTP/2".to_owned(),
        status: head.status.as_u16(),
        headers: fields(&head.headers),
        body: body.to_bytes().to_vec(),
        trailers,
        interim: Vec::new(),
    })
}

/// A header map as a list, in its order.
pub(super) fn fields(map: &HeaderMap) -> Vec<(String, String)> {
    map.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}
