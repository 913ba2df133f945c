//! `sidekey team list`.

use clap::Args;

use crate::cli::moment;
use crate::cli::opened::{self, Opened};
use crate::cli::session::Session;
use crate::cli::table::{List, joined};

const EXAMPLES: &str = "\
Examples:
  sidekey team list
  sidekey team list --json | jq -r '.items[] | select(.members | index(\"ada\")) | .name'";

/// List the teams
///
/// Shows every team and who is in it.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// Print JSON: {"version":1,"items":[…]}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let mut list = List::new(&["NAME", "MEMBERS", "ADDED"], "There is no team yet; `sidekey team add NAME` adds one.");
    if opened::has_store(&session.load()?.config)? {
        let now = session.now();
        let Opened { operations, actor, .. } = Opened::or_make(session)?;
        for team in operations.teams(&actor)? {
            let age = moment::ago(team.created_at.as_second(), now);
            list.add(vec![team.name.to_string(), joined(&team.members), age], serde_json::to_value(&team)?);
        }
    }
    Ok(list.show(arguments.json, &mut session.screen)?)
}
