//! A service's double on loopback: HTTP/1.1 and HTTP/2, in the clear or in TLS. It answers what the test tells it, keeps
//! every request as it arrived, and misbehaves on demand: stalls, resets, lies about framing, throttles, goes away.
//!
//! HTTP/1.1 is read and written by hand here, so that heads are kept byte by byte and answers need not be valid.

mod answer;
mod h1;
mod h2;

use std::{
    collections::{BTreeSet, VecDeque},
    net::{Shutdown, SocketAddr, TcpListener},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Instant,
};

use socket2::{SockRef, Socket};
use tokio::{net::TcpStream, sync::watch};
use tokio_rustls::TlsAcceptor;

pub(crate) use answer::{Answer, Feed};

use super::{PATIENCE, tls, wire};

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// As sent.
    pub(crate) method: String,
    /// The request target's bytes: path and query; for HTTP/2 `:path`.
    pub(crate) target: String,
    /// `HTTP/1.1`, `HTTP/1.0` or `HTTP/2`.
    pub(crate) version: String,
    /// `Host` or `:authority`.
    pub(crate) authority: String,
    /// In order; in HTTP/1.1 in the case in which they were sent.
    pub(crate) headers: Vec<(String, String)>,
    /// The request line and headers byte by byte (HTTP/1.1 only).
    pub(crate) head: Vec<u8>,
    /// What arrived of the body so far, without framing.
    pub(crate) body: Vec<u8>,
    /// Fields after the body.
    pub(crate) trailers: Vec<(String, String)>,
    /// Whether the body arrived to its end.
    pub(crate) complete: bool,
    /// The number of its connection, from 0.
    pub(crate) connection: usize,
    /// The name the client asked for in the handshake.
    pub(crate) sni: Option<String>,
}

impl Seen {
    /// All values of a header, its name in any case.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        wire::values(&self.headers, name)
    }

    /// Whether a header stands there.
    pub(crate) fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }

    /// The headers' names in lower case, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.headers.iter().map(|(name, _)| name.to_lowercase()).collect()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether `needle` stands anywhere in it.
    pub(crate) fn mentions(&self, needle: &str) -> bool {
        format!("{} {:?} {} {:?}", self.target, self.headers, self.text(), self.trailers).contains(needle)
    }
}

type Answering = Box<dyn Fn(&Seen) -> Answer + Send>;

struct State {
    seen: Vec<Seen>,
    queue: VecDeque<Answer>,
    always: Answering,
    answers_at_once: bool,
    goes_away: bool,
    connections: usize,
    /// The numbers of those that are open.
    open: BTreeSet<usize>,
}

/// What the test and the connections share.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Keeps a request whose head has arrived; returns its number.
    fn begin(&self, seen: Seen) -> usize {
        self.change(|state| {
            state.seen.push(seen);
            state.seen.len() - 1
        })
    }

    fn body(&self, number: usize, bytes: &[u8]) {
        self.change(|state| state.seen[number].body.extend_from_slice(bytes));
    }

    fn complete(&self, number: usize, trailers: Vec<(String, String)>) {
        self.change(|state| {
            state.seen[number].trailers = trailers;
            state.seen[number].complete = true;
        });
    }

    fn answer(&self, number: usize) -> Answer {
        let mut state = self.lock();
        match state.queue.pop_front() {
            Some(answer) => answer,
            None => (state.always)(&state.seen[number]),
        }
    }

    fn answers_at_once(&self) -> bool {
        self.lock().answers_at_once
    }

    fn goes_away(&self) -> bool {
        std::mem::take(&mut self.lock().goes_away)
    }

    fn wait(&self, what: &str, mut holds: impl FnMut(&State) -> bool) -> MutexGuard<'_, State> {
        let started = Instant::now();
        let mut state = self.lock();
        while !holds(&state) {
            let left = PATIENCE.checked_sub(started.elapsed());
            let left = left.unwrap_or_else(|| panic!("still not so: {what}; the upstream saw {:?}", state.seen));
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
        state
    }
}

/// See the module.
pub(crate) struct FakeUpstream {
    address: SocketAddr,
    tls: bool,
    shared: Arc<Shared>,
    /// Every change closes all connections; its end closes the listener.
    hang_up: watch::Sender<()>,
}

impl FakeUpstream {
    /// In the clear; HTTP/1.1, or HTTP/2 by prior knowledge.
    pub(crate) fn plain() -> Self {
        Self::start(None)
    }

    /// In TLS; h2 or HTTP/1.1 by ALPN. It has a certificate for every name.
    pub(crate) fn tls() -> Self {
        Self::start(Some(tls::server(None, false, &["h2", "http/1.1"])))
    }

    /// In TLS, and HTTP/1.1 alone.
    pub(crate) fn tls_h1() -> Self {
        Self::start(Some(tls::server(None, false, &["http/1.1"])))
    }

    /// In TLS, with a certificate for `name` whoever is asked for.
    pub(crate) fn tls_claiming(name: &str) -> Self {
        Self::start(Some(tls::server(Some(name), false, &["h2", "http/1.1"])))
    }

