//! What of the counts an operator should look at. Pure: it is told what was counted, what is known of it and what time it is,
//! and says what happened. Who is told, and how often, is not its business.

mod volume;
mod window;

use std::collections::HashMap;

use jiff::Timestamp;

use super::handover::{Activity, Who};
use super::ledger::{NewEndpoint, Noted, Span};
use crate::domain::{CredentialId, EventKind, Name, ServiceName};

pub use volume::DAYS as VOLUME_DAYS;

use window::Window;

/// From when on a workflow is known well enough for a new endpoint to be news: its age in seconds, or its calls.
const LEARNED_AGE: i64 = 7 * 24 * 60 * 60;
const LEARNED_CALLS: u64 = 500;
/// Who calls so many endpoints has names in its paths, and another one is no news.
const TELLING_SHAPES: usize = 100;
/// How many answers 401 and 403 within a minute are a burst, and which part of the calls they must be: one of so many.
const AUTH_BURST: u64 = 5;
const AUTH_SHARE: u64 = 5;
/// How many calls of nobody within a minute are a burst.
const STRANGERS_BURST: u64 = 10;
/// The stages of a key's last days.
const STAGES: [(i64, &str); 3] = [(1, "1d"), (7, "7d"), (14, "14d")];
const DAY: i64 = 24 * 60 * 60;

/// Whether a subject can have an event of one kind more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recurrence {
    /// Again and again; told at most once an hour.
    Hourly,
    /// Once and for all.
    Once,
}

/// Something that an operator should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What kind of thing.
    pub kind: EventKind,
    /// What it happened to: two events of one kind and subject are one thing that happened twice.
    pub subject: String,
    /// Whether it can happen again.
    pub recurrence: Recurrence,
    /// Who, with which key, at which service, as far as it is about them.
    pub who: Who,
    /// What happened, in a sentence. Names, numbers and shapes alone.
    pub message: String,
    /// How often.
    pub count: u64,
    /// When, in Unix seconds.
    pub at: i64,
}

/// What ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The key is not used any more.
    Expiry,
    /// Its value is older than it was to become; it is used all the same.
    Rotation,
}

/// A key with an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// What ends.
    pub end: End,
    /// Its identifier.
    pub id: CredentialId,
    /// Its name.
    pub name: Name,
    /// Its service.
    pub service: ServiceName,
    /// When, in Unix seconds.
    pub at: i64,
}

/// Remembers the last minute, and what was usual in this hour.
#[derive(Debug, Default)]
pub struct Detector {
    keys: HashMap<CredentialId, Window>,
    strangers: Window,
    /// For a pair: the hour, and how many calls are too many in it.
    volumes: HashMap<i64, (i64, u64)>,
}

impl Detector {
    /// What happened, by what was counted until `now` and what the ledger knows of it. `history` is asked seldom: for the calls
    /// in the same hours of the [`VOLUME_DAYS`] days before.
    ///
    /// # Errors
    /// What `history` fails with.
    pub fn observe<E>(
        &mut self,
        now: i64,
        activity: &Activity,
        noted: &Noted,
        history: impl FnOnce(i64) -> Result<Vec<u64>, E>,
    ) -> Result<Vec<Event>, E> {
        let mut events = Vec::new();
        events.extend(new_endpoint(now, activity, noted));
        events.extend(self.auth_failures(now, activity));
        events.extend(throttled(now, activity));
        events.extend(self.unknown_callers(now, activity));
        events.extend(self.unusual_volume(now, activity, noted, history)?);
        Ok(events)
    }

    /// Forgets who was not seen for a minute; call it about once in one.
    pub fn forget(&mut self, now: i64) {
        self.keys.retain(|_, window| !window.is_over(now));
        let hour = Span::Hour.start(now);
        self.volumes.retain(|_, (of, _)| *of >= hour);
    }

    fn auth_failures(&mut self, now: i64, activity: &Activity) -> Option<Event> {
        let (id, key) = activity.who.credential.as_ref()?;
        let failures = activity.counts.auth_failures();
        let window = self.keys.entry(id.clone()).or_default();
        window.add(now, activity.counts.sent(), failures);
        let (calls, failed) = window.sums(now);
        if failures == 0 || failed < AUTH_BURST || failed.saturating_mul(AUTH_SHARE) < calls {
            return None;
        }
        let count = window.count(now);
        let (service, caller) = (service(&activity.who), caller(&activity.who));
        let message = format!(
            "{service} turned away {failed} of {calls} calls with the key `{key}` within a minute (401 or 403), the last \
             by {caller}"
        );
        Some(hourly(EventKind::AuthFailures, id.as_str(), activity.who.clone(), message, count, now))
    }

    fn unknown_callers(&mut self, now: i64, activity: &Activity) -> Option<Event> {
        let strangers = activity.counts.strangers;
        if strangers == 0 {
            return None;
        }
        self.strangers.add(now, strangers, strangers);
        let (_, within) = self.strangers.sums(now);
        if within < STRANGERS_BURST {
            return None;
        }
        let message = format!("{within} calls within a minute came without a valid caller's token");
        let nobody = Who { credential: None, caller: None, service: None };
        let count = self.strangers.count(now);
        Some(hourly(EventKind::UnknownCallers, "", nobody, message, count, now))
    }

