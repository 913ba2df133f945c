//! Where a request wants to go, normalised once at the door. Rules and dialer see this and nothing else.

use crate::domain::{Host, Scheme};

/// Through which door a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// Absolute-form request to the proxy.
    Forward,
    /// `CONNECT`.
    Connect,
    /// Within a tunnel that was opened.
    Intercept,
    /// First path segment names the service.
    Path,
    /// First host label names the service.
    Host,
    /// The proxy's own pages under `/-/`.
    Own,
}

impl Door {
    /// The word in logs, metrics and the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Connect => "connect",
            Self::Intercept => "intercept",
            Self::Path => "path",
            Self::Host => "host",
            Self::Own => "own",
        }
    }

    /// Whether the client speaks to us as to a proxy: it learns of a missing proof by 407 rather than 401 (RFC 9110 §15.5.8).
    pub const fn is_proxy(self) -> bool {
        matches!(self, Self::Forward | Self::Connect | Self::Intercept)
    }
}

/// Where a request wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A service by name; the bytes of its path and query start at `rest` of the request's own path.
    Named {
        /// As the client wrote it.
        name: Box<str>,
        /// How many bytes of the path belong to the door and not to the service.
        rest: usize,
    },
    /// A host, as it stands in the request's target.
    Hosted {
        /// Normalised.
        host: Host,
        /// As written; `None` when absent.
        port: Option<u16>,
        /// Of the absolute form; https for CONNECT.
        scheme: Scheme,
    },
}

impl Target {
    /// What rules and routes see of a request's `path`: without what belongs to the door.
    pub fn within<'a>(&self, path: &'a str) -> &'a str {
        match self {
            Self::Named { rest, .. } => path.get(*rest..).filter(|rest| !rest.is_empty()).unwrap_or("/"),
            Self::Hosted { .. } => path,
        }
    }

    /// The host or service name for logs and the audit.
    pub fn label(&self) -> &str {
        match self {
            Self::Named { name, .. } => name,
            Self::Hosted { host, .. } => host.as_str(),
        }
    }
}
