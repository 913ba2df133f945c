//! What all gates of the process share: how many wait in front of them together, whether it is over, and what there is to
//! tell of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::domain::{Name, Quota, ServiceName};
use crate::throttle::{Class, numbers};

use super::refused::{Crowd, Refused};
use super::shared::{Alone, Shared};

/// So much is kept to be told; what is more is counted in the metrics alone.
const MOST_NEWS: usize = 1_000;

/// What all gates share.
#[derive(Debug)]
pub(super) struct Hall {
    pub(super) shared: Arc<dyn Shared>,
    waiting: AtomicU32,
    in_flight: AtomicU32,
    is_closing: AtomicBool,
    /// Wakes those who pause before they come back to a gate.
    closing: Notify,
    rejected: Mutex<BTreeMap<ServiceName, Arc<Rejections>>>,
    news: Mutex<VecDeque<News>>,
}

impl Default for Hall {
    fn default() -> Self {
        Self::new(Arc::new(Alone))
    }
}

/// Why a request was sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// It would have waited longer than it may.
    Deadline,
    /// The queue of the gate, or of its caller, is full.
    Queue,
    /// Too many wait in this process.
    Overall,
    /// Its upstream fails more than half of the requests.
    Overload,
    /// Too many are under way in this process.
    InFlight,
}

impl Rejection {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Deadline, Self::Queue, Self::Overall, Self::Overload, Self::InFlight];

    /// As it stands in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Queue => "queue_full",
            Self::Overall => "process_full",
            Self::Overload => "upstream_overload",
            Self::InFlight => "in_flight",
        }
    }
}

/// How many requests for one service were sent away, by why.
#[derive(Debug, Default)]
pub(super) struct Rejections([AtomicU64; Rejection::ALL.len()]);

impl Rejections {
    pub(super) fn count(&self, why: Rejection) {
        if let Some(count) = self.0.get(why as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What happened to a gate, for the log, the audit and whoever operates.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// Of which service.
    pub service: ServiceName,
    /// Of which limit owner, by its identifier; none for what is not of one.
    pub owner: Option<String>,
    /// The credential through which it was found out, when it was one.
    pub credential: Option<Name>,
    /// The bucket; none: all requests of the owner.
    pub bucket: Option<String>,
    /// What.
    pub what: Happened,
}

/// What happened to a gate.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// It closed for so long.
    Closed(Class, Duration),
    /// It opened again.
    Reopened,
    /// The circuit in front of an upstream opened for so long.
    CircuitOpened(Duration),
    /// It closed again.
    CircuitClosed,
    /// So much of a quota is used, which is four fifths or more.
    QuotaNearlyUsedUp(Quota, u32),
    /// A quota is used up.
    QuotaUsedUp(Quota),
    /// This key is used in place of another of its pool.
    FailedOver(Name),
}

/// One request that is under way.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Hall>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hall {
    /// That of a node which has `shared` in common with others.
    pub(super) fn new(shared: Arc<dyn Shared>) -> Self {
        Self {
            shared,
            waiting: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
            is_closing: AtomicBool::new(false),
            closing: Notify::new(),
            rejected: Mutex::default(),
            news: Mutex::default(),
        }
    }

    /// One more is under way.
    ///
    /// # Errors
    /// When too many are.
    pub(super) fn begin(self: &Arc<Self>, service: &ServiceName) -> Result<InFlight, Refused> {
        let former = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let begun = InFlight(Arc::clone(self));
        let most = numbers().max_in_flight;
        if former < most {
            return Ok(begun);
        }
        self.rejections_of(service).count(Rejection::InFlight);
        Err(Refused::Full { crowd: Crowd::UnderWay, most, wait: Duration::from_secs(1) })
    }

    /// One more waits; false when there is no room.
    pub(super) fn enter(&self) -> bool {
        let entered = self.waiting.fetch_add(1, Ordering::Relaxed) < numbers().max_waiting;
        if !entered {
            self.leave();
        }
        entered
    }

    /// One more waits, in the place of one that is about to leave.
    pub(super) fn enter_anyway(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        self.closing.notify_waiters();
    }

    /// Comes when it is over.
    pub(super) async fn closing(&self) {
        let mut told = std::pin::pin!(self.closing.notified());
        // Told from here on, so that a closing in between is not missed.
        told.as_mut().enable();
        if !self.is_closing() {
            told.await;
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    /// The counts of `service`, for whoever may send something away: they outlive the gate that counts.
    pub(super) fn rejections_of(&self, service: &ServiceName) -> Arc<Rejections> {
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(rejected.entry(service.clone()).or_default())
    }

    /// What was counted, of services of which anything was sent away.
    pub(super) fn rejections(&self) -> Vec<(ServiceName, Rejection, u64)> {
        let rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = rejected
            .iter()
            .map(|(service, counts)| (service, counts.0.each_ref().map(|count| count.load(Ordering::Relaxed))));
        let any = counts.filter(|(_, counts)| counts.iter().any(|count| *count > 0));
        any.flat_map(|(service, counts)| {
            Rejection::ALL.into_iter().zip(counts).map(|(why, count)| (service.clone(), why, count))
        })
        .collect()
    }

    pub(super) fn tell(&self, news: News) {
        let mut told = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < MOST_NEWS {
            told.push_back(news);
        }
    }

    pub(super) fn take_news(&self) -> Vec<News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}
