//! `sidekey user`: the people that keys and callers belong to.

mod add;
mod delete;
mod list;
mod role;

use clap::Subcommand;

use crate::domain::Role;

use super::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey user add ada
  sidekey user add bob --role admin
  sidekey user list
  sidekey user role ada admin
  sidekey user delete bob --give-to ada";

/// Users: add, list, change the role, delete
///
/// A user is a person: keys and callers belong to one. A member keeps its own keys and uses those that are shared with it; an
/// admin manages all of them, and sees no values either. The user `local` is in every store and stays: what the command line
/// makes belongs to it, unless --owner says otherwise.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(super) enum Command {
    Add(add::Arguments),
    List(list::Arguments),
    Role(role::Arguments),
    Delete(delete::Arguments),
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::Add(arguments) => add::run(&arguments, session),
        Command::List(arguments) => list::run(&arguments, session),
        Command::Role(arguments) => role::run(&arguments, session),
        Command::Delete(arguments) => delete::run(&arguments, session),
    }
}

/// Reads a role.
fn read_role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "a role is `admin` or `member`".to_owned())
}
