//! What one core has counted since its counts were last taken: a table of who calls what with which key, and of the
//! endpoints that were called. It is filled, taken whole, read, emptied and used again, so that counting allocates nothing
//! once its tables have grown to what a few seconds need.
//!
//! Bounded: what finds no room is counted as such and told, never dropped silently.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::time::Duration;

use super::call::{Call, METHODS, method};
use super::counts::Counts;
use super::hash::{self, Same};
use crate::domain::{CallerId, CredentialId, Name, ServiceName, write_shape};

/// How many pairs of key and caller a table holds.
pub(super) const MOST_PAIRS: usize = 16_384;
/// How many endpoints a table holds, of all pairs together.
const MOST_ENDPOINTS: usize = 32_768;
/// How many endpoints of one pair are told apart; the rest is counted together.
pub const MOST_SHAPES: usize = 200;

type Index = HashMap<u64, u32, BuildHasherDefault<Same>>;

/// The counts of one core over a part of one minute.
#[derive(Debug)]
pub(super) struct Tally {
    /// The minute since the Unix epoch in which everything here was over.
    pub(super) minute: u64,
    /// Calls for which there was no room.
    pub(super) uncounted: u64,
    seed: u64,
    pairs: Vec<Pair>,
    pairs_by_hash: Index,
    endpoints: Vec<Endpoint>,
    endpoints_by_hash: Index,
    /// The shapes of all endpoints, one after the other.
    shapes: Vec<u8>,
}

/// Who calls what with which key, and how much.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) credential: Option<(CredentialId, Name)>,
    pub(super) caller: Option<(CallerId, Name)>,
    pub(super) service: Option<ServiceName>,
    pub(super) counts: Counts,
    /// When the last of the calls was over, since the Unix epoch.
    pub(super) last: Duration,
    shapes: usize,
    /// Calls of endpoints beyond those that are told apart.
    pub(super) others: u64,
}

/// An endpoint and how often it was called.
#[derive(Debug)]
struct Endpoint {
    pair: u32,
    method: u8,
    /// Where its shape stands.
    from: usize,
    to: usize,
    calls: u64,
}

