//! `sidekey caller rotate`: another token for a caller.

use std::time::Duration;

use clap::Args;

use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;
use crate::operations::TokenShown;
use crate::record::duration;

const EXAMPLES: &str = "\
Examples:
  sidekey caller rotate etl
  sidekey caller rotate etl --overlap 24h";

/// Give a caller another token
///
/// The new token is shown this once. The former is worth nothing from the next request on, or goes on for the time of
/// --overlap beside the new one and then ends by itself. A token that was former already ends in any case.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The caller
    name: Name,
    /// How long the former token goes on, such as 30m, 24h or 7d
    #[arg(long, value_name = "TIME", value_parser = overlap)]
    overlap: Option<Duration>,
}

fn overlap(text: &str) -> Result<Duration, String> {
    duration(text).map_err(|_| "write a duration such as 30m, 24h or 7d".to_owned())
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { config, operations, actor } = Opened::existing(session)?;
    let TokenShown { caller, token } = operations.rotate_caller(&actor, &arguments.name, arguments.overlap)?;
    let former = match caller.former_token_until {
        Some(until) => format!("goes on until {} UTC", moment::shown_to_the_second(until.as_second())),
        None => "is worth nothing now".to_owned(),
    };
    session.screen.note(format!("The caller `{}` has another token; the former {former}.", caller.name))?;
    super::show_token(caller.name.as_str(), &token, &config, session)
}
