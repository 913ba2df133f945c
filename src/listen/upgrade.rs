//! Connections that stop being HTTP: tunnels after CONNECT, and both ends of a WebSocket or another upgrade. Bytes are
//! passed on as they come, in bounded buffers, and a side that closes is closed on the other.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};

use crate::audit::Outcome;
use crate::pipeline::{Inbound, Joined, Line, ReplyBody, Trail, refuse};
use crate::upstream::{Stream, seconds};

/// The buffer of each direction of a tunnel, in bytes.
const BUFFER: usize = 32 * 1024;
/// How long a tunnel may carry nothing in either direction.
const IDLE: Duration = Duration::from_secs(600);

/// Answers CONNECT: dials first, so that the client learns the truth, then opens the tunnel.
pub(super) async fn tunnel(line: &Arc<Line>, mut inbound: Box<Inbound>, mut trail: Trail) -> Response<ReplyBody> {
    let dialled = match line.screen(&inbound, &mut trail) {
        Ok(reach) => line.dial_tunnel(&reach).await,
        Err(fault) => Err(fault),
    };
    let upstream = match dialled {
        Ok(upstream) => upstream,
        Err(fault) => return refuse(&fault, trail),
    };
    trail.opened(http::StatusCode::OK);
    let client = inbound.parts.extensions.remove::<OnUpgrade>();
    let answer = Response::new(ReplyBody::opened());
    if let Some(client) = client {
        tokio::spawn(carry(client, upstream, Bytes::new(), IDLE, trail));
    }
    answer
}

/// When both sides switched protocols, joins them once the client has its 101.
pub(super) fn join(mut answer: Response<ReplyBody>) -> Response<ReplyBody> {
    if let Some(joined) = answer.body_mut().take_joined() {
        let Joined { client, upstream, idle, trail, permit } = *joined;
        tokio::spawn(async move {
            let _held = permit;
            let crate::upstream::Switched { stream, read, .. } = upstream;
            carry(client, stream, read, idle, trail).await;
        });
    }
    answer
}

async fn carry(client: OnUpgrade, upstream: Stream, read: Bytes, idle: Duration, mut trail: Trail) {
    let Ok(client) = client.await else { return };
    let mut client = Active::new(TokioIo::new(client), Bytes::new());
    let mut upstream = Active::new(upstream, read);
    // Counted in whole seconds; a fraction is not no patience at all.
    let limit = u32::try_from(idle.as_secs()).unwrap_or(u32::MAX).max(1);
    let clocks = (client.clock(), upstream.clock());
    let result = tokio::select! {
        result = copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER) => result,
        () = silent(clocks, limit) => Err(io::ErrorKind::TimedOut.into()),
    };
    let (up, down) = (client.count, upstream.count);
    trail.carried(up, down);
    trail.ended(if result.is_ok() { Outcome::Complete } else { Outcome::ClientGone });
}

type Clock = Arc<std::sync::atomic::AtomicU32>;

/// Returns when neither side has said anything for `limit` seconds.
async fn silent((client, upstream): (Clock, Clock), limit: u32) {
    use std::sync::atomic::Ordering::Relaxed;
    loop {
        let now = seconds();
        let quiet = now.wrapping_sub(client.load(Relaxed)).min(now.wrapping_sub(upstream.load(Relaxed)));
        if quiet >= limit {
            return;
        }
        tokio::time::sleep(Duration::from_secs(u64::from(limit - quiet))).await;
    }
}

/// A stream that notes when it last gave something, and first gives what was read of it before.
struct Active<S> {
    stream: S,
    before: Bytes,
    last: Clock,
    count: u64,
}

impl<S> Active<S> {
    fn new(stream: S, before: Bytes) -> Self {
        Self { stream, before, last: Arc::new(seconds().into()), count: 0 }
    }

    fn clock(&self) -> Clock {
        Arc::clone(&self.last)
    }

    fn note(&mut self, bytes: usize) {
        self.count += bytes as u64;
        self.last.store(seconds(), std::sync::atomic::Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Active<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let count = self.before.len().min(buffer.remaining());
            buffer.put_slice(self.before.get(..count).unwrap_or_default());
            self.before.advance(count);
            self.note(count);
            return Poll::Ready(Ok(()));
        }
        let filled = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            let count = buffer.filled().len() - filled;
            self.note(count);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Active<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
