//! A TLS stream to which large writes are handed in small pieces.
//!
//! rustls copies what it encrypts to a place that no cache line begins at. From 2,112 bytes on, the C library copies by one
//! instruction (`rep movsb`) where the processor is said to do that fast, and AMD's take several times as long for such a
//! place: a quarter of all that a download cost.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So many bytes are copied at once.
const PIECE: usize = 2048;
/// So many pieces are handed over at once: rustls takes 64 KiB until they are sent.
const MOST: usize = 36;

/// The stream.
#[derive(Debug)]
pub struct Pieces<S>(S);

impl<S> From<S> for Pieces<S> {
    fn from(stream: S) -> Self {
        Self(stream)
    }
}

impl<S> Pieces<S> {
    /// The stream itself.
    pub fn get_ref(&self) -> &S {
        &self.0
    }
}

/// `slices`, and when there are large ones among them, what fits into `room` of their pieces.
pub(super) fn pieces<'a>(slices: &'a [IoSlice<'a>], room: &'a mut [IoSlice<'a>; MOST]) -> &'a [IoSlice<'a>] {
    if slices.iter().all(|slice| slice.len() <= PIECE) {
        return slices;
    }
    let mut count = 0;
    for (place, piece) in room.iter_mut().zip(slices.iter().flat_map(|slice| slice.chunks(PIECE))) {
        *place = IoSlice::new(piece);
        count += 1;
    }
    room.get(..count).unwrap_or_default()
}

impl<S: AsyncRead + Unpin> AsyncRead for Pieces<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Pieces<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.len() <= PIECE {
            return Pin::new(&mut self.0).poll_write(cx, bytes);
        }
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut room = [IoSlice::new(&[]); MOST];
        Pin::new(&mut self.0).poll_write_vectored(cx, pieces(slices, &mut room))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
