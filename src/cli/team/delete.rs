//! `sidekey team delete`.

use clap::Args;

use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::table::counted;
use crate::domain::Name;

const EXAMPLES: &str = "\
Examples:
  sidekey team delete data
  sidekey team delete data --yes";

/// Delete a team
///
/// Ends the team and what was shared with it; its users and the keys stay. Asks first; without a terminal, --yes is needed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The team
    name: Name,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::existing(session)?.ready()?;
    let team = operations.team(&actor, &arguments.name)?;
    if !arguments.yes {
        let shares = operations.shares_of_team(&actor, &team.name)?;
        let members = super::members(&team);
        let told = format!("In `{}`: {members}. Shared with it: {}.", team.name, counted(shares, "key"));
        session.confirm_deletion("team", &team.name, Some(told))?;
    }
    operations.delete_team(&actor, &team.name)?;
    session.screen.say(format!("The team `{}` is deleted; nobody uses a key through it any more.", team.name))?;
    Ok(())
}
