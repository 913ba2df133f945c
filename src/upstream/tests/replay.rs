//! Copies of bodies share one room: what finds none passes uncopied, and what ends gives its room back.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc::unbounded_channel;

use super::super::replay::{Replay, Room};

/// A body as it comes from a client that sends `text`.
async fn body(text: &'static str) -> Incoming {
    let (near, far) = tokio::io::duplex(1024);
    let (told, mut bodies) = unbounded_channel();
    let service = service_fn(move |request: Request<Incoming>| {
        told.send(request.into_body()).unwrap();
        std::future::pending::<Result<Response<Empty<Bytes>>, Infallible>>()
    });
    tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service));
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
    tokio::spawn(connection);
    tokio::spawn(
        async move { client.send_request(Request::put("/").body(Full::new(Bytes::from(text))).unwrap()).await },
    );
    bodies.recv().await.unwrap()
}

/// Sends a copied body and gives what arrived.
async fn sent(replay: &Replay) -> Bytes {
    replay.reader().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn a_body_that_finds_no_room_passes_uncopied_and_one_that_is_over_makes_room() {
    let room: &'static Room = Box::leak(Box::new(Room::of(10)));
    let (first, second) =
        (Replay::within(room, body("first!").await, 100), Replay::within(room, body("second").await, 100));
    assert_eq!((sent(&first).await, first.is_whole()), ("first!".into(), true));
    assert_eq!((sent(&second).await, second.is_whole()), ("second".into(), false), "it passes whole, and once");
    assert_eq!(sent(&first).await, "first!", "what was kept is there still");
    let small = Replay::within(room, body("4444").await, 100);
    assert_eq!((sent(&small).await, small.is_whole()), ("4444".into(), true), "what found none holds none");
    drop(first);
    let third = Replay::within(room, body("third!").await, 100);
    assert_eq!((sent(&third).await, third.is_whole(), sent(&third).await), ("third!".into(), true, "third!".into()));
}

#[tokio::test]
async fn what_was_looked_at_before_passes_as_if_nobody_had() {
    let room: &'static Room = Box::leak(Box::new(Room::of(100)));
    for most in [0, 100] {
        let replay = Replay::within(room, body("twelve bytes").await, most);
        let mut seen = None;
        while seen.is_none() {
            seen = replay.look_ahead().await;
        }
        assert_eq!(seen.as_deref(), Some(&b"twelve bytes"[..]));
        assert_eq!(replay.look_ahead().await, seen, "it is still ahead");
        assert_eq!(replay.reader().size_hint().exact(), Some(12));
        assert!(!replay.is_finished() && !replay.reader().is_end_stream());
        assert_eq!(sent(&replay).await, "twelve bytes", "also where nothing is kept");
        assert!(replay.is_finished());
    }
}
