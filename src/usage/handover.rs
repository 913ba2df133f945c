//! From the cores to whoever keeps the counts. A core counts into a tally of its own that no other thread touches, and once a
//! second hands it over whole and goes on with an empty one; the control thread takes what was handed over, adds the cores
//! up, and gives the emptied tallies back. A request meets no lock; a core meets one once a second.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::call::Call;
use super::counts::Counts;
use super::hash;
use super::tally::Tally;
use crate::domain::{CallerId, CredentialId, Name, ServiceName};

/// How many tallies of one core may wait to be taken. While more would, a core goes on with the one that it has.
const MOST_WAITING: usize = 3;
/// How many emptied tallies are kept for a core.
const SPARES: usize = 2;

/// Where the tallies of all cores come together. A clone is the same place.
#[derive(Debug, Clone, Default)]
pub struct Tallies {
    exchanges: Arc<Mutex<Vec<Arc<Exchange>>>>,
}

/// What one core and the control thread pass to each other.
#[derive(Debug, Default)]
struct Exchange(Mutex<Passed>);

#[derive(Debug, Default)]
struct Passed {
    full: Vec<Tally>,
    spare: Vec<Tally>,
}

/// Who calls what with which key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Who {
    /// The key, when one was chosen.
    pub credential: Option<(CredentialId, Name)>,
    /// The caller, when it was recognised.
    pub caller: Option<(CallerId, Name)>,
    /// The service, when one was found.
    pub service: Option<ServiceName>,
}

/// What one pair of key and caller did in a part of one minute, on all cores together.
#[derive(Debug, Clone)]
pub struct Activity {
    /// Who.
    pub who: Who,
    /// When the minute began, in Unix seconds.
    pub minute: i64,
    /// When the last of the calls was over, in Unix seconds.
    pub last: i64,
    /// The sums.
    pub counts: Counts,
    /// The endpoints that were called, and how often: method and shape.
    pub endpoints: HashMap<(&'static str, String), u64>,
    /// Calls of endpoints beyond those that are told apart.
    pub others: u64,
}

/// What was taken.
#[derive(Debug, Default)]
pub struct Taken {
    /// Each pair, once for every minute.
    pub activities: Vec<Activity>,
    /// Calls for which there was no room.
    pub uncounted: u64,
}

thread_local! {
    static COUNTER: RefCell<Option<Counter>> = const { RefCell::new(None) };
}

/// What one core counts with.
struct Counter {
    tally: Tally,
    exchange: Arc<Exchange>,
    seed: u64,
}

/// Counts one call, when this thread is one that counts.
#[inline]
pub fn count(call: &Call<'_>) {
    // A thread that ends has handed over already; nothing calls it any more.
    let _ = COUNTER.try_with(|counter| {
        if let Some(counter) = counter.borrow_mut().as_mut() {
            counter.count(call);
        }
    });
}

/// Once a second on every core: hands over what was counted.
pub fn sweep() {
    let _ = COUNTER.try_with(|counter| {
        if let Some(counter) = counter.borrow_mut().as_mut()
            && !counter.tally.is_empty()
        {
            counter.hand_over();
        }
    });
}

impl Counter {
    #[inline]
    fn count(&mut self, call: &Call<'_>) {
        let minute = call.at.as_secs() / 60;
        if minute != self.tally.minute || self.tally.is_full() {
            self.turn(minute);
        }
        self.tally.count(call);
    }

    /// Another minute, or no room left.
    #[cold]
    fn turn(&mut self, minute: u64) {
        if self.tally.is_empty() || self.hand_over() {
            self.tally.minute = minute;
        }
    }

    /// Whether there was room for it; if not, the same tally is counted on.
    fn hand_over(&mut self) -> bool {
        let mut passed = self.exchange.lock();
        if passed.full.len() >= MOST_WAITING {
            return false;
        }
        let fresh = passed.spare.pop();
        let fresh = fresh.unwrap_or_else(|| {
            self.seed = hash::mix(self.seed, self.tally.minute);
            Tally::new(self.seed)
        });
        let full = std::mem::replace(&mut self.tally, fresh);
        self.tally.minute = full.minute;
        passed.full.push(full);
        true
    }
}

impl Drop for Counter {
    /// The core ends: what it still has is handed over whatever waits already.
    fn drop(&mut self) {
        let last = std::mem::replace(&mut self.tally, Tally::new(0));
        self.exchange.lock().full.push(last);
    }
}

impl Exchange {
    fn lock(&self) -> std::sync::MutexGuard<'_, Passed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tallies {
    /// From now on this thread counts.
    pub fn enter(&self) {
        // The seed that the standard library's own tables have: random, and another one each time.
        let seed = RandomState::new().hash_one(0);
        let exchange = Arc::new(Exchange::default());
        self.lock().push(Arc::clone(&exchange));
        let counter = Counter { tally: Tally::new(seed), exchange, seed };
        COUNTER.with(|place| *place.borrow_mut() = Some(counter));
    }

    /// Takes what the cores have handed over, added up.
    pub fn take(&self) -> Taken {
        let exchanges: Vec<Arc<Exchange>> = self.lock().clone();
        let mut sum = Sum::default();
        for exchange in &exchanges {
            let full = std::mem::take(&mut exchange.lock().full);
            for mut tally in full {
                sum.add(&tally);
                tally.clear();
                let mut passed = exchange.lock();
                if passed.spare.len() < SPARES {
                    passed.spare.push(tally);
                }
            }
        }
        // Held here and in this very list: its core has ended, and what it had is taken.
        drop(exchanges);
        self.lock().retain(|exchange| Arc::strong_count(exchange) > 1 || !exchange.lock().full.is_empty());
        sum.taken
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Exchange>>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cores, being added up.
#[derive(Default)]
struct Sum {
    taken: Taken,
    places: HashMap<(u64, Who), usize>,
}

impl Sum {
    fn add(&mut self, tally: &Tally) {
        self.taken.uncounted += tally.uncounted;
        let mut place_of = HashMap::new();
        for (number, pair) in tally.pairs() {
            let who =
                Who { credential: pair.credential.clone(), caller: pair.caller.clone(), service: pair.service.clone() };
            let place = self.place(tally.minute, who);
            place_of.insert(number, place);
            if let Some(activity) = self.taken.activities.get_mut(place) {
                activity.counts.merge(&pair.counts);
                activity.last = activity.last.max(seconds(pair.last));
                activity.others += pair.others;
            }
        }
        for (pair, method, shape, calls) in tally.endpoints() {
            let place = place_of.get(&pair).copied().unwrap_or(usize::MAX);
            if let Some(activity) = self.taken.activities.get_mut(place) {
                *activity.endpoints.entry((method, shape.to_owned())).or_default() += calls;
            }
        }
    }

    fn place(&mut self, minute: u64, who: Who) -> usize {
        let next = self.taken.activities.len();
        let place = *self.places.entry((minute, who.clone())).or_insert(next);
        if place == next {
            self.taken.activities.push(Activity {
                who,
                minute: i64::try_from(minute.saturating_mul(60)).unwrap_or(i64::MAX),
                last: 0,
                counts: Counts::default(),
                endpoints: HashMap::new(),
                others: 0,
            });
        }
        place
    }
}

fn seconds(since_epoch: Duration) -> i64 {
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}
