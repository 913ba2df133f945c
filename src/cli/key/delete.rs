//! `sidekey key delete`: takes a key out of use, after saying who used it.

use clap::Args;

use super::Which;
use crate::cli::acts::{self, Acts, Done, Use};
use crate::cli::failure::wrong_use;
use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::vault::KEPT_AFTER_DELETION;

/// How far back uses are counted, in days.
const DAYS: i64 = 30;

const EXAMPLES: &str = "\
Examples:
  sidekey key delete stripe
  sidekey key delete stripe-old --yes";

/// Delete a key
///
/// Names the workflows that used the key in the last 30 days and how often, and asks. The next request cannot use it any more;
/// requests that are under way finish. Without a terminal, --yes is needed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let opened = Opened::existing(session)?;
    let acts = Acts::open(&opened.config)?;
    let listed = arguments.which.find(&opened)?;
    let credential = &listed.credential;
    let now = session.now();
    let uses = acts::uses(&opened.config, &credential.id, now.saturating_sub(DAYS * 24 * 60 * 60));
    match &uses {
        Ok(uses) => session.screen.note(told(credential.name.as_str(), uses, now))?,
        Err(error) => session.screen.note(format!("Who used it cannot be said: {error:#}"))?,
    }
    if !arguments.yes {
        if !session.terminal.answers() {
            return Err(wrong_use("deleting asks first, and there is no terminal to ask at: give --yes"));
        }
        if !session.confirms(&format!("Delete the key `{}`?", credential.name))? {
            anyhow::bail!("nothing was deleted");
        }
    }
    let receipt = opened.vault.delete(&credential.id)?;
    let details = [("service", credential.service.as_str())];
    acts.record(&Done { act: "key.delete", receipt: &receipt, details: &details }, session)?;
    session.screen.say(format!("The key `{}` is deleted; the next request cannot use it.", credential.name))?;
    let days = KEPT_AFTER_DELETION / (24 * 60 * 60);
    session
        .screen
        .say(format!("Its sealed value is destroyed after {days} days. Revoke the key at the service as well."))?;
    Ok(())
}

/// Who used the key, for the person who must decide.
fn told(name: &str, uses: &[Use], now: i64) -> String {
    if uses.is_empty() {
        return format!("Nobody used `{name}` in the last {DAYS} days.");
    }
    let mut lines = vec![format!("In the last {DAYS} days `{name}` was used by:")];
    let width = uses.iter().map(|used| used.caller.len()).max().unwrap_or(0);
    lines.extend(uses.iter().map(|used| {
        let times = if used.count == 1 { "once".to_owned() } else { format!("{} times", used.count) };
        format!("  {:width$}  {times}, last {}", used.caller, moment::ago(used.last, now))
    }));
    lines.join("\n")
}
