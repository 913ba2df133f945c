//! `sidekey key delete`: takes a key out of use, after saying who used it.

use clap::Args;

use super::Which;
use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::operations::KeyUse;
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
    let Opened { operations, actor, .. } = Opened::existing(session)?.ready()?;
    let key = operations.changeable_key(&actor, &arguments.which.reference())?;
    let (name, which) = (key.name.as_str(), key.reference());
    let now = session.now();
    match operations.key_uses(&actor, &which, now.saturating_sub(DAYS * 24 * 60 * 60)) {
        Ok(uses) => session.screen.note(told(name, &uses, now))?,
        Err(error) => {
            let error = anyhow::Error::from(error);
            session.screen.note(format!("Who used it cannot be said: {error:#}"))?;
        }
    }
    if !arguments.yes {
        session.confirm_deletion("key", &key.name, None)?;
    }
    operations.delete_key(&actor, &which)?;
    session.screen.say(format!("The key `{name}` is deleted; the next request cannot use it."))?;
    let days = KEPT_AFTER_DELETION / (24 * 60 * 60);
    session
        .screen
        .say(format!("Its sealed value is destroyed after {days} days; until then: sidekey key restore {name}"))?;
    session.screen.say("Revoke the key at the service as well.")?;
    Ok(())
}

/// Who used the key, for the person who must decide.
fn told(name: &str, uses: &[KeyUse], now: i64) -> String {
    if uses.is_empty() {
        return format!("Nobody used `{name}` in the last {DAYS} days.");
    }
    let mut lines = vec![format!("In the last {DAYS} days `{name}` was used by:")];
    let width = uses.iter().map(|used| used.caller.len()).max().unwrap_or(0);
    lines.extend(uses.iter().map(|used| {
        let times = if used.count == 1 { "once".to_owned() } else { format!("{} times", used.count) };
        format!("  {:width$}  {times}, last {}", used.caller, moment::ago(used.last_at.as_second(), now))
    }));
    lines.join("\n")
}
