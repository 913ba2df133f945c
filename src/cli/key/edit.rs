//! `sidekey key edit`: its name, environment, expiry and reminder.

use std::time::Duration;

use clap::Args;

use super::Which;
use crate::cli::failure::wrong_use;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;
use crate::operations::KeyEdit;

const EXAMPLES: &str = "\
Examples:
  sidekey key edit stripe --name stripe-main
  sidekey key edit stripe --env prod --expires 90d
  sidekey key edit stripe --rotate-every 90d --verify-every 24h
  sidekey key edit stripe --no-env --no-expires";

/// Change a key's name, environment, expiry or reminder
///
/// What is not named stays. The value is changed by `sidekey key rotate`, who may use it by `sidekey key share`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// What to call it
    #[arg(long = "name", value_name = "NAME")]
    new_name: Option<Name>,
    /// Only callers of this environment, or of none, may use it
    #[arg(long, value_name = "ENVIRONMENT", conflicts_with = "no_env")]
    env: Option<Name>,
    /// Callers of every environment may use it
    #[arg(long)]
    no_env: bool,
    /// When it expires: a date (that day is still good), an RFC 3339 moment, or a duration such as 90d
    #[arg(long, value_name = "DATE", conflicts_with = "no_expires")]
    expires: Option<String>,
    /// It does not expire
    #[arg(long)]
    no_expires: bool,
    /// Whom the service counts when this key is used; keys with the same name here share what is learnt of its limits
    ///
    /// What was learnt so far stays with its former limit owner: the key begins with what is known of this one.
    #[arg(long, value_name = "NAME", conflicts_with = "no_limit_owner")]
    limit_owner: Option<Name>,
    /// The service counts the key itself
    #[arg(long)]
    no_limit_owner: bool,
    /// Have the keys with the same name here stand in for each other: another is used when the limit of the first is used up
    #[arg(long, value_name = "NAME", conflicts_with = "no_pool")]
    pool: Option<Name>,
    /// It stands in for no other key
    #[arg(long)]
    no_pool: bool,
    #[command(flatten)]
    reminders: Reminders,
}

/// What a running proxy does about it by itself.
#[derive(Debug, Args)]
struct Reminders {
    /// Remind of a new value after so long, such as 90d
    #[arg(long = "rotate-every", value_name = "DURATION", value_parser = super::span, conflicts_with = "no_reminder")]
    reminder: Option<Duration>,
    /// Remind of no new value
    #[arg(long = "no-rotate-every")]
    no_reminder: bool,
    /// Have a running proxy try it at its service so often, such as 24h; it looks once a minute
    #[arg(long = "verify-every", value_name = "DURATION", value_parser = super::span, conflicts_with = "no_trial")]
    trial: Option<Duration>,
    /// Have no proxy try it by itself
    #[arg(long = "no-verify-every")]
    no_trial: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let expires = arguments.expires.as_deref().map(|text| super::read_expiry(text, session.now())).transpose()?;
    let asked = &arguments.reminders;
    let edit = KeyEdit {
        name: arguments.new_name.clone(),
        environment: if arguments.no_env { Some(None) } else { arguments.env.clone().map(Some) },
        rotate_every: if asked.no_reminder { Some(None) } else { asked.reminder.map(Some) },
        verify_every: if asked.no_trial { Some(None) } else { asked.trial.map(Some) },
        limit_owner: if arguments.no_limit_owner { Some(None) } else { arguments.limit_owner.clone().map(Some) },
        pool: if arguments.no_pool { Some(None) } else { arguments.pool.clone().map(Some) },
        expires: if arguments.no_expires { Some(None) } else { expires.map(Some) },
    };
    if edit == KeyEdit::default() {
        return Err(wrong_use(
            "nothing to change: give --name, --env, --no-env, --expires, --no-expires, --rotate-every, --no-rotate-every, --verify-every, --no-verify-every, --limit-owner, --no-limit-owner, --pool or --no-pool",
        ));
    }
    let Opened { operations, actor, .. } = Opened::existing(session)?;
    let which = arguments.which.reference();
    let former = operations.changeable_key(&actor, &which)?.limit_owner;
    let key = operations.edit_key(&actor, &which, edit)?;
    session.screen.say(format!("Changed the key `{}` ({}).", key.name, super::in_short(&key)))?;
    if key.limit_owner != former {
        session.screen.say("What was learnt of limits with it so far stays with its former limit owner.")?;
    }
    Ok(())
}
