//! `sidekey restore`: a backup in the place of the store.

use std::path::PathBuf;

use clap::Args;

use super::session::Session;
use super::table::counted;
use crate::app;
use crate::operations::{self, Actor, Present};

const EXAMPLES: &str = "\
Examples:
  sidekey restore sidekey-monday.tar
  sidekey restore sidekey-monday.tar --replace      moves the present store away first";

/// Put a backup in the place of the store
///
/// Checks the backup as `sidekey backup` did, with the master key that [master_key] names, and puts the store and the audit
/// log in their places: both or neither, even when the process or the machine ends in between. A store that is there stays,
/// unless --replace is given: then it is moved into a folder beside it. A proxy that serves from it has to be stopped first.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The backup
    file: PathBuf,
    /// Move a store that is there into a folder beside it
    #[arg(long)]
    replace: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let config = session.load()?.config;
    let source = app::master_key_source(&config, &session.environment)?;
    let file = session.environment.folder().join(&arguments.file);
    let present = if arguments.replace { Present::Moves } else { Present::Stays };
    let restored = operations::restore(&config, &Actor::operator(), &*session.clock, &file, &source, present)?;
    let screen = &mut session.screen;
    let values = counted(restored.values, "sealed value");
    let tried = if restored.unopenable.is_empty() { "all opened once" } else { "opened once" };
    screen.say(format!("Restored the backup of {}: {values}, {tried}.", restored.made_at))?;
    if !restored.unopenable.is_empty() {
        screen.note(format!("With this master key these do not open: {}.", restored.unopenable.join(", ")))?;
    }
    if let Some(former) = &restored.former {
        screen.say(format!("What was there before is in {}.", former.display()))?;
    }
    Ok(())
}
