//! Proof → caller. Tokens are found by their digest, so there is no scan and no early-exit comparison of secrets.

use std::sync::Arc;

use crate::crypto::compare;
use crate::domain::{Caller, CallerId, Name, Table, User, UserId};

/// What a caller showed. Holds only the digest of a token, never the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proof {
    /// Nothing.
    #[default]
    None,
    /// A token's SHA-256, and whether it came with a name that must be the caller's.
    Token {
        /// SHA-256 of the token.
        digest: [u8; 32],
        /// SHA-256 of the name it came with, if any.
        name: Option<[u8; 32]>,
    },
    /// Something that is no token of ours.
    Unreadable,
}

/// A caller with its owner's teams at hand.
#[derive(Debug)]
pub struct Known {
    /// The caller.
    pub caller: Caller,
    /// Its owner.
    pub owner: Arc<User>,
    /// SHA-256 of the caller's name, to compare with what Basic proof names.
    name_digest: [u8; 32],
}

/// Why no caller was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unidentified {
    /// No proof was shown and one is needed.
    #[error("no caller token was sent")]
    Absent,
    /// The proof is none of ours.
    #[error("the caller token is not valid")]
    Wrong,
}

/// Every caller, by the digest of its token.
#[derive(Debug)]
pub struct Callers {
    by_digest: Table<[u8; 32], Arc<Known>>,
    by_name: Table<Name, Arc<Known>>,
    /// Who a caller without proof is; none in token mode.
    unproven: Option<Arc<Known>>,
}

impl Callers {
    /// Compiles the table. In open mode `unproven` names the caller that needs no proof.
    pub fn new(
        users: Vec<User>,
        callers: Vec<Caller>,
        unproven: Option<&CallerId>,
        digest: fn(&[u8]) -> [u8; 32],
    ) -> Self {
        let users: Table<UserId, Arc<User>> = users.into_iter().map(|u| (u.id.clone(), Arc::new(u))).collect();
        let mut table = Self { by_digest: Table::default(), by_name: Table::default(), unproven: None };
        for caller in callers {
            let Some(owner) = users.get(&caller.owner) else { continue };
            let name_digest = digest(caller.name.as_str().as_bytes());
            let known = Arc::new(Known { owner: Arc::clone(owner), name_digest, caller });
            if unproven == Some(&known.caller.id) {
                table.unproven = Some(Arc::clone(&known));
            }
            if let Some(digest) = known.caller.token_digest {
                table.by_digest.insert(digest, Arc::clone(&known));
            }
            table.by_name.insert(known.caller.name.clone(), known);
        }
        table
    }

    /// Who showed `proof`.
    ///
    /// # Errors
    /// When nothing was shown and a proof is needed, or what was shown is wrong.
    pub fn identify(&self, proof: &Proof) -> Result<&Arc<Known>, Unidentified> {
        match proof {
            Proof::None => self.unproven.as_ref().ok_or(Unidentified::Absent),
            Proof::Unreadable => Err(Unidentified::Wrong),
            Proof::Token { digest, name } => {
                let known = self.by_digest.get(digest).ok_or(Unidentified::Wrong)?;
                let token_fits = known.caller.token_digest.is_some_and(|stored| compare::equal(&stored, digest));
                let name_fits = name.is_none_or(|name| compare::equal(&known.name_digest, &name));
                if token_fits && name_fits { Ok(known) } else { Err(Unidentified::Wrong) }
            }
        }
    }

    /// Whether any caller has a token, so that looking for one makes sense.
    pub fn have_tokens(&self) -> bool {
        !self.by_digest.is_empty()
    }

    /// The caller called `name`, for `explain --as`.
    pub fn named(&self, name: &str) -> Option<&Arc<Known>> {
        self.by_name.get(name)
    }

    /// The caller that needs no proof, in open mode.
    pub fn unproven(&self) -> Option<&Arc<Known>> {
        self.unproven.as_ref()
    }
}
