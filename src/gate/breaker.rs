//! The circuit in front of one origin, shared by all cores. While answers come it costs an atomic operation.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::{Origin, ServiceName};
use crate::throttle::circuit::{Circuit, Passage, Tried};

use super::dice::Dice;
use super::hall::{Hall, Happened, News, Rejection, Rejections};
use super::limiter::now;
use super::refused::Refused;
use super::view::CircuitView;

/// The circuit of one origin.
#[derive(Debug)]
pub struct Breaker {
    service: ServiceName,
    is_calm: AtomicBool,
    /// Answers since the last failure that nobody looked at.
    fine: AtomicU32,
    circuit: Mutex<(Circuit, Dice)>,
    hall: Arc<Hall>,
    rejections: Arc<Rejections>,
}

/// One request behind a breaker. Dropped without a word, it says nothing of the upstream.
#[derive(Debug)]
pub struct Attempt {
    breaker: Arc<Breaker>,
    tried: Tried,
    is_over: bool,
}

impl Breaker {
    pub(super) fn new(service: &ServiceName, hall: &Arc<Hall>) -> Self {
        Self {
            service: service.clone(),
            is_calm: AtomicBool::new(true),
            fine: AtomicU32::new(0),
            circuit: Mutex::default(),
            hall: Arc::clone(hall),
            rejections: hall.rejections_of(service),
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Circuit, Dice)> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request try.
    ///
    /// # Errors
    /// While the circuit is open, and for some of the requests while too many fail.
    pub fn pass(self: &Arc<Self>) -> Result<Attempt, Refused> {
        let tried = if self.is_calm.load(Ordering::Acquire) { Tried::Unseen } else { self.try_watched()? };
        Ok(Attempt { breaker: Arc::clone(self), tried, is_over: false })
    }

    fn try_watched(&self) -> Result<Tried, Refused> {
        let mut inner = self.lock();
        let (circuit, dice) = &mut *inner;
        match circuit.pass(now(), dice.roll()) {
            Passage::Go(tried) => Ok(tried),
            Passage::Shut(wait) => Err(Refused::Circuit(wait.max(Duration::from_secs(1)))),
            Passage::HeldBack => {
                self.rejections.count(Rejection::Overload);
                Err(Refused::HeldBack)
            }
        }
    }

    /// How long the circuit is open still; none when it is not.
    pub fn open_for(&self) -> Option<Duration> {
        self.lock().0.open_for(now())
    }

    /// How it stands, for people; none when it lets everything pass.
    pub(super) fn view(&self, origin: &Origin) -> Option<CircuitView> {
        if self.is_calm.load(Ordering::Acquire) {
            return None;
        }
        let (now, inner) = (now(), self.lock());
        let (open_for, held_back) = (inner.0.open_for(now), inner.0.held_back(now));
        (open_for.is_some() || held_back > 0.0).then(|| CircuitView {
            service: self.service.clone(),
            origin: origin.clone(),
            open_for,
            held_back,
        })
    }

    fn tell(&self, what: Happened) {
        self.hall.tell(News { service: self.service.clone(), owner: None, credential: None, bucket: None, what });
    }
}

impl Attempt {
    /// The upstream answered.
    pub fn answered(mut self) {
        self.is_over = true;
        let breaker = &self.breaker;
        if breaker.is_calm.load(Ordering::Acquire) {
            breaker.fine.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut inner = breaker.lock();
        let now = now();
        let closed = inner.0.answered(now, self.tried);
        breaker.is_calm.store(inner.0.is_calm(now), Ordering::Release);
        drop(inner);
        if closed {
            breaker.tell(Happened::CircuitClosed);
        }
    }

    /// It did not, or a gateway answered that could not reach what is behind it.
    pub fn failed(mut self) {
        self.is_over = true;
        let breaker = &self.breaker;
        let mut inner = breaker.lock();
        let unseen = breaker.fine.swap(0, Ordering::Relaxed);
        let opened = inner.0.failed(now(), self.tried, unseen);
        breaker.is_calm.store(false, Ordering::Release);
        drop(inner);
        if let Some(open) = opened {
            breaker.tell(Happened::CircuitOpened(open));
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.tried == Tried::Trial && !self.is_over {
            self.breaker.lock().0.trial_lost(now());
        }
    }
}
