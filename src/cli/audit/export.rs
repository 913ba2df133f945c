//! `sidekey audit export`: entries for other programs.

use std::io::BufWriter;

use clap::{Args, ValueEnum};

use crate::audit;
use crate::cli::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey audit export > audit.jsonl
  sidekey audit export --since 2026-11-01 --until 2026-12-01 --format csv > november.csv
  sidekey audit export --since 24h --service stripe | jq -r .path | sort | uniq -c";

/// Write entries for other programs
///
/// Writes everything that fits to the standard output, the oldest first: a JSON object a line, or CSV with a header line.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    wanted: super::Wanted,
    /// The form
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
}

/// The forms of an export.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// One JSON object a line; times in microseconds since 1970
    Jsonl,
    /// A table with a header line; times in RFC 3339
    Csv,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let filter = arguments.wanted.filter(session.now())?;
    let Some(folder) = super::folder(session)? else { return Ok(()) };
    let format = match arguments.format {
        Format::Jsonl => audit::Format::JsonLines,
        Format::Csv => audit::Format::Csv,
    };
    let reader = audit::read(&folder, filter)?;
    let count = audit::export(reader, format, &mut BufWriter::new(&mut session.screen.out))?;
    let plural = if count == 1 { "entry" } else { "entries" };
    Ok(session.screen.note(format!("{count} {plural} exported."))?)
}