impl Tally {
    /// An empty one. `seed` must be random.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            minute: 0,
            uncounted: 0,
            seed,
            pairs: Vec::new(),
            pairs_by_hash: Index::default(),
            endpoints: Vec::new(),
            endpoints_by_hash: Index::default(),
            shapes: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.uncounted == 0
    }

    /// Whether something new may find no room.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.pairs.len() >= MOST_PAIRS || self.endpoints.len() >= MOST_ENDPOINTS
    }

    /// Counts one call.
    #[inline]
    pub(super) fn count(&mut self, call: &Call<'_>) {
        let (number, hash) = self.find(call);
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(pair) = self.pairs.get_mut(index) else {
            self.uncounted += 1;
            return;
        };
        pair.counts.add(call);
        pair.last = pair.last.max(call.at);
        if call.attempts > 0 && call.credential.is_some() {
            self.count_endpoint(number, index, hash, call);
        }
    }

    /// The number of the call's pair, added when it is new and there is room, and its hash.
    #[inline]
    fn find(&mut self, call: &Call<'_>) -> (u32, u64) {
        // A key has one service, so that only calls without a key are told apart by it.
        let key = match (call.credential, call.service) {
            (Some((id, _)), _) => id.as_str(),
            (None, service) => service.map_or("", Name::as_str),
        };
        let caller = call.caller.map_or("", |(id, _)| id.as_str());
        let hash = hash::end(hash::end(self.seed, key.as_bytes()), caller.as_bytes());
        let mut at = hash;
        loop {
            match self.pairs_by_hash.get(&at).copied() {
                None => return (self.insert(at, call), hash),
                Some(number) if self.is_pair(number, call) => return (number, hash),
                Some(_) => at = at.wrapping_add(1),
            }
        }
    }

    #[inline]
    fn is_pair(&self, number: u32, call: &Call<'_>) -> bool {
        let found = usize::try_from(number).ok().and_then(|index| self.pairs.get(index));
        found.is_some_and(|pair| {
            pair.credential.as_ref().map(|(id, _)| id) == call.credential.map(|(id, _)| id)
                && pair.caller.as_ref().map(|(id, _)| id) == call.caller.map(|(id, _)| id)
                && pair.service.as_ref() == call.service
        })
    }

    fn insert(&mut self, at: u64, call: &Call<'_>) -> u32 {
        let Some(number) = number(self.pairs.len(), MOST_PAIRS) else { return u32::MAX };
        self.pairs_by_hash.insert(at, number);
        self.pairs.push(Pair {
            credential: call.credential.map(|(id, name)| (id.clone(), name.clone())),
            caller: call.caller.map(|(id, name)| (id.clone(), name.clone())),
            service: call.service.cloned(),
            counts: Counts::default(),
            last: call.at,
            shapes: 0,
            others: 0,
        });
        number
    }

    #[inline]
    fn count_endpoint(&mut self, pair: u32, index: usize, of_pair: u64, call: &Call<'_>) {
        let method = method(call.method);
        // Written at the end of the shapes, where it stays when it is new.
        let from = self.shapes.len();
        write_shape(call.path, &mut self.shapes);
        let shape = self.shapes.get(from..).unwrap_or_default();
        let mut at = hash::all(hash::mix(of_pair, u64::from(method)), shape);
        while let Some(number) = self.endpoints_by_hash.get(&at).copied() {
            let found = usize::try_from(number).ok().and_then(|number| self.endpoints.get_mut(number));
            let Some(endpoint) = found else { break };
            let same = self.shapes.get(endpoint.from..endpoint.to) == self.shapes.get(from..);
            if endpoint.pair == pair && endpoint.method == method && same {
                endpoint.calls += 1;
                self.shapes.truncate(from);
                return;
            }
            at = at.wrapping_add(1);
        }
        let Some(known) = self.pairs.get_mut(index) else { return };
        let Some(number) = number(self.endpoints.len(), MOST_ENDPOINTS).filter(|_| known.shapes < MOST_SHAPES) else {
            known.others += 1;
            self.shapes.truncate(from);
            return;
        };
        known.shapes += 1;
        self.endpoints_by_hash.insert(at, number);
        self.endpoints.push(Endpoint { pair, method, from, to: self.shapes.len(), calls: 1 });
    }

    /// Every pair, with its number.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (u32, &Pair)> {
        (0_u32..).zip(&self.pairs)
    }

    /// Every endpoint: the number of its pair, its method, its shape, how often it was called.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = (u32, &'static str, &str, u64)> {
        self.endpoints.iter().map(|endpoint| {
            let shape = self.shapes.get(endpoint.from..endpoint.to).unwrap_or_default();
            let method = METHODS.get(usize::from(endpoint.method)).copied().unwrap_or_default();
            (endpoint.pair, method, std::str::from_utf8(shape).unwrap_or_default(), endpoint.calls)
        })
    }

    /// Empties it. Tables that have grown far beyond their use are given back.
    pub(super) fn clear(&mut self) {
        let (pairs, endpoints, shapes) = (self.pairs.len() * 4, self.endpoints.len() * 4, self.shapes.len() * 4);
        self.pairs.clear();
        self.pairs.shrink_to(pairs);
        self.pairs_by_hash.clear();
        self.pairs_by_hash.shrink_to(pairs);
        self.endpoints.clear();
        self.endpoints.shrink_to(endpoints);
        self.endpoints_by_hash.clear();
        self.endpoints_by_hash.shrink_to(endpoints);
        self.shapes.clear();
        self.shapes.shrink_to(shapes);
        self.uncounted = 0;
    }
}

/// The next number in a table of `length`; none when it is full.
fn number(length: usize, most: usize) -> Option<u32> {
    u32::try_from(length).ok().filter(|_| length < most)
}
