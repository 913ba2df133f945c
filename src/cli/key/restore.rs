//! `sidekey key restore`: takes back a deletion.

use clap::Args;

use super::Which;
use crate::cli::opened::Opened;
use crate::cli::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey key list --deleted
  sidekey key restore stripe
  sidekey key restore stripe --owner ada";

/// Take back the deletion of a key
///
/// A deleted key's sealed value is kept for seven days and destroyed then. Until then the key comes back as it was, with its
/// versions and shares; of several with this name, the one that was deleted last. The next request can use it again.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::existing(session)?;
    let key = operations.restore_key(&actor, &arguments.which.reference())?;
    session.screen.say(format!("The key `{}` is back ({}).", key.name, super::in_short(&key)))?;
    Ok(session.screen.say("The next request can use it. If it was revoked at the service, give it a new value.")?)
}
