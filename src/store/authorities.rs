//! A certificate authority as a store keeps it: its certificate in the clear, its private key sealed for that certificate.

use crate::crypto::digest::hex;

use super::LabelledValue;

/// A certificate authority of sidekey's own as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAuthority {
    /// SHA-256 of its certificate.
    pub fingerprint: [u8; 32],
    /// Its name in certificates, which no other has.
    pub name: String,
    /// Its certificate, in DER.
    pub certificate: Vec<u8>,
    /// The hosts that it may vouch for, as in `[intercept] hosts`; empty for any.
    pub hosts: Vec<String>,
    /// When it was made, in Unix seconds.
    pub created_at: i64,
    /// From when on it signs in the place of the one before it.
    pub signs_from: i64,
    /// When its certificate ends.
    pub expires_at: i64,
    /// Its private key, sealed under [`StoredAuthority::label`].
    pub key: LabelledValue,
}

impl StoredAuthority {
    /// The label under which the private key of the authority with this certificate is sealed: beside another certificate
    /// it does not open.
    pub fn label(fingerprint: &[u8; 32]) -> String {
        format!("authority/{}", hex(fingerprint))
    }
}
