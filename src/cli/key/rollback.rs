//! `sidekey key rollback`: the value before the current one.

use clap::Args;

use super::Which;
use crate::cli::opened::Opened;
use crate::cli::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey key rollback stripe";

/// Give a key its former value back
///
/// Makes the version current again that the current one replaced. The next request uses it; requests that are under way finish
/// with the value they began with.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::existing(session)?.ready()?;
    let before = operations.changeable_key(&actor, &arguments.which.reference())?;
    let key = operations.roll_back_key(&actor, &before.reference())?;
    let (version, from) = (super::version(&key), super::version(&before));
    session.screen.say(format!("The key `{}` is back at version {version} (it was at version {from}).", key.name))?;
    session
        .screen
        .say("The next request uses it; requests that are under way finish with the value they began with.")?;
    Ok(())
}
