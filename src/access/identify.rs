//! Proof → caller. Tokens are found by their digest, so there is no scan and no early-exit comparison of secrets. A token
//! counts only from where its caller's connections must come.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::crypto::compare;
use crate::domain::{Caller, CallerId, Name, Peer, Table, User, UserId};

use super::Sightings;

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
    /// When it was last seen, in Unix seconds; lives on from snapshot to snapshot.
    seen: Arc<AtomicI64>,
}

impl Known {
    /// Notes that it was seen at `now`. Written once a second at most, so that cores do not fight for it.
    fn note(&self, now: i64) {
        if self.seen.load(Ordering::Relaxed) < now {
            self.seen.store(now, Ordering::Relaxed);
        }
    }

    /// Whether the token with this digest is its present one, or its former one for as long as that goes on.
    fn proven_by(&self, digest: &[u8; 32], now: i64) -> Result<(), Unidentified> {
        if self.caller.token_digest.is_some_and(|stored| compare::equal(&stored, digest)) {
            return Ok(());
        }
        match &self.caller.former {
            Some(former) if compare::equal(&former.digest, digest) => {
                if now < former.until {
                    Ok(())
                } else {
                    Err(Unidentified::Ended)
                }
            }
            _ => Err(Unidentified::Wrong),
        }
    }
}

/// Why no caller was found. Only the operator is told more than that a proof is missing or wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unidentified {
    /// No proof was shown and one is needed.
    #[error("no caller token was sent")]
    Absent,
    /// The proof is none of ours.
    #[error("the caller token is not valid")]
    Wrong,
    /// The token was rotated, and its time is over.
    #[error("the caller token was rotated and has ended")]
    Ended,
    /// The token is right, and the connection comes from where its caller's must not.
    #[error("the caller token is right, and its connection comes from outside of the caller's perimeter")]
    Outside,
}

impl Unidentified {
    /// The word in the audit; never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "token_absent",
            Self::Wrong => "token_wrong",
            Self::Ended => "token_ended",
            Self::Outside => "outside_perimeter",
        }
    }
}

/// Every caller, by the digest of its token.
#[derive(Debug)]
pub struct Callers {
    by_digest: Table<[u8; 32], Arc<Known>>,
    by_name: Table<Name, Arc<Known>>,
    /// By the digest of a token for one run, with the end of its time.
    runs: Table<[u8; 32], (Arc<Known>, i64)>,
    /// Who a caller without proof is; none in token mode.
    unproven: Option<Arc<Known>>,
}

impl Callers {
    /// Compiles the table. In open mode `unproven` names the caller that needs no proof. Who is seen is noted in `sightings`.
    pub fn new(
        users: Vec<User>,
        callers: Vec<Caller>,
        unproven: Option<&CallerId>,
        digest: fn(&[u8]) -> [u8; 32],
        sightings: &Sightings,
    ) -> Self {
        let users: Table<UserId, Arc<User>> = users.into_iter().map(|u| (u.id.clone(), Arc::new(u))).collect();
        let mut table =
            Self { by_digest: Table::default(), by_name: Table::default(), runs: Table::default(), unproven: None };
        for caller in callers {
            let Some(owner) = users.get(&caller.owner) else { continue };
            let name_digest = digest(caller.name.as_str().as_bytes());
            let seen = sightings.of(&caller.id);
            let known = Arc::new(Known { owner: Arc::clone(owner), name_digest, seen, caller });
            if unproven == Some(&known.caller.id) {
                table.unproven = Some(Arc::clone(&known));
            }
            let former = known.caller.former.map(|former| former.digest);
            for digest in known.caller.token_digest.into_iter().chain(former) {
                table.by_digest.insert(digest, Arc::clone(&known));
            }
            table.by_name.insert(known.caller.name.clone(), known);
        }
        table
    }

    /// The same with tokens for one run each: whose, its digest, and from when on it counts no more.
    #[must_use]
    pub fn with_runs(mut self, runs: impl IntoIterator<Item = (CallerId, [u8; 32], i64)>) -> Self {
        let known: Table<CallerId, Arc<Known>> =
            self.by_name.values().map(|known| (known.caller.id.clone(), Arc::clone(known))).collect();
        let of = |(caller, digest, until): (CallerId, _, _)| Some((digest, (Arc::clone(known.get(&caller)?), until)));
        self.runs = runs.into_iter().filter_map(of).collect();
        self
    }

    /// Whose token has this digest, when it counts at `now`.
    fn proven_by(&self, digest: &[u8; 32], now: i64) -> Result<&Arc<Known>, Unidentified> {
        if let Some(known) = self.by_digest.get(digest) {
            return known.proven_by(digest, now).map(|()| known);
        }
        match self.runs.get(digest) {
            Some((known, until)) if now < *until => Ok(known),
            Some(_) => Err(Unidentified::Ended),
            None => Err(Unidentified::Wrong),
        }
    }

    /// Who showed `proof` on a connection of `peer`, at `now` in Unix seconds; that it was seen is noted.
    ///
    /// # Errors
    /// When nothing was shown and a proof is needed, or what was shown is wrong, or counts no more or not from there.
    pub fn identify(&self, proof: &Proof, peer: &Peer, now: i64) -> Result<&Arc<Known>, Unidentified> {
        let known = match proof {
            Proof::None => {
                let unproven = self.unproven.as_ref().filter(|known| known.caller.perimeter.admits(peer));
                unproven.ok_or(Unidentified::Absent)?
            }
            Proof::Unreadable => return Err(Unidentified::Wrong),
            Proof::Token { digest, name } => {
                let known = self.proven_by(digest, now)?;
                if name.is_some_and(|name| !compare::equal(&known.name_digest, &name)) {
                    return Err(Unidentified::Wrong);
                }
                if !known.caller.perimeter.admits(peer) {
                    return Err(Unidentified::Outside);
                }
                known
            }
        };
        known.note(now);
        Ok(known)
    }

    /// Whose token it is that was refused, for the operator's eyes.
    pub fn suspect(&self, proof: &Proof, why: Unidentified) -> Option<&Arc<Known>> {
        match (proof, why) {
            (Proof::Token { digest, .. }, Unidentified::Ended | Unidentified::Outside) => {
                self.by_digest.get(digest).or_else(|| self.runs.get(digest).map(|(known, _)| known))
            }
            _ => None,
        }
    }

    /// Whether any caller has a token, so that looking for one makes sense.
    pub fn have_tokens(&self) -> bool {
        !self.by_digest.is_empty() || !self.runs.is_empty()
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
