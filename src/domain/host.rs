//! Host names as the doors compare them: lower case, without a trailing dot, never a pattern unless listed as one.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A host name or IP literal (IPv6 without brackets), lower case, without a trailing dot.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Host(Arc<str>);

/// Why a text is no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a host name: {why}")]
pub struct HostError {
    text: String,
    why: &'static str,
}

/// The name under which the proxy answers itself within a tunnel, over TLS with a certificate of its own authority. No host has
/// it and no resolver knows it (RFC 6761 §6.4), so who reads a page there called through the proxy and trusts the authority.
pub const OWN_HOST: &str = "sidekey.invalid";

impl Host {
    /// Whether it is [`OWN_HOST`].
    pub fn is_own(&self) -> bool {
        self.as_str() == OWN_HOST
    }

    /// Normalises case, one trailing dot and the brackets of an IPv6 literal.
    ///
    /// # Errors
    /// When the text is empty, too long, or has a character that no host name has (RFC 9110 §4.2, RFC 1123 §2.1; `_` is
    /// accepted because names with it are in use).
    pub fn new(text: &str) -> Result<Self, HostError> {
        let refuse = |why| Err(HostError { text: text.chars().take(80).collect(), why });
        if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            return match inner.parse::<std::net::Ipv6Addr>() {
                Ok(address) => Ok(Self(address.to_string().into())),
                Err(_) => refuse("the brackets hold no IPv6 address"),
            };
        }
        let bare = text.strip_suffix('.').unwrap_or(text);
        if bare.is_empty() || bare.len() > 253 {
            return refuse("it must have 1 to 253 characters");
        }
        if let Ok(address) = bare.parse::<std::net::Ipv6Addr>() {
            return Ok(Self(address.to_string().into()));
        }
        let label_fits = |l: &str| {
            !l.is_empty() && l.len() <= 63 && l.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        if !bare.split('.').all(label_fits) {
            return refuse("labels have 1 to 63 letters, digits, `-` or `_`");
        }
        if bare.bytes().any(|b| b.is_ascii_uppercase()) {
            return Ok(Self(bare.to_ascii_lowercase().into()));
        }
        Ok(Self(bare.into()))
    }

    /// The text; an IPv6 literal without brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, when the host is an IP literal.
    pub fn ip(&self) -> Option<std::net::IpAddr> {
        self.0.parse().ok()
    }
}

impl fmt::Display for Host {
    /// As it stands in a URL: an IPv6 literal in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(&self.0) }
    }
}

impl Borrow<str> for Host {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What belongs to a service at the proxy doors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This host alone.
    Exact(Host),
    /// `*.suffix` as written by the operator: one label, then the suffix (held without `*.`).
    AnyLabel(Host),
    /// `{tenant}.suffix` or a whole `{hostname}`: what it matches is pinned per credential, from this template.
    Tenant(super::Template),
}

/// Hosts as an operator lists them: one host, or `*.` and what each of many ends with after its first label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostRange {
    /// This host alone.
    One(Host),
    /// Every host of one label before this.
    Below(Host),
}

impl HostRange {
    /// Reads what [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    /// When it is neither a host nor `*.` and a host name.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let Some(rest) = text.strip_prefix("*.") else { return Host::new(text).map(Self::One) };
        let host = Host::new(rest)?;
        match host.ip() {
            None => Ok(Self::Below(host)),
            Some(_) => Err(HostError { text: text.chars().take(80).collect(), why: "no host is below an address" }),
        }
    }

    /// Whether `host` is one of them.
    pub fn admits(&self, host: &Host) -> bool {
        match self {
            Self::One(one) => one == host,
            Self::Below(rest) => host.as_str().split_once('.').is_some_and(|(_, after)| after == rest.as_str()),
        }
    }
}

impl fmt::Display for HostRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(host) => f.write_str(host.as_str()),
            Self::Below(rest) => write!(f, "*.{}", rest.as_str()),
        }
    }
}
