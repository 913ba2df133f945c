//! `sidekey key rotate`: a new value for a key.

use std::time::Duration;

use clap::Args;

use super::{Which, verify};
use crate::app;
use crate::cli::failure::wrong_use;
use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::values::Source;
use crate::operations::{LONGEST_OVERLAP, Verdict};

const EXAMPLES: &str = "\
Examples:
  sidekey key rotate stripe
  sidekey key rotate stripe --verify
  sidekey key rotate stripe --overlap 1h
  vault-tool read stripe | sidekey key rotate stripe --stdin
  sidekey key rotate stripe --from-file new-key.txt && rm new-key.txt";

/// Give a key a new value
///
/// The next request uses the new value; requests that are under way finish with the old one. The old value is kept, so that
/// `sidekey key rollback` can bring it back: revoke it at the service when the new one works.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Try the new value at the service first; when it does not work, nothing is changed
    #[arg(long)]
    verify: bool,
    /// For so long, send what the service refuses with the new value once more with the old one; such as 1h, at most 7d
    ///
    /// A service may need a while until it takes a new value everywhere. A request without a body that it answers with 401 is
    /// sent once more with the value before, is counted by a metric, and stands in the audit with the version that carried it.
    #[arg(long, value_name = "DURATION", value_parser = super::span)]
    overlap: Option<Duration>,
    #[command(flatten)]
    source: Source,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    if arguments.overlap.is_some_and(|overlap| overlap > LONGEST_OVERLAP) {
        return Err(wrong_use(
            "--overlap is at most 7d: an old value that is needed for longer should stay the current one",
        ));
    }
    let Opened { config, operations, actor } = Opened::existing(session)?.ready()?;
    let key = operations.changeable_key(&actor, &arguments.which.reference())?;
    let fields = arguments.source.read(&operations.service(&key.service)?, session)?;
    if arguments.verify {
        let verification = operations.try_value(&actor, &key.reference(), &fields, &app::probe(&config)?)?;
        session.screen.say(verify::told(&verification, "the new value"))?;
        if verification.verdict != Verdict::Works {
            session.screen.note(format!("Nothing was changed: `{}` keeps the value that it has.", key.name))?;
        }
        verify::must_work(&verification)?;
    }
    let key = operations.rotate_key(&actor, &key.reference(), &fields, arguments.overlap)?;
    let name = &key.name;
    session.screen.say(format!("The key `{name}` has a new value (version {}).", super::version(&key)))?;
    session.screen.say("The next request uses it; requests that are under way finish with the old value.")?;
    if let Some(until) = key.fallback_until {
        let until = moment::shown(until.as_second());
        session
            .screen
            .say(format!("Until {until} UTC the old value is used where the service refuses the new one."))?;
    }
    session.screen.say(format!("Should it not work: sidekey key rollback {name}"))?;
    Ok(())
}
