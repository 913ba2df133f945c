//! Where a key that opens the master key is kept: a slot's place and its kind. Not the key.

use std::fmt;
use std::path::PathBuf;

/// The kinds of places. The text of a kind never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotKind {
    /// A file with 32 bytes as base64.
    File,
    /// An environment variable with 32 bytes as base64.
    Env,
    /// A passphrase, from which the key is derived.
    Passphrase,
    /// A program that prints 32 bytes as base64.
    Command,
}

impl SlotKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::File, Self::Env, Self::Passphrase, Self::Command];

    /// The text of the kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Env => "env",
            Self::Passphrase => "passphrase",
            Self::Command => "command",
        }
    }

    /// The kind that has this text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Where a key that opens the master key is kept, as `[master_key]` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// A file, absolute.
    File(PathBuf),
    /// An environment variable with 32 bytes in base64.
    Env(String),
    /// An environment variable with a passphrase.
    PassphraseEnv(String),
    /// A program and its arguments, which prints 32 bytes in base64; never empty.
    Command(Vec<String>),
}

impl KeyPlace {
    /// What kind of place it is.
    pub const fn kind(&self) -> SlotKind {
        match self {
            Self::File(_) => SlotKind::File,
            Self::Env(_) => SlotKind::Env,
            Self::PassphraseEnv(_) => SlotKind::Passphrase,
            Self::Command(_) => SlotKind::Command,
        }
    }
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file `{}`", path.display()),
            Self::Env(name) => write!(f, "the environment variable `{name}`"),
            Self::PassphraseEnv(name) => write!(f, "the passphrase in `{name}`"),
            Self::Command(argv) => write!(f, "the command `{}`", argv.first().map_or("", String::as_str)),
        }
    }
}
