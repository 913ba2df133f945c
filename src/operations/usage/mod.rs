//! Usage: who calls what with which key, how often and how it went. Read from the ledger, whether or not a proxy runs; a
//! running one is a few seconds ahead.
//!
//! Invariant: a member sees what was called with its own keys and what its own callers called; nothing else.

mod view;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::domain::{Name, ServiceName};
use crate::store::CredentialFilter;
use crate::usage::Counts;
use crate::usage::ledger::{EventRow, FILE, Ledger, PairRow, Span};

use super::view::moment;
use super::{Actor, OperationError, Operations};

pub use view::{EndpointView, UsageEvent, UsageItem, UsageItems, UsageMoment, UsageReport, UsageSums};

/// From so far back on, hours are summed and not minutes; from so far on, days and not hours. In seconds.
const BY_MINUTES: i64 = 2 * 60 * 60;
const BY_HOURS: i64 = 90 * 24 * 60 * 60;
/// From so far back on nothing is known, and by hour nothing. In seconds.
const KEPT: i64 = 730 * 24 * 60 * 60;
const HOURS_KEPT: i64 = 90 * 24 * 60 * 60;
/// The most points of a timeline of hours.
const MOST_HOURS: i64 = 96 * 60 * 60;

/// By what usage is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageBy {
    /// By service.
    Service,
    /// By key.
    Key,
    /// By caller.
    Caller,
    /// By endpoint, with its key and its caller.
    Endpoint,
    /// By hour.
    Hour,
    /// By day of UTC.
    Day,
}

impl UsageBy {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Service, Self::Key, Self::Caller, Self::Endpoint, Self::Hour, Self::Day];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Key => "key",
            Self::Caller => "caller",
            Self::Endpoint => "endpoint",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// What is asked of the usage.
#[derive(Debug, Clone)]
pub struct UsageQuery {
    /// Calls of this service.
    pub service: Option<ServiceName>,
    /// Calls with keys of this name.
    pub key: Option<Name>,
    /// Calls of this caller.
    pub caller: Option<Name>,
    /// Since when, in Unix seconds. Counted are whole minutes, hours or days, so that it may begin a little earlier.
    pub since: i64,
    /// By what it is listed.
    pub by: UsageBy,
}

/// Whose calls an actor sees.
enum Sight {
    All,
    Own { keys: HashSet<String>, callers: HashSet<String> },
}

impl Sight {
    fn admits(&self, credential: &str, caller: &str) -> bool {
        match self {
            Self::All => true,
            Self::Own { keys, callers } => keys.contains(credential) || callers.contains(caller),
        }
    }
}

impl UsageQuery {
    fn admits(&self, service: &str, key: &str, caller: &str) -> bool {
        let fits = |wanted: &Option<Name>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted.as_str() == found);
        fits(&self.service, service) && fits(&self.key, key) && fits(&self.caller, caller)
    }

    /// Refuses to begin where nothing is kept.
    fn must_be_kept(&self, now: i64) -> Result<(), OperationError> {
        let (most, of) = match self.by {
            UsageBy::Hour => (HOURS_KEPT, "hours are kept for 90 days"),
            _ => (KEPT, "usage is kept for 730 days"),
        };
        let why = match now.checked_sub(self.since) {
            // The clock of whoever asks may be ahead a little.
            Some(ago) if ago < -60 => "it lies in the future",
            Some(ago) if ago <= most => return Ok(()),
            _ => of,
        };
        let at = moment(self.since);
        Err(OperationError::Invalid(format!("`since` cannot be {at}: {why}")))
    }

    /// Which sums are read, and from when on.
    fn spans(&self, now: i64) -> (Span, i64) {
        let ago = now - self.since;
        let span = match self.by {
            UsageBy::Hour => Span::Hour,
            UsageBy::Day => Span::Day,
            _ if ago <= BY_MINUTES => Span::Minute,
            _ if ago <= BY_HOURS => Span::Hour,
            _ => Span::Day,
        };
        (span, span.start(self.since))
    }
}

/// What is summed up together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Group {
    Named(String, String),
    At(i64),
}

impl Operations {
    /// What `query` asks for. Nothing at all when nobody has called anything yet.
    ///
    /// # Errors
    /// When it begins before anything is kept or in the future, or the ledger or the store cannot be read.
    pub fn usage(&self, actor: &Actor, query: &UsageQuery) -> Result<UsageReport, OperationError> {
        let now = self.now();
        query.must_be_kept(now)?;
        let (span, from) = query.spans(now);
        let mut report = UsageReport::empty(query.by, moment(from), moment(now));
        let Some(ledger) = self.ledger()? else { return Ok(report) };
        let sight = self.calls_seen_by(actor)?;
        let mut pairs = HashMap::new();
        for pair in ledger.pairs()? {
            if sight.admits(&pair.credential, &pair.caller)
                && query.admits(&pair.service, &pair.credential_name, &pair.caller_name)
            {
                pairs.insert(pair.id, pair);
            }
        }
        let sums = Sums::read(&ledger, span, from, now, query.by, &pairs)?;
        report.total = UsageSums::of(&sums.total);
        report.timeline = sums.timeline(from, now);
        report.items = if query.by == UsageBy::Endpoint {
            UsageItems::Endpoints(endpoints(&ledger, from, &pairs)?)
        } else {
            UsageItems::Sums(sums.items(query.by, span, from, now, &pairs))
        };
        let seen = |event: &EventRow| {
            sight.admits(&event.credential, &event.caller)
                && query.admits(&event.service, &event.credential_name, &event.caller_name)
        };
        report.events = ledger.events(from)?.iter().filter(|event| seen(event)).map(UsageEvent::of).collect();
        Ok(report)
    }

