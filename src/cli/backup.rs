//! `sidekey backup`: everything that must survive in one file.

use std::path::PathBuf;

use clap::Args;

use super::opened::Opened;
use super::session::Session;
use super::table::{counted, show_facts, show_items};
use crate::app;
use crate::operations::{BackupView, MasterKeyIn};

const EXAMPLES: &str = "\
Examples:
  sidekey backup sidekey-monday.tar
  sidekey backup /mnt/backups/sidekey.tar --json
  sidekey backup whole.tar --with-master-key        whoever finds it can read every key";

/// Write the store and the audit log into one file
///
/// Takes a consistent copy while a proxy runs, reads it back, and only then gives the file its name: the store is checked,
/// the audit log verified, and every sealed value opened once. Values stay sealed in it, and the master key is not in it
/// unless you ask for it: keep that in another place. The file is for its owner alone (0600). What was sealed and does not
/// open is listed, and is in the backup as it is.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The file to write; it must not exist
    file: PathBuf,
    /// Put the master key in as well: whoever finds the file can then read every key
    #[arg(long)]
    with_master_key: bool,
    /// Print JSON: {"version":1,"items":[…]} with the one backup
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { config, operations, actor } = Opened::existing(session)?.ready()?;
    let source = app::master_key_source(&config, &session.environment)?;
    let file = session.environment.folder().join(&arguments.file);
    let master = if arguments.with_master_key { MasterKeyIn::Yes } else { MasterKeyIn::No };
    let view = operations.back_up(&actor, &file, &source, master)?;
    if view.holds_master_key {
        session.screen.note("The master key is in the backup: whoever finds the file can read every key in it.")?;
    }
    if arguments.json {
        return Ok(show_items(&[serde_json::to_value(&view)?], &mut session.screen)?);
    }
    session.screen.say(format!("Wrote {} ({} bytes), and read it back:", arguments.file.display(), view.bytes))?;
    Ok(show_facts(&facts(&view), &mut session.screen)?)
}

fn facts(view: &BackupView) -> Vec<(&'static str, String)> {
    let mut facts = vec![("values", format!("{} opened", counted(view.values, "sealed value")))];
    if !view.unopenable.is_empty() {
        facts.push(("do not open", view.unopenable.join("\n")));
    }
    facts.push(("audit", format!("{} entries, up to {}", view.audit_entries, view.audit_head)));
    let key = if view.holds_master_key { "in the backup" } else { "not in the backup: keep a copy in another place" };
    facts.push(("master key", key.to_owned()));
    facts
}
