//! `sidekey token`: tokens of the admin API, for programs.

mod add;
mod list;
mod revoke;

use clap::Subcommand;

use super::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey token add deploy                shown this once
  sidekey token add ci --user ada --expires 90d
  sidekey token list
  sidekey token revoke deploy";

/// Tokens of the admin API: add, list, revoke
///
/// A program shows a token to the admin API on the console's address, as `Authorization: Bearer`. It may do there what its
/// user may.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(super) enum Command {
    Add(add::Arguments),
    List(list::Arguments),
    Revoke(revoke::Arguments),
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::Add(arguments) => add::run(&arguments, session),
        Command::List(arguments) => list::run(&arguments, session),
        Command::Revoke(arguments) => revoke::run(&arguments, session),
    }
}
