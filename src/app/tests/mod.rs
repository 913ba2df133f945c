//! Time limits of minutes without waiting for them: a real proxy of one core on the test's own thread, real connections on
//! loopback, and its seconds counted by the test. Nothing here sleeps: what is to happen is looked for again and again.

mod clients;
mod follow;
mod upstreams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use crate::config::{Config, Environment};
use crate::domain::{Clock as _, SystemClock};
use crate::listen::{self, Shared};
use crate::pipeline::Core;
use crate::upstream;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lets the proxy and its peers work until `look` finds what it looks for.
async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = SystemClock.now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(SystemClock.now().saturating_duration_since(started) < PATIENCE, "still not so: {what}");
        tokio::task::yield_now().await;
    }
}

/// A proxy and the upstream of its one service, `api`.
struct World {
    _folder: TempDir,
    parts: Parts,
    address: SocketAddr,
    upstream: TcpListener,
    stop: CancellationToken,
}

impl World {
    /// `more` are lines for the service's table.
    async fn start(more: &str) -> Self {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[service.api]\nbase_url = \"http://api.test\"\nallow_plaintext = true\n\
             auth = {{ location = \"header\", name = \"X-Api-Key\" }}\n\
             upstream = {{ connect_to = \"{}\", allow_private = true }}\n{more}\n\
             [credential.api-key]\nservice = \"api\"\nenv = \"API_KEY\"\n",
            upstream.local_addr().unwrap()
        );
        let path = folder.path().join("proxy.toml");
        std::fs::write(&path, text).unwrap();
        let environment = Environment::of_pairs([("API_KEY", "s3cret")]).in_folder(folder.path());
        let config = Config::load(Some(&path), &environment).unwrap().config;
        let (parts, _) = Parts::open(&config, &environment, 1, Vec::new()).unwrap();
        Core::enter(0, 1, parts.audit.recorder(), Arc::clone(&parts.metrics));
        let bound = listen::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
        let address = bound.socket_address().unwrap();
        let stop = CancellationToken::new();
        let shared = Shared { line: Arc::clone(&parts.line), mint: Arc::clone(&parts.mint) };
        tokio::spawn(listen::run(bound, Arc::new(shared), stop.clone()));
        Self { _folder: folder, parts, address, upstream, stop }
    }

    async fn client(&self) -> Wire {
        Wire::of(TcpStream::connect(self.address).await.unwrap())
    }

    /// The proxy's next connection to the upstream.
    async fn dialled(&self) -> Wire {
        Wire::of(self.upstream.accept().await.unwrap().0)
    }

    /// Whether the proxy has dialled the upstream since it was last asked.
    async fn has_dialled(&self) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(self.upstream.poll_accept(cx).is_ready())).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
        self.parts.close();
    }
}

/// So many seconds pass on this core.
async fn pass(seconds: u32) {
    for _ in 0..seconds {
        upstream::sweep();
        listen::sweep();
        // Who was woken acts before the next second.
        tokio::task::yield_now().await;
    }
}

/// One end of a connection.
struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
    is_closed: bool,
}

impl Wire {
    fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new(), is_closed: false }
    }

    /// Writes it, as far as the other end is still there.
    async fn send(&mut self, text: &str) {
        let mut bytes = text.as_bytes();
        until("written", || match self.stream.try_write(bytes) {
            Ok(count) => {
                bytes = &bytes[count..];
                bytes.is_empty().then_some(())
            }
            Err(error) => (error.kind() != std::io::ErrorKind::WouldBlock).then_some(()),
        })
        .await;
    }

    /// Takes what has come.
    fn look(&mut self) {
        let mut buffer = [0; 16 * 1024];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => self.is_closed = true,
            Ok(count) => self.read.extend_from_slice(&buffer[..count]),
            Err(error) => self.is_closed = error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }

    /// Waits until all up to and with `end` has come, and returns it.
    async fn read_to(&mut self, end: &str) -> String {
        until(&format!("{end:?} has come"), || {
            self.look();
            let at = self.read.windows(end.len()).position(|window| window == end.as_bytes());
            assert!(at.is_some() || !self.is_closed, "closed before {end:?}: {}", String::from_utf8_lossy(&self.read));
            at.map(|at| String::from_utf8(self.read.drain(..at + end.len()).collect()).unwrap())
        })
        .await
    }

    /// Waits until the other end closes.
    async fn read_to_close(&mut self) -> String {
        until("the other end closes", || {
            self.look();
            self.is_closed.then(|| String::from_utf8_lossy(&self.read).into_owned())
        })
        .await
    }

    /// Sends a request and waits for its answer, both without a body.
    async fn ask(&mut self, path: &str) -> String {
        self.send(&request(path)).await;
        self.read_to("\r\n\r\n").await
    }

    /// As an upstream: takes a request without a body.
    async fn asked(&mut self) -> String {
        self.read_to("\r\n\r\n").await
    }
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
