//! `sidekey audit verify`: whether the chain holds.

use clap::Args;
use serde_json::json;

use crate::audit::{self, Report};
use crate::cli::failure::Reported;
use crate::cli::session::Session;
use crate::cli::table::{show_facts, show_json};

const EXAMPLES: &str = "\
Examples:
  sidekey audit verify
  sidekey audit verify --json | jq -r .report.head > anchor
  sidekey audit verify --anchor \"$ANCHOR\"";

/// Check that nothing in the audit log was changed, removed or moved
///
/// Walks the whole chain. Whoever may write the files can compute a whole new chain: keep the head's hash somewhere else from
/// time to time, and give it back with --anchor. The exit code is 1 when the chain does not hold.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// A hash that was once the head: the chain must still go through it
    #[arg(long, value_name = "HASH")]
    anchor: Option<String>,
    /// Print JSON: {"version":1,"ok":…,"report":{…}}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Some(folder) = super::folder(session)? else {
        // With an anchor there was a log once, and it is gone.
        anyhow::ensure!(arguments.anchor.is_none(), "the anchor is of a log that is not there any more");
        return Ok(());
    };
    let report = audit::verify(&folder, arguments.anchor.as_deref())?;
    if arguments.json {
        let ok = report.problem.is_none();
        show_json(&json!({ "version": 1, "ok": ok, "report": report }), &mut session.screen)?;
        return if ok { Ok(()) } else { Err(Reported.into()) };
    }
    if let Some(problem) = &report.problem {
        anyhow::bail!(
            "the audit log does not hold: {}, line {}: {}",
            problem.file.display(),
            problem.line,
            problem.meaning
        );
    }
    session.screen.say("The audit log holds: nothing was changed, removed or moved.")?;
    Ok(show_facts(&facts(&report), &mut session.screen)?)
}

fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("entries", format!("{} in {} batches and {} segments", report.entries, report.batches, report.segments)),
        ("head", report.head.clone()),
    ];
    if report.unsealed > 0 || report.torn_bytes > 0 {
        let text = format!("{} lines at the end, which the running proxy or the next start seals", report.unsealed);
        facts.push(("not sealed", text));
    }
    if report.notes > 0 {
        let listed = report.listed.iter().map(|noted| format!("{}: {} entries", noted.note.note, noted.note.entries));
        facts.push(("notes", listed.collect::<Vec<_>>().join("\n")));
    }
    facts
}
