//! sidekey's own certificate authority at work: certificates of authorities, and certificates for the hosts whose tunnels are
//! opened. It is the only user of an authority's private key, and knows neither the store nor who asks.
//!
//! Invariants: an authority's key signs certificates for hosts of its range alone; the cache of certificates has a bound.

mod authority;
mod leaf;

use std::time::Duration;

pub use authority::{Authority, Draft, pem, signing_at};
pub use leaf::Mint;

use crate::crypto::CryptoError;

/// How long before it was made a certificate is valid already: clients' clocks are not all right.
const BACKDATED: Duration = Duration::from_secs(24 * 60 * 60);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// There is no authority that could sign.
    #[error("there is no certificate authority that could sign")]
    NoAuthority,
    /// A name that cannot stand in a certificate, or a signature that could not be made.
    #[error("the certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    /// The leaf's key, or the session tickets, cannot be had.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The primitive itself failed.
    #[error("a cryptographic operation failed")]
    Crypto(#[from] CryptoError),
}

#[cfg(test)]
mod tests;
