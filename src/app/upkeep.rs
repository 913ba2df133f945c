//! What falls due without anybody asking, done by the control thread once in a while: values of deleted keys and replaced
//! certificate authorities are destroyed, and keys that need somebody are spoken of. It carries no request, and what it cannot
//! do now it tries again the next time.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::domain::{Clock, CredentialId, SystemClock};
use crate::metrics::KEY_STATES;
use crate::operations::{Actor, KeyFilter, KeyRef, KeyState, KeyView, OperationError, Operations, Probe};
use crate::usage::detect::{End, Ending};

use super::parts::Parts;

/// How often it is looked whether something is due.
const EVERY: Duration = Duration::from_secs(60);
/// How often the same is said of a key.
const REMINDED: Duration = Duration::from_secs(24 * 60 * 60);

/// When something was looked after last, and what was said of which key.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    last: Option<Duration>,
    said: HashMap<String, (KeyState, Duration)>,
    /// The thread that tries keys, which may wait for services.
    trying: Option<JoinHandle<()>>,
}

impl Upkeep {
    /// Does what is due. Costs a comparison when nothing is.
    pub(super) fn look(&mut self, parts: &Parts) {
        let now = SystemClock.wall();
        if self.last.is_some_and(|last| now.abs_diff(last) < EVERY) {
            return;
        }
        self.last = Some(now);
        destroy_deleted(&parts.operations);
        retire_authorities(&parts.operations);
        self.try_due(&parts.operations, &parts.probe);
        if let Err(error) = self.remind(parts, now) {
            tracing::error!(%error, "it could not be looked which keys need somebody");
        }
    }

    /// Tries the keys that are due, on a thread of its own, one after the other.
    fn try_due(&mut self, operations: &Arc<Operations>, probe: &Arc<Probe>) {
        if self.trying.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let due = match operations.due_to_verify() {
            Ok(due) if due.is_empty() => return,
            Ok(due) => due,
            Err(error) => return tracing::error!(%error, "it could not be looked which keys are to be tried"),
        };
        let (operations, probe) = (Arc::clone(operations), Arc::clone(probe));
        let work = move || due.iter().for_each(|key| try_one(&operations, key, &probe));
        match std::thread::Builder::new().name("verify".to_owned()).spawn(work) {
            Ok(thread) => self.trying = Some(thread),
            Err(error) => tracing::error!(%error, "no thread could be started to try keys"),
        }
    }

    /// Counts the keys by what they need, and speaks of those that need something: when that begins, and once a day. The
    /// beginning is in the audit too.
    fn remind(&mut self, parts: &Parts, now: Duration) -> Result<(), OperationError> {
        let (operations, actor) = (&parts.operations, Actor::proxy());
        let mut keys = operations.keys(&actor, &KeyFilter::default())?;
        keys.retain(|key| key.id.is_some());
        let count = |state: &str| keys.iter().filter(|key| key.state.as_str() == state).count() as u64;
        parts.metrics.set_keys_in_state(KEY_STATES.map(count));
        parts.observer.follow_rotations(keys.iter().filter_map(rotation).collect());
        keys.retain(|key| key.state != KeyState::Ok);
        self.said.retain(|id, _| keys.iter().any(|key| key.id.as_ref() == Some(id)));
        for key in &keys {
            let id = key.id.clone().unwrap_or_default();
            let said = self.said.get(&id).filter(|(state, _)| *state == key.state).map(|(_, at)| *at);
            if said.is_some_and(|at| now.abs_diff(at) < REMINDED) {
                continue;
            }
            say(key);
            if said.is_none() {
                operations.note_key_state(&actor, &key.reference())?;
            }
            self.said.insert(id, (key.state, now));
        }
        Ok(())
    }
}

fn try_one(operations: &Operations, key: &KeyRef, probe: &Probe) {
    match operations.verify_key(&Actor::proxy(), key, probe) {
        Ok(found) => tracing::info!(verdict = found.verdict.as_str(), call = found.call, "a key was tried"),
        Err(error) => tracing::error!(%error, "a key could not be tried"),
    }
}

/// When a key is to get a new value.
fn rotation(key: &KeyView) -> Option<Ending> {
    let (id, at) = (CredentialId::new(key.id.as_deref()?), key.rotation_due_at?.as_second());
    Some(Ending { end: End::Rotation, id, name: key.name.clone(), service: key.service.clone(), at })
}

fn say(key: &KeyView) {
    let (name, service, owner, state) = (&key.name, &key.service, &key.owner, key.state.as_str());
    let date = |at: Option<jiff::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let (expires, due) = (date(key.expires_at), date(key.rotation_due_at));
    tracing::warn!(key = %name, %service, owner, state, expires, due, "a key needs somebody");
}

fn retire_authorities(operations: &Operations) {
    match operations.retire_authorities(&Actor::proxy()) {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "certificate authorities in whose place another signs were destroyed"),
        Err(error) => tracing::error!(%error, "replaced certificate authorities could not be destroyed"),
    }
}

fn destroy_deleted(operations: &Operations) {
    match operations.destroy_deleted_keys(&Actor::proxy()) {
        Ok(0) => {}
        Ok(keys) => tracing::info!(keys, "the values of deleted keys were destroyed"),
        Err(error) => tracing::error!(%error, "the values of deleted keys could not be destroyed"),
    }
}
