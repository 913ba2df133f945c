//! `sidekey caller list`.

use clap::Args;
use serde_json::json;

use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::table::List;
use crate::domain::Name;

const EXAMPLES: &str = "\
Examples:
  sidekey caller list
  sidekey caller list --json | jq -r '.items[].name'";

/// List the callers
///
/// Shows every caller, whom it belongs to and when it was last seen. Tokens are never shown.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// Print JSON: {"version":1,"items":[…]}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let mut list = List::new(
        &["NAME", "OWNER", "ENV", "PROOF", "ADDED", "LAST SEEN"],
        "There is no caller yet; `sidekey caller add NAME` adds one.",
    );
    if session.load()?.config.store.exists() {
        let now = session.now();
        for listed in Opened::or_make(session)?.vault.callers()? {
            let caller = &listed.caller;
            let environment = caller.environment.as_ref().map(Name::as_str);
            let proof = if caller.token_digest.is_some() { "token" } else { "none, in mode open" };
            let row = vec![
                caller.name.to_string(),
                listed.owner_name.to_string(),
                environment.unwrap_or_default().to_owned(),
                proof.to_owned(),
                moment::ago(listed.created_at, now),
                listed.last_used_at.map_or_else(|| "never".to_owned(), |at| moment::ago(at, now)),
            ];
            let item = json!({
                "name": caller.name.as_str(),
                "id": caller.id.as_str(),
                "owner": listed.owner_name.as_str(),
                "environment": environment,
                "has_token": caller.token_digest.is_some(),
                "created_at": moment::rfc3339(listed.created_at),
                "last_used_at": listed.last_used_at.map(moment::rfc3339),
            });
            list.add(row, item);
        }
    }
    Ok(list.show(arguments.json, &mut session.screen)?)
}
