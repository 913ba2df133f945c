//! `sidekey team`: users with whom keys are shared together.

mod add;
mod delete;
mod list;
mod members;

use clap::Subcommand;

use crate::operations::TeamView;

use super::session::Session;
use super::table::joined;

const EXAMPLES: &str = "\
Examples:
  sidekey team add data --member ada --member bob
  sidekey team add-member data eve
  sidekey team remove-member data bob
  sidekey key share stripe --with team:data
  sidekey team list";

/// Teams: add, list, add and remove members, delete
///
/// A key that is shared with a team may be used by the callers of all its members, and by nobody's any more who left it.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(super) enum Command {
    Add(add::Arguments),
    List(list::Arguments),
    AddMember(members::Add),
    RemoveMember(members::Remove),
    Delete(delete::Arguments),
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::Add(arguments) => add::run(&arguments, session),
        Command::List(arguments) => list::run(&arguments, session),
        Command::AddMember(arguments) => members::add(&arguments, session),
        Command::RemoveMember(arguments) => members::remove(&arguments, session),
        Command::Delete(arguments) => delete::run(&arguments, session),
    }
}

/// Who is in a team, in words.
fn members(team: &TeamView) -> String {
    if team.members.is_empty() { "nobody".to_owned() } else { joined(&team.members) }
}
