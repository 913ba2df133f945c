//! `sidekey caller add`: a new caller and its token.

use clap::Args;

use super::perimeter::Within;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::{Name, Weight};
use crate::operations::{NewCaller, TokenShown};

const EXAMPLES: &str = "\
Examples:
  sidekey caller add etl
  sidekey caller add nightly-report --env prod
  sidekey caller add assistant --weight 4
  sidekey caller add runner --owner ada --from 10.1.0.0/16
  TOKEN=$(sidekey caller add etl 2>/dev/null)";

/// Add a caller and show its token
///
/// The token is shown this once: alone on the standard output, with how to use it on the standard error. Only its hash is
/// kept; `sidekey caller rotate` makes another.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// What to call it
    name: Name,
    /// The user it belongs to [default: local]
    #[arg(long, value_name = "USER")]
    owner: Option<Name>,
    /// It sees only keys of this environment, or of none
    #[arg(long, value_name = "ENVIRONMENT")]
    env: Option<Name>,
    /// How many turns it has where requests wait for a service and other callers have one: 1 to 10, such as 4 for a person's
    /// tool beside nightly jobs
    #[arg(long, value_name = "TURNS", value_parser = super::weight)]
    weight: Option<Weight>,
    #[command(flatten)]
    within: Within,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { config, operations, actor } = Opened::or_make(session)?;
    let new = NewCaller {
        name: arguments.name.clone(),
        owner: arguments.owner.clone(),
        environment: arguments.env.clone(),
        perimeter: arguments.within.perimeter(),
        weight: arguments.weight.unwrap_or_default(),
    };
    let TokenShown { caller, token } = operations.add_caller(&actor, &new)?;
    session.screen.note(format!("Added the caller `{}` ({}).", caller.name, super::in_short(&caller)))?;
    super::show_token(caller.name.as_str(), &token, &config, session)
}
