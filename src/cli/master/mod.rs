//! `sidekey master`: the key that all values are sealed under, and the slots that it is reached by. No command shows it.

mod rotate;
mod slot;

use std::path::PathBuf;

use clap::Subcommand;

use crate::domain::KeyPlace;

use super::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey master rotate
  sidekey master rotate --to-file /run/secrets/sidekey.key
  sidekey master slot add --passphrase-env SIDEKEY_PASSPHRASE
  sidekey master slot list";

/// The master key: rotate, slot
///
/// Every value is sealed under a data key of its own, and every data key is wrapped by the master key, which stands in the
/// store only as each of its slots wraps it. No command shows it.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(super) enum Command {
    Rotate(rotate::Arguments),
    #[command(subcommand)]
    Slot(slot::Command),
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::Rotate(arguments) => rotate::run(&arguments, session),
        Command::Slot(command) => slot::run(command, session),
    }
}

/// The place that arguments name, when they name one.
fn place(
    session: &Session,
    file: Option<&PathBuf>,
    env: Option<&String>,
    passphrase_env: Option<&String>,
    command: Option<&Vec<String>>,
) -> Option<KeyPlace> {
    let file = file.map(|path| KeyPlace::File(session.environment.folder().join(path)));
    file.or_else(|| env.cloned().map(KeyPlace::Env))
        .or_else(|| passphrase_env.cloned().map(KeyPlace::PassphraseEnv))
        .or_else(|| command.cloned().map(KeyPlace::Command))
}

/// What `proxy.toml` has to say for a place.
fn toml_of(place: &KeyPlace) -> String {
    let text = |text: &str| toml::Value::String(text.to_owned());
    let (key, value) = match place {
        KeyPlace::File(path) => ("file", text(&path.display().to_string())),
        KeyPlace::Env(name) => ("env", text(name)),
        KeyPlace::PassphraseEnv(name) => ("passphrase_env", text(name)),
        KeyPlace::Command(argv) => ("command", toml::Value::Array(argv.iter().map(|part| text(part)).collect())),
    };
    format!("master_key = {{ {key} = {value} }}")
}
