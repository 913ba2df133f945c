//! A permit: this grant may be used now. Made by [`admit`] alone, which leads a request through every gate on its way.
//! Dropping it frees what it holds.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::access::{Candidate, Grant};
use crate::throttle::{Family, Reading};

use super::hall::{InFlight, Rejection};
use super::levels::{Asker, Levels};
use super::limiter::{Gate, Want, now};
use super::owner::{Owner, Passed, Route};
use super::pass::Pass;
use super::passes::{Counted, Passes};
use super::pins::{self, Pins};
use super::queue::Place;
use super::quota::OwnerQuotas;
use super::refused::Refused;
use super::registry::Gates;
use super::share::ShareGate;
use super::waiting::Comer;

/// The longest that any request waits.
pub const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// The gates on the way of one request, and how it comes to them.
#[derive(Clone, Copy)]
pub struct Course<'a> {
    /// Those of the process.
    pub gates: &'a Gates,
    /// That of the share through which the key is used.
    pub share: Option<&'a Arc<ShareGate>>,
    /// Those by who asks.
    pub levels: Option<&'a Arc<Levels>>,
    /// Those of the limit owner; none when nothing is learnt.
    pub owner: Option<&'a Arc<Owner>>,
    /// The limit owner's name.
    pub owner_name: &'a str,
    /// What is pinned on the service.
    pub pins: &'a Pins,
    /// What the limit owner may in a day or a month.
    pub quotas: Option<&'a Arc<OwnerQuotas>>,
    /// The service's own.
    pub service: Option<&'a Arc<Gate>>,
    /// How the service's answers are read.
    pub family: &'a Family,
    /// The method.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// For how many requests it counts.
    pub cost: u32,
    /// For how many tokens it is taken where the service counts those; 0 when that is unknown.
    pub tokens: u32,
    /// How many its answer may have, where the service counts that too; 0 when that is unknown.
    pub most_tokens: u32,
    /// Whether it can be sent again.
    pub is_repeatable: bool,
    /// How long it may wait.
    pub patience: Duration,
    /// Whether it was sent before, so that it goes first among its caller's.
    pub is_resend: bool,
}

/// Admission of one request. Freed on drop, so it is kept until the answer's last byte.
#[derive(Debug)]
pub struct Permit<C: Candidate> {
    grant: Grant<C>,
    owner: Option<Arc<Owner>>,
    route: Route,
    /// What was known of the owner's buckets when it passed.
    closures: u32,
    passes: Passes,
    waited: Duration,
    _in_flight: InFlight,
}

impl<C: Candidate> Permit<C> {
    /// What was admitted.
    pub fn grant(&self) -> &Grant<C> {
        &self.grant
    }

    /// How long it waited for its turn.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The same admission for a grant that was made anew after a wait.
    #[must_use]
    pub fn renewed(self, grant: Grant<C>) -> Self {
        Self { grant, ..self }
    }

    /// Something of the request goes out: from here on it counts, whatever becomes of it.
    pub fn sent(&mut self) {
        self.passes.each(Pass::sent);
        self.passes.count_as_sent(true);
    }

    /// Nothing of it went out after all: dropped, it is as if it had never passed.
    pub fn unsent(&mut self) {
        self.passes.each(Pass::unsent);
        self.passes.count_as_sent(false);
    }

    /// The head of its answer came: the gates learn from it.
    pub fn complete(&mut self, reading: &Reading) {
        let credential = &self.grant.candidate().credential().name;
        if let Some(owner) = &self.owner {
            let (all, bucket) = (self.passes.all.as_mut(), self.passes.bucket.as_mut());
            let (route, closures) = (self.route, self.closures);
            owner.hear(Passed { all, bucket, route, closures }, reading, credential);
        }
    }

    /// Whether anything is learnt of the service.
    pub fn learns(&self) -> bool {
        self.owner.is_some()
    }

