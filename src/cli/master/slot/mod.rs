//! `sidekey master slot`: the places that a key to the master key is kept at.

mod add;
mod list;
mod remove;

use clap::Subcommand;

use crate::cli::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey master slot add --passphrase-env SIDEKEY_PASSPHRASE
  sidekey master slot add --file /media/stick/sidekey.key --name stick
  sidekey master slot list
  sidekey master slot remove stick";

/// Slots of the master key: add, list, remove
///
/// Each slot holds the master key, wrapped by a key that is kept at one place: a file, an environment variable, a passphrase,
/// or whatever a command asks. Any one of them opens the store; [master_key] in proxy.toml names the place that this machine
/// has. A store has one slot from the start, for the place that [master_key] named then.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(in crate::cli) enum Command {
    Add(add::Arguments),
    List(list::Arguments),
    Remove(remove::Arguments),
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::Add(arguments) => add::run(&arguments, session),
        Command::List(arguments) => list::run(&arguments, session),
        Command::Remove(arguments) => remove::run(&arguments, session),
    }
}
