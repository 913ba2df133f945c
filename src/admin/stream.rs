//! Bodies that are longer than memory: an answer that a thread writes a piece at a time, and a request's body that goes into a
//! file. Neither waits for ever for whoever is at the other end.

use std::fs::File;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::StatusCode;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::problem::Problem;

/// How long the other end may take for the next piece.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes that are handed over at once.
const PIECE: usize = 64 * 1024;
/// Pieces that may wait for whoever reads.
const WAITING: usize = 4;

type Piece = io::Result<Bytes>;

/// A body that `write` writes on a thread that may wait. When `write` fails, the body breaks off, which whoever reads can tell
/// from its end.
pub(super) fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) -> Body {
    let (pieces, body) = mpsc::channel(WAITING);
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut out = Pipe { pieces, handle, piece: Vec::with_capacity(PIECE) };
        if let Err(error) = write(&mut out).and_then(|()| out.flush()) {
            tracing::warn!(%error, "an answer of the admin API was broken off");
            // Who is gone needs not be told.
            let _ = out.hand_over(Err(error));
        }
    });
    Body::new(Pieces(body))
}

/// Where the thread writes.
struct Pipe {
    pieces: mpsc::Sender<Piece>,
    handle: Handle,
    piece: Vec<u8>,
}

impl Pipe {
    fn hand_over(&self, piece: Piece) -> io::Result<()> {
        let handed = self.handle.block_on(tokio::time::timeout(PATIENCE, self.pieces.send(piece)));
        match handed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads it any more")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was read for a minute")),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE.saturating_sub(self.piece.len());
        let taken = bytes.get(..bytes.len().min(room)).unwrap_or_default();
        self.piece.extend_from_slice(taken);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.hand_over(Ok(piece.into()))
    }
}

/// What the thread wrote.
struct Pieces(mpsc::Receiver<Piece>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// Writes a request's body of at most `most` bytes into `file`.
///
/// # Errors
/// When it is longer, breaks off, stops coming, or there is no room for it.
pub(super) async fn into_file(mut body: Body, file: File, most: u64) -> Result<(), Problem> {
    let too_large = || {
        let text = format!("the body is larger than {} GiB", most >> 30);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text)
    };
    if http_body::Body::size_hint(&body).lower() > most {
        return Err(too_large());
    }
    let (mut file, mut length) = (tokio::fs::File::from_std(file), 0_u64);
    let no_room = |error: io::Error| {
        let text = format!("the body cannot be kept in the data folder: {error}");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text)
    };
    loop {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
        let Ok(frame) = frame else { return Err(broken("nothing came for a minute")) };
        let Some(frame) = frame else { return file.flush().await.map_err(no_room) };
        let frame = frame.map_err(|_| broken("the body broke off before its end"))?;
        let Some(piece) = frame.data_ref() else { continue };
        length = length.saturating_add(piece.len() as u64);
        if length > most {
            return Err(too_large());
        }
        file.write_all(piece).await.map_err(no_room)?;
    }
}

fn broken(text: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed", text)
}
