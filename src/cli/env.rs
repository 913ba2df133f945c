//! `sidekey env`: what `sidekey run` sets, as text for others to set.

use clap::{Args, ValueEnum};

use super::ca;
use super::session::Session;
use super::surroundings::{self, Variable, Way};
use crate::domain::Name;

const EXAMPLES: &str = "\
Examples:
  eval \"$(sidekey env)\"
  SIDEKEY_TOKEN=… ; eval \"$(sidekey env --as etl)\"
  sidekey env --format systemd >> worker.env.conf
  sidekey env --format github >> \"$GITHUB_ENV\"";

/// Print the variables that send a program through the proxy
///
/// The proxy and trust variables that `sidekey run` sets, and words in the place of keys for SDKs that insist on one, as lines
/// for a shell, a systemd unit, a Dockerfile or a step of GitHub Actions. The files that they name are written beside the store.
/// A caller's token is never printed: with --as, it is taken from the variable SIDEKEY_TOKEN where the lines are used.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The caller whose token is in SIDEKEY_TOKEN
    #[arg(long = "as", value_name = "CALLER")]
    caller: Option<Name>,
    /// For what the lines are
    #[arg(long, value_name = "FORMAT", default_value = "sh")]
    format: Format,
}

/// For what lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A shell: `export NAME="value"`
    Sh,
    /// A systemd unit: `Environment="NAME=value"`
    Systemd,
    /// A Dockerfile: `ENV NAME="value"`
    Docker,
    /// A step of GitHub Actions: `NAME=value`
    Github,
}

impl Format {
    /// Where the token comes from.
    const fn token(self) -> &'static str {
        match self {
            Self::Sh | Self::Systemd | Self::Docker => "${SIDEKEY_TOKEN}",
            Self::Github => "${{ secrets.SIDEKEY_TOKEN }}",
        }
    }

    /// One line. No value has a quote or a backslash in it but what a person put into a path.
    fn line(self, (name, value): &Variable) -> String {
        let quoted = || value.replace('\\', "\\\\").replace('"', "\\\"");
        match self {
            Self::Sh => format!("export {name}=\"{}\"", quoted().replace('`', "\\`")),
            Self::Systemd => format!("Environment=\"{name}={}\"", quoted()),
            Self::Docker => format!("ENV {name}=\"{}\"", quoted()),
            Self::Github => format!("{name}={value}"),
        }
    }
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let opened = ca::opened(session)?;
    let user = match &arguments.caller {
        None => String::new(),
        Some(name) => {
            opened.operations.caller(&opened.actor, name)?;
            format!("{name}:{}@", arguments.format.token())
        }
    };
    for variable in surroundings::variables(&opened, &Way { user, mute: None }, session)? {
        session.screen.say(arguments.format.line(&variable))?;
    }
    Ok(())
}
