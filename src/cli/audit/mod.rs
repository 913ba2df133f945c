//! `sidekey audit`: the record of every request and every administrative act.

mod export;
mod tail;
mod verify;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::audit::Filter;
use crate::domain::Code;
use crate::operations::{audit_folder, finish_restore, record_left};

use super::failure::wrong_use;
use super::moment;
use super::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey audit tail -f
  sidekey audit tail --caller etl --code rate_limited
  sidekey audit verify
  sidekey audit export --since 7d --format csv > week.csv";

/// The audit log: look, verify, export
///
/// Every request, refused ones too, and every administrative act leaves one entry, chained by hash. No entry holds a key, a
/// header's value, a body or a query.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(super) enum Command {
    Tail(tail::Arguments),
    Verify(verify::Arguments),
    Export(export::Arguments),
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::Tail(arguments) => tail::run(&arguments, session),
        Command::Verify(arguments) => verify::run(&arguments, session),
        Command::Export(arguments) => export::run(&arguments, session),
    }
}

/// Which entries are wanted.
#[derive(Debug, Args)]
struct Wanted {
    /// Only requests for this service, and acts about it
    #[arg(long)]
    service: Option<String>,
    /// Only requests of this caller, and acts on it
    #[arg(long)]
    caller: Option<String>,
    /// Only requests that sidekey answered itself with this code, such as rate_limited
    #[arg(long, value_parser = code)]
    code: Option<Code>,
    /// From this moment on: a date, an RFC 3339 moment, or a duration before now such as 24h
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Before this moment, written in the same way
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
}

impl Wanted {
    fn filter(&self, now: i64) -> anyhow::Result<Filter> {
        let moment = |text: &Option<String>| text.as_deref().map(|text| past(text, now)).transpose();
        Ok(Filter {
            service: self.service.clone(),
            caller: self.caller.clone(),
            code: self.code,
            since: moment(&self.since)?,
            until: moment(&self.until)?,
            before: None,
        })
    }
}

fn code(text: &str) -> Result<Code, String> {
    let known = || Code::ALL.map(Code::as_str).join(", ");
    Code::ALL.into_iter().find(|code| code.as_str() == text).ok_or_else(|| format!("the codes are {}", known()))
}

fn past(text: &str, now: i64) -> anyhow::Result<Duration> {
    let at = moment::past(text, now).ok_or_else(|| {
        wrong_use("--since and --until take a date such as 2026-11-01, a moment such as 2026-11-01T12:00:00Z, or a duration such as 24h")
    })?;
    Ok(Duration::from_secs(u64::try_from(at).unwrap_or(0)))
}

/// Where the log is; none, with a note, when there is no log yet.
fn folder(session: &mut Session) -> anyhow::Result<Option<PathBuf>> {
    let config = session.load()?.config;
    finish_restore(&config)?;
    if let Err(error) = record_left(&config) {
        session.screen.note(format!("What was done last may be missing here: {error}."))?;
    }
    let folder = audit_folder(&config);
    if folder.exists() {
        return Ok(Some(folder));
    }
    session.screen.note(format!("There is no audit log at {} yet.", folder.display()))?;
    Ok(None)
}
