//! ECDSA on P-256 with SHA-256 (FIPS 186-5), for certificates. What is signed is the caller's affair.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use zeroize::Zeroizing;

use super::CryptoError;

/// A private key that can sign. It has no way out. Ring offers no way to wipe it when it is dropped.
pub struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    /// A fresh key as PKCS#8 (RFC 5958), to be sealed.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate() -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        Ok(Zeroizing::new(document.map_err(|_| CryptoError::NoRandomness)?.as_ref().to_vec()))
    }

    /// The key in `pkcs8`, whose bytes stay the caller's to wipe.
    ///
    /// # Errors
    /// When they are no such key.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, CryptoError> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, &SystemRandom::new());
        key.map(Self).map_err(|_| CryptoError::OutOfRange)
    }

    /// The public key as an uncompressed point (SEC 1 §2.3.3).
    pub fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// Signs; the signature is in DER. Some 20 µs.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signature = self.0.sign(&SystemRandom::new(), message).map_err(|_| CryptoError::NoRandomness)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}
