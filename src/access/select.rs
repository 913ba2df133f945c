//! Which credential: named → the owner's personal one → shared with the caller → with its owner → with a team → with everyone.
//! Candidates are found by (service, principal) in a hash table; a step has one, or the request is refused.

use std::sync::Arc;

use crate::domain::{Bounds, CallerId, Credential, Host, Name, ServiceName, Share, Shared, Table, TeamId, UserId};

use super::Known;

/// What the snapshot keeps per credential, as far as selection sees it.
pub trait Candidate: Send + Sync {
    /// What a share may be used for, with what belongs to that at work.
    type Bounded: AsRef<Bounds> + Send + Sync;
    /// What is known of it.
    fn credential(&self) -> &Credential;
    /// What its share number `share` may be used for; none: everything.
    fn bounded(&self, share: usize) -> Option<&Arc<Self::Bounded>>;
    /// Whether it may be sent to `host`: its pinned host, or one that the service lists.
    fn serves(&self, host: &Host) -> bool;
}

/// A candidate as it is open to somebody: what for.
struct Open<C: Candidate> {
    candidate: Arc<C>,
    bounded: Option<Arc<C::Bounded>>,
}

/// The credentials of one service, by whom they are open to.
struct OfService<C: Candidate> {
    owner: Table<UserId, Vec<Open<C>>>,
    caller: Table<CallerId, Vec<Open<C>>>,
    user: Table<UserId, Vec<Open<C>>>,
    team: Table<TeamId, Vec<Open<C>>>,
    everyone: Vec<Open<C>>,
}

impl<C: Candidate> Default for OfService<C> {
    fn default() -> Self {
        Self {
            owner: Table::default(),
            caller: Table::default(),
            user: Table::default(),
            team: Table::default(),
            everyone: Vec::new(),
        }
    }
}

impl<C: Candidate> OfService<C> {
    /// What is open to the request's caller at `step`; teams count as one step together.
    fn at<'a>(&'a self, step: Step, known: &'a Known) -> impl Iterator<Item = &'a Open<C>> {
        let owner = &known.owner;
        let single: &[Open<C>] = match step {
            Step::Personal => slice(self.owner.get(&owner.id)),
            Step::SharedWithCaller => slice(self.caller.get(&known.caller.id)),
            Step::SharedWithOwner => slice(self.user.get(&owner.id)),
            Step::SharedWithEveryone => &self.everyone,
            Step::SharedWithTeam | Step::Named => &[],
        };
        let teams: &[TeamId] = if step == Step::SharedWithTeam { &owner.teams } else { &[] };
        single.iter().chain(teams.iter().flat_map(|team| slice(self.team.get(team))))
    }
}

fn slice<C: Candidate>(found: Option<&Vec<Open<C>>>) -> &[Open<C>] {
    found.map_or(&[], Vec::as_slice)
}

/// A step of the selection order, for `explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Named by the caller.
    Named,
    /// The owner's personal key.
    Personal,
    /// Shared with this caller.
    SharedWithCaller,
    /// Shared with the caller's owner.
    SharedWithOwner,
    /// Shared with a team of the owner.
    SharedWithTeam,
    /// Shared with everyone.
    SharedWithEveryone,
}

impl Step {
    /// The step in words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Named => "named by the caller",
            Self::Personal => "the owner's personal key",
            Self::SharedWithCaller => "shared with this caller",
            Self::SharedWithOwner => "shared with the caller's owner",
            Self::SharedWithTeam => "shared with a team of the owner",
            Self::SharedWithEveryone => "shared with everyone",
        }
    }
}

/// The steps in their order, after a credential named by the caller.
const STEPS: [Step; 5] =
    [Step::Personal, Step::SharedWithCaller, Step::SharedWithOwner, Step::SharedWithTeam, Step::SharedWithEveryone];

/// What selection needs to know of a request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub known: &'a Known,
    /// For which service.
    pub service: &'a ServiceName,
    /// The credential that the caller named.
    pub named: Option<&'a str>,
    /// The host that the client named, at the proxy doors.
    pub host: Option<&'a Host>,
    /// Unix seconds.
    pub now: i64,
}

