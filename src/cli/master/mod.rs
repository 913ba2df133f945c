//! `sidekey master`: the key that all values are sealed under. No command shows it.

mod rotate;

use clap::Subcommand;

use super::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey master rotate
  sidekey master rotate --to-file /run/secrets/sidekey.key";

/// The master key: rotate
///
/// Every value is sealed under a data key of its own, and every data key is wrapped by the master key, which never stands in
/// the store. No command shows it.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(super) enum Command {
    Rotate(rotate::Arguments),
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::Rotate(arguments) => rotate::run(&arguments, session),
    }
}
