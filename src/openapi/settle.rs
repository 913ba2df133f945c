//! The last step: what does not compile is taken out of a draft, and noted. So a draft never fails where it is stored, for
//! a reason that the document alone has to answer for.

use crate::domain::Name;
use crate::record::{self, AuthList, RecordError, ServiceRecord, Step};

use super::notes::Notes;

/// How often something is taken out before all of it is.
const ROUNDS: usize = 32;

/// The record without what does not compile.
pub(super) fn settle(mut record: ServiceRecord, notes: &mut Notes) -> ServiceRecord {
    let Ok(name) = Name::new("draft") else { return record };
    for _ in 0..ROUNDS {
        let Err(errors) = record::compile(&name, &judged(&record)) else { return record };
        // One at a time: what is taken out moves the places of what follows.
        let Some(error) = errors.iter().next() else { break };
        take_out(&mut record, error);
        let found = error.found.as_deref().map(|found| format!(" (`{found}`)")).unwrap_or_default();
        notes.add("", format!("`{}`: {}{found}", error.path, error.problem), "left out");
    }
    // What is left is what carries no risk.
    ServiceRecord { title: record.title, ..ServiceRecord::default() }
}

/// The record as it would be with an address, when the document names none: that is asked for elsewhere.
fn judged(record: &ServiceRecord) -> ServiceRecord {
    let base_url = record.base_url.clone().or_else(|| Some("https://draft.invalid".to_owned()));
    ServiceRecord { base_url, ..record.clone() }
}

/// Takes out the key, or the one place of several, that an error is about.
fn take_out(record: &mut ServiceRecord, error: &RecordError) {
    let mut steps = error.path.steps().iter();
    let Some(Step::Key(key)) = steps.next() else { return };
    match &**key {
        "auth" => {
            let places = match record.auth.take() {
                Some(AuthList::Several(places)) => places,
                _ => Vec::new(),
            };
            let bad = match steps.next() {
                Some(Step::Index(index)) => Some(*index),
                _ => None,
            };
            let kept: Vec<_> = places.into_iter().enumerate().filter(|(i, _)| bad.is_some_and(|b| b != *i)).collect();
            let mut kept: Vec<_> = kept.into_iter().map(|(_, place)| place).collect();
            record.auth = match (kept.pop(), kept.is_empty()) {
                (None, _) => None,
                (Some(one), true) => Some(AuthList::One(one)),
                (Some(last), false) => Some(AuthList::Several(kept.into_iter().chain([last]).collect())),
            };
        }
        "base_url" => (record.base_url, record.hosts, record.vars) = (None, None, None),
        "hosts" => record.hosts = None,
        "vars" => record.vars = None,
        "verify" => record.verify = None,
        "limits" => record.limits = None,
        "docs" => record.docs = None,
        "upstream" => record.upstream = None,
        _ => *record = ServiceRecord { title: record.title.take(), ..ServiceRecord::default() },
    }
}
