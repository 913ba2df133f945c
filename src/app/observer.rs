//! What operators watch: every few seconds what the cores have counted goes into the ledger, and what of it somebody should
//! look at is told: in the log, the metrics, the audit and at the webhook. Runs on the control thread, in small bites. When
//! the ledger cannot be used, the proxy serves on without it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::audit::{self, Act};
use crate::domain::{Clock, Credential, SystemClock};
use crate::metrics::Metrics;
use crate::usage::detect::{self, Detector, End, Ending, VOLUME_DAYS};
use crate::usage::ledger::{FILE, Ledger, LedgerError, Told};
use crate::usage::{Activity, Tallies};

use super::parts::Parts;
use super::webhook::Webhook;

/// How often what was counted is taken: what a kill loses at most, besides a core's second.
const TURN: Duration = Duration::from_secs(2);
/// How many pairs are written at a time: a few milliseconds, so that the control thread is never away for long.
const SLICE: usize = 200;
/// How many events are told in a turn; each is synced to the disk with its audit entry. The others are told in later turns.
const MOST_TOLD: usize = 20;
/// How often keys are looked at that may expire, and how often the ledger is pruned, in seconds.
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// Watches what is counted.
pub(super) struct Observer {
    tallies: Tallies,
    state: Mutex<Option<State>>,
    pub(super) webhook: Webhook,
}

struct State {
    ledger: Ledger,
    detector: Detector,
    expiries: Vec<Ending>,
    rotations: Vec<Ending>,
    looked: i64,
    pruned: i64,
    /// Whether the last turn failed: said once, not every turn.
    fails: bool,
}

/// Watches until the control thread ends.
pub(super) async fn watch(parts: Arc<Parts>) {
    tokio::spawn(super::webhook::deliver(Arc::clone(&parts)));
    let mut turns = tokio::time::interval(TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let mut room = MOST_TOLD;
        let activities = parts.observer.take();
        for slice in activities.chunks(SLICE) {
            parts.observer.note(slice, &mut room, &parts.metrics, &parts.audit);
            tokio::task::yield_now().await;
        }
        parts.observer.look(&mut room, &parts.metrics, &parts.audit);
    }
}

impl Observer {
    /// Opens the ledger in the data folder, which the store has made.
    pub(super) fn open(data: &Path) -> Self {
        let state = match Ledger::open(&data.join(FILE), SystemClock.wall()) {
            Ok(ledger) => Some(State {
                ledger,
                detector: Detector::default(),
                expiries: Vec::new(),
                rotations: Vec::new(),
                looked: 0,
                pruned: now(),
                fails: false,
            }),
            Err(error) => {
                let error = format!("{:#}", anyhow::Error::from(error));
                tracing::error!(error, "usage is not counted and no event is told until the next start");
                None
            }
        };
        Self { tallies: Tallies::default(), state: Mutex::new(state), webhook: Webhook::default() }
    }

    /// From now on this thread, a core's, counts.
    pub(super) fn enter(&self) {
        if self.lock().is_some() {
            self.tallies.enter();
        }
    }

