//! `sidekey limits reset`.

use clap::Args;

use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::table::counted;
use crate::domain::{GateReset, Name};

const EXAMPLES: &str = "\
Examples:
  sidekey limits reset github
  sidekey limits reset openai --owner acme
  sidekey limits reset github --bucket search";

/// Have the running proxy forget what it found out of a service's limits
///
/// Who waits for the service is let through within a second. What the service allows does not change by it: when it refuses
/// again, that is learnt again. For after a limit was raised, or a key moved to another account.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The service
    service: Name,
    /// For this limit owner alone, as `sidekey limits list` shows it
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// For this bucket alone, as `sidekey limits list` shows it
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<String>,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::existing(session)?.ready()?;
    let Arguments { service, owner, bucket } = arguments;
    let reset = GateReset { service: service.clone(), owner: owner.clone(), bucket: bucket.clone() };
    let noted = operations.reset_gates(&actor, &reset)?;
    let whose = owner.as_ref().map(|owner| format!(" for {owner}")).unwrap_or_default();
    let which = bucket.as_ref().map(|bucket| format!(", bucket {bucket}")).unwrap_or_default();
    let how_much = if noted == 0 { "nothing was noted of them".to_owned() } else { counted(noted, "gate") };
    session.screen.say(format!(
        "A running proxy forgets within a second what it found out of the limits of {service}{whose}{which}: {how_much}."
    ))?;
    Ok(())
}
