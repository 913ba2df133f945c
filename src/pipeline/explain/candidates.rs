//! Every key of the service, and why it is used or not: those that are open to the caller in the order of the selection, then
//! those that are not.

use std::collections::HashSet;
use std::sync::Arc;

use crate::access::{Considered, Request, Selection, Step, Verdict};
use crate::domain::CredentialId;
use crate::pipeline::{Bounded, Held, Snapshot};

/// One key, as it is open to the caller in one way.
#[derive(Debug)]
pub struct Considering {
    /// The key.
    pub held: Arc<Held>,
    /// On which step; none when it is not open to the caller.
    pub step: Option<Step>,
    /// What the share may be used for; none: everything.
    pub bounded: Option<Arc<Bounded>>,
    /// Why it is used or not.
    pub fate: Fate,
}

/// Why a key is used or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is the one.
    Chosen,
    /// It stands beside others on the step that decides.
    Equal,
    /// It stands in for the one, when the limit of that is used up.
    StandsIn,
    /// It would be the one, but its limit holds it up for longer than that of another of its pool.
    HeldUp,
    /// An earlier step decides.
    Later,
    /// The caller named another.
    NotNamed,
    /// It may not be used.
    Unfit(Verdict),
    /// It is neither the owner's own nor shared with the caller in any way.
    NotOpen,
}

impl Fate {
    /// The word for programs and the text for people.
    pub const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Chosen => ("eligible", "may be used, and is"),
            Self::Equal => ("eligible", "may be used, as others of this step"),
            Self::StandsIn => ("eligible", "stands in when the limit of the first of its pool is used up"),
            Self::HeldUp => ("eligible", "may be used, but its limit holds it up; another of its pool stands in"),
            Self::Later => ("eligible", "may be used; an earlier step decides"),
            Self::NotNamed => ("eligible", "may be used; another was named"),
            Self::Unfit(Verdict::Eligible) => ("eligible", "may be used"),
            Self::Unfit(Verdict::OtherEnvironment) => ("other_environment", "of another environment"),
            Self::Unfit(Verdict::Expired) => ("expired", "expired"),
            Self::Unfit(Verdict::OtherHost) => ("other_host", "pinned to another host"),
            Self::Unfit(Verdict::NoValue) => ("no_value", "has no value"),
            Self::NotOpen => ("not_open", "not shared with this caller"),
        }
    }
}

/// Says of every key of the service what becomes of it.
pub(super) fn consider(view: &Snapshot, request: &Request<'_>) -> Vec<Considering> {
    let selection = view.credentials.select(request);
    let mut seen: HashSet<&CredentialId> = HashSet::new();
    let mut all = Vec::new();
    for considered in view.credentials.candidates(request) {
        seen.insert(&considered.candidate.credential.id);
        all.push(Considering {
            held: Arc::clone(considered.candidate),
            step: Some(considered.step),
            bounded: considered.bounded.map(Arc::clone),
            fate: fate(&considered, request, &selection),
        });
    }
    let mut others: Vec<_> =
        view.credentials.of_service(request.service).filter(|held| !seen.contains(&held.credential.id)).collect();
    others.sort_by(|one, other| one.credential.name.cmp(&other.credential.name));
    all.extend(others.into_iter().map(|held| Considering {
        held: Arc::clone(held),
        step: None,
        bounded: None,
        fate: Fate::NotOpen,
    }));
    all
}

fn fate(considered: &Considered<'_, Held>, request: &Request<'_>, selection: &Selection<'_, Held>) -> Fate {
    let is = |other: &Arc<Held>| Arc::ptr_eq(considered.candidate, other);
    if considered.verdict != Verdict::Eligible {
        return Fate::Unfit(considered.verdict);
    }
    if request.named.is_some_and(|name| considered.candidate.credential.name.as_str() != name) {
        return Fate::NotNamed;
    }
    match selection {
        // Named, a key is taken on the first of its steps.
        Selection::Chosen(chosen, step, _) if is(chosen) && (*step == considered.step || *step == Step::Named) => {
            Fate::Chosen
        }
        Selection::Pooled(step, pool) if *step == considered.step => {
            let place = pool.iter().position(|(one, _)| is(one));
            place.map_or(Fate::Later, |place| if place == 0 { Fate::Chosen } else { Fate::StandsIn })
        }
        Selection::Ambiguous(_, equals) if equals.iter().any(|equal| is(equal)) => Fate::Equal,
        _ => Fate::Later,
    }
}
