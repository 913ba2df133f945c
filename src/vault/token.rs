//! Tokens of callers and passes of users: made here, shown once, stored as its digest. It is a password that nobody chose: 256 random bits, so a
//! plain SHA-256 is enough to keep.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::crypto::{CryptoError, digest, random};

/// What every caller's token begins with, so that people and scanners know it when they see it.
pub const PREFIX: &str = "skc_";

const RANDOM_LEN: usize = 32;
const TEXT_LEN: usize = PREFIX.len() + RANDOM_LEN.div_ceil(3) * 4;

/// A token in the one moment in which it can be shown. Wiped when dropped; not printed by accident.
pub struct Token(Zeroizing<String>);

impl Token {
    pub(super) fn fresh() -> Result<Self, CryptoError> {
        Self::beginning(PREFIX)
    }

    /// A token that begins with `prefix`, of four characters.
    pub(super) fn beginning(prefix: &str) -> Result<Self, CryptoError> {
        let random = Zeroizing::new(random::bytes::<RANDOM_LEN>()?);
        let mut text = Zeroizing::new(String::with_capacity(TEXT_LEN));
        text.push_str(prefix);
        URL_SAFE_NO_PAD.encode_string(random.as_slice(), &mut text);
        Ok(Self(text))
    }

    /// The text, to be shown to a person once. Only letters, digits, `-` and `_`, so it needs no quoting in a URL.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored, and what a proof is compared with: SHA-256 of the text.
    pub fn digest(&self) -> [u8; digest::LEN] {
        digest::sha256(self.0.as_bytes())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}