    /// For how long the gates of its limit owner are closed.
    pub fn closed_for(&self) -> Duration {
        self.longest(Gate::closed_for)
    }

    /// How much of that the service itself asked for: without what was added so that not all open in one moment.
    pub fn asked_for(&self) -> Duration {
        self.longest(Gate::asked_for)
    }

    fn longest(&self, time: impl Fn(&Gate) -> Duration) -> Duration {
        let gates = self.passes.all.iter().chain(&self.passes.bucket).map(Pass::gate);
        gates.map(|gate| time(gate)).max().unwrap_or_default()
    }
}

/// Leads `grant` through the gates on its way; waits where it must.
///
/// # Errors
/// At once, when the wait would outlast the patience or too many wait already.
pub async fn admit<C: Candidate>(course: &Course<'_>, grant: Grant<C>) -> Result<Permit<C>, Refused> {
    let owner = course.owner.map(Arc::clone);
    let route = Route::of(course.family, course.method, course.path);
    let (passes, waited) = match course.pass_at_once(&grant, &route) {
        Some(passes) => (passes, Duration::ZERO),
        // Boxed, so that requests that do not wait do not carry the room for it.
        None => Box::pin(course.pass_all(&grant, &route)).await?,
    };
    let in_flight = course.gates.hall().begin(&grant.candidate().credential().service)?;
    let closures = owner.as_ref().map_or(0, |owner| owner.closures());
    Ok(Permit { grant, owner, route, closures, passes, waited, _in_flight: in_flight })
}

/// Why `grant` would not be admitted in time, as far as its key's own limits tell it beforehand: the limit of its owner is used
/// up, or the wait would outlast the patience; of several, the one that holds for longest. Nothing is used up and nothing counted
/// by asking.
pub fn foretell<C: Candidate>(course: &Course<'_>, grant: &Grant<C>) -> Option<Refused> {
    let route = Route::of(course.family, course.method, course.path);
    let comer = course.comer(grant, now());
    let own = course.levels.map(|levels| levels.of_key(&course.asker(grant))).unwrap_or_default();
    let quotas = course.quotas.and_then(|quotas| quotas.look(course.cost).err());
    let used_up = |(gate, comer): (&Arc<Gate>, Comer<'_>)| gate.exhausted().or_else(|| gate.foreseen(comer));
    let ways = course.learnt(&route);
    let refused = ways.each(&own, comer).filter_map(used_up);
    quotas.into_iter().chain(refused).reduce(Refused::longer)
}

/// The gates that are passed behind those by who asks.
pub(super) struct Ways {
    /// Where each counts once, whatever it costs.
    pinned: Vec<Arc<Gate>>,
    others: Vec<Arc<Gate>>,
}

impl Ways {
    /// Each of them and of the `narrow` ones, with what comes there.
    pub(super) fn each<'a>(
        &'a self,
        narrow: &'a [Arc<Gate>],
        comer: Comer<'a>,
    ) -> impl Iterator<Item = (&'a Arc<Gate>, Comer<'a>)> {
        let at_pins = at_pins(comer);
        let others = narrow.iter().chain(&self.others).map(move |gate| (gate, comer));
        others.chain(self.pinned.iter().map(move |gate| (gate, at_pins)))
    }
}

