//! `sidekey token add`: a token of the admin API.

use clap::Args;

use crate::cli::failure::wrong_use;
use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;

const EXAMPLES: &str = "\
Examples:
  sidekey token add deploy
  sidekey token add ci --user ada --expires 90d
  TOKEN=$(sidekey token add nightly 2>/dev/null)";

/// Make a token and show it
///
/// The token is shown this once: alone on the standard output. Only its hash is kept.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// What to call it
    name: Name,
    /// The user whose role it has [default: local]
    #[arg(long, value_name = "USER")]
    user: Option<Name>,
    /// When it expires: a date such as 2027-01-31 (still good on that day), a moment, or a duration such as 90d
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let unclear = || wrong_use("--expires takes a date such as 2027-01-31, a moment, or a duration such as 90d");
    let expiry = |text: &String| moment::expiry(text, session.now()).ok_or_else(unclear);
    let expires = arguments.expires.as_ref().map(expiry).transpose()?;
    let Opened { operations, actor, .. } = Opened::or_make(session)?;
    let shown = operations.add_token(&actor, &arguments.name, arguments.user.as_ref(), expires)?;
    let (name, user) = (&shown.pass.name, &shown.pass.user);
    session
        .screen
        .note(format!("Made the token `{name}` of {user}. It is shown this once and kept only as a hash:"))?;
    Ok(session.screen.say(shown.token.reveal())?)
}
