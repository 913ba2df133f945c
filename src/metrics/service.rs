//! What is counted for one service: a block of counters per core, made when the first request is counted, so that a service
//! that nobody calls costs a few words.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;

use super::cores::PerCore;
use crate::domain::Name;
use crate::throttle::Met;

/// The upper bounds of the histograms' buckets, in microseconds; one more bucket has none.
pub(super) const BUCKETS: [u64; 15] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000, 60_000_000,
];
/// The classes of answers; `none` when the client left before there was one.
pub(super) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Who made the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnsweredBy {
    /// The upstream: its 401 and 403 tell something about the credential.
    Upstream,
    /// Sidekey, by a refusal.
    Sidekey,
}

/// The statuses by which answers that turn a request down are told apart; any other is the last of these.
pub(super) const THROTTLED: [&str; 3] = ["429", "403", "other"];
/// Such answers, by status and by what the limit counts.
type TurnedDown<T> = [[T; Met::ALL.len()]; THROTTLED.len()];

/// One request that was for a known service, when it is over.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    /// The answer's status; 0 when the client left before there was one.
    pub status: u16,
    /// Who made the answer.
    pub answered_by: AnsweredBy,
    /// How often it was sent again.
    pub resends: u32,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// How long it waited at the gate.
    pub wait: Duration,
    /// How long the upstream took; zero when nothing was sent.
    pub upstream: Duration,
    /// From the first byte to the end; zero for what has no length of its own, such as a tunnel.
    pub total: Duration,
}

/// The counters of one service. The compiled service holds it, so that counting looks nothing up.
#[derive(Debug)]
pub struct ServiceMetrics {
    name: Name,
    cores: usize,
    blocks: OnceLock<PerCore<Block>>,
    /// Rare, so all cores share it.
    fallbacks: AtomicU64,
    /// As rare.
    failovers: AtomicU64,
    /// As rare.
    throttled: TurnedDown<AtomicU64>,
    /// As rare, by why it was sent again and whether that went well.
    resent: [[AtomicU64; Resend::RESULTS.len()]; Resend::ALL.len()],
}

/// Why a request was sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// It was turned down for a limit.
    Throttled,
    /// The upstream was overloaded.
    Overloaded,
    /// A gateway failed, or the connection.
    Transient,
}

impl Resend {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Throttled, Self::Overloaded, Self::Transient];
    /// What may become of it, as it stands in metrics.
    pub const RESULTS: [&'static str; 2] = ["ok", "failed"];

    /// As it stands in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Overloaded => "overloaded",
            Self::Transient => "transient",
        }
    }
}

#[derive(Debug, Default)]
struct Block {
    classes: [AtomicU64; CLASSES.len()],
    unauthorized: AtomicU64,
    forbidden: AtomicU64,
    resends: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    total: Durations,
    upstream: Durations,
    wait: Durations,
}

#[derive(Debug, Default)]
struct Durations {
    buckets: [AtomicU64; BUCKETS.len() + 1],
    sum_us: AtomicU64,
}

/// The counters of one service, added up over the cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// By class: none, 1xx, 2xx, 3xx, 4xx, 5xx.
    pub classes: [u64; CLASSES.len()],
    /// Answers 401 by the upstream.
    pub unauthorized: u64,
    /// Answers 403 by the upstream.
    pub forbidden: u64,
    /// Answers by which the upstream turned an attempt down for a limit, by status and by what that counts.
    pub throttled: TurnedDown<u64>,
    /// Attempts after the first.
    pub resends: u64,
    /// Requests that the former version of a key carried.
    pub fallbacks: u64,
    /// Requests for which a key stood in for another of its pool.
    pub failovers: u64,
    /// Attempts that were made again, by why and by what became of them.
    pub resent: [[u64; Resend::RESULTS.len()]; Resend::ALL.len()],
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of response bodies.
    pub bytes_out: u64,
    /// From the first byte to the end.
    pub total: Distribution,
    /// The upstream's part.
    pub upstream: Distribution,
    /// The gate's part, of those that waited.
    pub wait: Distribution,
}

/// How many took how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Distribution {
    /// How many fell into each bucket and into none below; not cumulative.
    pub buckets: [u64; BUCKETS.len() + 1],
    /// Microseconds together.
    pub sum_us: u64,
}

