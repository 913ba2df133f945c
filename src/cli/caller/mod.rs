//! `sidekey caller`: the workflows and runners that may ask, each with a token of its own.

mod add;
mod delete;
mod edit;
mod list;
mod perimeter;
mod rotate;

use clap::Subcommand;

use crate::config::{CallersMode, Config};
use crate::domain::Weight;
use crate::operations::CallerView;
use crate::vault::Token;

use super::session::Session;
use super::ways;

const EXAMPLES: &str = "\
Examples:
  sidekey caller add etl --env prod
  TOKEN=$(sidekey caller add etl)            the token alone is on the standard output
  sidekey caller list
  sidekey caller rotate etl --overlap 24h    the former token goes on for a day
  sidekey caller edit etl --from 10.1.0.0/16";

/// Callers: add, list, rotate, edit, delete
///
/// A caller is a workflow or runner. It proves who it is by its token, belongs to a user, and uses that user's keys and those
/// shared with it. Proof is demanded with `mode = "token"` under [callers] in proxy.toml; in the mode `open` a caller without
/// proof is `local`.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(super) enum Command {
    Add(add::Arguments),
    List(list::Arguments),
    Rotate(rotate::Arguments),
    Edit(edit::Arguments),
    Delete(delete::Arguments),
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::Add(arguments) => add::run(&arguments, session),
        Command::List(arguments) => list::run(&arguments, session),
        Command::Rotate(arguments) => rotate::run(&arguments, session),
        Command::Edit(arguments) => edit::run(&arguments, session),
        Command::Delete(arguments) => delete::run(&arguments, session),
    }
}

/// Whose a caller is, for which environment and from where.
fn in_short(caller: &CallerView) -> String {
    let environment = caller.environment.as_ref().map(|name| format!(", environment {name}")).unwrap_or_default();
    let bounded = !caller.from.is_empty() || !caller.peer_uids.is_empty();
    let from = if bounded { format!(", from {}", perimeter::in_words(caller)) } else { String::new() };
    let turns = if caller.weight == 1 { String::new() } else { format!(", weight {}", caller.weight) };
    format!("owner {}{environment}{from}{turns}", caller.owner)
}

/// Reads how many turns a caller is to have.
fn weight(text: &str) -> Result<Weight, String> {
    let turns = text.parse().ok().and_then(Weight::new);
    turns.ok_or_else(|| format!("expected a number of turns from 1 to {}", Weight::MOST))
}

/// Shows a fresh token: alone on the standard output, how to use it beside.
fn show_token(name: &str, token: &Token, config: &Config, session: &mut Session) -> anyhow::Result<()> {
    session.screen.note("Its token is shown this once and kept only as a hash:")?;
    session.screen.say(token.reveal())?;
    session.screen.out.flush()?;
    if let Some(proxy) = ways::proxy_url(&config.listen.proxy) {
        let with_token = proxy.replacen("http://", &format!("http://{name}:TOKEN@"), 1);
        session.screen.note("It proves who it is in one of two ways:")?;
        session.screen.note(format!("  proxy      HTTP_PROXY={with_token}"))?;
        session
            .screen
            .note(format!("  base URL   {proxy}/SERVICE, and the token where the service's own key would stand"))?;
    }
    if config.callers == CallersMode::Open {
        session
            .screen
            .note("Proof is not demanded yet: set mode = \"token\" under [callers] in proxy.toml for that.")?;
    }
    Ok(())
}
