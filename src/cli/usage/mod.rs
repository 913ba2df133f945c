//! `sidekey usage`: who calls what with which key, how often and how it went, in tables and small charts.

mod chart;
mod figures;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::domain::Name;
use crate::operations::{EndpointView, UsageBy, UsageItem, UsageItems, UsageQuery, UsageReport, UsageSums};

use super::failure::wrong_use;
use super::moment;
use super::opened::Opened;
use super::session::{Screen, Session};
use super::table::{List, show_json};

use chart::Ink;
use figures::{bytes, count, share, time};

/// How wide a bar is at most.
const BAR: usize = 20;
/// How wide the course of calls is at most, and at least, however narrow the terminal.
const COURSE: usize = 96;
const SHORTEST_COURSE: usize = 12;
/// How many events are shown.
const MOST_EVENTS: usize = 5;
const HOUR: i64 = 60 * 60;

const EXAMPLES: &str = "\
Examples:
  sidekey usage                                     the last 24 hours, by service
  sidekey usage --since 7d --by day
  sidekey usage --key stripe-prod --by caller       who uses this key
  sidekey usage --caller etl --by endpoint          what this workflow calls
  sidekey usage --json | jq '.total.throttled'";

const NOTHING: &str = "Nothing was called.";

/// Show who calls what, how often and how it went
///
/// Sums up calls by service, key, caller, endpoint, hour or day: errors, failed authentications, rate-limit hits, refusals,
/// waiting, latency and bytes. Minutes are kept for two days, hours for 90 days, days for two years, so that the sum begins
/// with the whole minute, hour or day that --since lies in. A running proxy is a few seconds ahead. Times are UTC.
///
/// Endpoints are a method and the shape of a path: numbers, identifiers and tokens in it are written {…}, and no query is
/// kept. Their calls are counted since they were first seen.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Only calls of this service
    #[arg(long)]
    service: Option<Name>,
    /// Only calls with keys of this name
    #[arg(long, value_name = "KEY")]
    key: Option<Name>,
    /// Only calls of this caller
    #[arg(long)]
    caller: Option<Name>,
    /// Since when: a date, an RFC 3339 moment, or a duration before now, at most 730d, by hour 90d; 24h, and 30d by day, unless given
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// What is summed up together
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = By(UsageBy::Service))]
    by: By,
    /// Print JSON: {"version":1,"since":…,"until":…,"by":…,"total":{…},"items":[…],"timeline":[…],"events":[…]}
    #[arg(long)]
    json: bool,
}

/// What is summed up together, as the command line has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct By(UsageBy);

impl ValueEnum for By {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [By; UsageBy::ALL.len()] = [
            By(UsageBy::Service),
            By(UsageBy::Key),
            By(UsageBy::Caller),
            By(UsageBy::Endpoint),
            By(UsageBy::Hour),
            By(UsageBy::Day),
        ];
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.as_str()))
    }
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let now = session.now();
    let by = arguments.by.0;
    let usual = if by == UsageBy::Day { 30 * 24 * HOUR } else { 24 * HOUR };
    let since = match &arguments.since {
        None => now - usual,
        Some(text) => moment::past(text, now).ok_or_else(|| {
            wrong_use(
                "--since takes a date such as 2026-11-01, a moment such as 2026-11-01T12:00:00Z, or a duration such as 24h",
            )
        })?,
    };
    let query = UsageQuery {
        service: arguments.service.clone(),
        key: arguments.key.clone(),
        caller: arguments.caller.clone(),
        since,
        by,
    };
    let Opened { operations, actor, .. } = Opened::existing(session)?;
    let report = operations.usage(&actor, &query)?;
    if arguments.json {
        return Ok(show_json(&document(&report)?, &mut session.screen)?);
    }
    show(&report, by, now, &mut session.screen)
}

