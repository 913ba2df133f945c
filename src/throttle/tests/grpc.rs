//! Answers to gRPC calls that carry their status in the head.

use base64::Engine as _;
use proptest::prelude::*;

use super::*;

/// `google.rpc.Status` with `google.rpc.RetryInfo` in its details, as a service of Google sends it.
fn retry_info(seconds: u8, nanos: u32) -> String {
    let mut duration = vec![0x08, seconds, 0x10];
    let mut rest = nanos;
    while rest >= 0x80 {
        duration.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    duration.push(u8::try_from(rest).unwrap());
    let field = |tag: u8, bytes: &[u8]| [&[tag, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let info = field(0x0a, &duration);
    let any = |name: &str, value: &[u8]| [field(0x0a, name.as_bytes()), field(0x12, value)].concat();
    let quota = any("type.googleapis.com/google.rpc.QuotaFailure", b"\x0a\x00");
    let retry = any("type.googleapis.com/google.rpc.RetryInfo", &info);
    let status = [vec![0x08, 8], field(0x12, b"slow down"), field(0x1a, &quota), field(0x1a, &retry)].concat();
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(status)
}

#[test]
fn a_status_in_the_head_means_what_http_would_say() {
    // grpc/grpc: doc/statuscodes.md, gRFC A6; googleapis: google/rpc/error_details.proto
    let details = format!("grpc-status: 8\ngrpc-status-details-bin: {}", retry_info(3, 250_000_000));
    let down = format!("grpc-status: 14\ngrpc-status-details-bin: {}", retry_info(2, 0));
    let cases = [
        ("grpc-status: 0", Class::Fine, None),
        ("grpc-status: 8", Class::Throttled, None),
        (&details, Class::Throttled, Some(3.25)),
        ("grpc-status: 8\ngrpc-retry-pushback-ms: 700", Class::Throttled, Some(0.7)),
        ("grpc-status: 8\ngrpc-retry-pushback-ms: -1", Class::Throttled, None),
        ("grpc-status: 8\ngrpc-message: Received message larger than max (5000000 vs. 4194304)", Class::Fine, None),
        ("grpc-status: 8\ngrpc-message: gRPC%20message%20exceeds%20maximum%20size%204194304", Class::Fine, None),
        ("grpc-status: 14", Class::Transient, None),
        (&down, Class::Overloaded, Some(2.0)),
        ("grpc-status: 14\ngrpc-retry-pushback-ms: 50", Class::Overloaded, Some(0.05)),
        ("grpc-status: 16", Class::Auth, None),
        ("grpc-status: 7", Class::Auth, None),
        ("grpc-status: 5", Class::Fine, None),
        ("grpc-status: soon", Class::Fine, None),
    ];
    for (lines, class, wait) in cases {
        let reading = read(&Signals::default(), 200, &format!("content-type: application/grpc\n{lines}"));
        assert_eq!((reading.class, reading.wait), (class, wait.map(seconds)), "{lines}");
    }
}

proptest! {
    #[test]
    fn details_of_any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), at in any::<usize>()) {
        let mut true_ones = base64::engine::general_purpose::STANDARD_NO_PAD.decode(retry_info(3, 0)).unwrap();
        let at = at % true_ones.len();
        true_ones.splice(at..at, bytes.iter().copied());
        for details in [bytes, true_ones] {
            let text = base64::engine::general_purpose::STANDARD.encode(details);
            let reading = read(&Signals::default(), 200, &format!("grpc-status: 8\ngrpc-status-details-bin: {text}"));
            prop_assert!(reading.wait.is_none_or(|wait| !wait.is_zero()));
        }
    }
}
