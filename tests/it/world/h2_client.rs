//! An HTTP/2 client on one connection, in the clear (prior knowledge) or through a CONNECT tunnel with TLS. Blocking: it
//! keeps a runtime of its own.

use std::pin::Pin;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{PATIENCE, Reply, tls};

/// One connection. Clone its `sender` by sending several requests with `all`.
pub(crate) struct H2 {
    runtime: Runtime,
    sender: http2::SendRequest<Full<Bytes>>,
    scheme: &'static str,
    authority: String,
}

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

async fn exchange(mut sender: http2::SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> hyper::Result<Reply> {
    sender.ready().await?;
    read(sender.send_request(request).await?).await
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
