//! Two nodes in one process that share what a store between them would: what one learns the other keeps to.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use super::super::limiter::{Gate, Want, now};
use super::super::pass::Pass;
use super::super::passes::Passes;
use super::super::queue::Place;
use super::super::waiting::Comer;
use super::*;
use crate::domain::{CallerId, Limits, Name, ServiceName, Weight};
use crate::gate::{Gates, LeftClosed, Refused};
use crate::throttle::state::{Mode, Phase};
use crate::throttle::{Bucket, Family, Reading};

/// What stands between the nodes.
#[derive(Debug, Default)]
struct Between {
    nodes: OnceLock<[Gates; 2]>,
    /// Closures that the other node was not told of yet.
    told: Mutex<Vec<(usize, Label, Duration, Class)>>,
    /// Which node has the probe of which gate, and until when.
    probes: Mutex<HashMap<String, (usize, Instant)>>,
    rates: Mutex<HashMap<String, u32>>,
    places: Mutex<HashMap<String, u32>>,
}

/// One node's side of it.
#[derive(Debug)]
struct Side(usize, Arc<Between>);

impl Shared for Side {
    fn shut(&self, shut: Shut<'_>) {
        self.1.told.lock().unwrap().push((self.0, shut.gate.clone(), shut.closed_for, shut.class));
    }

    fn forgotten(&self, gate: &Label) {
        self.1.probes.lock().unwrap().remove(&format!("{gate:?}"));
    }

    fn may_probe(&self, gate: &Label) -> bool {
        let mut probes = self.1.probes.lock().unwrap();
        let held = probes.get(&format!("{gate:?}")).filter(|(_, until)| *until > now());
        let may = held.is_none_or(|(node, _)| *node == self.0);
        if may {
            probes.insert(format!("{gate:?}"), (self.0, now() + Duration::from_secs(30)));
        }
        may
    }

    fn take(&self, gate: &Label, rate: Rate, cost: u32) -> Result<(), Duration> {
        let mut rates = self.1.rates.lock().unwrap();
        let used = rates.entry(format!("{gate:?}")).or_default();
        let fits = *used + cost <= rate.count.get();
        *used += if fits { cost } else { 0 };
        if fits { Ok(()) } else { Err(rate.period) }
    }

    fn give_back(&self, gate: &Label, cost: u32) {
        *self.1.rates.lock().unwrap().get_mut(&format!("{gate:?}")).unwrap() -= cost;
    }

    fn enter(&self, gate: &Label, places: u32) -> bool {
        let mut all = self.1.places.lock().unwrap();
        let taken = all.entry(format!("{gate:?}")).or_default();
        let fits = *taken < places;
        *taken += u32::from(fits);
        fits
    }

    fn leave(&self, gate: &Label) {
        *self.1.places.lock().unwrap().get_mut(&format!("{gate:?}")).unwrap() -= 1;
    }
}

impl Between {
    fn new() -> Arc<Self> {
        let between = Arc::new(Self::default());
        let node = |n| Gates::sharing(Arc::new(Side(n, Arc::clone(&between))));
        between.nodes.set([node(0), node(1)]).unwrap();
        between
    }

    fn node(&self, n: usize) -> &Gates {
        &self.nodes.get().unwrap()[n]
    }

    /// The learnt gate of `acme` at a node.
    fn learnt(&self, n: usize) -> Arc<Gate> {
        let owner = self.node(n).owner(&service(), "acme", Mode::Enforce, &Family::default()).unwrap();
        Arc::clone(&owner.all)
    }

    /// Tells each node what the other one learnt.
    fn spread(&self) -> usize {
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        for (from, label, closed_for, class) in &told {
            let bucket = label.bucket.as_deref().and_then(Bucket::new);
            let closed =
                LeftClosed { bucket, closed_for: *closed_for, wait: *closed_for, class: *class, credential: None };
            self.node(1 - from).close_from_elsewhere(&label.service, label.owner.as_deref().unwrap(), closed);
        }
        told.len()
    }
}

