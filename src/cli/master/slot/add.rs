//! `sidekey master slot add`: another place that opens the store.

use std::path::PathBuf;

use clap::Args;

use crate::app;
use crate::cli::failure::wrong_use;
use crate::cli::master::{place, toml_of};
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;

const EXAMPLES: &str = "\
Examples:
  sidekey master slot add --passphrase-env SIDEKEY_PASSPHRASE     for when everything else is lost
  sidekey master slot add --file /media/stick/sidekey.key --name stick
  sidekey master slot add --env SIDEKEY_MASTER_KEY
  sidekey master slot add --command pass show sidekey";

/// Make a slot: another place that opens the store
///
/// The master key is wrapped by the key that is kept there. A key file that is absent is made, with a fresh key, for its owner
/// alone; a variable and a command must yield 32 bytes as base64, as `openssl rand -base64 32` prints; from a passphrase, the
/// key is derived by Argon2id. There can be eight slots.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// What to call it [default: file, env, passphrase or command]
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
    /// Take the key from this file, or make it with a fresh one
    #[arg(long, value_name = "FILE", group = "place")]
    file: Option<PathBuf>,
    /// Take the key from this environment variable: 32 bytes as base64
    #[arg(long, value_name = "VAR", group = "place")]
    env: Option<String>,
    /// Derive the key from the passphrase in this environment variable
    #[arg(long, value_name = "VAR", group = "place")]
    passphrase_env: Option<String>,
    /// Take the key from what this command prints: 32 bytes as base64
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true, group = "place")]
    command: Option<Vec<String>>,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Arguments { name, file, env, passphrase_env, command } = arguments;
    let place = place(session, file.as_ref(), env.as_ref(), passphrase_env.as_ref(), command.as_ref());
    let Some(place) = place else {
        return Err(wrong_use("say where the slot's key is kept: --file, --env, --passphrase-env or --command"));
    };
    let Opened { config, operations, actor } = Opened::or_make(session)?.ready()?;
    let present = app::master_key_source(&config, &session.environment)?;
    let source = app::key_source(&place, &session.environment)?;
    let name = operations.add_slot(&actor, &present, name.clone(), &source)?;
    session.screen.say(format!("{} opens the store from now on, by the slot `{name}`.", upper(&place.to_string())))?;
    Ok(session.screen.say(format!("Where it is to be used, write into proxy.toml:\n  {}", toml_of(&place)))?)
}

/// With a capital letter, to begin a sentence.
fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
