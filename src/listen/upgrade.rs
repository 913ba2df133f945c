//! Connections that stop being HTTP: blind tunnels, and both ends of a WebSocket or another upgrade. Bytes are passed on as
//! they come (`carry`), and a side that closes is closed on the other.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::audit::Outcome;
use crate::pipeline::{Joined, ReplyBody, Trail};
use crate::upstream::{Switched, seconds};

use super::carry::carry;
use super::guarded::State;
use super::rewound::Rewound;

/// How long a tunnel may carry nothing in either direction.
pub(super) const IDLE: Duration = Duration::from_secs(600);

/// When both sides switched protocols, joins them once the client has its 101.
/// `state` is that of the client's connection, which at HTTP/2 lives on beside it.
pub(super) fn join(answer: &mut Response<ReplyBody>, state: &Arc<State>) {
    if let Some(joined) = answer.body_mut().take_joined() {
        let Joined { client, upstream, idle, trail, permit } = *joined;
        let busy = state.busy();
        tokio::spawn(async move {
            let _held = (permit, busy);
            let Ok(client) = client.await else { return };
            let Switched { stream, read, .. } = upstream;
            let ends = (Rewound::new(TokioIo::new(client), Bytes::new()), Rewound::new(stream, read));
            pass(ends, idle, trail).await;
        });
    }
}

/// Passes bytes on between the two ends, the client first, until both have closed or neither has said anything for `idle`.
pub(super) async fn pass<C, U>((client, upstream): (C, U), idle: Duration, mut trail: Trail)
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let (mut client, mut upstream) = (Active::new(client), Active::new(upstream));
    // Counted in whole seconds; a fraction is not no patience at all.
    let limit = u32::try_from(idle.as_secs()).unwrap_or(u32::MAX).max(1);
    let clocks = (client.clock(), upstream.clock());
    let result = tokio::select! {
        result = carry(&mut client, &mut upstream) => result,
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

/// A stream that notes when it last gave something.
struct Active<S> {
    stream: S,
    last: Clock,
    count: u64,
}

impl<S> Active<S> {
    fn new(stream: S) -> Self {
        Self { stream, last: Arc::new(seconds().into()), count: 0 }
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
