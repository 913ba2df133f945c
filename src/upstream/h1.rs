//! One HTTP/1 connection, driven by whoever uses it: the request's own task polls the connection, so an exchange needs
//! no second task, no wake-up across tasks and no scheduling between two of them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::coop::unconstrained;

use super::destination::Destination;
use super::dial::Forward;
use super::outgoing::Outgoing;
use super::pool::{self, Slot, quiet};
use super::stream::Stream;

type Connection = http1::Connection<TokioIo<Stream>, Outgoing>;

/// A connection between two requests, or under one.
pub(super) struct H1 {
    sender: http1::SendRequest<Outgoing>,
    driven: Driven,
    destination: Arc<Destination>,
    /// Set when the other end is a parent proxy that forwards plain HTTP.
    forward: Option<Forward>,
    born: u32,
    slot: Slot,
}

/// The connection's state machine, which must not be polled after its end.
struct Driven {
    connection: Connection,
    ended: bool,
}

impl Driven {
    /// Drives the connection until `ready` has something, and sees to it that the task is woken when it has not.
    ///
    /// The first drive wakes nobody: what it leaves to be waited for is in most cases taken by this very task a moment later,
    /// which would then be woken by itself and run once more for nothing.
    fn until<T>(&mut self, cx: &mut Context<'_>, mut ready: impl FnMut() -> Poll<T>) -> Poll<T> {
        match self.after(&mut quiet(), &mut ready) {
            Poll::Pending => self.after(cx, ready),
            found @ Poll::Ready(_) => found,
        }
    }

    /// Drives the connection once and asks `ready`.
    fn after<T>(&mut self, cx: &mut Context<'_>, mut ready: impl FnMut() -> Poll<T>) -> Poll<T> {
        self.drive(cx);
        ready()
    }

    /// Moves bytes in both directions as far as they go.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            self.ended = self.connection.poll_without_shutdown(cx).is_ready();
        }
    }
}

/// The head of an answer, and the connection that its body comes from; none when that has ended.
pub(super) type Answered = (Response<Incoming>, Option<Box<H1>>);

/// Why an exchange failed.
pub(super) enum Broken {
    /// Nothing was sent; here is the request again.
    Unsent(Box<Request<Outgoing>>),
    /// Something may have been sent.
    Sent(hyper::Error),
}

impl H1 {
    /// Begins HTTP/1 on a fresh stream.
    pub(super) async fn begin(
        stream: Stream,
        destination: &Arc<Destination>,
        forward: Option<Forward>,
        slot: Slot,
    ) -> hyper::Result<Box<Self>> {
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .title_case_headers(true)
            .handshake(TokioIo::new(stream))
            .await?;
        let driven = Driven { connection, ended: false };
        let destination = Arc::clone(destination);
        Ok(Box::new(Self { sender, driven, destination, forward, born: pool::seconds(), slot }))
    }

    pub(super) fn destination(&self) -> &Arc<Destination> {
        &self.destination
    }

    pub(super) fn forward(&self) -> Option<&Forward> {
        self.forward.as_ref()
    }

    pub(super) fn is_older_than(&self, seconds: u32, age: u32) -> bool {
        seconds.wrapping_sub(self.born) >= age
    }

    /// Whether it can take a request. Costs no system call unless the runtime has seen an event on it.
    pub(super) fn is_alive(&mut self) -> bool {
        self.driven.drive(&mut quiet());
        self.is_ready()
    }

    /// Whether it could take a request when it was last driven.
    pub(super) fn is_ready(&self) -> bool {
        !self.driven.ended && self.sender.is_ready()
    }

    /// Sends `request` and waits for the head of the answer. A connection that was closed meanwhile is noticed before
    /// anything is sent, because it reads before it writes.
    pub(super) async fn send(mut self: Box<Self>, request: Box<Request<Outgoing>>) -> Result<Answered, Broken> {
        // Only the connection, polled by this same task just before, can complete the answer: it needs no wake-up of its
        // own, and must not be held back by the task's budget, for then the wake-up would be missed. Boxed, because it has
        // room for a whole request, and would be copied with every future around it.
        let mut answer = Box::pin(unconstrained(self.sender.try_send_request(*request)));
        let mut begun = false;
        let answered = std::future::poll_fn(|cx| {
            let ask = || answer.as_mut().poll(&mut quiet());
            // Nobody has answered yet when the request goes out: one drive is enough then.
            let polled = if begun { self.driven.until(cx, ask) } else { self.driven.after(cx, ask) };
            begun = true;
            match polled {
                Poll::Pending if self.driven.ended => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
                Poll::Ready(answered) => Poll::Ready(Some(answered)),
            }
        })
        .await;
        let (answered, connection) = if let Some(answered) = answered {
            (answered, Some(self))
        } else {
            // A connection that has ended gives back what it was handed and has not begun to send.
            drop(self);
            (answer.await, None)
        };
        answered.map(|answer| (answer, connection)).map_err(|mut error| match error.take_message() {
            Some(request) => Broken::Unsent(Box::new(request)),
            None => Broken::Sent(error.into_error()),
        })
    }

    /// The stream and what was read of it beyond the answer, after `101 Switching Protocols`.
    pub(super) fn into_stream(self: Box<Self>) -> (Stream, Bytes, Slot) {
        let parts = self.driven.connection.into_parts();
        (parts.io.into_inner(), parts.read_buf, self.slot)
    }
}

/// The body of an answer, with the connection it comes from. When the body ends, the connection goes back to the pool;
/// when it is dropped before, the connection is closed.
pub(super) struct H1Body {
    incoming: Incoming,
    connection: Option<Box<H1>>,
}

impl H1Body {
    pub(super) fn new(incoming: Incoming, connection: Option<Box<H1>>) -> Self {
        let mut body = Self { incoming, connection };
        if body.incoming.is_end_stream() {
            body.release();
        }
        body
    }

    /// Gives the connection back if it is ready for another request.
    fn release(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && (connection.is_ready() || connection.is_alive())
        {
            pool::keep(connection);
        }
    }
}

impl Body for H1Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Self { incoming, connection } = &mut *self;
        let mut ask = || Pin::new(&mut *incoming).poll_frame(&mut quiet());
        // Asking for a frame is what makes the connection read one, so it is driven after the first asking.
        let mut frame = ask();
        if frame.is_pending() {
            frame = match connection {
                Some(connection) => connection.driven.until(cx, ask),
                None => Poll::Ready(None),
            };
        }
        match &frame {
            Poll::Ready(Some(Err(_))) => self.connection = None,
            Poll::Ready(Some(Ok(_))) if !self.incoming.is_end_stream() => {}
            Poll::Ready(_) => self.release(),
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
