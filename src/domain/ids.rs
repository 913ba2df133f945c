//! Names and identifiers. A `Name` is what people type; an id is what rows and chains refer to and never changes.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A name as people type it: 1–64 characters of `a-z`, `0-9`, `-`, `_` and `.`, starting with a letter or digit.
///
/// Upper case is refused rather than folded, so that one thing has one spelling everywhere.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// Why a text is no [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a name: use 1 to 64 of a-z, 0-9, `-`, `_`, `.`, starting with a letter or digit")]
pub struct NameError {
    text: String,
}

impl Name {
    /// Checks and keeps `text`.
    ///
    /// # Errors
    /// When `text` has a character outside the set, is empty or is longer than 64 bytes.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let fits = !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'))
            && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if fits { Ok(Self(text.into())) } else { Err(NameError { text: text.chars().take(80).collect() }) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The name of a service: what stands in `[service.NAME]` and as first path segment at the path door.
pub type ServiceName = Name;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes an identifier that the store or the configuration gave out.
            pub fn new(text: &str) -> Self {
                Self(text.into())
            }

            /// The text of the identifier.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Identifies a user for ever, whatever it is called.
    UserId
);
id!(
    /// Identifies a team for ever.
    TeamId
);
id!(
    /// Identifies a caller for ever.
    CallerId
);
id!(
    /// Identifies a credential for ever; new versions of its value keep it.
    CredentialId
);
