//! `sidekey caller rotate`: another token for a caller.

use clap::Args;

use crate::cli::acts::{Acts, Done};
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;

const EXAMPLES: &str = "\
Examples:
  sidekey caller rotate etl";

/// Give a caller another token
///
/// The former token is worth nothing from the next request on. The new one is shown this once.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The caller
    name: Name,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let opened = Opened::existing(session)?;
    let acts = Acts::open(&opened.config)?;
    let listed = opened.vault.caller_named(&arguments.name)?;
    let (token, receipt) = opened.vault.rotate_caller(&listed.caller.id)?;
    acts.record(&Done { act: "caller.rotate", receipt: &receipt, details: &[] }, session)?;
    session
        .screen
        .note(format!("The caller `{}` has another token; the former is worth nothing now.", arguments.name))?;
    super::show_token(arguments.name.as_str(), &token, &opened.config, session)
}