    /// In TLS, with certificates whose time is over.
    pub(crate) fn tls_ended() -> Self {
        Self::start(Some(tls::server(None, true, &["h2", "http/1.1"])))
    }

    fn start(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            seen: Vec::new(),
            queue: VecDeque::new(),
            always: Box::new(|_| Answer::json(200, r#"{"ok":true}"#)),
            answers_at_once: false,
            goes_away: false,
            connections: 0,
            open: BTreeSet::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let (hang_up, watch) = watch::channel(());
        let upstream = Self { address, tls: tls.is_some(), shared: Arc::clone(&shared), hang_up };
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(accept(listener, tls.map(TlsAcceptor::from), shared, watch));
        });
        upstream
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether clients must speak TLS.
    pub(crate) fn speaks_tls(&self) -> bool {
        self.tls
    }

    /// The authority to trust for its certificate, as PEM.
    pub(crate) fn ca_pem() -> String {
        tls::authority().pem()
    }

    /// Answers the next request that has no answer yet with this one, then those that follow in their order.
    pub(crate) fn then(&self, answer: Answer) -> &Self {
        self.shared.change(|state| state.queue.push_back(answer));
        self
    }

    /// Answers every request for which nothing was said by `then` with what `answer` makes of it.
    pub(crate) fn always(&self, answer: impl Fn(&Seen) -> Answer + Send + 'static) -> &Self {
        self.shared.change(|state| state.always = Box::new(answer));
        self
    }

    /// From now on answers as soon as a request's head is there, and reads its body afterwards.
    pub(crate) fn answers_at_once(&self) -> &Self {
        self.shared.change(|state| state.answers_at_once = true);
        self
    }

    /// The next connection of HTTP/2 goes away when its first request comes, without having looked at it.
    pub(crate) fn goes_away_once(&self) -> &Self {
        self.shared.change(|state| state.goes_away = true);
        self
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.shared.lock().seen.clone()
    }

    /// The one request so far; fails the test when there are more or none.
    pub(crate) fn only_request(&self) -> Seen {
        let mut seen = self.requests();
        assert_eq!(seen.len(), 1, "one request was due: {seen:?}");
        seen.remove(0)
    }

    /// The latest request.
    pub(crate) fn last_request(&self) -> Seen {
        self.requests().pop().expect("a request was due")
    }

    /// Waits until `count` requests have arrived (their heads at least) and returns all.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Seen> {
        self.shared.wait(&format!("{count} requests"), |state| state.seen.len() >= count).seen.clone()
    }

    /// Waits until what it saw `holds`.
    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn(&[Seen]) -> bool) {
        drop(self.shared.wait(what, |state| holds(&state.seen)));
    }

    /// Forgets the requests so far.
    pub(crate) fn forget(&self) {
        self.shared.change(|state| state.seen.clear());
    }

    /// How many connections it accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// Waits until `count` connections are open.
    pub(crate) fn wait_for_open_connections(&self, count: usize) {
        drop(self.shared.wait(&format!("{count} open connections"), |state| state.open.len() == count));
    }

    /// Closes all connections that there are, as a server does with idle ones.
    pub(crate) fn hang_up(&self) {
        let later = self.connections();
        self.hang_up.send_replace(());
        drop(self.shared.wait("all connections are closed", |state| state.open.range(..later).next().is_none()));
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>, mut watch: watch::Receiver<()>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let accepted = tokio::select! {
            biased; // else a connection made after a hang-up might be closed by it
            changed = watch.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return, // the test dropped the upstream
            },
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let number = shared.change(|state| {
            state.open.insert(state.connections);
            state.connections += 1;
            state.connections - 1
        });
        // A second handle on the same socket, through which it can be ended from under the TLS.
        let socket = SockRef::from(&stream).try_clone().unwrap();
        let (tls, shared, mut watch) = (tls.clone(), Arc::clone(&shared), watch.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = serve(stream, &socket, tls, &shared, number) => {}
                _ = watch.changed() => {}
            }
            // To close it would not do: until a process that another test starts at this moment has become its own program, it
            // has the socket too, and the other end hears nothing. It may be gone already.
            let _ = socket.shutdown(Shutdown::Write);
            drop(socket);
            shared.change(|state| state.open.remove(&number));
        });
    }
}

async fn serve(stream: TcpStream, socket: &Socket, tls: Option<TlsAcceptor>, shared: &Arc<Shared>, number: usize) {
    stream.set_nodelay(true).unwrap();
    let Some(acceptor) = tls else {
        let mut first = [0; 3];
        while matches!(stream.peek(&mut first).await, Ok(1..=2)) {
            tokio::task::yield_now().await;
        }
        let connection = Seen { connection: number, ..Seen::default() };
        return match &first {
            b"PRI" => h2::serve(stream, shared, connection, socket).await,
            _ => h1::serve(stream, shared, connection, socket).await,
        };
    };
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let session = stream.get_ref().1;
    let sni = session.server_name().map(str::to_owned);
    let connection = Seen { connection: number, sni, ..Seen::default() };
    match session.alpn_protocol() {
        Some(b"h2") => h2::serve(stream, shared, connection, socket).await,
        _ => h1::serve(stream, shared, connection, socket).await,
    }
}
