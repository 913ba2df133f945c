//! `sidekey token list`.

use clap::Args;

use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::table::List;
use crate::operations::PassKind;

const EXAMPLES: &str = "\
Examples:
  sidekey token list
  sidekey token list --sessions           browsers that are logged in
  sidekey token list --json | jq -r '.items[].name'";

/// List the tokens of the admin API
///
/// Shows whose each is and when it expires; the tokens themselves are never shown.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The open sessions instead
    #[arg(long)]
    sessions: bool,
    /// Print JSON: {"version":1,"items":[…]}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let (kind, empty) = if arguments.sessions {
        (PassKind::Session, "No session is open; `sidekey login` prints a login link.")
    } else {
        (PassKind::Token, "There is no token yet; `sidekey token add NAME` makes one.")
    };
    let mut list = List::new(&["NAME", "USER", "MADE", "EXPIRES", "ID"], empty);
    if session.load()?.config.store.exists() {
        let now = session.now();
        let Opened { operations, actor, .. } = Opened::or_make(session)?;
        for pass in operations.passes(&actor, kind)? {
            let expires = pass.expires_at.map_or_else(|| "never".to_owned(), |at| moment::shown(at.as_second()));
            let made = moment::ago(pass.created_at.as_second(), now);
            let row = vec![pass.name.to_string(), pass.user.to_string(), made, expires, pass.id.clone()];
            list.add(row, serde_json::to_value(&pass)?);
        }
    }
    Ok(list.show(arguments.json, &mut session.screen)?)
}
