//! Everything that can go wrong with a request, by blame. What the client sees of it stands in `respond`.

use std::time::Duration;

use crate::access::{Unauthorized, Unidentified};
use crate::domain::Code;
use crate::gate::Refused;
use crate::inject::InjectError;
use crate::route::Door;
use crate::upstream::ExchangeError;
use crate::vault::VaultError;

/// Why sidekey answers itself.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The caller must act.
    #[error(transparent)]
    Caller(#[from] CallerFault),
    /// A limit stands in the way.
    #[error(transparent)]
    Gate(#[from] Refused),
    /// The upstream failed.
    #[error(transparent)]
    Upstream(#[from] ExchangeError),
    /// We failed.
    #[error(transparent)]
    Ours(#[from] OurFault),
}

/// What a caller did wrong or is not allowed to do.
#[derive(Debug, thiserror::Error)]
pub enum CallerFault {
    /// The request has a shape that is refused.
    #[error("{0}")]
    Malformed(&'static str),
    /// A web page's request.
    #[error("{0}")]
    Browser(&'static str),
    /// No caller stands behind it.
    #[error("{why}")]
    Unknown {
        /// Absent or wrong.
        why: Unidentified,
        /// Through which door: decides between 401 and 407.
        door: Door,
    },
    /// No such service.
    #[error("no service is called `{0}`")]
    NoSuchService(String),
    /// No service has this host.
    #[error("the host `{0}` belongs to no service")]
    NoServiceForHost(String),
    /// A service has this host, and no certificate is made for it.
    #[error("the host `{0}` is not among those that may be opened")]
    NotOpened(String),
    /// No grant.
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    /// The key would go over plain HTTP to another machine.
    #[error("the key of service `{0}` would cross the network in plain text")]
    Plaintext(String),
}

/// What is our own fault, or our operator's.
#[derive(Debug, thiserror::Error)]
pub enum OurFault {
    /// The credential could not be opened.
    #[error("the credential could not be opened")]
    Vault(#[source] VaultError),
    /// The credential could not be placed.
    #[error("the credential could not be placed in the request")]
    Inject(#[source] InjectError),
    /// There is no certificate to open a tunnel with.
    #[error("there is no usable certificate authority")]
    Authority,
    /// The audit log takes no entries now.
    #[error("the audit log takes no entries now")]
    Audit,
}

impl From<InjectError> for ProxyError {
    fn from(error: InjectError) -> Self {
        match error {
            InjectError::TransferCoding => CallerFault::Malformed(
                "The body comes in a transfer coding besides `chunked`. Send it chunked or with a Content-Length.",
            )
            .into(),
            InjectError::Token => CallerFault::Malformed(
                "The path holds a caller token, and this service takes no key there. Send the token in Proxy-Authorization or in the header of the service's key.",
            )
            .into(),
            InjectError::Target => {
                CallerFault::Malformed("Path and query do not fit a request target of 65,534 bytes. Shorten them.")
                    .into()
            }
            other => OurFault::Inject(other).into(),
        }
    }
}

impl ProxyError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Caller(fault) => fault.code(),
            Self::Gate(Refused::Limit { .. }) => Code::RateLimited,
            Self::Gate(Refused::Full { .. } | Refused::Closing) | Self::Upstream(ExchangeError::Full) => {
                Code::Overloaded
            }
            Self::Gate(Refused::Circuit(_) | Refused::HeldBack) => Code::CircuitOpen,
            Self::Upstream(ExchangeError::Dial(error)) => error.code(),
            Self::Upstream(ExchangeError::Closed) => Code::UpstreamUnreachable,
            Self::Upstream(ExchangeError::Broken(_) | ExchangeError::Unasked) => Code::UpstreamBroken,
            Self::Upstream(ExchangeError::Silent(_)) => Code::UpstreamTimeout,
            Self::Ours(_) => Code::StoreUnavailable,
        }
    }

    /// After which time another try makes sense, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Gate(refused) => Some(refused.wait().unwrap_or(Duration::from_secs(1))),
            Self::Upstream(ExchangeError::Full) | Self::Ours(_) => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

impl CallerFault {
    fn code(&self) -> Code {
        match self {
            Self::Malformed(_) => Code::BadRequest,
            Self::Browser(_) => Code::BrowserRefused,
            Self::Unknown { .. } => Code::CallerUnknown,
            Self::NoSuchService(_) | Self::NoServiceForHost(_) => Code::ServiceUnknown,
            Self::Unauthorized(
                Unauthorized::ReadOnly { .. }
                | Unauthorized::Rules { .. }
                | Unauthorized::ShareRules { .. }
                | Unauthorized::NoSuchNamed { .. },
            )
            | Self::Plaintext(_)
            | Self::NotOpened(_) => Code::NotAllowed,
            Self::Unauthorized(Unauthorized::Missing { .. } | Unauthorized::NoValue { .. }) => Code::CredentialMissing,
            Self::Unauthorized(Unauthorized::Ambiguous { .. }) => Code::CredentialAmbiguous,
        }
    }
}
