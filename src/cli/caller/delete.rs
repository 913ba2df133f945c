//! `sidekey caller delete`.

use clap::Args;

use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;

const EXAMPLES: &str = "\
Examples:
  sidekey caller delete etl
  sidekey caller delete etl --yes";

/// Delete a caller
///
/// Ends the caller, its token, and what was shared with it alone. Asks first; without a terminal, --yes is needed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The caller
    name: Name,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::existing(session)?.ready()?;
    let caller = operations.caller(&actor, &arguments.name)?;
    let name = &caller.name;
    if !arguments.yes {
        let seen = caller.last_used_at.map_or_else(
            || "was never seen".to_owned(),
            |at| format!("was last seen {}", moment::ago(at.as_second(), session.now())),
        );
        session.confirm_deletion("caller", name, Some(format!("`{name}` {seen}.")))?;
    }
    operations.delete_caller(&actor, name)?;
    session.screen.say(format!("The caller `{name}` is deleted; its token is worth nothing now."))?;
    Ok(())
}
