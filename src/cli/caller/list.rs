//! `sidekey caller list`.

use clap::Args;

use super::perimeter;
use crate::cli::moment;
use crate::cli::opened::{self, Opened};
use crate::cli::session::Session;
use crate::cli::table::List;

const EXAMPLES: &str = "\
Examples:
  sidekey caller list
  sidekey caller list --json | jq -r '.items[].name'";

/// List the callers
///
/// Shows every caller, whom it belongs to, where it must come from and when it was last seen; noted once a minute. Tokens are never shown.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// Print JSON: {"version":1,"items":[…]}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let mut list = List::new(
        &["NAME", "OWNER", "ENV", "PROOF", "FROM", "WEIGHT", "ADDED", "LAST SEEN"],
        "There is no caller yet; `sidekey caller add NAME` adds one.",
    );
    if opened::has_store(&session.load()?.config)? {
        let now = session.now();
        let Opened { operations, actor, .. } = Opened::or_make(session)?;
        for caller in operations.callers(&actor)? {
            let proof = match caller.former_token_until {
                Some(until) => format!("token, former until {}", moment::shown(until.as_second())),
                None if caller.has_token => "token".to_owned(),
                None => "none, in mode open".to_owned(),
            };
            let row = vec![
                caller.name.to_string(),
                caller.owner.to_string(),
                caller.environment.as_ref().map(ToString::to_string).unwrap_or_default(),
                proof,
                perimeter::in_words(&caller),
                caller.weight.to_string(),
                moment::ago(caller.created_at.as_second(), now),
                caller.last_used_at.map_or_else(|| "never".to_owned(), |at| moment::ago(at.as_second(), now)),
            ];
            list.add(row, serde_json::to_value(&caller)?);
        }
    }
    Ok(list.show(arguments.json, &mut session.screen)?)
}
