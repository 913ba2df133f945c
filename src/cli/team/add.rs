//! `sidekey team add`.

use clap::Args;

use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;

const EXAMPLES: &str = "\
Examples:
  sidekey team add data
  sidekey team add data --member ada --member bob";

/// Add a team
///
/// Keys are shared with it by `sidekey key share KEY --with team:NAME`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// What to call it
    name: Name,
    /// A user who is in it; repeatable
    #[arg(long = "member", value_name = "USER")]
    members: Vec<Name>,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::or_make(session)?;
    let team = operations.add_team(&actor, &arguments.name, &arguments.members)?;
    session.screen.say(format!("Added the team `{}` (in it: {}).", team.name, super::members(&team)))?;
    session.screen.say(format!("Keys are shared with it by: sidekey key share KEY --with team:{}", team.name))?;
    Ok(())
}
