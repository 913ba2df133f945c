//! Envelope encryption: a value at rest, and in memory while nobody uses it. Pure work on bytes: where the master key comes
//! from and where the result is kept are other floors' affairs.
//!
//! Invariant: what was sealed for one credential, owner, service, version and field opens for exactly these.

mod envelope;
mod master;
mod slot;
mod value;

pub use envelope::{Opener, SealContext, open, rewrap, seal};
pub use master::MasterKey;
pub use slot::SlotContext;
pub use value::{MAX_LEN, ValueError, check, clean};

use crate::crypto::CryptoError;
use crate::domain::Name;

/// Why something could not be sealed or opened. No value is part of any message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The value was wrapped by another master key than the one at hand.
    #[error("sealed with master key {sealed}, but master key {given} is loaded; load the master key again")]
    OtherMaster {
        /// The master key that wrapped it.
        sealed: u32,
        /// The master key at hand.
        given: u32,
    },
    /// The data key does not open: another master key, another row, or changed bytes.
    #[error(
        "the sealed value does not open: it was changed, or belongs to another credential, owner, service or version"
    )]
    Wrap,
    /// One field does not open although the data key does.
    #[error("the field `{0}` does not open: it was changed, or belongs to another field or version")]
    Field(Name),
    /// A labelled value does not open.
    #[error("the value sealed as `{0}` does not open: it was changed, or sealed with another master key")]
    Labelled(String),
    /// A value that no request could carry.
    #[error("the field `{0}` cannot be used")]
    Unfit(Name, #[source] ValueError),
    /// The primitive itself failed.
    #[error("sealing failed")]
    Crypto(#[from] CryptoError),
}

#[cfg(test)]
mod tests;
