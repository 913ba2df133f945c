//! One call that is over, as far as counting needs to know it. It borrows everything; nothing in it can be a secret.

use std::time::Duration;

use http::Method;

use crate::domain::{CallerId, Code, CredentialId, Name, ServiceName};

/// One call that is over.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// When it was over, since the Unix epoch.
    pub at: Duration,
    /// With which credential, when one was chosen, and what it is called.
    pub credential: Option<(&'a CredentialId, &'a Name)>,
    /// Who called, when it was recognised, and what it is called.
    pub caller: Option<(&'a CallerId, &'a Name)>,
    /// Which service, when one was found.
    pub service: Option<&'a ServiceName>,
    /// The method.
    pub method: &'a Method,
    /// The path as the client sent it, without its query and without a caller's token.
    pub path: &'a str,
    /// The answer's status; 0 when the client left before there was one.
    pub status: u16,
    /// Why sidekey answered itself, when it did.
    pub code: Option<Code>,
    /// How often it was sent, or was to be.
    pub attempts: u32,
    /// How often the upstream answered 429, to an attempt that was made again or to the last one.
    pub turned_down: u32,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// How long it waited at the gate.
    pub wait: Duration,
    /// From its first byte to its last.
    pub took: Duration,
}

/// The methods that are told apart. Any other word is the caller's own, and kept as the last of these.
pub(super) const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "OTHER"];

/// Where a method stands in [`METHODS`].
#[inline]
pub(super) fn method(method: &Method) -> u8 {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::PATCH => 4,
        Method::DELETE => 5,
        Method::OPTIONS => 6,
        Method::CONNECT => 7,
        Method::TRACE => 8,
        _ => 9,
    }
}
