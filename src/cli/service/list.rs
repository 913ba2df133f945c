//! `sidekey service list`.

use clap::Args;

use crate::cli::opened;
use crate::cli::session::Session;
use crate::domain::Service;

const EXAMPLES: &str = "\
Examples:
  sidekey service list
  sidekey service list --custom           only what the store or proxy.toml adds or changes
  sidekey service list --json | jq -r '.items[].name'";

/// List the services
///
/// Shows every service with the place of its key and its hosts.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// Only services of the store and of proxy.toml
    #[arg(long)]
    custom: bool,
    /// Print JSON: {"version":1,"items":[…]}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let config = opened::with_stored(session)?;
    let services = config.services.iter().map(|entry| &*entry.service);
    let own = |service: &&Service| service.declared || service.stored || !service.built_in;
    let wanted = services.filter(|service| !arguments.custom || own(service));
    let empty = if arguments.custom {
        "No service is added or changed; `sidekey service add` adds your own."
    } else {
        "There is no service."
    };
    Ok(super::listed(wanted, empty).show(arguments.json, &mut session.screen)?)
}
