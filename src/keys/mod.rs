//! What opens the master key, from where it is kept: a file, an environment variable, a passphrase or a command. It yields
//! 32 bytes and nothing else; whether they are the right ones is for the vault to ask the store.
//!
//! Invariant: no message shows a byte of a key, and none is left in memory that was not wiped.

pub mod command;
mod derive;
mod file;

use std::path::PathBuf;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::crypto::{CryptoError, random};
use crate::domain::KeyPlace;

pub use command::CommandError;
pub use derive::Derivation;
pub use file::{drop_staged, place_staged, read_staged, stage};

/// The bytes of a master key. Wiped when dropped.
pub type KeyBytes = Zeroizing<[u8; 32]>;

/// Where the master key comes from, as `[master_key]` says.
#[derive(Clone)]
pub enum MasterKeySource {
    /// A file that holds 32 bytes as base64, readable by its owner alone.
    File(PathBuf),
    /// An environment variable's value: 32 bytes as base64.
    Env {
        /// The variable's name, for messages.
        name: String,
        /// Its value.
        value: Zeroizing<String>,
    },
    /// A passphrase, from which the key is derived by Argon2id.
    Passphrase {
        /// Where it came from, for messages: a variable's name.
        name: String,
        /// The passphrase.
        value: Zeroizing<String>,
    },
    /// A program and its arguments, which prints 32 bytes as base64.
    Command(Vec<String>),
}

impl MasterKeySource {
    /// Where it is, without what was found there.
    pub fn place(&self) -> KeyPlace {
        match self {
            Self::File(path) => KeyPlace::File(path.clone()),
            Self::Env { name, .. } => KeyPlace::Env(name.clone()),
            Self::Passphrase { name, .. } => KeyPlace::PassphraseEnv(name.clone()),
            Self::Command(argv) => KeyPlace::Command(argv.clone()),
        }
    }
}

impl std::fmt::Debug for MasterKeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKeySource({self})")
    }
}

impl std::fmt::Display for MasterKeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.place().fmt(f)
    }
}

/// Why there is no master key. No message shows a byte of it.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is not there, and the store was already sealed with what it held.
    #[error("the master key file `{path}` is not there, but the store was sealed with it: put it back from a backup")]
    Absent {
        /// Which.
        path: PathBuf,
    },
    /// The file cannot be read or made.
    #[error("the master key file `{path}` cannot be read or made")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others than its owner may read the file.
    #[error("the master key file `{path}` is open to other users (mode {mode:04o}); run: chmod 600 '{path}'")]
    Loose {
        /// Which.
        path: PathBuf,
        /// What it has.
        mode: u32,
    },
    /// What was found is no key.
    #[error(
        "{source_of_key} does not hold a master key: it must be 32 bytes as base64, as `openssl rand -base64 32` prints"
    )]
    NotAKey {
        /// Which source.
        source_of_key: String,
    },
    /// The passphrase cannot protect anything.
    #[error("the passphrase in `{name}` is shorter than {least} characters; use a longer one")]
    ShortPassphrase {
        /// Where it came from.
        name: String,
        /// How long it must be.
        least: usize,
    },
    /// The store has a key of the other kind.
    #[error("the store's master key {stored}, but `[master_key]` names {configured}; set `[master_key]` back")]
    OtherKind {
        /// What the store says.
        stored: &'static str,
        /// What the configuration says.
        configured: String,
    },
    /// How the key is derived does not read.
    #[error(
        "how the store's master key is derived from its passphrase (`{0}`) does not read; restore a backup of the store"
    )]
    Derivation(String),
    /// The command gave none.
    #[error("the master key command failed")]
    Command(#[from] CommandError),
    /// The primitive itself failed.
    #[error("the master key could not be derived")]
    Crypto(#[from] CryptoError),
}

/// The key for a store that has none yet. A file that is absent is made, with a fresh key; a passphrase gets a fresh salt,
/// which must be kept with the store.
///
/// # Errors
/// When the source yields no key; see [`KeyError`].
pub fn create(source: &MasterKeySource) -> Result<(KeyBytes, Option<Derivation>), KeyError> {
    match source {
        MasterKeySource::File(path) => Ok((file::read_or_create(path)?, None)),
        MasterKeySource::Passphrase { name, value } => {
            let derivation = Derivation::fresh()?;
            Ok((derivation.derive(name, value)?, Some(derivation)))
        }
        _ => Ok((read(source, None)?, None)),
    }
}

/// A key that nobody has yet.
///
/// # Errors
/// When there is no randomness.
pub fn fresh() -> Result<KeyBytes, KeyError> {
    let mut key = KeyBytes::default();
    random::fill(key.as_mut_slice())?;
    Ok(key)
}

/// The key for a store that has one. `derivation` is what the store keeps for a passphrase. Nothing is made.
///
/// # Errors
/// When the source yields no key, or is of another kind than what the store was sealed with; see [`KeyError`].
pub fn read(source: &MasterKeySource, derivation: Option<&Derivation>) -> Result<KeyBytes, KeyError> {
    let derived = matches!(source, MasterKeySource::Passphrase { .. });
    if derived != derivation.is_some() {
        let stored = if derived { "was not made from a passphrase" } else { "is derived from a passphrase" };
        return Err(KeyError::OtherKind { stored, configured: source.to_string() });
    }
    match source {
        MasterKeySource::File(path) => file::read(path),
        MasterKeySource::Env { value, .. } => decode(value.as_bytes(), source),
        MasterKeySource::Command(argv) => decode(&command::run(argv, command::LIMIT)?, source),
        MasterKeySource::Passphrase { name, value } => match derivation {
            Some(derivation) => derivation.derive(name, value),
            None => Err(KeyError::Derivation(String::new())),
        },
    }
}

/// As keys are written: base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn decode(text: &[u8], source: &MasterKeySource) -> Result<KeyBytes, KeyError> {
    let wrong = || KeyError::NotAKey { source_of_key: source.to_string() };
    // Room for what a wrong text decodes to, so that nothing is moved while it grows.
    let text = text.trim_ascii();
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    BASE64.decode_vec(text, &mut bytes).map_err(|_| wrong())?;
    let mut key = KeyBytes::default();
    if bytes.len() != key.len() {
        return Err(wrong());
    }
    key.copy_from_slice(&bytes);
    Ok(key)
}

#[cfg(test)]
mod tests;
