//! `sidekey team add-member` and `remove-member`.

use clap::Args;

use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;
use crate::operations::TeamView;

const ADD_EXAMPLES: &str = "\
Examples:
  sidekey team add-member data eve
  sidekey team add-member data eve mallory";

const REMOVE_EXAMPLES: &str = "\
Examples:
  sidekey team remove-member data bob";

/// Add users to a team
///
/// Their callers may use what is shared with the team from the next request on.
#[derive(Debug, Args)]
#[command(after_long_help = ADD_EXAMPLES)]
pub(in crate::cli) struct Add {
    /// The team
    team: Name,
    /// The users
    #[arg(value_name = "USER", required = true)]
    users: Vec<Name>,
}

/// Remove users from a team
///
/// Their callers may not use what is shared with the team from the next request on, unless it is shared with them otherwise.
#[derive(Debug, Args)]
#[command(after_long_help = REMOVE_EXAMPLES)]
pub(in crate::cli) struct Remove {
    /// The team
    team: Name,
    /// The users
    #[arg(value_name = "USER", required = true)]
    users: Vec<Name>,
}

pub(super) fn add(arguments: &Add, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::existing(session)?;
    let team = operations.add_members(&actor, &arguments.team, &arguments.users)?;
    say(&team, session)
}

pub(super) fn remove(arguments: &Remove, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::existing(session)?;
    let team = operations.remove_members(&actor, &arguments.team, &arguments.users)?;
    say(&team, session)
}

fn say(team: &TeamView, session: &mut Session) -> anyhow::Result<()> {
    Ok(session.screen.say(format!("In the team `{}`: {}.", team.name, super::members(team)))?)
}
