//! Limits that an administrator pinned on a service while the proxy runs: gates that requests pass beside those that learn. A
//! service without a pin costs its requests one look at a flag.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{Limits, Pin, PinnedTo, ServiceName};
use crate::throttle::state::Mode;

use super::hall::Hall;
use super::limiter::{Gate, Label};
use super::refused::LimitOf;

/// For how many requests each counts at a pinned limit, whatever it costs elsewhere.
pub(super) const COST: u32 = 1;

/// What is pinned on one service.
#[derive(Debug, Default)]
pub struct Pins {
    is_any: AtomicBool,
    /// In an order that is the same for all who pass several.
    gates: Mutex<BTreeMap<PinnedTo, Arc<Gate>>>,
}

impl Pins {
    /// The gates for a request of `owner` that belongs to `bucket`, the narrow ones first.
    pub(super) fn of(&self, owner: &str, bucket: Option<&str>) -> Vec<Arc<Gate>> {
        let concerns = |to: &PinnedTo| {
            to.owner.as_deref().is_none_or(|pinned| pinned == owner)
                && to.bucket.as_deref().is_none_or(|pinned| bucket == Some(pinned))
        };
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.iter().rev().filter(|(to, _)| concerns(to)).map(|(_, gate)| Arc::clone(gate)).collect()
    }

    /// Whether there is any pin.
    pub(super) fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Relaxed)
    }

    /// Every gate.
    pub(super) fn gates(&self) -> Vec<Arc<Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect()
    }

    /// Has these and no others. A pin that stays keeps its gate; who waits for one that is another now waits for that, and who
    /// waits for one that is gone is let through.
    fn set(&self, service: &ServiceName, pins: &[&Pin], hall: &Arc<Hall>) {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let mut former = std::mem::take(&mut *gates);
        for pin in pins {
            let limits = Limits { rate: pin.rate, concurrency: pin.concurrency, ..Limits::default() };
            let before = former.remove(&pin.to);
            let kept = before.as_ref().filter(|gate| *gate.limits() == limits).map(Arc::clone);
            let gate = kept.unwrap_or_else(|| {
                let (owner, bucket) = (pin.to.owner.as_deref(), pin.to.bucket.as_deref());
                let (owner, bucket) = (owner.map(Into::into), bucket.map(Into::into));
                let label = Label { of: LimitOf::Pin, service: service.clone(), owner, bucket };
                let fresh = Arc::new(Gate::new(label, limits, COST, Mode::Off, hall));
                if let Some(former) = before {
                    former.retire(Some(&fresh));
                }
                fresh
            });
            gates.insert(pin.to.clone(), gate);
        }
        self.is_any.store(!gates.is_empty(), Ordering::Relaxed);
        drop(gates);
        for gate in former.values() {
            gate.retire(None);
        }
    }
}

/// What is pinned on all services.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<HashMap<ServiceName, Arc<Pins>>>);

impl Board {
    /// That of `service`.
    pub(super) fn of(&self, service: &ServiceName) -> Arc<Pins> {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(board.entry(service.clone()).or_default())
    }

    /// Has these and no others.
    pub(super) fn set(&self, pins: &[Pin], hall: &Arc<Hall>) {
        for pin in pins {
            self.of(&pin.to.service);
        }
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (service, of_service) in board.iter() {
            let its: Vec<&Pin> = pins.iter().filter(|pin| pin.to.service == *service).collect();
            of_service.set(service, &its, hall);
        }
    }

    /// Every gate.
    pub(super) fn gates(&self) -> Vec<Arc<Gate>> {
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.values().flat_map(|pins| pins.gates()).collect()
    }
}
