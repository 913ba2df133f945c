//! `sidekey user list`.

use clap::Args;

use crate::cli::moment;
use crate::cli::opened::{self, Opened};
use crate::cli::session::Session;
use crate::cli::table::{List, joined};

const EXAMPLES: &str = "\
Examples:
  sidekey user list
  sidekey user list --json | jq -r '.items[] | select(.role == \"admin\") | .name'";

/// List the users
///
/// Shows every user with its role, its teams, and how many keys and callers belong to it.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// Print JSON: {"version":1,"items":[…]}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let mut list = List::new(
        &["NAME", "ROLE", "TEAMS", "KEYS", "CALLERS", "ADDED"],
        "There is no store yet; `sidekey user add NAME` makes one.",
    );
    if opened::has_store(&session.load()?.config)? {
        let now = session.now();
        let Opened { operations, actor, .. } = Opened::or_make(session)?;
        for user in operations.users(&actor)? {
            let count = |number: Option<usize>| number.map(|number| number.to_string()).unwrap_or_default();
            let row = vec![
                user.name.to_string(),
                user.role.to_owned(),
                joined(&user.teams),
                count(user.keys),
                count(user.callers),
                moment::ago(user.created_at.as_second(), now),
            ];
            list.add(row, serde_json::to_value(&user)?);
        }
    }
    Ok(list.show(arguments.json, &mut session.screen)?)
}