fn service() -> ServiceName {
    ServiceName::new("stripe").unwrap()
}

async fn pass(gate: &Arc<Gate>, patience: u64) -> Result<Pass, Refused> {
    let caller = CallerId::new("etl");
    let want = Want { cost: 1, tokens: 0, most_tokens: 0, is_repeatable: true };
    let deadline = now() + Duration::from_secs(patience);
    gate.pass(
        &Comer { caller: &caller, weight: Weight::ONE, want, place: Place::Last, deadline },
        &mut Passes::default(),
    )
    .await
}

fn answered(mut pass: Pass, class: Class, wait: Option<u64>) {
    pass.sent();
    let reading = Reading { wait: wait.map(Duration::from_secs), ..Reading::plain(class) };
    pass.answered(&reading, &Name::new("prod").unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_on_one_node_stops_the_other_and_one_probe_goes_out_for_both() {
    let between = Between::new();
    let gates = [between.learnt(0), between.learnt(1)];
    answered(pass(&gates[0], 0).await.unwrap(), Class::Throttled, Some(2));
    assert_eq!(between.spread(), 1);
    assert!(matches!(pass(&gates[1], 1).await, Err(Refused::Limit { .. })), "the other keeps to it");
    assert_eq!(between.spread(), 0, "who was told does not tell it back");
    let mut waiting: Vec<_> = gates
        .iter()
        .map(|gate| {
            let gate = Arc::clone(gate);
            tokio::spawn(async move { pass(&gate, 30).await.unwrap() })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let probing = gates.iter().filter(|gate| gate.view().phase == Phase::Probing).count();
    assert_eq!(probing, 1, "one probe for both");
    let first = waiting.iter().position(tokio::task::JoinHandle::is_finished).unwrap();
    answered(waiting.swap_remove(first).await.unwrap(), Class::Throttled, Some(5));
    assert_eq!(between.spread(), 1);
    assert!(!waiting[0].is_finished());
    let closed: Vec<Duration> = gates.iter().map(|gate| gate.view().closed_for).collect();
    assert!(closed.iter().all(|left| *left >= Duration::from_secs(5)) && closed[0] == closed[1], "{closed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_is_not_used_yet_is_closed_from_elsewhere_too_and_never_for_less() {
    let between = Between::new();
    let first = between.learnt(0);
    answered(pass(&first, 0).await.unwrap(), Class::Exhausted, Some(200));
    between.spread();
    let second = between.learnt(1);
    let view = second.view();
    assert!(view.closed_for >= Duration::from_secs(200), "{view:?}");
    assert_eq!(view.why.unwrap().0, Class::Exhausted);
    let closed_for = Duration::from_secs(5);
    let shorter = LeftClosed { bucket: None, closed_for, wait: closed_for, class: Class::Throttled, credential: None };
    between.node(1).close_from_elsewhere(&service(), "acme", shorter);
    assert_eq!(second.view().closed_for, view.closed_for);
}

#[tokio::test(start_paused = true)]
async fn rates_and_places_hold_for_both_nodes_together() {
    let between = Between::new();
    let rate = Rate { count: NonZeroU32::new(3).unwrap(), period: Duration::from_secs(60) };
    let limits =
        Limits { rate: Some(rate), burst: NonZeroU32::new(3), concurrency: NonZeroU32::new(2), ..Limits::default() };
    let gates = [0, 1].map(|n| between.node(n).of(&service(), limits, 1).unwrap());
    let mut first = pass(&gates[0], 0).await.unwrap();
    let mut second = pass(&gates[1], 0).await.unwrap();
    assert!(pass(&gates[0], 0).await.is_err(), "two places");
    first.sent();
    second.sent();
    drop(first);
    drop(pass(&gates[1], 0).await.unwrap());
    pass(&gates[1], 0).await.unwrap().sent();
    drop(second);
    assert!(pass(&gates[0], 0).await.is_err(), "three of the rate were sent, one was given back");
}