    /// Knows which keys there are, to tell before they expire.
    pub(super) fn follow<'a>(&self, credentials: impl Iterator<Item = &'a Credential>) {
        let ending = |credential: &Credential| {
            Some(Ending {
                end: End::Expiry,
                id: credential.id.clone(),
                name: credential.name.clone(),
                service: credential.service.clone(),
                at: credential.expires?,
            })
        };
        if let Some(state) = self.lock().as_mut() {
            state.expiries = credentials.filter_map(ending).collect();
            state.looked = 0;
        }
    }

    /// Knows which keys are to get a new value, to tell before that.
    pub(super) fn follow_rotations(&self, rotations: Vec<Ending>) {
        if let Some(state) = self.lock().as_mut()
            && state.rotations != rotations
        {
            state.rotations = rotations;
            state.looked = 0;
        }
    }

    /// The last turn, when the cores have ended. What is noticed now is not posted any more.
    pub(super) fn end(&self, metrics: &Metrics, audit: &audit::Log) {
        let mut room = MOST_TOLD;
        for slice in self.take().chunks(SLICE) {
            self.note(slice, &mut room, metrics, audit);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<Activity> {
        let taken = self.tallies.take();
        if taken.uncounted > 0 {
            tracing::warn!(
                calls = taken.uncounted,
                "too many keys and workflows at once: calls are missing in the usage"
            );
        }
        taken.activities
    }

    /// Writes what was counted, and tells what is to be told of it.
    fn note(&self, activities: &[Activity], room: &mut usize, metrics: &Metrics, audit: &audit::Log) {
        let done = |state: &mut State| state.note(activities, room);
        self.tell(done, metrics, audit);
    }

    /// What is to be done from time to time.
    fn look(&self, room: &mut usize, metrics: &Metrics, audit: &audit::Log) {
        self.tell(|state| state.look(room), metrics, audit);
    }

    fn tell(
        &self,
        act: impl FnOnce(&mut State) -> Result<Vec<Told>, LedgerError>,
        metrics: &Metrics,
        audit: &audit::Log,
    ) {
        let told = match self.lock().as_mut() {
            None => return,
            Some(state) => match act(state) {
                Ok(told) => {
                    state.fails = false;
                    told
                }
                Err(error) => {
                    if !std::mem::replace(&mut state.fails, true) {
                        let error = format!("{:#}", anyhow::Error::from(error));
                        tracing::error!(error, "what was counted in these seconds is lost; the proxy serves on");
                    }
                    return;
                }
            },
        };
        for told in told {
            log(&told);
            metrics.event(told.event.kind);
            record(&told, audit);
            self.webhook.post(&told, metrics);
        }
    }
}

impl State {
    fn note(&mut self, activities: &[Activity], room: &mut usize) -> Result<Vec<Told>, LedgerError> {
        let now = now();
        let mut events = Vec::new();
        for (activity, noted) in activities.iter().zip(self.ledger.add(activities)?) {
            let ledger = &self.ledger;
            let history = |hour: i64| ledger.same_hours_before(noted.pair, hour, VOLUME_DAYS);
            events.extend(self.detector.observe(now, activity, &noted, history)?);
        }
        let told = self.ledger.raise(&events, *room)?;
        *room -= told.len();
        Ok(told)
    }

    fn look(&mut self, room: &mut usize) -> Result<Vec<Told>, LedgerError> {
        let now = now();
        let mut all = self.ledger.due(now, *room)?;
        if now - self.looked >= MINUTE {
            self.looked = now;
            self.detector.forget(now);
            let endings = self.expiries.iter().chain(&self.rotations);
            let ends: Vec<_> = endings.filter_map(|key| detect::ending(now, key)).collect();
            all.extend(self.ledger.raise(&ends, *room - all.len())?);
        }
        if now - self.pruned >= HOUR {
            self.pruned = now;
            self.ledger.prune(now)?;
        }
        *room -= all.len();
        Ok(all)
    }
}

fn log(told: &Told) {
    let event = &told.event;
    tracing::warn!(
        kind = event.kind.as_str(),
        service = event.service,
        key = event.credential_name,
        caller = event.caller_name,
        count = told.count,
        "{}",
        event.message
    );
}

/// An event is an act of sidekey's own in the chain.
fn record(told: &Told, audit: &audit::Log) {
    let event = &told.event;
    let count = told.count.to_string();
    let names = [&event.credential_name, &event.caller_name, &event.service];
    let about = names.into_iter().find(|name| !name.is_empty()).map_or("callers", |name| name.as_str());
    let details = [
        ("service", event.service.as_str()),
        ("caller", event.caller_name.as_str()),
        ("count", count.as_str()),
        ("message", event.message.as_str()),
    ];
    let given: Vec<(&'static str, &str)> = details.into_iter().filter(|(_, text)| !text.is_empty()).collect();
    let act = Act {
        id: None,
        time: SystemClock.wall(),
        actor: "sidekey",
        act: event.kind.act(),
        object: about,
        object_id: (!event.credential.is_empty()).then_some(event.credential.as_str()),
        details: &given,
    };
    if let Err(error) = audit.append_act(&act) {
        tracing::error!(%error, "an event could not be written to the audit log");
    }
}

fn now() -> i64 {
    i64::try_from(SystemClock.wall().as_secs()).unwrap_or(i64::MAX)
}
