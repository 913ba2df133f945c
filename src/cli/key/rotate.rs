//! `sidekey key rotate`: a new value for a key.

use clap::Args;

use super::Which;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::values::Source;

const EXAMPLES: &str = "\
Examples:
  sidekey key rotate stripe
  vault-tool read stripe | sidekey key rotate stripe --stdin
  sidekey key rotate stripe --from-file new-key.txt && rm new-key.txt";

/// Give a key a new value
///
/// The next request uses the new value; requests that are under way finish with the old one. The old value is kept, so that
/// `sidekey key rollback` can bring it back: revoke it at the service when the new one works.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    source: Source,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::existing(session)?.ready()?;
    let key = operations.changeable_key(&actor, &arguments.which.reference())?;
    let fields = arguments.source.read(&operations.service(&key.service)?, session)?;
    let key = operations.rotate_key(&actor, &key.reference(), &fields)?;
    let name = &key.name;
    session.screen.say(format!("The key `{name}` has a new value (version {}).", super::version(&key)))?;
    session.screen.say("The next request uses it; requests that are under way finish with the old value.")?;
    session.screen.say(format!("Should it not work: sidekey key rollback {name}"))?;
    Ok(())
}
