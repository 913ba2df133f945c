//! What a user shows to the admin API, and what a caller shows for one run, as a store keeps it. The text that is shown is
//! nowhere here.

use crate::domain::{CallerId, Name, UserId};

/// What kind of pass it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PassKind {
    /// For programs; lasts until it is revoked or expires.
    Token,
    /// Works once, for some minutes, and opens a session.
    Code,
    /// A browser that logged in.
    Session,
}

impl PassKind {
    /// The text that the store keeps; never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Code => "code",
            Self::Session => "session",
        }
    }
}

/// What a user shows to the admin API, as its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Its identifier.
    pub id: String,
    /// What it is.
    pub kind: PassKind,
    /// What people call it; unique among tokens.
    pub name: Name,
    /// Whose it is.
    pub user: UserId,
    /// SHA-256 of its text.
    pub digest: [u8; 32],
    /// When it was made, in Unix seconds.
    pub created_at: i64,
    /// Unix seconds from which on it is worth nothing.
    pub expires_at: Option<i64>,
}

/// A token that a caller has for one run of a program, beside its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunToken {
    /// Whose.
    pub caller: CallerId,
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// From when on it is worth nothing, in Unix seconds.
    pub expires_at: i64,
}
