//! `sidekey login`: a one-time code with which a browser or a script opens a session of the admin API.

use clap::Args;

use crate::config::{Config, ListenAddress};
use crate::domain::Name;
use crate::operations::PassShown;

use super::opened::Opened;
use super::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey login
  sidekey login --user ada";

/// Print a one-time login link for the console
///
/// The code in it opens one session of the admin API within ten minutes. Sessions last twelve hours;
/// `sidekey token` is for programs.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The user who logs in [default: local]
    #[arg(long, value_name = "USER")]
    user: Option<Name>,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let opened = Opened::or_make(session)?;
    let shown = opened.operations.add_code(&opened.actor, arguments.user.as_ref())?;
    let user = &shown.pass.user;
    session.screen.note(format!("Opens one session of `{user}`, within ten minutes:"))?;
    Ok(session.screen.say(link(&opened.config, &shown))?)
}

/// The login link. The code stands after the `#`, which browsers do not send: it is in no server's log.
fn link(config: &Config, shown: &PassShown) -> String {
    let code = shown.token.reveal();
    match &config.listen.console {
        Some(ListenAddress::Tcp(address)) => linked(&address.to_string(), code),
        _ => code.to_owned(),
    }
}

/// A login link to the console at `address`.
pub(super) fn linked(address: &str, code: &str) -> String {
    format!("http://{address}/login#{code}")
}
