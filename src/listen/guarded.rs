//! A client's stream under watch: silent, slow or stuck clients are closed by a sweep once a second, so that a request pays
//! two stores for its deadlines and no timer. Also tells the door of a request that gives its length twice, and turns hyper's
//! bare answers to unparsable requests into problem documents.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::AbortHandle;

use crate::pipeline::Peer;
use crate::upstream::{SMALL, as_one, seconds};

use super::framing::Framing;
use super::unparsable;

/// Seconds that a fresh connection may stay without a byte.
const FIRST_BYTE: u32 = 60;
/// Seconds from the first byte of a request's head to its last.
const HEAD: u32 = 20;
/// Seconds that a connection is kept between two requests.
const KEEP_ALIVE: u32 = 300;
/// Seconds that a client may not take a byte of an answer that waits for it.
const STUCK: u32 = 600;

/// What the connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Nothing has come yet.
    Fresh,
    /// Between two requests; at HTTP/2 also before the first.
    Idle,
    /// Part of a head has come. Not at HTTP/2, where bytes that come need not belong to a request.
    Head,
    /// A request is being served.
    Serving,
    /// Bytes are carried unseen; the tunnel has its own patience, and nobody waits for its end.
    Tunnel,
}

/// What the sweep sees of a connection.
#[derive(Debug)]
pub(super) struct State {
    phase: AtomicU8,
    since: AtomicU32,
    write_waits: AtomicBool,
    /// Requests under way; more than one at HTTP/2.
    serving: AtomicU32,
    http2: AtomicBool,
    /// Answers of which a piece waits until the client lets it come (RFC 9113 §5.2); at HTTP/2, where the socket does not
    /// tell.
    untaken: AtomicU32,
    /// When the last such piece was taken or began to wait.
    moved: AtomicU32,
    /// Requests handed to a door so far; at HTTP/1, where they come one by one.
    handed: AtomicU32,
    /// Which request, counted from 1, gives its length twice; 0 is none.
    twice: AtomicU32,
}

/// How a request tells where its body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lengths {
    /// In one way, or not at all.
    One,
    /// By Content-Length and by Transfer-Encoding.
    Two,
}

impl State {
    pub(super) fn new() -> Arc<Self> {
        CLIENTS.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            phase: AtomicU8::new(Phase::Fresh as u8),
            since: AtomicU32::new(seconds()),
            write_waits: AtomicBool::new(false),
            serving: AtomicU32::new(0),
            http2: AtomicBool::new(false),
            untaken: AtomicU32::new(0),
            moved: AtomicU32::new(0),
            handed: AtomicU32::new(0),
            twice: AtomicU32::new(0),
        })
    }

    /// It does something else from now on.
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.since.store(seconds(), Ordering::Relaxed);
    }

    pub(super) fn speaks_http2(&self) {
        self.http2.store(true, Ordering::Relaxed);
        self.enter(Phase::Idle);
    }

    /// Something is carried for as long as what is returned lives.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.serving.fetch_add(1, Ordering::Relaxed);
        self.enter(Phase::Serving);
        Busy(Arc::clone(self))
    }

    /// Another HTTP connection begins on it, within a tunnel.
    pub(super) fn begin_within(&self, is_http2: bool) {
        for count in [&self.serving, &self.handed, &self.twice] {
            count.store(0, Ordering::Relaxed);
        }
        self.http2.store(is_http2, Ordering::Relaxed);
        self.enter(if is_http2 { Phase::Idle } else { Phase::Fresh });
    }

    /// A piece of an answer waits for its client, or waits no more.
    pub(super) fn untaken(&self, waits: bool) {
        self.moved.store(seconds(), Ordering::Relaxed);
        if waits {
            self.untaken.fetch_add(1, Ordering::Relaxed);
        } else {
            self.untaken.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    /// A request has come.
    pub(super) fn begin(&self) -> Lengths {
        self.serving.fetch_add(1, Ordering::Relaxed);
        self.enter(Phase::Serving);
        let number = self.handed.load(Ordering::Relaxed).wrapping_add(1);
        self.handed.store(number, Ordering::Relaxed);
        if self.twice.load(Ordering::Relaxed) == number { Lengths::Two } else { Lengths::One }
    }

    /// A request's answer has ended.
    pub(super) fn end(&self) {
        if self.serving.fetch_sub(1, Ordering::Relaxed) <= 1 {
            self.enter(Phase::Idle);
        }
    }

    fn is(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Relaxed) == phase as u8
    }

    /// Whether the client has used up its time.
    fn is_over(&self, now: u32) -> bool {
        let passed = |since: &AtomicU32| now.wrapping_sub(since.load(Ordering::Relaxed));
        match self.phase.load(Ordering::Relaxed) {
            p if p == Phase::Fresh as u8 => passed(&self.since) > FIRST_BYTE,
            p if p == Phase::Head as u8 => passed(&self.since) > HEAD,
            p if p == Phase::Idle as u8 => passed(&self.since) > KEEP_ALIVE,
            p if p == Phase::Tunnel as u8 => false,
            _ => {
                let writes = self.write_waits.load(Ordering::Relaxed) && passed(&self.since) > STUCK;
                writes || self.untaken.load(Ordering::Relaxed) > 0 && passed(&self.moved) > STUCK
            }
        }
    }
}

