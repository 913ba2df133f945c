//! Bytes carried both ways between two streams until both have ended. A core has one buffer for all that it carries: what is
//! read is written at once, and kept only as far as the other side does not take it, so that who is silent holds no memory.
//! How long nothing may be said is not its affair.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The buffer of a core, in bytes. Half as much costs a large download a tenth more.
const BUFFER: usize = 128 * 1024;
/// So many buffers are carried before others on this core have their turn.
const TURN: u32 = 8;

thread_local! {
    static BUFFERED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// One direction.
#[derive(Default)]
struct Direction {
    /// What was read and not taken yet.
    left: Vec<u8>,
    /// How much of `left` is taken.
    taken: usize,
    /// Something was written since the last flush.
    unflushed: bool,
    /// The reading end has ended.
    ended: bool,
    /// And the writing end knows.
    told: bool,
}

/// Carries bytes both ways until both sides have ended.
///
/// # Errors
/// When a side breaks off.
pub(super) async fn carry<A, B>(one: &mut A, other: &mut B) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut there, mut back) = (Direction::default(), Direction::default());
    std::future::poll_fn(|cx| {
        let there = there.poll(cx, one, other)?;
        let back = back.poll(cx, other, one)?;
        if there.is_ready() && back.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

impl Direction {
    /// Carries on as far as it goes; ready when `from` has ended and `to` knows it.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        for _ in 0..TURN {
            ready!(self.deliver(cx, to))?;
            if self.told {
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.told = true;
                return Poll::Ready(Ok(()));
            }
            if self.fetch(cx, from, to)?.is_pending() {
                // What TLS has taken may not be on its way yet.
                if self.unflushed {
                    ready!(Pin::new(&mut *to).poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Delivers what is left.
    fn deliver(&mut self, cx: &mut Context<'_>, to: &mut (impl AsyncWrite + Unpin)) -> Poll<io::Result<()>> {
        while let Some(rest) = self.left.get(self.taken..).filter(|rest| !rest.is_empty()) {
            self.taken += taken(ready!(Pin::new(&mut *to).poll_write(cx, rest))?)?;
        }
        (self.left, self.taken) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    /// Reads once, and writes what was read; what is not taken is left.
    fn fetch(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        // Taken out while it is used, so that whoever is called in between finds it free.
        let mut buffer = BUFFERED.take();
        buffer.resize(BUFFER, 0);
        let mut read = ReadBuf::new(&mut buffer);
        let polled = Pin::new(from).poll_read(cx, &mut read).map_ok(|()| read.filled());
        let done = match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok([])) => {
                self.ended = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(bytes)) => {
                self.unflushed = true;
                let written = match Pin::new(to).poll_write(cx, bytes) {
                    Poll::Pending => Ok(0),
                    Poll::Ready(written) => written.and_then(taken),
                };
                Poll::Ready(written.map(|count| self.left.extend_from_slice(bytes.get(count..).unwrap_or_default())))
            }
        };
        BUFFERED.set(buffer);
        done
    }
}

/// A writer that takes nothing will never take anything.
fn taken(count: usize) -> io::Result<usize> {
    if count == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(count) }
}