impl Distribution {
    /// How many.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

impl ServiceMetrics {
    pub(super) fn new(name: Name, cores: usize) -> Self {
        Self {
            name,
            cores,
            blocks: OnceLock::new(),
            fallbacks: AtomicU64::new(0),
            failovers: AtomicU64::new(0),
            throttled: Default::default(),
            resent: Default::default(),
        }
    }

    /// The service's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Counts one request on `core`. A handful of relaxed additions to lines that no other core writes.
    pub fn observe(&self, core: usize, seen: &Observation) {
        let blocks = self.blocks.get_or_init(|| PerCore::new(self.cores));
        let Some(block) = blocks.of(core) else { return };
        let class = usize::from(seen.status / 100);
        if let Some(count) = block.classes.get(class).or(block.classes.last()) {
            add(count, 1);
        }
        match (seen.answered_by, seen.status) {
            (AnsweredBy::Upstream, 401) => add(&block.unauthorized, 1),
            (AnsweredBy::Upstream, 403) => add(&block.forbidden, 1),
            _ => {}
        }
        add(&block.resends, u64::from(seen.resends));
        add(&block.bytes_in, seen.bytes_in);
        add(&block.bytes_out, seen.bytes_out);
        if !seen.total.is_zero() {
            block.total.observe(seen.total);
        }
        if !seen.upstream.is_zero() {
            block.upstream.observe(seen.upstream);
        }
        if !seen.wait.is_zero() {
            block.wait.observe(seen.wait);
        }
    }

    /// Counts a request that the former version of a key carried.
    pub fn fell_back(&self) {
        self.fallbacks.fetch_add(1, Relaxed);
    }

    /// Counts an answer by which the upstream turned an attempt down for a limit of this kind.
    pub fn turned_down(&self, status: StatusCode, met: Met) {
        let by_status = match status.as_u16() {
            429 => 0,
            403 => 1,
            _ => 2,
        };
        if let Some(count) = self.throttled.get(by_status).and_then(|counts| counts.get(met as usize)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Counts an attempt that was made again, and whether it went well.
    pub fn resent(&self, why: Resend, went_well: bool) {
        let results = self.resent.get(why as usize);
        if let Some(count) = results.and_then(|results| results.get(usize::from(!went_well))) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Counts a request for which a key stood in for another of its pool.
    pub fn failed_over(&self) {
        self.failovers.fetch_add(1, Relaxed);
    }

    /// What was counted so far; none when nothing was.
    pub fn totals(&self) -> Option<Totals> {
        let (fallbacks, failovers) = (self.fallbacks.load(Relaxed), self.failovers.load(Relaxed));
        let mut totals = Totals { fallbacks, failovers, ..Totals::default() };
        totals.throttled.iter_mut().zip(&self.throttled).for_each(|(to, from)| sum(to, from));
        totals.resent.iter_mut().zip(&self.resent).for_each(|(to, from)| sum(to, from));
        for block in self.blocks.get()?.iter() {
            sum(&mut totals.classes, &block.classes);
            totals.unauthorized += block.unauthorized.load(Relaxed);
            totals.forbidden += block.forbidden.load(Relaxed);
            totals.resends += block.resends.load(Relaxed);
            totals.bytes_in += block.bytes_in.load(Relaxed);
            totals.bytes_out += block.bytes_out.load(Relaxed);
            block.total.sum_into(&mut totals.total);
            block.upstream.sum_into(&mut totals.upstream);
            block.wait.sum_into(&mut totals.wait);
        }
        Some(totals)
    }
}

impl Durations {
    #[inline]
    fn observe(&self, duration: Duration) {
        let micros = super::micros(duration);
        let bucket = BUCKETS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.buckets.get(bucket) {
            add(count, 1);
        }
        add(&self.sum_us, micros);
    }

    fn sum_into(&self, to: &mut Distribution) {
        sum(&mut to.buckets, &self.buckets);
        to.sum_us += self.sum_us.load(Relaxed);
    }
}

fn sum<const N: usize>(to: &mut [u64; N], from: &[AtomicU64; N]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from.load(Relaxed);
    }
}

/// Most requests have nothing to add to most counters, and a comparison is cheaper than an atomic addition.
#[inline]
fn add(count: &AtomicU64, more: u64) {
    if more > 0 {
        count.fetch_add(more, Relaxed);
    }
}
