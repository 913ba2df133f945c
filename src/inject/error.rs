//! Why a plan cannot be compiled, and why a request cannot be sent as it came. Never with a value in it.

use http::HeaderName;

use crate::domain::{HostError, Name};

/// Why a request cannot be made from what the caller sent and the credential holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    /// The credential lacks a field that a placement needs. The operator's to mend.
    #[error("the credential has no field `{0}`, which the service's `auth` places; rotate the key and give that field")]
    MissingField(Name),
    /// The credential's value has bytes that cannot stand at its place. The operator's to mend.
    #[error("the key's value cannot be placed in {place}: {why}; rotate the key with a value that fits")]
    Unplaceable {
        /// The place, such as `header x-api-key`.
        place: String,
        /// What is wrong with the value, without the value.
        why: &'static str,
    },
    /// The body comes in a transfer coding besides `chunked` (RFC 9112 §6.1). The caller's to mend.
    #[error(
        "the request's Transfer-Encoding names a coding besides `chunked`; send the body chunked or with a Content-Length"
    )]
    TransferCoding,
    /// A caller token stands in the path, where nothing replaces it. The caller's to mend.
    #[error("the path holds a caller token, and this service takes no key there")]
    Token,
    /// Path and query are longer than 65 534 bytes, or no request target. The caller's to mend.
    #[error("the request's path and query do not fit a request target; it may have at most 65534 bytes")]
    Target,
}

/// Why a service and a credential's variables make no [`Plan`](super::Plan). The operator's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A template names a variable that is neither pinned nor has a default.
    #[error("{place} needs `{{{name}}}`, which the credential does not pin; give it with the key")]
    MissingVariable {
        /// Where it is needed.
        place: String,
        /// The variable.
        name: Name,
    },
    /// The base URL's host is none once its variables are filled in.
    #[error("the base URL's host cannot be used: {0}")]
    Host(#[from] HostError),
    /// A pinned value or a literal has bytes that cannot stand where the template puts them.
    #[error("{place} cannot hold its text: {why}")]
    Text {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A header that sidekey or HTTP itself sets.
    #[error("`{0}` is set by HTTP itself and can neither hold a key nor be a fixed header; choose another name")]
    Reserved(HeaderName),
    /// Two placements, or a placement and a fixed header, at one place.
    #[error("{0} is filled twice; keep one of the two")]
    Twice(String),
}
