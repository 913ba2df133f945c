//! `sidekey user add`.

use clap::Args;

use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::{Name, Role};

const EXAMPLES: &str = "\
Examples:
  sidekey user add ada
  sidekey user add bob --role admin";

/// Add a user
///
/// Its keys and callers are then made with --owner: `sidekey key add stripe --owner ada`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// What to call it
    name: Name,
    /// What it may do: `admin` or `member`
    #[arg(long, value_name = "ROLE", default_value = "member", value_parser = super::read_role)]
    role: Role,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::or_make(session)?;
    let user = operations.add_user(&actor, &arguments.name, arguments.role)?;
    session.screen.say(format!("Added the user `{}` ({}).", user.name, user.role))?;
    session.screen.say(format!("Its keys and callers: sidekey key add SERVICE --owner {}", user.name))?;
    session.screen.say(format!("                      sidekey caller add NAME --owner {}", user.name))?;
    Ok(())
}
