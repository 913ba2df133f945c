//! How long an upstream may be silent, and how long its connections are kept.

use std::time::Duration;

use super::{OK, Wire, World, pass, request};

/// A client, and the connection to the upstream that its first request made.
async fn opened(world: &World) -> (Wire, Wire) {
    let mut client = world.client().await;
    client.send(&request("/api/v1")).await;
    let mut upstream = world.dialled().await;
    upstream.asked().await;
    upstream.send(OK).await;
    assert!(client.read_to("\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    (client, upstream)
}

/// A request through the proxy that this connection of the upstream answers.
async fn exchange(client: &mut Wire, upstream: &mut Wire) {
    client.send(&request("/api/v1")).await;
    upstream.asked().await;
    upstream.send(OK).await;
    assert!(client.read_to("\r\n\r\n").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_upstream_has_ten_minutes_for_the_first_byte_of_its_answer() {
    let world = World::start("").await;
    let mut client = world.client().await;
    client.send(&request("/api/v1")).await;
    let mut upstream = world.dialled().await;
    upstream.asked().await;
    pass(600).await;
    upstream.send(OK).await;
    assert!(client.read_to("\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    // The first connection is too old by now.
    client.send(&request("/api/v1")).await;
    let mut upstream = world.dialled().await;
    upstream.asked().await;
    pass(601).await;
    let answer = client.read_to("}").await;
    assert!(answer.starts_with("HTTP/1.1 504") && answer.contains("upstream_timeout"), "{answer}");
    upstream.read_to_close().await;
}

#[tokio::test]
async fn an_upstream_may_be_silent_for_ten_minutes_in_the_middle_of_its_answer() {
    let world = World::start("").await;
    let mut client = world.client().await;
    client.send(&request("/api/v1")).await;
    let mut upstream = world.dialled().await;
    upstream.asked().await;
    upstream.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
    client.read_to("first").await;
    tokio::time::pause();
    for _ in 0..2 {
        tokio::time::advance(Duration::from_millis(599_900)).await;
        pass(600).await;
        upstream.send("4\r\nmore\r\n").await;
        client.read_to("more").await;
    }
    tokio::time::advance(Duration::from_millis(600_100)).await;
    let rest = client.read_to_close().await;
    assert!(!rest.contains("0\r\n\r\n"), "an answer that broke off must not look whole: {rest:?}");
    upstream.read_to_close().await;
}

#[tokio::test]
async fn an_unused_connection_is_kept_for_a_minute() {
    let world = World::start("").await;
    let (mut client, mut upstream) = opened(&world).await;
    for _ in 0..3 {
        pass(59).await;
        exchange(&mut client, &mut upstream).await;
    }
    pass(60).await;
    assert_eq!(upstream.read_to_close().await, "");
    assert!(!world.has_dialled().await, "one connection was enough");
    client.send(&request("/api/v1")).await;
    let mut fresh = world.dialled().await;
    fresh.asked().await;
}

#[tokio::test]
async fn a_connection_takes_no_request_after_ten_minutes_however_busy_it_is() {
    let world = World::start("").await;
    let (mut client, mut upstream) = opened(&world).await;
    for _ in 0..11 {
        pass(50).await;
        exchange(&mut client, &mut upstream).await;
    }
    pass(49).await;
    client.send(&request("/api/v1")).await;
    upstream.asked().await;
    // It grows too old under a request, which it still serves.
    pass(1).await;
    upstream.send(OK).await;
    assert!(client.read_to("\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    assert_eq!(upstream.read_to_close().await, "");
    client.send(&request("/api/v1")).await;
    world.dialled().await.asked().await;
}

#[tokio::test]
async fn an_idle_connection_that_is_too_old_is_closed() {
    let world = World::start("").await;
    let (mut client, mut upstream) = opened(&world).await;
    for _ in 0..11 {
        pass(50).await;
        exchange(&mut client, &mut upstream).await;
    }
    pass(49).await;
    upstream.look();
    assert!(!upstream.is_closed);
    pass(1).await;
    assert_eq!(upstream.read_to_close().await, "");
}
