//! The demo's local API: it demands a key in the header `X-Api-Key`, answers 401 without it, and hands out every request as
//! it came in. On a thread and a runtime of its own, so that it is as foreign to the proxy as any other service.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// How long the teller waits for a request that should have arrived.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request as the API saw it.
pub(super) struct Seen {
    /// `GET /v1/today HTTP/1.1`
    pub(super) line: String,
    /// Name and value, in the order of arrival.
    pub(super) headers: Vec<(String, String)>,
}

/// The API. It ends when this is dropped.
pub(super) struct Api {
    address: SocketAddr,
    seen: Mutex<mpsc::Receiver<Seen>>,
    end: CancellationToken,
}

impl Api {
    /// Starts it on a free port of this machine.
    ///
    /// # Errors
    /// When no port or thread can be had.
    pub(super) fn start(key: String) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (tell, seen) = mpsc::channel();
        let end = CancellationToken::new();
        let until = end.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let desk = Arc::new(Desk { key: Zeroizing::new(key), tell });
        thread::Builder::new().name("demo-api".to_owned()).spawn(move || {
            // An error ends the API, and the teller then misses its requests.
            let _ = runtime.block_on(until.run_until_cancelled_owned(serve(listener, desk)));
        })?;
        Ok(Self { address, seen: Mutex::new(seen), end })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request that arrived; none when there is none for some seconds.
    pub(super) fn next(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(PATIENCE).ok()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

struct Desk {
    key: Zeroizing<String>,
    tell: mpsc::Sender<Seen>,
}

async fn serve(listener: std::net::TcpListener, desk: Arc<Desk>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let desk = Arc::clone(&desk);
        let answer = service_fn(move |request| std::future::ready(Ok::<_, Infallible>(desk.answer(&request))));
        let mut server = http1::Builder::new();
        tokio::spawn(server.preserve_header_case(true).serve_connection(TokioIo::new(stream), answer));
    }
}

impl Desk {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let known = request.headers().get("x-api-key").is_some_and(|value| value.as_bytes() == self.key.as_bytes());
        let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (spelled(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let line = format!("{} {} {:?}", request.method(), request.uri(), request.version());
        if known {
            // Nobody listens any more only when the demo is over.
            let _ = self.tell.send(Seen { line, headers: request.headers().iter().map(header).collect() });
        }
        let (status, body) = if known {
            (StatusCode::OK, r#"{"city":"Lisbon","sky":"clear","degrees":21}"#)
        } else {
            (StatusCode::UNAUTHORIZED, r#"{"error":"this API demands a key"}"#)
        };
        let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
        *response.status_mut() = status;
        response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
        response
    }
}

/// `x-api-key` as people write it: `X-Api-Key`.
fn spelled(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}
