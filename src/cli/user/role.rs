//! `sidekey user role`: what a user may do.

use clap::Args;

use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::{Name, Role};

const EXAMPLES: &str = "\
Examples:
  sidekey user role ada admin
  sidekey user role bob member";

/// Give a user another role
///
/// An admin manages every key, caller, user and team, and sees no values; a member manages its own keys and callers.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The user
    name: Name,
    /// `admin` or `member`
    #[arg(value_parser = super::read_role)]
    role: Role,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::existing(session)?;
    let user = operations.set_role(&actor, &arguments.name, arguments.role)?;
    session.screen.say(format!("The user `{}` is now {}.", user.name, user.role))?;
    Ok(())
}
