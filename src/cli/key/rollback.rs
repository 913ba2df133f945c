//! `sidekey key rollback`: the value before the current one.

use clap::Args;

use super::Which;
use crate::cli::acts::{Acts, Done};
use crate::cli::opened::Opened;
use crate::cli::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey key rollback stripe";

/// Give a key its former value back
///
/// Makes the version current again that the current one replaced. The next request uses it; requests that are under way finish
/// with the value they began with.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let opened = Opened::existing(session)?;
    let acts = Acts::open(&opened.config)?;
    let listed = arguments.which.find(&opened)?;
    let (credential, receipt) = opened.vault.rollback(&listed.credential.id)?;
    let details = [("service", credential.service.as_str())];
    acts.record(&Done { act: "key.rollback", receipt: &receipt, details: &details }, session)?;
    let (name, version, from) = (&credential.name, credential.version, listed.credential.version);
    session.screen.say(format!("The key `{name}` is back at version {version} (it was at version {from})."))?;
    session
        .screen
        .say("The next request uses it; requests that are under way finish with the value they began with.")?;
    Ok(())
}
