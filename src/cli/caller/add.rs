//! `sidekey caller add`: a new caller and its token.

use clap::Args;

use crate::cli::acts::{Acts, Done};
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;

const EXAMPLES: &str = "\
Examples:
  sidekey caller add etl
  sidekey caller add nightly-report --env prod
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
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let opened = Opened::or_make(session)?;
    let acts = Acts::open(&opened.config)?;
    let owner = opened.owner(arguments.owner.as_ref())?;
    let (caller, token, receipt) = opened.vault.add_caller(&arguments.name, &owner.id, arguments.env.clone())?;
    let details = [("owner", owner.name.as_str())];
    acts.record(&Done { act: "caller.add", receipt: &receipt, details: &details }, session)?;
    let environment = caller.environment.map(|name| format!(", environment {name}")).unwrap_or_default();
    session.screen.note(format!("Added the caller `{}` (owner {}{environment}).", caller.name, owner.name))?;
    super::show_token(caller.name.as_str(), &token, &opened.config, session)
}
