//! `sidekey ca rotate`: another certificate authority.

use std::time::Duration;

use clap::Args;

use crate::cli::moment;
use crate::cli::session::Session;
use crate::operations::{AuthorityState, Overlap};
use crate::record::duration;

const EXAMPLES: &str = "\
Examples:
  sidekey ca rotate                   signs in 30 days; trust it until then
  sidekey ca rotate --overlap 7d
  sidekey ca rotate --now             after a leak: signs at once";

/// Make another certificate authority
///
/// The new one is handed out beside the present one at once, by `ca export`, `ca install` and /-/ca.pem, and takes over the
/// signing when the overlap is over, so that every client can learn to trust it before it meets it. The former is then
/// destroyed with its key. With --now there is no overlap: clients that do not trust the new one yet are cut off until they
/// do. A running proxy follows within a second. What stands in `[intercept] hosts` limits the new one.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[group(multiple = false)]
pub(in crate::cli) struct Arguments {
    /// How long clients have to learn to trust it, such as 7d
    #[arg(long, value_name = "TIME", value_parser = overlap, default_value = "30d")]
    overlap: Duration,
    /// Have it sign at once; also ends an overlap that is under way
    #[arg(long)]
    now: bool,
}

fn overlap(text: &str) -> Result<Duration, String> {
    duration(text).map_err(|_| "write a duration such as 24h or 30d".to_owned())
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let opened = super::opened(session)?;
    let seconds = i64::try_from(arguments.overlap.as_secs()).unwrap_or(i64::MAX);
    let overlap = if arguments.now { Overlap::None } else { Overlap::Seconds(seconds) };
    opened.operations.rotate_authority(&opened.actor, overlap)?;
    let authorities = super::trusted(&opened)?;
    let Some(newest) = authorities.last() else { return Ok(()) };
    let screen = &mut session.screen;
    if newest.state == AuthorityState::Next {
        let from = moment::shown(newest.signs_from.as_second());
        screen.say(format!("{} signs from {from} UTC on. Until then have every client trust it:", newest.name))?;
    } else {
        screen.say(format!("{} signs now. Clients that do not trust it yet are cut off:", newest.name))?;
    }
    screen.say("  sidekey ca install          on this machine")?;
    Ok(screen.say("  sidekey ca export           for all others")?)
}
