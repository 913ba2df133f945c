//! From a passphrase to a key: the salt and the cost, which the store keeps in plain text, as they are no secrets.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use crate::crypto::kdf::{self, Argon2Cost};
use crate::crypto::random;

use super::{KeyBytes, KeyError};

const SALT_LEN: usize = 16;
/// A start takes about a tenth of a second and 64 MiB with it, and so does each guess of who stole the store: RFC 9106 §4
/// recommends this memory with three passes where 2 GiB are too much.
const COST: Argon2Cost = Argon2Cost { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
/// Above this a tampered store could make every start take for ever.
const MOST_MEMORY_KIB: u32 = 4 * 1024 * 1024;
const MOST_PASSES: u32 = 100;
const LEAST_CHARACTERS: usize = 12;

/// How a key is derived from a passphrase: Argon2id with this salt and cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    salt: [u8; SALT_LEN],
    cost: Argon2Cost,
}

impl Derivation {
    /// A random salt and today's cost.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn fresh() -> Result<Self, KeyError> {
        Ok(Self { salt: random::bytes()?, cost: COST })
    }

    /// Reads what `Display` wrote.
    ///
    /// # Errors
    /// When it is no such text, or asks for more than 4 GiB or 100 passes.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let parse = || {
            let mut parts = text.split(':');
            let "argon2id" = parts.next()? else { return None };
            let mut number = || parts.next()?.parse::<u32>().ok();
            let cost = Argon2Cost { memory_kib: number()?, passes: number()?, lanes: number()? };
            let salt = STANDARD_NO_PAD.decode(parts.next()?).ok()?.try_into().ok()?;
            let fits = cost.memory_kib <= MOST_MEMORY_KIB && cost.passes <= MOST_PASSES && parts.next().is_none();
            fits.then_some(Self { salt, cost })
        };
        parse().ok_or_else(|| KeyError::Derivation(text.chars().take(80).collect()))
    }

    pub(super) fn derive(&self, name: &str, passphrase: &Zeroizing<String>) -> Result<KeyBytes, KeyError> {
        if passphrase.chars().count() < LEAST_CHARACTERS {
            return Err(KeyError::ShortPassphrase { name: name.to_owned(), least: LEAST_CHARACTERS });
        }
        Ok(kdf::argon2id(passphrase.as_bytes(), &self.salt, self.cost)?)
    }

    /// The same, at a cost that suits tests.
    #[cfg(test)]
    pub(super) fn cheap() -> Self {
        Self { salt: [7; SALT_LEN], cost: Argon2Cost { memory_kib: 64, passes: 1, lanes: 1 } }
    }
}

impl fmt::Display for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Argon2Cost { memory_kib, passes, lanes } = self.cost;
        write!(f, "argon2id:{memory_kib}:{passes}:{lanes}:{}", STANDARD_NO_PAD.encode(self.salt))
    }
}
