//! `sidekey up`: the first command on a fresh machine. Serves like `serve`, makes what is missing, and tells a person what to
//! do next.

use std::io::Write as _;

use clap::Args;

use crate::app::Running;
use crate::config::{CallersMode, Config, ListenAddress};
use crate::domain::{KeyPlace, Service};

use super::opened::Opened;
use super::session::{Screen, Session};
use super::table::show_facts;
use super::{local, logging, login, serve, ways};

/// The service that the examples call when there is no other.
const EXAMPLE: &str = "stripe";

const EXAMPLES: &str = "\
Examples:
  sidekey up
  sidekey --config team.toml up
  sidekey up --quiet                      logs only, like `serve`";

/// Start the proxy and make what is missing
///
/// Creates the data folder, the store and the master key when they are not there, serves, and prints the proxy's address, the
/// console's with a one-time login link, how to add a key, and how to call a service. Running it twice is harmless: the
/// second one says that a proxy runs already.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Do not print the introduction
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let config = session.load()?.config;
    if let Some(address) = running_already(&config) {
        session.screen.say(format!("A proxy is running already on {address}; nothing was started."))?;
        if let Some(console) = console_of(&config) {
            let link = login_link(&console, session)?;
            show_facts(&[("console", link)], &mut session.screen)?;
        }
        session.screen.say("")?;
        return introduce(&config, &mut session.screen);
    }
    logging::start(if session.screen.error_is_terminal { "warn" } else { "info" }, session)?;
    let missing = missing(&config);
    serve::serve(session, |running, session| {
        if arguments.quiet {
            return Ok(());
        }
        let console = running.console().map(|address| login_link(address, session)).transpose()?;
        let screen = &mut session.screen;
        let title = screen.bold("sidekey is up.");
        screen.say(title)?;
        screen.say("")?;
        show_facts(&addresses(running, console, &config, &missing), screen)?;
        screen.say("")?;
        introduce(&config, screen)?;
        screen.say("")?;
        screen.say("Ctrl-C ends it.")?;
        Ok(screen.out.flush()?)
    })
}

/// What will have been made.
fn missing(config: &Config) -> Vec<String> {
    let mut paths = Vec::new();
    if !config.store.exists() {
        paths.push(format!("{} (the store)", config.store.display()));
    }
    if let KeyPlace::File(path) = &config.master_key
        && !path.exists()
    {
        paths.push(format!("{} (the master key: keep a copy in a safe place)", path.display()));
    }
    paths
}

fn addresses(
    running: &Running,
    console: Option<String>,
    config: &Config,
    missing: &[String],
) -> Vec<(&'static str, String)> {
    let shown =
        |address: &String| if address.starts_with("unix:") { address.clone() } else { format!("http://{address}") };
    let mut facts = vec![("proxy", running.addresses().iter().map(shown).collect::<Vec<_>>().join("\n"))];
    facts.extend(console.map(|link| ("console", link)));
    let tcp = running.console().filter(|address| !address.starts_with("unix:"));
    facts.extend(tcp.map(|address| ("metrics", format!("http://{address}/metrics"))));
    if !missing.is_empty() {
        facts.push(("made", missing.join("\n")));
    }
    if config.callers == CallersMode::Token {
        facts.push(("callers", "prove who they are by a token: sidekey caller add NAME".to_owned()));
    }
    facts
}

/// Where a person logs in to the console at `address`: a link with a one-time code, or the code beside a socket.
fn login_link(address: &str, session: &Session) -> anyhow::Result<String> {
    let opened = Opened::or_make(session)?;
    let shown = opened.operations.add_code(&opened.actor, None)?;
    let code = shown.token.reveal();
    Ok(if address.starts_with("unix:") { format!("{address}  {code}") } else { login::linked(address, code) })
}

/// The console's address as it is configured; none when only the running process knows its port.
fn console_of(config: &Config) -> Option<String> {
    config.listen.console.as_ref().and_then(|address| match address {
        ListenAddress::Tcp(address) if address.port() == 0 => None,
        address => Some(address.to_string()),
    })
}

/// How to add a key, and the ways to use it.
fn introduce(config: &Config, screen: &mut Screen) -> anyhow::Result<()> {
    let own = config.services.iter().map(|entry| &*entry.service).find(|service| service.declared || !service.built_in);
    let service: Option<&Service> = own.or_else(|| config.service(EXAMPLE).map(|entry| &*entry.service));
    let Some(service) = service else { return Ok(()) };
    let (name, none) = (&service.name, std::collections::BTreeMap::new());
    screen.say("Add a key (its value is asked for, sealed, and never shown again):")?;
    screen.say(format!("  sidekey key add {name}"))?;
    screen.say(format!("  sidekey service search WORD      one of {} services, or your own", config.services.len()))?;
    screen.say("")?;
    screen.say("Then call the service without it, in one of these ways:")?;
    Ok(show_facts(&ways::ways(config, service, &none), screen)?)
}

/// The address on which a sidekey answers already.
fn running_already(config: &Config) -> Option<&ListenAddress> {
    let fixed = |address: &&ListenAddress| matches!(address, ListenAddress::Tcp(address) if address.port() != 0);
    config.listen.proxy.iter().filter(fixed).find(|address| local::is_sidekey(address))
}
