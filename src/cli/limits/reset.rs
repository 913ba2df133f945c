//! `sidekey limits reset`.

use clap::Args;

use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;

const EXAMPLES: &str = "\
Examples:
  sidekey limits reset github
  sidekey limits reset openai --owner acme";

/// Have the running proxy forget what it found out of a service's limits
///
/// Who waits for the service is let through within a second. What the service allows does not change by it: when it refuses
/// again, that is learnt again. For after a limit was raised, or a key moved to another account.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The service
    service: Name,
    /// For this limit owner alone, as `sidekey limits list` shows it
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::existing(session)?.ready()?;
    operations.reset_gates(&actor, &arguments.service, arguments.owner.as_deref())?;
    let whose = arguments.owner.as_ref().map(|owner| format!(" for {owner}")).unwrap_or_default();
    session.screen.say(format!(
        "A running proxy forgets within a second what it found out of the limits of {}{whose}.",
        arguments.service
    ))?;
    Ok(())
}
