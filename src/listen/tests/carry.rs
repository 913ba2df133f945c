//! Bytes carried both ways.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex, split};

use crate::listen::carry::carry;

/// Two far ends, and what carries between them; the ways have room for so many bytes.
fn carried(room: [usize; 2]) -> (DuplexStream, DuplexStream, tokio::task::JoinHandle<std::io::Result<()>>) {
    let [(one, mut near), (other, mut far)] = room.map(duplex);
    (one, other, tokio::spawn(async move { carry(&mut near, &mut far).await }))
}

fn bytes(count: usize, seed: u8) -> Vec<u8> {
    (0..=250).cycle().skip(usize::from(seed)).take(count).collect()
}

/// Sends `bytes` and then the end, and takes all that comes.
async fn exchange(stream: DuplexStream, bytes: Vec<u8>) -> Vec<u8> {
    let (mut read, mut write) = split(stream);
    let sending = tokio::spawn(async move {
        write.write_all(&bytes).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut all = Vec::new();
    read.read_to_end(&mut all).await.unwrap();
    sending.await.unwrap();
    all
}

#[tokio::test]
async fn what_is_not_taken_at_once_arrives_whole_and_in_order() {
    for room in [[1 << 20, 1 << 20], [100, 33], [1 << 20, 7], [7, 1 << 20]] {
        let (one, other, carrier) = carried(room);
        let (up, down) = (bytes(300_000, 3), bytes(200_001, 5));
        let (got_down, got_up) = tokio::join!(exchange(one, up.clone()), exchange(other, down.clone()));
        assert!(got_up == up && got_down == down, "{room:?}");
        carrier.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_end_in_one_direction_leaves_the_other_open() {
    let (mut one, mut other, carrier) = carried([64, 64]);
    one.write_all(b"last words").await.unwrap();
    one.shutdown().await.unwrap();
    let mut heard = String::new();
    other.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "last words");
    other.write_all(b"an answer").await.unwrap();
    let mut back = [0; 9];
    one.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"an answer");
    assert!(!carrier.is_finished());
    drop(other);
    carrier.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_side_that_breaks_off_ends_both() {
    let (mut one, other, carrier) = carried([64, 64]);
    drop(other);
    one.write_all(b"to nobody").await.unwrap();
    assert_eq!(carrier.await.unwrap().unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
}
