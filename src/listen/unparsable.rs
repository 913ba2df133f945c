//! The answer to a head that is no request, in place of the bare one that hyper writes by itself: a whole problem document
//! with an identifier, and an entry in the audit like every other refusal. It parses nothing.

use http::{Method, Response, StatusCode, Uri};

use crate::pipeline::{Peer, Trail, refuse_unread};

use super::doors::Door;

/// hyper's status lines, and what the person who must act is told.
const TOLD: [(&[u8], StatusCode, &str); 3] = [
    (
        b"HTTP/1.1 400 Bad Request\r\n",
        StatusCode::BAD_REQUEST,
        "The request is not valid HTTP, or its framing is ambiguous. Check the request line, the headers and Content-Length.",
    ),
    (
        b"HTTP/1.1 431 Request Header Fields Too Large\r\n",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The headers are larger than 64 KiB or more than 100 in number. Send fewer or shorter ones.",
    ),
    (
        b"HTTP/1.1 414 URI Too Long\r\n",
        StatusCode::URI_TOO_LONG,
        "The request target is longer than 65,534 bytes. Move data into the body.",
    ),
];

/// What follows the status line in hyper's own answers, to the last byte.
const BARE: &[u8] = b"connection: close\r\ncontent-length: 0\r\n\r\n";

/// The status and the words for `bytes`, when they are such an answer of hyper's and nothing else.
fn meant_by(bytes: &[u8]) -> Option<(StatusCode, &'static str)> {
    let (line, fields) = bytes.split_at_checked(bytes.len().checked_sub(BARE.len())?)?;
    TOLD.iter().find(|(bare, ..)| line == *bare && fields == BARE).map(|(_, status, why)| (*status, *why))
}

/// Whether `bytes` are such an answer of hyper's and nothing else.
pub(super) fn is_bare(bytes: &[u8]) -> bool {
    meant_by(bytes).is_some()
}

/// What is sent in place of `bare`; the connection ends after it.
pub(super) fn answer(bare: &[u8], peer: &Peer) -> Vec<u8> {
    let Some((status, why)) = meant_by(bare) else { return bare.to_vec() };
    // Nothing is known of the request: `-` is a method that nobody uses, `*` a target without a path.
    let method = Method::from_bytes(b"-").unwrap_or_default();
    let trail = Trail::open(Door::Path, &method, &Uri::from_static("*"), None, peer);
    written(&refuse_unread(status, why, trail))
}

/// The bytes of an answer that ends its connection.
pub(super) fn written(answer: &Response<bytes::Bytes>) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {}\r\n", answer.status()).into_bytes();
    for (name, value) in answer.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"connection: close\r\n\r\n");
    out.extend_from_slice(answer.body());
    out
}
