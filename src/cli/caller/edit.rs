//! `sidekey caller edit`: its environment, where it must come from, and its turns.

use clap::Args;

use super::perimeter::Within;
use crate::cli::failure::wrong_use;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::{Name, Perimeter, Weight};
use crate::operations::CallerEdit;

const EXAMPLES: &str = "\
Examples:
  sidekey caller edit etl --env prod
  sidekey caller edit etl --from 10.1.0.0/16 --from 10.2.0.7
  sidekey caller edit etl --from-anywhere --no-env
  sidekey caller edit assistant --weight 4";

/// Change a caller's environment, where it must come from, or its turns
///
/// What is not named stays, the token too. --from and --peer-uid take the place of all that was said before; --from-anywhere
/// takes it away. A running proxy follows within one second, on open connections as well.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The caller
    name: Name,
    /// It sees only keys of this environment, or of none
    #[arg(long, value_name = "ENVIRONMENT", conflicts_with = "no_env")]
    env: Option<Name>,
    /// It sees keys of every environment
    #[arg(long)]
    no_env: bool,
    /// How many turns it has where requests wait for a service and other callers have one: 1 to 10
    #[arg(long, value_name = "TURNS", value_parser = super::weight)]
    weight: Option<Weight>,
    #[command(flatten)]
    within: Within,
    /// Its token counts from anywhere
    #[arg(long, conflicts_with_all = ["networks", "uids"], help_heading = "Where it must come from")]
    from_anywhere: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let given = arguments.within.perimeter();
    let edit = CallerEdit {
        environment: if arguments.no_env { Some(None) } else { arguments.env.clone().map(Some) },
        perimeter: if arguments.from_anywhere {
            Some(Perimeter::default())
        } else {
            (!given.is_open()).then_some(given)
        },
        weight: arguments.weight,
    };
    if edit == CallerEdit::default() {
        return Err(wrong_use(
            "nothing to change: give --env, --no-env, --from, --peer-uid, --from-anywhere or --weight",
        ));
    }
    let Opened { operations, actor, .. } = Opened::existing(session)?;
    let caller = operations.edit_caller(&actor, &arguments.name, &edit)?;
    session.screen.say(format!("Changed the caller `{}` ({}).", caller.name, super::in_short(&caller)))?;
    Ok(())
}
