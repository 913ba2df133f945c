//! `sidekey key verify`: tries a key at its service. Also what `key add` and `key rotate` say of a try.

use clap::Args;

use super::Which;
use crate::app;
use crate::cli::failure::Reported;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::table::show_items;
use crate::operations::{OperationError, Verdict, Verification};

const EXAMPLES: &str = "\
Examples:
  sidekey key verify stripe
  sidekey key verify stripe --json
  sidekey key verify stripe || mail -s 'the key is refused' ada@example.com";

/// Try a key at its service
///
/// Makes the one harmless call that the service's record names for this, with the key placed as the proxy places it, and says
/// what came back and what it means. Works whether or not a proxy is running; the limits of the proxy do not apply. Exits with
/// 0 when the service takes the key, else with 1. The key's value and the answer's body are never shown.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Print JSON: {"version":1,"items":[…]} with the one call
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let opened = Opened::existing(session)?.ready()?;
    let Opened { config, operations, actor } = &opened;
    let probe = app::probe(config)?;
    let verification = match operations.verify_key(actor, &arguments.which.reference(), &probe) {
        Err(OperationError::Declared(name)) => {
            let declared = config.credentials.iter().find(|declared| declared.name == name);
            let declared = declared.ok_or(OperationError::Declared(name))?;
            let fields = app::declared_value(declared, &session.environment)?;
            operations.verify_declared(actor, declared, &fields, &probe)?
        }
        other => other?,
    };
    if arguments.json {
        show_items(&[serde_json::to_value(&verification)?], &mut session.screen)?;
    } else {
        let name = &arguments.which.name;
        session.screen.say(told(&verification, &format!("the key `{name}`")))?;
        if let (Verdict::Refused, Some(url)) = (verification.verdict, &verification.key_url) {
            session.screen.say(format!("A new one: {url}, then: sidekey key rotate {name} --verify"))?;
        }
    }
    must_work(&verification)
}

/// Passes a key that works.
///
/// # Errors
/// When it does not, or nothing is known; what was found has been said already.
pub(super) fn must_work(verification: &Verification) -> anyhow::Result<()> {
    if verification.verdict == Verdict::Works { Ok(()) } else { Err(Reported.into()) }
}

/// What came back and what it means. `key` is such as `the new value`.
pub(super) fn told(verification: &Verification, key: &str) -> String {
    let Verification { verdict, call, status, why, .. } = verification;
    let answered = match (status, why) {
        (Some(status), _) => format!("{call} answered {status}"),
        (None, why) => format!("{call} could not be asked ({})", why.as_deref().unwrap_or("no answer")),
    };
    let meaning = match verdict {
        Verdict::Works => format!("{key} works."),
        Verdict::Refused => format!("the service does not take {key}."),
        Verdict::Limited => format!("it answers nobody so often now, so nothing is known of {key}. Try again later."),
        Verdict::Unclear => format!("that says neither that {key} works nor that it does not."),
        Verdict::Unreachable => format!("nothing is known of {key}. Look at the network, `base_url` and `upstream`."),
    };
    format!("{answered}: {meaning}")
}
