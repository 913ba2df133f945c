//! The arguments of the whole program: the global options and the list of subcommands. Each subcommand's own arguments and
//! help stand in its own file.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use super::{
    audit, backup, ca, caller, check, completions, demo, doctor, env, explain, key, limits, login, man, master,
    restore, run, serve, service, team, token, up, usage, user,
};

const END: &str = "\
Examples:
  sidekey demo                                        see what it does, without an account
  sidekey up                                          start, and make what is missing
  sidekey key add stripe                              seal a key; its value is asked for
  curl http://127.0.0.1:8080/stripe/v1/charges        call the API without the key

Exit codes:
  0  done
  1  failed
  2  wrong use, or a wrong configuration

Environment:
  SIDEKEY_LOG, RUST_LOG   what is logged, such as `info` or `sidekey=debug`
  NO_COLOR                no colours, whatever the terminal can show
  COLUMNS                 the width of tables on a terminal

Files:
  ./proxy.toml, $XDG_CONFIG_HOME/sidekey/proxy.toml, /etc/sidekey/proxy.toml
      the configuration; the first that exists counts, and none is needed
  data/
      the store, the master key and the audit log, as the configuration says";

/// Outbound credential proxy: workflows call APIs without keys, sidekey adds the key
///
/// Workflows send their requests to sidekey without credentials. It finds the service, decides whether this workflow may call
/// it, waits for the service's rate limit, opens the sealed key, puts it where the service wants it, and forwards the
/// request. The key's value never reaches the workflow.
///
/// All commands work whether or not a proxy is running, and a running proxy follows within one second.
#[derive(Debug, Parser)]
#[command(
    name = "sidekey",
    version,
    after_long_help = END,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(super) struct Cli {
    /// The configuration file
    ///
    /// Without it, the first of `./proxy.toml`, `$XDG_CONFIG_HOME/sidekey/proxy.toml` and `/etc/sidekey/proxy.toml` that
    /// exists, else the built-in defaults.
    #[arg(long, global = true, value_name = "FILE", display_order = 900)]
    pub(super) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The subcommands, in the order of the manual.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Up(up::Arguments),
    Serve(serve::Arguments),
    Check(check::Arguments),
    Demo(demo::Arguments),
    Doctor(doctor::Arguments),
    Run(run::Arguments),
    Env(env::Arguments),
    #[command(subcommand)]
    Service(service::Command),
    #[command(subcommand)]
    Key(key::Command),
    #[command(subcommand)]
    Caller(caller::Command),
    #[command(subcommand)]
    User(user::Command),
    #[command(subcommand)]
    Team(team::Command),
    Login(login::Arguments),
    #[command(subcommand)]
    Token(token::Command),
    Explain(explain::Arguments),
    Usage(usage::Arguments),
    #[command(subcommand)]
    Limits(limits::Command),
    #[command(subcommand)]
    Audit(audit::Command),
    #[command(subcommand)]
    Ca(ca::Command),
    #[command(subcommand)]
    Master(master::Command),
    Backup(backup::Arguments),
    Restore(restore::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

/// The command line as clap knows it, for parsing, completions and the manual.
pub(super) fn command() -> clap::Command {
    Cli::command()
}