/// Something that is carried on a connection beside its requests.
pub(super) struct Busy(Arc<State>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Drop for State {
    fn drop(&mut self) {
        CLIENTS.fetch_sub(1, Ordering::Relaxed);
    }
}

static CLIENTS: AtomicUsize = AtomicUsize::new(0);

/// How many client connections are open in this process.
pub fn clients() -> usize {
    CLIENTS.load(Ordering::Relaxed)
}

thread_local! {
    static DRAINING: Cell<bool> = const { Cell::new(false) };
    static WATCHED: RefCell<Vec<(Arc<State>, AbortHandle)>> = const { RefCell::new(Vec::new()) };
}

/// Puts a connection under the sweep of this core.
pub(super) fn watch(state: Arc<State>, task: AbortHandle) {
    WATCHED.with_borrow_mut(|watched| watched.push((state, task)));
}

/// Once a second on every core: closes connections whose client has used up its time.
pub fn sweep() {
    let now = seconds();
    let over = take(|state| state.is_over(now));
    for task in over {
        task.abort();
    }
}

/// Whether a connection that has not brought its request yet may still bring one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latecomers {
    /// It was accepted a moment ago, and nobody else would answer it.
    Wait,
    /// It had its time.
    Close,
}

/// When the process is to stop: closes the connections of this core that serve nothing, and tells how many are left. Every
/// answer from then on tells an HTTP/1 client that its connection ends.
pub fn drain(latecomers: Latecomers) -> usize {
    DRAINING.set(true);
    let over = |state: &State| match latecomers {
        Latecomers::Wait => state.is(Phase::Idle),
        Latecomers::Close => !state.is(Phase::Serving) && !state.is(Phase::Tunnel),
    };
    for task in take(over) {
        task.abort();
    }
    WATCHED.with_borrow(|watched| watched.iter().filter(|(state, _)| !state.is(Phase::Tunnel)).count())
}

/// Whether this core is about to stop.
pub(super) fn is_draining() -> bool {
    DRAINING.get()
}

/// What the connections of this core are doing, and whether they wait for their client to take what was written.
#[cfg(test)]
pub(crate) fn watched() -> Vec<(Phase, bool)> {
    let phases = [Phase::Fresh, Phase::Idle, Phase::Head, Phase::Serving, Phase::Tunnel];
    WATCHED.with_borrow(|watched| {
        let open = watched.iter().filter(|(_, task)| !task.is_finished());
        let seen = open.map(|(state, _)| (phases.into_iter().find(|phase| state.is(*phase)), state));
        seen.map(|(phase, state)| (phase.unwrap(), state.write_waits.load(Ordering::Relaxed))).collect()
    })
}

fn take(over: impl Fn(&State) -> bool) -> Vec<AbortHandle> {
    WATCHED.with_borrow_mut(|watched| {
        let mut taken = Vec::new();
        watched.retain(|(state, task)| {
            if !task.is_finished() && over(state) {
                taken.push(task.clone());
                return false;
            }
            !task.is_finished()
        });
        taken
    })
}

/// A client's stream.
pub(super) struct Guarded<S> {
    stream: S,
    state: Arc<State>,
    peer: Peer,
    framing: Framing,
    /// What is sent in place of an answer that hyper made, while it waits to be sent.
    answer: Option<Vec<u8>>,
}

impl<S> Guarded<S> {
    /// A stream of HTTP/1, or of HTTP/2 when `state` knows that already.
    pub(super) fn new(stream: S, state: Arc<State>, peer: Peer) -> Self {
        let framing = if state.is_http2() { Framing::foreign() } else { Framing::new() };
        Self { stream, state, peer, framing, answer: None }
    }

    /// The stream, when it is no HTTP any more.
    pub(super) fn into_stream(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            if (self.state.is(Phase::Idle) || self.state.is(Phase::Fresh)) && !self.state.is_http2() {
                self.state.enter(Phase::Head);
            }
            let bytes = buffer.filled().get(before..).unwrap_or_default();
            if let Some(number) = self.framing.follow(bytes) {
                self.state.twice.store(number, Ordering::Relaxed);
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    fn wrote<T>(&self, written: &Poll<io::Result<T>>) {
        let waits = written.is_pending();
        if self.state.write_waits.swap(waits, Ordering::Relaxed) != waits || !waits {
            self.state.since.store(seconds(), Ordering::Relaxed);
        }
    }

    /// What hyper writes by itself before any request was handed to a door: its answer to a head that it cannot parse. An
    /// upstream's answer is never taken for it: it is written in another phase, and is not the same to the last byte.
    fn is_bare(&self, bytes: &[u8]) -> bool {
        self.state.is(Phase::Head) && unparsable::is_bare(bytes)
    }

    /// Sends the document in place of hyper's bare answer. It is made once, however often the stream is not ready for it;
    /// the connection ends after it, so a short write of it is the client's loss alone.
    fn write_own(&mut self, cx: &mut Context<'_>, bare: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, peer, answer, .. } = self;
        let answer = answer.get_or_insert_with(|| unparsable::answer(bare, peer));
        Pin::new(stream).poll_write(cx, answer).map_ok(|_| bare.len())
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_bare(bytes) {
            return self.write_own(cx, bytes);
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // hyper writes vectored whenever the stream can, and its own answers in one slice.
        if let Some(bytes) = as_one(slices, &mut [0; SMALL]) {
            return self.poll_write(cx, bytes);
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
