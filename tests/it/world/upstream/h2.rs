//! The HTTP/2 side, on hyper: streams side by side, trailers, streams that are reset.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{
        Notify,
        mpsc::{UnboundedReceiver, unbounded_channel},
    },
};

use super::{
    super::h2_client::fields,
    Seen, Shared,
    answer::{Act, Piece},
};

/// Serves one connection to its end.
pub(super) async fn serve<S>(stream: S, shared: &Arc<Shared>, connection: Seen, socket: &socket2::Socket)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    if shared.goes_away() {
        return go_away(stream, shared, connection).await.unwrap_or_default();
    }
    let reset = Arc::new(Notify::new());
    let service = service_fn(|request| respond(request, Arc::clone(shared), connection.clone(), Arc::clone(&reset)));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.enable_connect_protocol();
    tokio::select! {
        _ = builder.serve_connection(TokioIo::new(stream), service) => {}
        () = reset.notified() => rustix::net::connect_unspec(socket).unwrap(),
    }
}

/// Takes the preface and whatever comes with it, and goes away without having looked at any stream (RFC 9113 §6.8).
async fn go_away<S>(mut stream: S, shared: &Shared, connection: Seen) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    const HEADERS: u8 = 1;
    // The settings, empty, which come first.
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
    let (mut read, mut at) = (Vec::new(), 24);
    loop {
        let length =
            |head: &[u8]| 9 + usize::from(head[0]) * 0x1_0000 + usize::from(head[1]) * 0x100 + usize::from(head[2]);
        match read.get(at..at + 9).map(|head| (head[3], length(head))) {
            Some((HEADERS, _)) => break,
            Some((_, length)) => at += length,
            None if stream.read_buf(&mut read).await? == 0 => return Ok(()),
            None => {}
        }
    }
    shared.begin(connection);
    // 8 bytes: no stream was the last, and nothing is wrong.
    stream.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await?;
    stream.flush().await?;
    // The peer closes, so that nothing that is under way to it is lost.
    while stream.read_buf(&mut read).await? > 0 {}
    Ok(())
}

async fn respond(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    mut seen: Seen,
    reset: Arc<Notify>,
) -> Result<Response<Pieces>, Box<dyn std::error::Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    seen.version = "HTTP/2".to_owned();
    seen.method = head.method.to_string();
    seen.target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    seen.authority = head.uri.authority().map(ToString::to_string).unwrap_or_default();
    seen.headers = fields(&head.headers);
    let number = shared.begin(seen);
    if shared.answers_at_once() {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move { keep(body, &shared, number).await });
    } else {
        keep(body, &shared, number).await?;
    }
    let answer = shared.answer(number);
    let pieces = match answer.act {
        Act::Whole(body) => Pieces::whole(body),
        Act::Fed(pieces) => Pieces(pieces),
        Act::Stall => std::future::pending().await,
        Act::Reset => {
            reset.notify_one();
            std::future::pending().await
        }
        Act::HangUp => return Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
        Act::Refuse => return Err(h2::Error::from(h2::Reason::REFUSED_STREAM).into()),
        Act::Raw { .. } | Act::Echo(_) => panic!("raw bytes and upgrades are for HTTP/1.1"),
    };
    let mut response = Response::new(pieces);
    *response.status_mut() = answer.status.try_into().unwrap();
    *response.headers_mut() = map(&answer.headers);
    Ok(response)
}

async fn keep(mut body: Incoming, shared: &Shared, number: usize) -> io::Result<()> {
    let mut trailers = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(io::Error::other)?;
        match frame.into_data() {
            Ok(bytes) => shared.body(number, &bytes),
            Err(frame) => trailers = frame.trailers_ref().map(fields).unwrap_or_default(),
        }
    }
    shared.complete(number, trailers);
    Ok(())
}

fn map(fields: &[(String, String)]) -> HeaderMap {
    let owned = fields.iter().map(|(name, value)| {
        (name.to_lowercase().parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
    });
    owned.collect()
}

/// A body that ends with its channel.
struct Pieces(UnboundedReceiver<Piece>);

impl Pieces {
    fn whole(body: Vec<u8>) -> Self {
        let (feed, pieces) = unbounded_channel();
        feed.send(Piece::Data(body)).unwrap();
        Self(pieces)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(cx).map(|piece| match piece? {
            Piece::Data(bytes) => Some(Ok(Frame::data(bytes.into()))),
            Piece::Trailers(fields) => Some(Ok(Frame::trailers(map(&fields)))),
            Piece::Break => Some(Err(io::ErrorKind::BrokenPipe.into())),
        })
    }
}
