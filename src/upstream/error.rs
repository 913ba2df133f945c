//! Why there is no connection, for the person who must act, and whether trying again may help.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::guard::AddressRefused;
use super::parent::ParentError;
use super::tls::TlsFault;
use crate::domain::Code;

/// A stage of dialling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Asking the system's resolver.
    Resolve,
    /// TCP.
    Connect,
    /// TLS.
    Handshake,
    /// `CONNECT` at the parent proxy.
    Parent,
}

impl Stage {
    const fn words(self) -> &'static str {
        match self {
            Self::Resolve => "resolving its name",
            Self::Connect => "connecting to it",
            Self::Handshake => "the TLS handshake with it",
            Self::Parent => "the parent proxy's connection to it",
        }
    }
}

/// Why there is no connection. Nothing of the request has been sent yet.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("`{host}` cannot be resolved; check the host in base_url and this machine's DNS")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's word.
        source: io::Error,
    },
    /// The guard refused every address.
    #[error("`{host}` is not dialled: {why}")]
    Refused {
        /// The host that was asked for.
        host: String,
        /// The first refused address, and the fix.
        why: AddressRefused,
    },
    /// It leads back to us.
    #[error("`{host}` is not dialled: {why}")]
    Loop {
        /// The host that was asked for.
        host: String,
        /// Which of our listeners.
        why: AddressRefused,
    },
    /// No address took the connection.
    #[error(
        "`{host}` at {address} cannot be connected to; check that it is up and that port and firewall let it through"
    )]
    Connect {
        /// The host.
        host: String,
        /// The last address that was tried.
        address: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// TLS failed.
    #[error("TLS with `{host}` failed: {fault}")]
    Tls {
        /// The host.
        host: String,
        /// What is wrong, and who must act.
        fault: TlsFault,
    },
    /// The time is over.
    #[error("`{host}` did not answer within {} ms (timeouts.connect); {} took too long", .after.as_millis(), .stage.words())]
    Timeout {
        /// The host.
        host: String,
        /// What was under way.
        stage: Stage,
        /// The whole time that was allowed.
        after: Duration,
    },
    /// The parent proxy failed.
    #[error("`{host}` cannot be reached through the parent proxy: {why}")]
    Parent {
        /// The host that was asked for.
        host: String,
        /// What the proxy did.
        why: ParentError,
    },
}

impl DialError {
    /// The same for callers, who are not to learn the addresses of a network that is not theirs.
    pub fn to_callers(&self) -> String {
        let host = self.host();
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let named = if is_address { "the service's host".to_owned() } else { format!("`{host}`") };
        match self {
            Self::Connect { .. } => {
                format!("{named} cannot be connected to; check that it is up and that port and firewall let it through")
            }
            Self::Refused { why: AddressRefused::Range { what, fix, .. }, .. } => {
                format!("{named} is not dialled: it leads to {what}; {fix}")
            }
            Self::Refused { .. } | Self::Loop { .. } => format!(
                "{named} is not dialled: it leads to sidekey itself, so the request would come back; point the service's \
                 base_url (or connect_to) at the real upstream"
            ),
            other => other.to_string().replace(&format!("`{host}`"), &named),
        }
    }

    fn host(&self) -> &str {
        match self {
            Self::Resolve { host, .. }
            | Self::Refused { host, .. }
            | Self::Loop { host, .. }
            | Self::Connect { host, .. }
            | Self::Tls { host, .. }
            | Self::Timeout { host, .. }
            | Self::Parent { host, .. } => host,
        }
    }

    /// The code that a caller gets.
    pub fn code(&self) -> Code {
        match self {
            Self::Resolve { .. } | Self::Connect { .. } | Self::Parent { .. } => Code::UpstreamUnreachable,
            Self::Refused { .. } | Self::Loop { .. } => Code::AddressRefused,
            Self::Tls { .. } => Code::UpstreamTls,
            Self::Timeout { .. } => Code::UpstreamTimeout,
        }
    }

    /// Whether another try may go better without anybody having acted. Nothing was sent, so any request may be tried again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::Connect { .. } | Self::Timeout { .. } => true,
            Self::Tls { fault, .. } => fault.is_transient(),
            Self::Parent { why, .. } => matches!(why, ParentError::Broken(_) | ParentError::Status(500..=599)),
            Self::Refused { .. } | Self::Loop { .. } => false,
        }
    }
}
