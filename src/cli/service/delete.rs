//! `sidekey service delete`: takes a service out of the store.

use clap::Args;

use crate::cli::failure::wrong_use;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;

const EXAMPLES: &str = "\
Examples:
  sidekey service delete billing
  sidekey service delete billing --yes";

/// Delete a service
///
/// Takes the service out of the store; a built-in one is again as it is built in. It is refused while there are keys for it,
/// with or without --yes: the name could come back as something else, and they would be sent there. Asks first; without a
/// terminal, --yes is needed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The service
    name: Name,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let name = &arguments.name;
    let opened = Opened::existing(session)?.ready()?;
    opened.operations.deletable_service(&opened.actor, name)?;
    if !arguments.yes {
        if !session.terminal.answers() {
            return Err(wrong_use("deleting asks first, and there is no terminal to ask at: give --yes"));
        }
        if !session.confirms(&format!("Delete the service `{name}`?"))? {
            anyhow::bail!("nothing was deleted");
        }
    }
    opened.operations.delete_service(&opened.actor, name)?;
    let left = match opened.config.service(name.as_str()) {
        Some(entry) if entry.service.built_in => "is as it is built in again",
        _ => "is deleted; the next request does not find it",
    };
    session.screen.say(format!("The service `{name}` {left}."))?;
    Ok(())
}
