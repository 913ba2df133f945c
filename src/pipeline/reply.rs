//! The answer on its way to the client: the upstream's frames as they come, with what must live until the last of them:
//! the permit, the connection, the trail.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::upgrade::OnUpgrade;
use tokio::time::{Instant, Sleep};

use crate::audit::Outcome;
use crate::gate::Permit;
use crate::upstream::{ExchangeError, Switched, UpstreamBody};

use super::refuse;
use super::respond::{self, PROXY_STATUS, Received};
use super::snapshot::Held;
use super::trail::Trail;

/// An upstream's answer that has not been handed to the client yet.
pub struct Reply {
    answer: Response<UpstreamBody>,
    permit: Option<Permit<Held>>,
    upgrade: Option<OnUpgrade>,
    idle: Duration,
}

/// A client and an upstream that both switched protocols, to be joined.
pub struct Joined {
    /// The client's side.
    pub client: OnUpgrade,
    /// The upstream's side.
    pub upstream: Switched,
    /// How long neither may say anything.
    pub idle: Duration,
    /// Ends with the tunnel.
    pub trail: Trail,
    /// Held until the tunnel ends.
    pub permit: Option<Permit<Held>>,
}

impl Reply {
    pub(super) fn new(
        answer: Response<UpstreamBody>,
        permit: Option<Permit<Held>>,
        upgrade: Option<OnUpgrade>,
        idle: Duration,
    ) -> Self {
        Self { answer, permit, upgrade, idle }
    }

    /// Hands the answer over. After a switch of protocols the two ends are put into the extensions as [`Joined`].
    pub(super) fn finish(self, mut trail: Trail) -> Response<ReplyBody> {
        let (mut parts, body) = self.answer.into_parts();
        trail.answered(parts.status);
        if let UpstreamBody::Switched(upstream) = body {
            let Some(client) = self.upgrade else { return refuse(&ExchangeError::Unasked.into(), trail) };
            let joined = Joined { client, upstream: *upstream, idle: self.idle, trail, permit: self.permit };
            return Response::from_parts(parts, ReplyBody { inner: Inner::Joined(Some(Box::new(joined))) });
        }
        strip(&mut parts.headers);
        if let Some(Received(value)) = parts.extensions.remove() {
            parts.headers.append(PROXY_STATUS, value);
        }
        let carried = Carried { body, trail, _permit: self.permit, idle: self.idle, silence: None, moved: true };
        Response::from_parts(parts, ReplyBody { inner: Inner::Upstream(Box::new(carried)) })
    }
}

/// What belongs to the upstream's connection does not go to the client, and neither does what it says in our name. Our own
/// connection is kept alive just the same, so that `Connection: keep-alive` alone may stay as it is.
fn strip(headers: &mut HeaderMap) {
    let keeps_alive = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"keep-alive");
    let goes = |(name, value): (&HeaderName, &HeaderValue)| {
        (is_hop_by_hop(name) && !(name == CONNECTION && keeps_alive(value))) || name == PROXY_STATUS
    };
    if !headers.iter().any(goes) {
        return;
    }
    let nominated: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let old = std::mem::take(headers);
    headers.reserve(old.keys_len());
    let mut kept = None;
    for (name, value) in old {
        if let Some(name) = name {
            kept = (!is_hop_by_hop(&name) && !nominated.contains(&name)).then_some(name);
        }
        match &kept {
            Some(name) if name == PROXY_STATUS => {
                respond::of_others(&value).map(|value| headers.append(name, value));
            }
            Some(name) => {
                headers.append(name, value);
            }
            None => {}
        }
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(*name, CONNECTION | TE | TRANSFER_ENCODING | UPGRADE)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// The body of an answer to a client.
pub struct ReplyBody {
    inner: Inner,
}

enum Inner {
    Upstream(Box<Carried>),
    Own(Option<Bytes>, Trail),
    Joined(Option<Box<Joined>>),
}

struct Carried {
    body: UpstreamBody,
    trail: Trail,
    _permit: Option<Permit<Held>>,
    idle: Duration,
    /// Runs while the upstream is silent in the middle of its answer; none for answers that come in one piece.
    silence: Option<Pin<Box<Sleep>>>,
    /// Whether something came since the silence began.
    moved: bool,
}

impl ReplyBody {
    /// A body that sidekey made.
    pub fn own(bytes: Bytes, trail: Trail) -> Self {
        Self { inner: Inner::Own((!bytes.is_empty()).then_some(bytes), trail) }
    }

    /// No body: a tunnel begins.
    pub fn opened() -> Self {
        Self { inner: Inner::Joined(None) }
    }

    /// The two ends to join, after a switch of protocols.
    pub fn take_joined(&mut self) -> Option<Box<Joined>> {
        match &mut self.inner {
            Inner::Joined(joined) => joined.take(),
            _ => None,
        }
    }

    /// Notes the status that the client gets with it.
    pub fn note_status(&mut self, status: StatusCode) {
        if let Inner::Own(_, trail) = &mut self.inner {
            trail.status(status);
        }
    }
}

impl Carried {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.moved = true;
                if let Some(data) = frame.data_ref() {
                    self.trail.sent_down(data.len());
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.trail.ended(Outcome::UpstreamBroke);
                Poll::Ready(Some(Err(io::Error::other(error))))
            }
            Poll::Ready(None) => {
                self.trail.ended(Outcome::Complete);
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_silence(cx),
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let until = || Instant::now() + self.idle;
        let silence = match &mut self.silence {
            Some(silence) => {
                if self.moved {
                    silence.as_mut().reset(until());
                }
                silence
            }
            none => none.insert(Box::pin(tokio::time::sleep_until(until()))),
        };
        self.moved = false;
        if silence.as_mut().poll(cx).is_ready() {
            self.trail.ended(Outcome::UpstreamBroke);
            let why = "the upstream fell silent in the middle of its answer";
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, why))));
        }
        Poll::Pending
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        // The server drops a body of known length without asking once more for its end.
        if self.body.is_end_stream() {
            self.trail.ended(Outcome::Complete);
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.inner {
            Inner::Upstream(carried) => carried.poll_frame(cx),
            Inner::Own(bytes, trail) => {
                trail.ended(Outcome::Complete);
                Poll::Ready(bytes.take().map(|bytes| {
                    trail.sent_down(bytes.len());
                    Ok(Frame::data(bytes))
                }))
            }
            Inner::Joined(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Upstream(carried) => carried.body.is_end_stream(),
            Inner::Own(bytes, _) => bytes.is_none(),
            Inner::Joined(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Upstream(carried) => carried.body.size_hint(),
            Inner::Own(bytes, _) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Inner::Joined(_) => SizeHint::with_exact(0),
        }
    }
}