/// What comes to a gate that is pinned.
fn at_pins(comer: Comer<'_>) -> Comer<'_> {
    Comer { want: Want { cost: pins::COST, ..comer.want }, ..comer }
}

/// Passes these one after the other. Boxed by who waits, so that requests with none of them do not carry the room for it.
async fn pass_each(gates: Vec<Arc<Gate>>, comer: Comer<'_>, passes: &mut Passes) -> Result<(), Refused> {
    for gate in gates {
        let pass = gate.pass(&comer, passes).await?;
        passes.others.push(pass);
    }
    Ok(())
}

impl Course<'_> {
    /// The usual way: nothing but the owner's gate and the service's, and both are open.
    fn pass_at_once<C: Candidate>(&self, grant: &Grant<C>, route: &Route) -> Option<Passes> {
        if self.share.is_some() || self.levels.is_some() || self.pins.is_any() || self.bucket(route).is_some() {
            return None;
        }
        let (caller, mut passes) = (&grant.known().caller.id, Passes::default());
        if let Some(owner) = self.owner {
            passes.all = Some(owner.all.try_pass(caller, self.want(), self.patience).ok()?);
        }
        if let Some(service) = self.service {
            passes.service = Some(service.try_pass(caller, self.want(), self.patience).ok()?);
        }
        passes.counted = self.count().ok()?;
        Some(passes)
    }

    /// Uses up what it counts for of the quotas: last, so that what another limit refuses is not counted.
    fn count(&self) -> Result<Option<Box<Counted>>, Refused> {
        if self.quotas.is_none() && self.share.is_none() {
            return Ok(None);
        }
        let mut counted = Box::<Counted>::default();
        if let Some(quotas) = self.quotas {
            quotas.take(self.cost)?;
            counted.quotas = Some((Arc::clone(quotas), self.cost));
        }
        if let Some(share) = self.share {
            share.count()?;
            counted.share = Some(Arc::clone(share));
        }
        Ok(Some(counted))
    }

    const fn want(&self) -> Want {
        Want { cost: self.cost, tokens: self.tokens, most_tokens: self.most_tokens, is_repeatable: self.is_repeatable }
    }

    fn bucket(&self, route: &Route) -> Option<Arc<Gate>> {
        self.owner?.bucket_of(*route)
    }

    /// One gate after the other, the narrow ones first: who waits for its own limit must not hold a place that others could
    /// use. What closed while it waited elsewhere it passes again.
    async fn pass_all<C: Candidate>(&self, grant: &Grant<C>, route: &Route) -> Result<(Passes, Duration), Refused> {
        let (started, levels) = (now(), self.by_who_asks(grant));
        let comer = self.comer(grant, started);
        let mut narrow: Vec<Arc<Gate>> = self.share.and_then(|share| share.rate()).cloned().into_iter().collect();
        narrow.extend(levels);
        // Refused at once is what a quota or a gate ahead would hold for too long, before anything is used up at another.
        self.foreseen(&narrow, comer, route).map_or(Ok(()), Err)?;
        let mut passes = Passes::default();
        if !narrow.is_empty() {
            Box::pin(pass_each(narrow, comer, &mut passes)).await?;
        }
        self.pass_learnt(&comer, route, &mut passes).await?;
        passes.counted = self.count()?;
        let waited = now().saturating_duration_since(started);
        // What did not wait took a few microseconds, which is no wait.
        Ok((passes, if waited < Duration::from_millis(1) { Duration::ZERO } else { waited }))
    }

    /// The refusal of a quota or a gate that it would not pass in time; of several, of the one that holds for longest.
    fn foreseen(&self, narrow: &[Arc<Gate>], comer: Comer<'_>, route: &Route) -> Option<Refused> {
        let of_share = self.share.and_then(|share| share.look().err());
        let of_quotas = self.quotas.and_then(|quotas| quotas.look(self.cost).err());
        let mut longest = of_share.into_iter().chain(of_quotas).reduce(Refused::longer);
        let (ways, mut rejections) = (self.learnt(route), None);
        for (gate, comer) in ways.each(narrow, comer) {
            if let Some(refused) = gate.foreseen(comer) {
                rejections = Some(&gate.rejections);
                longest = longest.into_iter().chain([refused]).reduce(Refused::longer);
            }
        }
        // Once for the request, however many hold it.
        if let Some(rejections) = rejections {
            rejections.count(Rejection::Deadline);
        }
        longest
    }

    /// The gates of the owner, what is pinned, and the service's own, behind the narrow ones.
    async fn pass_learnt(&self, comer: &Comer<'_>, route: &Route, passes: &mut Passes) -> Result<(), Refused> {
        let narrow = passes.others.len();
        // The owner's gate, where it was waited for by itself.
        let mut all = None;
        loop {
            passes.others.truncate(narrow);
            let others = mem::take(&mut passes.others);
            *passes = Passes { all: all.take(), others, ..Passes::default() };
            let bucket = self.bucket(route);
            if let Some(gate) = &bucket {
                passes.bucket = match passes.all {
                    Some(_) => gate.try_pass(comer.caller, comer.want, self.patience).ok(),
                    None => Some(gate.pass(comer, passes).await?),
                };
                if passes.bucket.is_none() {
                    continue;
                }
            }
            if let (Some(owner), None) = (self.owner, &passes.all) {
                passes.all = owner.all.try_pass(comer.caller, comer.want, self.patience).ok();
                if passes.all.is_none() {
                    // A probe that waited elsewhere would keep everybody waiting, and be taken for lost.
                    let probes = passes.bucket.take_if(|pass| pass.is_probe()).is_some();
                    passes.all = Some(owner.all.pass(comer, passes).await?);
                    if probes {
                        all = passes.all.take();
                        continue;
                    }
                }
            }
            let pinned = self.pinned(bucket.as_deref());
            if !pinned.is_empty() {
                Box::pin(pass_each(pinned, at_pins(*comer), passes)).await?;
            }
            if let Some(gate) = self.service {
                passes.service = Some(gate.pass(comer, passes).await?);
            }
            // An answer may have named the bucket of its route meanwhile: then it goes through that too.
            if passes.are_good() && self.is_at_home(passes, route) {
                return Ok(());
            }
        }
    }

    /// The gates that [`Course::pass_learnt`] passes.
    pub(super) fn learnt(&self, route: &Route) -> Ways {
        let bucket = self.bucket(route);
        let pinned = self.pinned(bucket.as_deref());
        let all = self.owner.map(|owner| Arc::clone(&owner.all));
        let others = all.into_iter().chain(self.service.map(Arc::clone)).chain(bucket).collect();
        Ways { pinned, others }
    }

    fn pinned(&self, bucket: Option<&Gate>) -> Vec<Arc<Gate>> {
        if !self.pins.is_any() {
            return Vec::new();
        }
        self.pins.of(self.owner_name, bucket.and_then(|gate| gate.label.shown_bucket()).as_deref())
    }

    /// Whether it passed the gate of the bucket to which its route belongs, as far as that is known.
    fn is_at_home(&self, passes: &Passes, route: &Route) -> bool {
        let bucket = self.bucket(route);
        bucket.is_none_or(|bucket| passes.bucket.as_ref().is_some_and(|pass| Arc::ptr_eq(pass.gate(), &bucket)))
    }

    pub(super) fn comer<'b, C: Candidate>(&self, grant: &'b Grant<C>, started: Instant) -> Comer<'b> {
        let caller = &grant.known().caller;
        Comer {
            caller: &caller.id,
            weight: caller.weight,
            want: self.want(),
            place: if self.is_resend { Place::First } else { Place::Last },
            deadline: started + self.patience.min(LONGEST_WAIT),
        }
    }

    pub(super) fn by_who_asks<C: Candidate>(&self, grant: &Grant<C>) -> Vec<Arc<Gate>> {
        self.levels.map(|levels| levels.of(&self.asker(grant))).unwrap_or_default()
    }

    fn asker<'b, C: Candidate>(&'b self, grant: &'b Grant<C>) -> Asker<'b> {
        let known = grant.known();
        Asker {
            caller: known.caller.id.as_str(),
            teams: &known.owner.teams,
            credential: grant.candidate().credential().id.as_str(),
            owner: self.owner_name,
            method: self.method,
            path: self.path,
        }
    }
}

#[cfg(test)]
mod tests;
