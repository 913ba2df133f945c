//! `sidekey service list`.

use clap::Args;

use crate::cli::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey service list
  sidekey service list --custom           only what proxy.toml adds or changes
  sidekey service list --json | jq -r '.items[].name'";

/// List the services
///
/// Shows every service with the place of its key and its hosts.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// Only services that stand in proxy.toml
    #[arg(long)]
    custom: bool,
    /// Print JSON: {"version":1,"items":[…]}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let config = session.load()?.config;
    let services = config.services.iter().map(|entry| &entry.service);
    let wanted = services.filter(|service| !arguments.custom || service.declared || !service.built_in);
    let empty = if arguments.custom { "proxy.toml adds and changes no service." } else { "There is no service." };
    Ok(super::listed(wanted, empty).show(arguments.json, &mut session.screen)?)
}
