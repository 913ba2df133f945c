//! The circuit in front of one origin, shared by all cores. While answers come it costs an atomic operation.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::ServiceName;
use crate::throttle::circuit::{Circuit, Passage};

use super::hall::{Hall, Happened, News};
use super::limiter::now;
use super::refused::Refused;

/// The circuit of one origin.
#[derive(Debug)]
pub struct Breaker {
    service: ServiceName,
    is_calm: AtomicBool,
    /// Answers since the last failure that nobody looked at.
    fine: AtomicU32,
    circuit: Mutex<Circuit>,
    hall: Arc<Hall>,
}

/// One request behind a breaker. Dropped without a word, it says nothing of the upstream.
#[derive(Debug)]
pub struct Attempt {
    breaker: Arc<Breaker>,
    is_trial: bool,
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
        }
    }

    fn lock(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request try.
    ///
    /// # Errors
    /// While the circuit is open.
    pub fn pass(self: &Arc<Self>) -> Result<Attempt, Refused> {
        let is_trial = !self.is_calm.load(Ordering::Acquire)
            && match self.lock().pass(now()) {
                Passage::Free => false,
                Passage::Trial => true,
                Passage::Shut(wait) => return Err(Refused::Circuit(wait.max(Duration::from_secs(1)))),
            };
        Ok(Attempt { breaker: Arc::clone(self), is_trial, is_over: false })
    }

    /// How long the circuit is open still; none when it is not.
    pub fn open_for(&self) -> Option<Duration> {
        self.lock().open_for(now())
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
        let mut circuit = breaker.lock();
        let closed = circuit.answered(self.is_trial);
        breaker.is_calm.store(circuit.is_calm(), Ordering::Release);
        drop(circuit);
        if closed {
            breaker.tell(Happened::CircuitClosed);
        }
    }

    /// It did not, or a gateway answered that could not reach what is behind it.
    pub fn failed(mut self) {
        self.is_over = true;
        let breaker = &self.breaker;
        let mut circuit = breaker.lock();
        let unseen = breaker.fine.swap(0, Ordering::Relaxed);
        let opened = circuit.failed(now(), self.is_trial, unseen);
        breaker.is_calm.store(false, Ordering::Release);
        drop(circuit);
        if let Some(open) = opened {
            breaker.tell(Happened::CircuitOpened(open));
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.is_trial && !self.is_over {
            self.breaker.lock().trial_lost(now());
        }
    }
}