    fn unusual_volume<E>(
        &mut self,
        now: i64,
        activity: &Activity,
        noted: &Noted,
        history: impl FnOnce(i64) -> Result<Vec<u64>, E>,
    ) -> Result<Option<Event>, E> {
        let (Some((id, key)), calls) = (&activity.who.credential, noted.calls_this_hour) else { return Ok(None) };
        if calls <= volume::FLOOR || now - noted.first_seen < LEARNED_AGE {
            return Ok(None);
        }
        let hour = Span::Hour.start(activity.minute);
        let known = self.volumes.get(&noted.pair).filter(|(of, _)| *of == hour).map(|(_, most)| *most);
        let most = match known {
            Some(most) => most,
            None => volume::most(&history(hour)?),
        };
        self.volumes.insert(noted.pair, (hour, most));
        if calls <= most {
            return Ok(None);
        }
        let caller = caller(&activity.who);
        let message = format!(
            "{caller} made {calls} calls with the key `{key}` this hour; by the same hours of the last {} days at most {most} \
             were to be expected",
            volume::DAYS
        );
        let subject = format!("{id} {}", caller_id(&activity.who));
        let count = activity.counts.calls();
        Ok(Some(hourly(EventKind::UnusualVolume, &subject, activity.who.clone(), message, count, now)))
    }
}

fn new_endpoint(now: i64, activity: &Activity, noted: &Noted) -> Option<Event> {
    let (id, key) = activity.who.credential.as_ref()?;
    let NewEndpoint { method, shape } = noted.new_endpoints.first()?;
    let is_known = now - noted.first_seen >= LEARNED_AGE || noted.calls_before >= LEARNED_CALLS;
    if !is_known || noted.shapes_before >= TELLING_SHAPES {
        return None;
    }
    let more = match noted.new_endpoints.len() - 1 {
        0 => String::new(),
        1 => " (and one other)".to_owned(),
        more => format!(" (and {more} others)"),
    };
    let caller = caller(&activity.who);
    let message = format!("{caller} calls {method} {shape}{more} with the key `{key}` for the first time");
    let subject = format!("{id} {}", caller_id(&activity.who));
    let count = noted.new_endpoints.len() as u64;
    Some(hourly(EventKind::NewEndpoint, &subject, activity.who.clone(), message, count, now))
}

fn throttled(now: i64, activity: &Activity) -> Option<Event> {
    let count = activity.counts.throttled;
    if count == 0 {
        return None;
    }
    let (service, caller) = (service(&activity.who), caller(&activity.who));
    let (subject, with) = match &activity.who.credential {
        Some((id, key)) => (id.as_str(), format!(" with the key `{key}`")),
        None => (service, String::new()),
    };
    // A call that was sent again may have got several.
    let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
    let message = format!("{service} answered 429 {times}{with}, the last to {caller}");
    Some(hourly(EventKind::UpstreamThrottled, subject, activity.who.clone(), message, count, now))
}

/// Whether a key's end is near or past. Each stage is an event of its own, and happens once.
pub fn ending(now: i64, key: &Ending) -> Option<Event> {
    let left = key.at - now;
    let stage = match STAGES.iter().find(|(days, _)| left <= days * DAY) {
        _ if left <= 0 => "0d",
        Some((_, stage)) => stage,
        None => return None,
    };
    let at = Timestamp::from_second(key.at).map_or_else(|_| "?".to_owned(), |at| at.to_string());
    let span = if left < 2 * DAY { format!("{} hours", left / 3600) } else { format!("{} days", left / DAY) };
    let (kind, what) = match (key.end, left <= 0) {
        (End::Expiry, true) => (EventKind::KeyExpired, format!("has expired ({at}) and is not used any more")),
        (End::Expiry, false) => (EventKind::KeyExpiring, format!("expires in {span} ({at})")),
        (End::Rotation, true) => (EventKind::RotationDue, format!("was to get a new value ({at})")),
        (End::Rotation, false) => (EventKind::RotationDue, format!("is to get a new value in {span} ({at})")),
    };
    let message = format!("the key `{}` for {} {what}", key.name, key.service);
    let who =
        Who { credential: Some((key.id.clone(), key.name.clone())), caller: None, service: Some(key.service.clone()) };
    // Another date is another end.
    let subject = format!("{} {} {stage}", key.id, key.at);
    Some(Event { kind, subject, recurrence: Recurrence::Once, who, message, count: 1, at: now })
}

fn hourly(kind: EventKind, subject: &str, who: Who, message: String, count: u64, at: i64) -> Event {
    Event { kind, subject: subject.to_owned(), recurrence: Recurrence::Hourly, who, message, count, at }
}

fn service(who: &Who) -> &str {
    who.service.as_ref().map_or("the upstream", Name::as_str)
}

fn caller(who: &Who) -> String {
    who.caller.as_ref().map_or_else(|| "nobody known".to_owned(), |(_, name)| format!("`{name}`"))
}

fn caller_id(who: &Who) -> &str {
    who.caller.as_ref().map_or("", |(id, _)| id.as_str())
}

#[cfg(test)]
mod tests;
