//! The command line: one file a subcommand. Each takes its arguments and a [`Session`], does one thing, and says what it
//! did; what it knows of keys, services and requests it asks of the floors below.
//!
//! Invariants: no secret's value is taken as an argument or printed; results go to the standard output and everything else
//! to the standard error; nothing is asked of a person unless a terminal is there to answer.

mod arguments;
mod around;
mod failure;
mod local;
mod logging;

mod moment;
mod opened;
mod refuse;
mod relay;
mod session;
mod surroundings;
mod table;
mod values;
mod variables;
mod ways;

mod audit;
mod backup;
mod ca;
mod caller;
mod check;
mod completions;
mod demo;
mod doctor;
mod env;
mod explain;
mod key;
mod limits;
mod login;
mod man;
mod master;
mod restore;
mod run;
mod serve;
mod service;
mod team;
mod token;
mod up;
mod usage;
mod user;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches as _;

use arguments::{Cli, Command};
use session::Session;

/// Runs the command that the process was started with and returns its exit code: 0 done, 1 failed, 2 wrong use or wrong
/// configuration.
pub fn main() -> ExitCode {
    crate::app::prefer_small_pages();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let mut session = Session::of_process();
    let parsed = arguments::command()
        .try_get_matches_from(&arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| refuse::without_values(error, &arguments));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; that they cannot be written is nobody's business.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    session.config = cli.config;
    match run(cli.command, &mut session) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error, &mut session),
    }
}

fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::Up(args) => up::run(&args, session),
        Command::Serve(args) => serve::run(&args, session),
        Command::Check(args) => check::run(&args, session),
        Command::Demo(args) => demo::run(&args, session),
        Command::Doctor(args) => doctor::run(&args, session),
        Command::Service(command) => service::run(command, session),
        Command::Key(command) => key::run(command, session),
        Command::Caller(command) => caller::run(command, session),
        Command::User(command) => user::run(command, session),
        Command::Team(command) => team::run(command, session),
        Command::Login(args) => login::run(&args, session),
        Command::Token(command) => token::run(command, session),
        Command::Explain(args) => explain::run(&args, session),
        Command::Usage(args) => usage::run(&args, session),
        Command::Run(args) => run::run(&args, session),
        Command::Env(args) => env::run(&args, session),
        Command::Ca(command) => ca::run(command, session),
        Command::Limits(command) => limits::run(command, session),
        Command::Master(command) => master::run(command, session),
        Command::Backup(args) => backup::run(&args, session),
        Command::Restore(args) => restore::run(&args, session),
        Command::Audit(command) => audit::run(command, session),
        Command::Completions(args) => completions::run(&args, session),
        Command::Man(args) => man::run(&args, session),
    }
}

#[cfg(test)]
mod tests;
