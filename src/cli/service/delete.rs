//! `sidekey service delete`: takes a service out of the store.

use clap::Args;

use crate::cli::failure::wrong_use;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;
use crate::operations::Consent;

const EXAMPLES: &str = "\
Examples:
  sidekey service delete billing
  sidekey service delete billing --yes";

/// Delete a service
///
/// Takes the service out of the store; a built-in one is again as it is built in. It is refused while there are keys for it,
/// with or without --yes: the name could come back as something else, and they would be sent there. Only a record that is not
/// trusted goes in spite of its keys, which are named. Asks first; without a terminal, --yes is needed.
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
    let concerned = opened.operations.weigh_deletion(&opened.actor, name)?;
    if !concerned.is_empty() {
        let keys: Vec<String> = concerned.iter().map(ToString::to_string).collect();
        session
            .screen
            .note(format!("Nobody can say for which place these keys were given:\n  {}", keys.join("\n  ")))?;
    }
    if !arguments.yes {
        if !session.terminal.answers() {
            return Err(wrong_use("deleting asks first, and there is no terminal to ask at: give --yes"));
        }
        if !session.confirms(&format!("Delete the service `{name}`?"))? {
            anyhow::bail!("nothing was deleted");
        }
    }
    opened.operations.delete_service(&opened.actor, name, Consent::Given)?;
    let left = match opened.operations.service(name) {
        Ok(_) => "is as it is built in again",
        Err(_) => "is deleted; the next request does not find it",
    };
    session.screen.say(format!("The service `{name}` {left}."))?;
    Ok(())
}
