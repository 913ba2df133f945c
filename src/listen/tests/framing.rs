//! A connection is followed from request to request however its bytes are cut, and only a length that is given twice is
//! told.

use proptest::prelude::*;

use crate::listen::framing::Framing;

fn told(pieces: &[&[u8]]) -> Option<u32> {
    let mut framing = Framing::new();
    pieces.iter().find_map(|piece| framing.follow(piece))
}

/// Streams of bytes, and which of their requests is told.
const STREAMS: [(&str, Option<u32>); 38] = [
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", None),
    ("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", None),
    ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", None),
    ("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", Some(1)),
    ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", Some(1)),
    ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nContent-Length: 5\n\n", Some(1)),
    ("POST / HTTP/1.1\r\ntransfer-encoding:chunked\r\nX: y\r\nCONTENT-LENGTH:5\r\n\r\n", Some(1)),
    ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\n", Some(1)),
    // The library does not read a length that comes after the coding, so it may be anything.
    ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: many\r\n\r\n", Some(1)),
    ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Some(1)),
    ("\r\n\n\r\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", Some(1)),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", Some(1)),
    // Fields that are called something else.
    ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX-Content-Length: 5\r\n\r\n0\r\n\r\n", None),
    ("POST / HTTP/1.1\r\nTransfer-Encodings: chunked\r\nContent-Length: 5\r\n\r\nhello", None),
    ("POST / HTTP/1.1\r\nX: Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello", None),
    ("POST /transfer-encoding:chunked HTTP/1.1\r\nContent-Length: 0\r\n\r\n", None),
    // One of the two in each of two requests.
    (
        "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
         POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
        None,
    ),
    // In a body, in an extension, in trailers.
    (
        "POST / HTTP/1.1\r\nContent-Length: 71\r\n\r\n\
         \r\n\r\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        None,
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
         47\r\n\r\n\r\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n\r\n0\r\n\r\n",
        None,
    ),
    ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;Content-Length: 5\r\nhi\r\n0\r\n\r\n", None),
    ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n", None),
    // After another request on the same connection.
    ("GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", Some(2)),
    (
        "POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi\
         POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        Some(2),
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n00A ;a=b\r\n0123456789\r\n1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n\
         \r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        Some(2),
    ),
    (
        "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx\
         POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        Some(4),
    ),
    // Lines that are longer than what is kept of them.
    (
        "POST /0123456789012345678901234567890123456789 HTTP/1.1\r\nX: 0123456789012345678901234567890123456789012345\r\n\
         Content-Length: 5\r\nTransfer-Encoding:                                                   chunked\r\n\r\n",
        Some(1),
    ),
    // What the library refuses, with what would be told after it.
    ("SSH-2.0-x\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", None),
    (
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx\
         POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        None,
    ),
    (
        "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nxPOST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        None,
    ),
    (
        "POST / HTTP/1.1\r\nContent-Length: \r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        None,
    ),
    (
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n\
         POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        None,
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n\
         POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        None,
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\n\n\
         POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        None,
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n\
         POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        None,
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n\
         POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        None,
    ),
    (
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n\r\n\
         POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        None,
    ),
    // Not the whole head.
    ("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", None),
    ("", None),
];

#[test]
fn only_a_length_that_is_given_twice_is_told_wherever_the_bytes_are_cut() {
    for (stream, expected) in STREAMS {
        let bytes = stream.as_bytes();
        assert_eq!(told(&[bytes]), expected, "{stream:?}");
        for at in 0..bytes.len() {
            let (before, after) = bytes.split_at(at);
            assert_eq!(told(&[before, after]), expected, "cut at {at}: {stream:?}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(told(&single), expected, "byte by byte: {stream:?}");
    }
}

#[test]
fn it_is_told_once_and_nothing_is_told_of_another_protocol() {
    let twice = b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut framing = Framing::new();
    assert_eq!((framing.follow(twice), framing.follow(twice)), (Some(1), None));
    assert_eq!(Framing::foreign().follow(twice), None);
}

const TWICE: &[u8] =
    b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";

/// A request with one framing, whose content looks like one with two.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let content = prop_oneof![
        Just(TWICE.to_vec()),
        prop::collection::vec(any::<u8>(), 0..200),
        Just(b"\r\n\r\n0\r\n\r\n".to_vec()),
    ];
    let name = prop_oneof![Just("X-Field"), Just("Content-Type"), Just("TE"), Just("Trailer"), Just("C"), Just("T")];
    let fields = prop::collection::vec((name, "[ -~]{0,70}"), 0..6);
    (content, fields, 0..4_u8, prop::bool::ANY, 1..60_usize).prop_map(|(content, fields, body, bare, size)| {
        let end = if bare { "\n" } else { "\r\n" };
        let mut head = format!("POST /x HTTP/1.1{end}");
        for (name, value) in fields {
            head.push_str(&[name, ": ", &value, end].concat());
        }
        match body {
            0 => [head, end.to_owned()].concat().into_bytes(),
            1 => {
                let head = format!("{end}{head}content-length:\t{} {end}{end}", content.len());
                [head.as_bytes(), &content].concat()
            }
            _ => {
                let mut out = format!("{head}Transfer-Encoding: chunked{end}{end}").into_bytes();
                for chunk in content.chunks(size) {
                    out.extend(format!("{:X};ext=\"a\"\r\n", chunk.len()).bytes());
                    out.extend(chunk);
                    out.extend(b"\r\n");
                }
                out.extend(if body == 2 { &b"0\r\n\r\n"[..] } else { b"000\r\nContent-Length: 1\r\nA: b\r\n\r\n" });
                out
            }
        }
    })
}

proptest! {
    #[test]
    fn a_length_given_twice_is_found_behind_any_requests_in_any_pieces(
        before in prop::collection::vec(request(), 0..5),
        cuts in prop::collection::vec(1..80_usize, 1..40),
    ) {
        let expected = u32::try_from(before.len()).unwrap() + 1;
        let stream = [before.concat(), TWICE.to_vec()].concat();
        let mut framing = Framing::new();
        let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
        let mut found = Vec::new();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            found.extend(framing.follow(piece));
            rest = after;
        }
        prop_assert_eq!(found, [expected]);
    }

    #[test]
    fn garbage_is_followed_without_harm(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 0..20)) {
        let mut framing = Framing::new();
        for piece in &pieces {
            framing.follow(piece);
        }
    }
}