    /// The ledger; none when nothing was counted yet.
    pub(super) fn ledger(&self) -> Result<Option<Ledger>, OperationError> {
        Ok(Ledger::read(&self.config.load().data.join(FILE))?)
    }

    fn calls_seen_by(&self, actor: &Actor) -> Result<Sight, OperationError> {
        let Some(member) = actor.member() else { return Ok(Sight::All) };
        let own = CredentialFilter { owner: Some(member.id.clone()), ..CredentialFilter::default() };
        let keys = self.vault.list(&own)?.iter().map(|listed| listed.credential.id.to_string()).collect();
        let callers = self.vault.callers()?;
        let callers = callers.iter().map(|listed| &listed.caller).filter(|caller| actor.rules(&caller.owner));
        Ok(Sight::Own { keys, callers: callers.map(|caller| caller.id.to_string()).collect() })
    }
}

/// The sums of a report, being added up.
struct Sums {
    total: Counts,
    groups: BTreeMap<Group, Counts>,
    moments: BTreeMap<i64, u64>,
    step: Span,
}

impl Sums {
    fn read(
        ledger: &Ledger,
        span: Span,
        from: i64,
        now: i64,
        by: UsageBy,
        pairs: &HashMap<i64, PairRow>,
    ) -> Result<Self, OperationError> {
        let step = if span == Span::Hour && now - from > MOST_HOURS { Span::Day } else { span };
        let mut sums = Self { total: Counts::default(), groups: BTreeMap::new(), moments: BTreeMap::new(), step };
        ledger.sums(span, from, |pair, start, counts| {
            let Some(pair) = pairs.get(&pair) else { return };
            sums.total.merge(&counts);
            *sums.moments.entry(step.start(start)).or_default() += counts.calls();
            if let Some(group) = group(by, pair, start) {
                sums.groups.entry(group).or_default().merge(&counts);
            }
        })?;
        Ok(sums)
    }

    /// Every step since `from`, those without a call too.
    fn timeline(&self, from: i64, now: i64) -> Vec<UsageMoment> {
        let calls = |at: i64| UsageMoment { at: moment(at), calls: self.moments.get(&at).copied().unwrap_or(0) };
        steps(self.step, from, now).map(calls).collect()
    }

    fn items(&self, by: UsageBy, span: Span, from: i64, now: i64, pairs: &HashMap<i64, PairRow>) -> Vec<UsageItem> {
        if matches!(by, UsageBy::Hour | UsageBy::Day) {
            let none = Counts::default();
            let of = |at: i64| UsageItem::at(moment(at), self.groups.get(&Group::At(at)).unwrap_or(&none));
            return steps(span, from, now).map(of).collect();
        }
        let mut last: HashMap<Group, &PairRow> = HashMap::new();
        for pair in pairs.values() {
            let Some(group) = group(by, pair, 0) else { continue };
            let latest = last.entry(group).or_insert(pair);
            if pair.last_seen > latest.last_seen {
                *latest = pair;
            }
        }
        let item = |(group, counts): (&Group, &Counts)| Some(UsageItem::of(by, last.get(group)?, counts));
        let mut items: Vec<UsageItem> = self.groups.iter().filter_map(item).collect();
        items.sort_by_key(|item| std::cmp::Reverse(item.sums.calls));
        items
    }
}

fn group(by: UsageBy, pair: &PairRow, start: i64) -> Option<Group> {
    Some(match by {
        UsageBy::Service => Group::Named(pair.service.clone(), String::new()),
        // A service's calls without a key stand apart from another's.
        UsageBy::Key => Group::Named(pair.credential.clone(), pair.service.clone()),
        UsageBy::Caller => Group::Named(pair.caller.clone(), String::new()),
        UsageBy::Hour | UsageBy::Day => Group::At(start),
        UsageBy::Endpoint => return None,
    })
}

fn steps(span: Span, from: i64, now: i64) -> impl Iterator<Item = i64> {
    let first = span.start(from);
    std::iter::successors(Some(first), move |at| Some(at + span.seconds())).take_while(move |at| *at <= now)
}

/// The endpoints that were called since `from`, the most called first.
fn endpoints(ledger: &Ledger, from: i64, pairs: &HashMap<i64, PairRow>) -> Result<Vec<EndpointView>, OperationError> {
    let rows = ledger.endpoints(from)?;
    let mut views: Vec<EndpointView> =
        rows.iter().filter_map(|row| Some(EndpointView::of(row, pairs.get(&row.pair)?))).collect();
    views.sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| (&a.path, &a.method).cmp(&(&b.path, &b.method))));
    Ok(views)
}

#[cfg(test)]
mod tests;