/// The outcome of selection.
pub enum Selection<'a, C: Candidate> {
    /// This one, on this step, for what one of these admits; none of them: for everything.
    Chosen(&'a Arc<C>, Step, Vec<&'a Arc<C::Bounded>>),
    /// The first of these, which are of one pool; the others stand in for it.
    Pooled(Step, Vec<Choice<'a, C>>),
    /// None at all.
    Missing,
    /// None, but this one would be if it had a value.
    Dry(&'a Arc<C>),
    /// The caller named one it has no grant for, or that does not exist: the two look the same.
    NoSuchNamed,
    /// Two or more on one step.
    Ambiguous(Step, Vec<&'a Arc<C>>),
}

/// One of a pool, for what one of these admits; none of them: for everything.
pub type Choice<'a, C> = (&'a Arc<C>, Vec<&'a Arc<<C as Candidate>::Bounded>>);

/// A candidate that is open to the caller, for `explain`.
pub struct Considered<'a, C: Candidate> {
    /// Which.
    pub candidate: &'a Arc<C>,
    /// On which step.
    pub step: Step,
    /// Whether it may be used.
    pub verdict: Verdict,
    /// What the share may be used for; none: everything.
    pub bounded: Option<&'a Arc<C::Bounded>>,
}

/// Whether a candidate may be used by a request, for `explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be used.
    Eligible,
    /// Its environment is another.
    OtherEnvironment,
    /// It is over its expiry date.
    Expired,
    /// It is pinned to another host.
    OtherHost,
    /// Its declared source has yielded no value.
    NoValue,
}

/// Every credential, by service and by whom it is open to.
pub struct Credentials<C: Candidate> {
    index: Table<ServiceName, OfService<C>>,
    count: usize,
}

impl<C: Candidate> std::fmt::Debug for Credentials<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.count)
    }
}

impl<C: Candidate> Credentials<C> {
    /// Compiles the table.
    pub fn new(all: impl IntoIterator<Item = Arc<C>>) -> Self {
        let mut table = Self { index: Table::default(), count: 0 };
        for entry in all {
            table.count += 1;
            let credential = entry.credential();
            let of_service = table.index.entry(credential.service.clone()).or_default();
            // A share with the owner gives it nothing; it says what the owner's own callers may use the key for.
            let with_owner = |shared: &Shared| matches!(&shared.with, Share::User(id) if *id == credential.owner);
            let own_use = credential.shares.iter().position(with_owner).and_then(|share| entry.bounded(share));
            let own = Open { candidate: Arc::clone(&entry), bounded: own_use.map(Arc::clone) };
            of_service.owner.entry(credential.owner.clone()).or_default().push(own);
            for (number, shared) in credential.shares.iter().enumerate().filter(|(_, shared)| !with_owner(shared)) {
                let open = Open { candidate: Arc::clone(&entry), bounded: entry.bounded(number).map(Arc::clone) };
                match &shared.with {
                    Share::User(id) => of_service.user.entry(id.clone()).or_default(),
                    Share::Team(id) => of_service.team.entry(id.clone()).or_default(),
                    Share::Caller(id) => of_service.caller.entry(id.clone()).or_default(),
                    Share::Everyone => &mut of_service.everyone,
                }
                .push(open);
            }
        }
        table
    }

    /// Every candidate, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<C>> {
        let owned = self.index.values().flat_map(|of_service| of_service.owner.values());
        owned.flatten().map(|open| &open.candidate)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Chooses.
    pub fn select<'a>(&'a self, request: &Request<'a>) -> Selection<'a, C> {
        let Some(of_service) = self.index.get(request.service.as_str()) else {
            return if request.named.is_some() { Selection::NoSuchNamed } else { Selection::Missing };
        };
        if let Some(name) = request.named {
            return named(of_service, request, name);
        }
        STEPS
            .into_iter()
            .find_map(|step| at_step(step, of_service.at(step, request.known), request))
            .or_else(|| dry(of_service, request, |_| true))
            .unwrap_or(Selection::Missing)
    }

    /// Every candidate of the caller with its step, its verdict and what the share may be used for, in selection order; for
    /// `explain`.
    pub fn candidates<'a>(&'a self, request: &Request<'a>) -> Vec<Considered<'a, C>> {
        let Some(of_service) = self.index.get(request.service.as_str()) else { return Vec::new() };
        let at = |step| of_service.at(step, request.known).map(move |open| (step, open));
        let considered = |(step, open): (Step, &'a Open<C>)| Considered {
            candidate: &open.candidate,
            step,
            verdict: verdict(&*open.candidate, request),
            bounded: open.bounded.as_ref(),
        };
        STEPS.into_iter().flat_map(at).map(considered).collect()
    }

    /// Every candidate of a service, open to somebody or not; for `explain`.
    pub fn of_service<'a>(&'a self, service: &ServiceName) -> impl Iterator<Item = &'a Arc<C>> {
        let owned = self.index.get(service).into_iter().flat_map(|of_service| of_service.owner.values());
        owned.flatten().map(|open| &open.candidate)
    }
}