/// The report with the version that every document has.
fn document(report: &UsageReport) -> serde_json::Result<Value> {
    let mut document = serde_json::to_value(report)?;
    if let Some(members) = document.as_object_mut() {
        members.insert("version".to_owned(), 1.into());
    }
    Ok(document)
}

fn show(report: &UsageReport, by: UsageBy, now: i64, screen: &mut Screen) -> anyhow::Result<()> {
    let ink = if screen.colour() { Ink::Blocks } else { Ink::Plain };
    let since = moment::shown(report.since.as_second());
    let title = screen.bold(&format!("Since {since} UTC"));
    screen.say(title)?;
    screen.say("")?;
    if report.total.calls == 0 {
        screen.say(format!("  {NOTHING}"))?;
    } else {
        summary(report, by, ink, screen)?;
        screen.say("")?;
        let list = match &report.items {
            UsageItems::Sums(items) => sums(items, by, now, ink),
            UsageItems::Endpoints(endpoints) => self::endpoints(endpoints, now, ink),
        };
        list.show(false, screen)?;
    }
    events(report, now, screen)
}

/// The total in a line or two, with the course of calls.
fn summary(report: &UsageReport, by: UsageBy, ink: Ink, screen: &mut Screen) -> anyhow::Result<()> {
    let total = &report.total;
    let mut line = format!("  {} {}", count(total.calls), if total.calls == 1 { "call" } else { "calls" });
    // By hour and day, the table is the course.
    if !matches!(by, UsageBy::Hour | UsageBy::Day) {
        let calls: Vec<u64> = report.timeline.iter().map(|moment| moment.calls).collect();
        line.push_str("   ");
        let left = screen.width.map_or(COURSE, |columns| usize::from(columns).saturating_sub(line.chars().count()));
        line.push_str(&chart::course(&calls, left.clamp(SHORTEST_COURSE, COURSE), ink));
    }
    screen.say(line)?;
    let mut words = Vec::new();
    let mut add = |number: u64, what: &str| {
        if number > 0 {
            words.push(format!("{} {what} ({})", count(number), share(number, total.calls)));
        }
    };
    add(total.errors, "failed");
    add(total.unauthorized + total.forbidden, "turned away by the service");
    add(total.refused, "refused by sidekey");
    add(total.waits, "waited for a limit");
    if let Some(average) = total.wait_us.checked_div(total.waits) {
        words.push(format!("{} on average", time(average)));
    }
    // A call that was sent again may have got several of these, so that they are no share of the calls.
    match total.throttled {
        0 => {}
        1 => words.push("429 from the service once".to_owned()),
        times => words.push(format!("429 from the service {} times", count(times))),
    }
    if !words.is_empty() {
        screen.say(format!("  {}", words.join(", ")))?;
    }
    Ok(())
}

