//! `sidekey master slot remove`.

use clap::Args;

use crate::app;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;

const EXAMPLES: &str = "\
Examples:
  sidekey master slot remove stick";

/// Remove a slot of the master key
///
/// What is kept at its place does not open the store any more. The last slot stays, and so does the one that [master_key]
/// opens here. Whoever opened the store by it before may have kept the master key itself: `sidekey master rotate` ends that.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The slot's name
    name: Name,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { config, operations, actor } = Opened::existing(session)?.ready()?;
    let present = app::master_key_source(&config, &session.environment)?;
    operations.remove_slot(&actor, &present, &arguments.name)?;
    session.screen.say(format!("The slot `{}` opens the store no more.", arguments.name))?;
    Ok(session.screen.say("If its key may be in wrong hands, run `sidekey master rotate` too.")?)
}
