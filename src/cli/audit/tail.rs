//! `sidekey audit tail`: the last entries, and what comes after them.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::audit::{self, Record, Recorded, RequestRecord};
use crate::cli::moment;
use crate::cli::session::{Screen, Session};
use crate::cli::table::show_items;

/// How long to wait before looking for more.
const PAUSE: Duration = Duration::from_millis(250);

const EXAMPLES: &str = "\
Examples:
  sidekey audit tail
  sidekey audit tail -f --service stripe
  sidekey audit tail -n 1000 --code upstream_timeout --json | jq '.items[].path'";

/// Show the last entries
///
/// One line an entry, the oldest first; times are UTC. With --follow it goes on with what comes, until it is interrupted.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// How many entries
    #[arg(short = 'n', long = "number", value_name = "N", default_value_t = 20)]
    number: usize,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    wanted: super::Wanted,
    /// Print JSON: {"version":1,"items":[…]}, or with --follow one object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let filter = arguments.wanted.filter(session.now())?;
    let found = super::folder(session)?.map(|folder| audit::tail(&folder, arguments.number, filter)).transpose()?;
    let (records, follow) = found.map_or_else(|| (Vec::new(), None), |(records, follow)| (records, Some(follow)));
    if arguments.json && !arguments.follow {
        let items = records.iter().map(serde_json::to_value).collect::<Result<Vec<Value>, _>>()?;
        return Ok(show_items(&items, &mut session.screen)?);
    }
    for record in &records {
        show(record, arguments.json, &mut session.screen)?;
    }
    let Some(mut follow) = follow.filter(|_| arguments.follow) else { return Ok(()) };
    loop {
        session.screen.out.flush()?;
        std::thread::sleep(PAUSE);
        for record in follow.more()? {
            show(&record, arguments.json, &mut session.screen)?;
        }
    }
}

fn show(record: &Record, as_json: bool, screen: &mut Screen) -> anyhow::Result<()> {
    let line = if as_json { serde_json::to_string(record)? } else { line(record) };
    Ok(screen.say(line)?)
}

/// An entry in one line, without anything that could steer a terminal: paths are the callers' own words.
pub(super) fn line(record: &Record) -> String {
    let at = moment::shown_to_the_second(i64::try_from(record.time() / 1_000_000).unwrap_or(0));
    let text = match &record.line {
        Recorded::Request(request) => request_line(request),
        Recorded::Act(act) => {
            let details: Vec<String> = act.details.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("act  {} {}  by {}  {}", act.act, act.object, act.actor, details.join(" "))
        }
        Recorded::Note(note) => format!("note {}  {} entries", note.note, note.entries),
    };
    let plain: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    format!("{at}  {}", plain.trim_end())
}

fn request_line(request: &RequestRecord) -> String {
    let status = if request.status == 0 { "---".to_owned() } else { request.status.to_string() };
    let mut out = format!("{status}  {} {}{}", request.method, request.host, request.path);
    let mut add = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(out, "  {name}={value}");
        }
    };
    add("caller", request.caller.as_deref());
    add("service", request.service.as_deref());
    add("key", request.credential.as_deref());
    add("code", request.code.as_deref());
    add("reason", request.reason.as_deref());
    let wait = request.wait_us / 1000;
    add("waited", (wait > 0).then(|| format!("{wait}ms")).as_deref());
    add("took", Some(&format!("{}ms", request.total_us / 1000)));
    add("ended", (request.outcome != "complete").then_some(request.outcome.as_str()));
    out
}
