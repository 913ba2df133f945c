//! `sidekey caller delete`.

use clap::Args;

use crate::cli::acts::{Acts, Done};
use crate::cli::failure::wrong_use;
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
    let opened = Opened::existing(session)?;
    let acts = Acts::open(&opened.config)?;
    let listed = opened.vault.caller_named(&arguments.name)?;
    let name = &listed.caller.name;
    if !arguments.yes {
        if !session.terminal.answers() {
            return Err(wrong_use("deleting asks first, and there is no terminal to ask at: give --yes"));
        }
        let seen = listed.last_used_at.map_or_else(
            || "was never seen".to_owned(),
            |at| format!("was last seen {}", moment::ago(at, session.now())),
        );
        session.screen.note(format!("`{name}` {seen}."))?;
        if !session.confirms(&format!("Delete the caller `{name}`?"))? {
            anyhow::bail!("nothing was deleted");
        }
    }
    let receipt = opened.vault.delete_caller(&listed.caller.id)?;
    acts.record(&Done { act: "caller.delete", receipt: &receipt, details: &[] }, session)?;
    session.screen.say(format!("The caller `{name}` is deleted; its token is worth nothing now."))?;
    Ok(())
}
