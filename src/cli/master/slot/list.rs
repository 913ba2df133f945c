//! `sidekey master slot list`.

use clap::Args;

use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::table::List;

const EXAMPLES: &str = "\
Examples:
  sidekey master slot list
  sidekey master slot list --json | jq -r '.items[].name'";

/// List the slots of the master key
///
/// Shows what each is called and where its key is kept; the keys themselves are never shown.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// Print JSON: {"version":1,"items":[…]}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let now = session.now();
    let Opened { operations, actor, .. } = Opened::existing(session)?;
    let mut list = List::new(&["NAME", "KIND", "KEPT IN", "MADE"], "The store has no slot yet.");
    for slot in operations.slots(&actor)? {
        let place = slot.place.clone().unwrap_or_else(|| "(not written by sidekey)".to_owned());
        let made = moment::ago(slot.created_at.as_second(), now);
        list.add(vec![slot.name.to_string(), slot.kind.to_owned(), place, made], serde_json::to_value(&slot)?);
    }
    Ok(list.show(arguments.json, &mut session.screen)?)
}
