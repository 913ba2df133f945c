//! `sidekey limits`: what the running proxy found out of the limits of services.

mod list;
mod reset;

use clap::Subcommand;

use super::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey limits list
  sidekey limits reset github";

/// See what services were found to allow, and have it forgotten
///
/// Their own limits are set by `rate` in proxy.toml and shown by `sidekey service show`; these are those that services told
/// of, or that were met.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(super) enum Command {
    List(list::Arguments),
    Reset(reset::Arguments),
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::List(args) => list::run(&args, session),
        Command::Reset(args) => reset::run(&args, session),
    }
}
