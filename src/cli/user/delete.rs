//! `sidekey user delete`: nothing that it owns is lost.

use clap::Args;

use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::table::counted;
use crate::domain::Name;

const EXAMPLES: &str = "\
Examples:
  sidekey user delete bob
  sidekey user delete bob --give-to ada --yes";

/// Delete a user
///
/// Ends the user, its memberships in teams, and what was shared with it alone. A user who still owns keys or callers is not
/// deleted, unless --give-to says who gets them: they go on working as they are, with their tokens and their shares. Asks
/// first; without a terminal, --yes is needed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The user
    name: Name,
    /// Who gets its keys and callers
    #[arg(long, value_name = "USER")]
    give_to: Option<Name>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::existing(session)?.ready()?;
    let user = operations.user_view(&actor, &arguments.name)?;
    let (keys, callers) = (counted(user.keys.unwrap_or(0), "key"), counted(user.callers.unwrap_or(0), "caller"));
    let heir = arguments.give_to.as_ref();
    if !arguments.yes {
        let left = format!("`{}` owns {keys} and {callers}", user.name);
        let told = match heir {
            Some(heir) => format!("{left}, which go to `{heir}`."),
            None => format!("{left}."),
        };
        session.confirm_deletion("user", &user.name, Some(told))?;
    }
    operations.delete_user(&actor, &user.name, heir)?;
    session.screen.say(format!("The user `{}` is deleted.", user.name))?;
    if let Some(heir) = heir {
        session.screen.say(format!("`{heir}` owns {keys} and {callers} of it now."))?;
    }
    Ok(())
}
