//! May they: the service's rules, and the credential. The only maker of a `Grant`.

use std::sync::Arc;

use crate::domain::{Credential, CredentialId, Name, ServiceName, Source, SourceKind};

use super::{Candidate, Credentials, Known, Request, Selection, Step};

/// This caller may use this credential on this service, now. Made only by [`grant`].
pub struct Grant<C: Candidate> {
    known: Arc<Known>,
    candidate: Arc<C>,
    step: Step,
    /// What the shares through which it is granted may be used for; one of them is enough. None: everything.
    bounded: Vec<Arc<C::Bounded>>,
    /// What else of its pool is granted, each with its shares.
    others: Vec<Granted<C>>,
}

/// A credential, and what the shares through which it is granted may be used for.
type Granted<C> = (Arc<C>, Vec<Arc<<C as Candidate>::Bounded>>);

impl<C: Candidate> std::fmt::Debug for Grant<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Grant({} of {})", self.candidate.credential().name, self.known.caller.name)
    }
}

impl<C: Candidate> Grant<C> {
    /// Who asks.
    pub fn known(&self) -> &Arc<Known> {
        &self.known
    }

    /// The credential.
    pub fn candidate(&self) -> &Arc<C> {
        &self.candidate
    }

    /// On which step of the selection order it was found.
    pub fn step(&self) -> Step {
        self.step
    }

    /// The others of its pool, which may stand in for it, in their order.
    pub fn others(&self) -> impl ExactSizeIterator<Item = &Arc<C>> {
        self.others.iter().map(|(candidate, _)| candidate)
    }

    /// Has the other number `other` stand in for the credential, which becomes one of the others.
    pub fn turn_to(&mut self, other: usize) {
        if let Some((candidate, bounded)) = self.others.get_mut(other) {
            std::mem::swap(&mut self.candidate, candidate);
            std::mem::swap(&mut self.bounded, bounded);
        }
    }

    /// The same for this credential, when it is granted.
    #[must_use]
    pub fn of(mut self, id: &CredentialId) -> Self {
        let other = self.others().position(|candidate| candidate.credential().id == *id);
        if let Some(other) = other {
            self.turn_to(other);
        }
        self
    }

    /// Whether the share through which it is granted bounds what may be requested.
    pub fn has_rules(&self) -> bool {
        self.bounded.iter().any(|bounded| !(**bounded).as_ref().allowed.is_everything())
    }

    /// Which of the shares through which it is granted admits this method and path (without the query, as sent).
    ///
    /// # Errors
    /// When none does.
    pub fn share_for(&self, method: &str, path: &str) -> Result<usize, Unauthorized> {
        let admits = |bounded: &Arc<C::Bounded>| (**bounded).as_ref().allowed.admits(method, path);
        let found = self.bounded.iter().position(admits);
        found.ok_or_else(|| Unauthorized::ShareRules { service: self.candidate.credential().service.clone() })
    }

    /// Holds it to that share: its limits count.
    pub fn hold_to(&mut self, share: usize) {
        if share < self.bounded.len() {
            self.bounded.swap(0, share);
        }
    }

    /// What the shares through which it is granted may be used for, the one that it is held to first; for `explain`.
    pub fn shares(&self) -> &[Arc<C::Bounded>] {
        &self.bounded
    }

    /// What the share that it is held to may be used for; none when it is granted without bounds.
    pub fn bounded(&self) -> Option<&Arc<C::Bounded>> {
        self.bounded.first()
    }
}

/// Why there is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// The service is for reading only, and this method is none that reads.
    #[error("the service `{service}` is for reading only")]
    ReadOnly {
        /// The service.
        service: ServiceName,
    },
    /// The rules of the service do not admit this method and path.
    #[error("the `allow` rules of service `{service}` do not admit this method and path")]
    Rules {
        /// The service.
        service: ServiceName,
    },
    /// The rules of the share through which the caller may use the credential do not admit this method and path.
    #[error("the share through which this caller uses the key of service `{service}` does not admit this request")]
    ShareRules {
        /// The service.
        service: ServiceName,
    },
    /// The credential that the caller named is not one it may use.
    #[error("no credential of that name may be used by this caller on service `{service}`")]
    NoSuchNamed {
        /// The service.
        service: ServiceName,
    },
    /// No credential at all.
    #[error("this caller has no credential for service `{service}`")]
    Missing {
        /// The service.
        service: ServiceName,
    },
    /// No credential but one whose declared source yields no value.
    #[error("the credential `{credential}` of service `{service}` has no value: its {} yields none", kind.describe())]
    NoValue {
        /// The service.
        service: ServiceName,
        /// The credential.
        credential: Name,
        /// What yields none.
        kind: SourceKind,
    },
    /// Several credentials on one step.
    #[error("several credentials of service `{service}` fit equally")]
    Ambiguous {
        /// The service.
        service: ServiceName,
        /// The step on which they stand.
        step: Step,
        /// Their names.
        names: Vec<String>,
    },
}

/// Chooses the credential of a request. The service's rules are checked by the caller of this, on the bytes that will be sent.
///
/// # Errors
/// When the selection order leaves none, or several on one step.
pub fn grant<C: Candidate>(
    credentials: &Credentials<C>,
    known: &Arc<Known>,
    request: &Request<'_>,
) -> Result<Grant<C>, Unauthorized> {
    let service = || request.service.clone();
    match credentials.select(request) {
        Selection::Chosen(candidate, step, bounded) => {
            let bounded = bounded.into_iter().map(Arc::clone).collect();
            let others = Vec::new();
            Ok(Grant { known: Arc::clone(known), candidate: Arc::clone(candidate), step, bounded, others })
        }
        Selection::Pooled(step, pool) => {
            let granted = |(candidate, bounded): (&Arc<C>, Vec<&Arc<C::Bounded>>)| -> Granted<C> {
                (Arc::clone(candidate), bounded.into_iter().map(Arc::clone).collect())
            };
            let mut pool = pool.into_iter().map(granted);
            let Some((candidate, bounded)) = pool.next() else {
                return Err(Unauthorized::Missing { service: service() });
            };
            Ok(Grant { known: Arc::clone(known), candidate, step, bounded, others: pool.collect() })
        }
        Selection::Missing => Err(Unauthorized::Missing { service: service() }),
        Selection::Dry(candidate) => Err(without_value(candidate.credential())),
        Selection::NoSuchNamed => Err(Unauthorized::NoSuchNamed { service: service() }),
        Selection::Ambiguous(step, found) => {
            let mut names: Vec<String> = found.iter().map(|c| c.credential().name.to_string()).collect();
            names.sort();
            Err(Unauthorized::Ambiguous { service: service(), step, names })
        }
    }
}

fn without_value(credential: &Credential) -> Unauthorized {
    let (service, name) = (credential.service.clone(), credential.name.clone());
    match credential.source {
        Source::Declared { dry: Some(kind) } => Unauthorized::NoValue { service, credential: name, kind },
        Source::Declared { dry: None } | Source::Store => Unauthorized::Missing { service },
    }
}