fn verdict<C: Candidate>(candidate: &C, request: &Request<'_>) -> Verdict {
    let credential = candidate.credential();
    let caller_environment = request.known.caller.environment.as_ref();
    let other = |label: &Name| caller_environment.is_some_and(|own| own != label);
    if credential.environment.as_ref().is_some_and(other) {
        Verdict::OtherEnvironment
    } else if credential.expires.is_some_and(|at| at <= request.now) {
        Verdict::Expired
    } else if request.host.is_some_and(|host| !candidate.serves(host)) {
        Verdict::OtherHost
    } else if credential.sealed.is_none() {
        Verdict::NoValue
    } else {
        Verdict::Eligible
    }
}

fn at_step<'a, C: Candidate + 'a>(
    step: Step,
    found: impl Iterator<Item = &'a Open<C>>,
    request: &Request<'_>,
) -> Option<Selection<'a, C>> {
    let mut eligible = found.filter(|open| verdict(&*open.candidate, request) == Verdict::Eligible);
    let first = eligible.next()?;
    let mut is_free = first.bounded.is_none();
    // Neither list takes memory unless something is put into it.
    let (mut bounded, mut others): (Vec<_>, Vec<_>) = (first.bounded.iter().collect(), Vec::new());
    for open in eligible {
        if Arc::ptr_eq(&open.candidate, &first.candidate) {
            // The same key by another share of this step: what either admits is admitted.
            is_free |= open.bounded.is_none();
            bounded.extend(&open.bounded);
        } else {
            others.push(open);
        }
    }
    if is_free {
        bounded.clear();
    }
    if others.is_empty() {
        return Some(Selection::Chosen(&first.candidate, step, bounded));
    }
    let pool = first.candidate.credential().pool.as_ref();
    // Who names a key means that key, whatever pool it is of.
    let is_pool = pool.is_some() && step != Step::Named;
    if is_pool && others.iter().all(|open| open.candidate.credential().pool.as_ref() == pool) {
        return Some(Selection::Pooled(step, pooled((&first.candidate, bounded), others)));
    }
    let others = std::iter::once(first).chain(others).map(|open| &open.candidate);
    Some(Selection::Ambiguous(step, others.collect()))
}

/// The keys of a pool in the order of their use: by name, and by identifier where owners have the same name for theirs.
fn pooled<'a, C: Candidate>(first: Choice<'a, C>, others: Vec<&'a Open<C>>) -> Vec<Choice<'a, C>> {
    // With whether a share without bounds is among those by which it is open.
    let mut pool: Vec<(Choice<'a, C>, bool)> = vec![(first, false)];
    for open in others {
        let is_free = open.bounded.is_none();
        match pool.iter_mut().find(|((candidate, _), _)| Arc::ptr_eq(candidate, &open.candidate)) {
            Some(((_, bounded), free)) => {
                *free |= is_free;
                bounded.extend(&open.bounded);
            }
            None => pool.push(((&open.candidate, open.bounded.iter().collect()), is_free)),
        }
    }
    pool.sort_by_key(|((candidate, _), _)| (&candidate.credential().name, &candidate.credential().id));
    let whole = |((candidate, bounded), is_free): (Choice<'a, C>, bool)| {
        (candidate, if is_free { Vec::new() } else { bounded })
    };
    pool.into_iter().map(whole).collect()
}

/// The first that only lacks a value, among those that `fits`.
fn dry<'a, C: Candidate>(
    of_service: &'a OfService<C>,
    request: &Request<'a>,
    fits: impl Fn(&C) -> bool,
) -> Option<Selection<'a, C>> {
    let mut open = STEPS.into_iter().flat_map(|step| of_service.at(step, request.known));
    let lacks = |open: &&Open<C>| fits(&open.candidate) && verdict(&*open.candidate, request) == Verdict::NoValue;
    open.find(lacks).map(|open| Selection::Dry(&open.candidate))
}

fn named<'a, C: Candidate>(of_service: &'a OfService<C>, request: &Request<'a>, name: &str) -> Selection<'a, C> {
    STEPS
        .into_iter()
        .find_map(|step| {
            let found = of_service.at(step, request.known);
            let found = found.filter(|open| open.candidate.credential().name.as_str() == name);
            at_step(Step::Named, found, request)
        })
        .or_else(|| dry(of_service, request, |c| c.credential().name.as_str() == name))
        .unwrap_or(Selection::NoSuchNamed)
}
