//! What a gRPC answer says in its head: one without a message carries its status there ("Trailers-Only"), and with it what
//! HTTP says by status and `Retry-After`. A status that follows a stream's messages is not looked at: it comes too late to be
//! waited for, and passes with the stream.

use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;

use super::reading::Class;
use super::scan;

const DETAILS: &str = "grpc-status-details-bin";
/// `google.rpc.RetryInfo`, whatever the host of its type is.
const RETRY_INFO: &[u8] = b"/google.rpc.RetryInfo";
/// gRPC sends binary values with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the head of an answer to a gRPC call says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) class: Class,
    /// The time that `google.rpc.RetryInfo` in its details names.
    pub(super) wait: Option<Duration>,
}

/// The status in this head; none when there is none, or it says that all is well.
pub(super) fn status(headers: &HeaderMap) -> Option<Status> {
    let code: u32 = headers.get("grpc-status").and_then(scan::text)?.parse().ok()?;
    let details = headers.get(DETAILS).and_then(scan::text).and_then(|text| BASE64.decode(text).ok());
    let wait = details.as_deref().and_then(retry_delay).filter(|wait| !wait.is_zero());
    let class = match code {
        0 => return None,
        8 if wait.is_none() && is_size(headers) => Class::Fine,
        8 => Class::Throttled,
        14 if wait.is_some() => Class::Overloaded,
        14 => Class::Transient,
        7 | 16 => Class::Auth,
        _ => Class::Fine,
    };
    Some(Status { class, wait })
}

/// Whether it is the message that is too large, for which gRPC's libraries use the same status.
fn is_size(headers: &HeaderMap) -> bool {
    let text = headers.get("grpc-message").and_then(scan::text).unwrap_or_default().to_ascii_lowercase();
    ["larger than max", "exceeds maximum", "exceeds the maximum"]
        .iter()
        .any(|words| text.replace("%20", " ").contains(words))
}

/// `google.rpc.Status` has its details in field 3, each a `google.protobuf.Any` with the type in 1 and the value in 2;
/// `RetryInfo` has a `google.protobuf.Duration` in 1, with seconds in 1 and nanoseconds in 2.
fn retry_delay(status: &[u8]) -> Option<Duration> {
    let info = fields(status).filter_map(|(field, value)| (field == 3).then(|| value.bytes())?).find_map(|any| {
        let of_type = fields(any)
            .any(|(field, value)| field == 1 && value.bytes().is_some_and(|name| name.ends_with(RETRY_INFO)));
        let value = fields(any).find_map(|(field, value)| (field == 2).then(|| value.bytes())?);
        value.filter(|_| of_type)
    })?;
    let delay = fields(info).find_map(|(field, value)| (field == 1).then(|| value.bytes())?)?;
    let number = |wanted| fields(delay).find_map(|(field, value)| (field == wanted).then(|| value.number())?);
    let (seconds, nanos) = (i64::try_from(number(1).unwrap_or(0)).ok()?, number(2).unwrap_or(0));
    Some(Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?))
}

/// The value of a field of a message.
#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Skipped,
}

impl<'a> Value<'a> {
    const fn number(self) -> Option<u64> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    const fn bytes(self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

/// The fields of a message in the encoding of Protocol Buffers (protobuf.dev/programming-guides/encoding), up to the first
/// that is malformed.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    std::iter::from_fn(move || {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut rest)?),
            1 => taken(&mut rest, 8).map(|_| Value::Skipped)?,
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                Value::Bytes(taken(&mut rest, length)?)
            }
            5 => taken(&mut rest, 4).map(|_| Value::Skipped)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    })
}

fn taken<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, left) = rest.split_first()?;
        *rest = left;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