/// A column of a table of sums: its title, and what stands in it. Columns in which nothing stands are left out.
type Column = (&'static str, fn(&UsageSums) -> String);

const COLUMNS: [Column; 9] = [
    ("FAILED", |sums| filled(sums.errors)),
    ("401/403", |sums| filled(sums.unauthorized + sums.forbidden)),
    ("429", |sums| filled(sums.throttled)),
    ("REFUSED", |sums| filled(sums.refused)),
    ("WAITED", |sums| filled(sums.waits)),
    ("P50", |sums| sums.p50_us.map(time).unwrap_or_default()),
    ("P99", |sums| sums.p99_us.map(time).unwrap_or_default()),
    ("IN", |sums| if sums.bytes_in == 0 { String::new() } else { bytes(sums.bytes_in) }),
    ("OUT", |sums| if sums.bytes_out == 0 { String::new() } else { bytes(sums.bytes_out) }),
];

fn filled(number: u64) -> String {
    if number == 0 { String::new() } else { count(number) }
}

fn sums(items: &[UsageItem], by: UsageBy, now: i64, ink: Ink) -> List {
    let mut titles: Vec<&str> = match by {
        UsageBy::Service => vec!["SERVICE"],
        UsageBy::Key => vec!["KEY", "SERVICE"],
        UsageBy::Caller => vec!["CALLER"],
        _ => vec!["FROM"],
    };
    let first = titles.len();
    let used: Vec<&Column> =
        COLUMNS.iter().filter(|(_, text)| items.iter().any(|item| !text(&item.sums).is_empty())).collect();
    titles.extend(["CALLS", ""]);
    titles.extend(used.iter().map(|(title, _)| *title));
    let has_last = items.iter().any(|item| item.last_at.is_some());
    titles.extend(has_last.then_some("LAST"));
    let numbers = std::iter::once(first).chain(first + 2..first + 2 + used.len()).collect();
    let mut list = List::new(&titles, NOTHING).with_numbers(numbers);
    let most = items.iter().map(|item| item.sums.calls).max().unwrap_or(0);
    for item in items {
        let mut row = names(item, by);
        row.extend([count(item.sums.calls), chart::bar(item.sums.calls, most, BAR, ink)]);
        row.extend(used.iter().map(|(_, text)| text(&item.sums)));
        row.extend(item.last_at.map(|at| moment::ago(at.as_second(), now)));
        list.add(row, Value::Null);
    }
    list
}

/// What an item is about.
fn names(item: &UsageItem, by: UsageBy) -> Vec<String> {
    let name = |found: &Option<Option<String>>, none: &str| {
        found.as_ref().map(|name| name.clone().unwrap_or_else(|| none.to_owned()))
    };
    let service = name(&item.service, "(none)");
    let key = name(&item.key, "(none)");
    let caller = name(&item.caller, "(unknown)");
    let at = item.at.map(|at| moment::shown(at.as_second()));
    let at = if by == UsageBy::Day { at.map(|text| text.chars().take(10).collect()) } else { at };
    [at, key, service, caller].into_iter().flatten().collect()
}

fn endpoints(endpoints: &[EndpointView], now: i64, ink: Ink) -> List {
    let titles = ["METHOD", "PATH", "CALLS", "", "SERVICE", "KEY", "CALLER", "FIRST", "LAST"];
    let mut list = List::new(&titles, "No endpoint was called.").with_numbers(vec![2]);
    let most = endpoints.iter().map(|endpoint| endpoint.calls).max().unwrap_or(0);
    for endpoint in endpoints {
        let ago = |at: jiff::Timestamp| moment::ago(at.as_second(), now);
        list.add(
            vec![
                endpoint.method.clone().unwrap_or_default(),
                endpoint.path.clone().map_or_else(|| "(others)".to_owned(), |path| plain(&path)),
                count(endpoint.calls),
                chart::bar(endpoint.calls, most, BAR / 2, ink),
                endpoint.service.clone(),
                endpoint.key.clone(),
                endpoint.caller.clone(),
                ago(endpoint.first_at),
                ago(endpoint.last_at),
            ],
            Value::Null,
        );
    }
    list
}

/// A path without anything that could steer a terminal.
fn plain(path: &str) -> String {
    path.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// What somebody should look at.
fn events(report: &UsageReport, now: i64, screen: &mut Screen) -> anyhow::Result<()> {
    if report.events.is_empty() {
        return Ok(());
    }
    screen.say("")?;
    let title = screen.bold("Worth a look");
    screen.say(title)?;
    screen.say("")?;
    for event in report.events.iter().take(MOST_EVENTS) {
        let often = if event.first_at == event.last_at {
            String::new()
        } else {
            format!(" ({} since {})", count(event.count), moment::shown(event.first_at.as_second()))
        };
        let at = moment::ago(event.last_at.as_second(), now);
        let at = screen.dim(&format!("{at:>10}  {:18}", event.kind));
        screen.say(format!("  {at}  {}{often}", plain(&event.text)))?;
    }
    let more = report.events.len().saturating_sub(MOST_EVENTS);
    if more > 0 {
        screen.say(format!("  and {more} more; `--json` has all of them"))?;
    }
    Ok(())
}
