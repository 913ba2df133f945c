//! `sidekey token revoke`.

use clap::Args;

use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::operations::PassKind;

const EXAMPLES: &str = "\
Examples:
  sidekey token revoke deploy
  sidekey token revoke --session 01980000-0000-7000-8000-000000000000";

/// Revoke a token of the admin API
///
/// The next request with it is refused.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The token's name, or its identifier
    token: String,
    /// It is the identifier of a session instead
    #[arg(long)]
    session: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let (kind, what) = if arguments.session { (PassKind::Session, "session") } else { (PassKind::Token, "token") };
    let Opened { operations, actor, .. } = Opened::existing(session)?;
    let ended = operations.end_pass(&actor, kind, &arguments.token)?;
    Ok(session.screen.say(format!("The {what} `{}` of {} is worth nothing now.", ended.name, ended.user))?)
}
