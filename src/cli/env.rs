//! `sidekey env`: what `sidekey run` sets, as text for others to set.

use clap::{Args, ValueEnum};

use super::ca;
use super::failure::wrong_use;
use super::session::Session;
use super::surroundings::{self, Variable, Way};
use crate::domain::Name;

const EXAMPLES: &str = "\
Examples:
  eval \"$(sidekey env)\"
  SIDEKEY_TOKEN=… ; eval \"$(sidekey env --as etl)\"
  sidekey env --format systemd >> worker.env.conf
  eval \"$(sidekey env --as etl --format github)\"       in a step that has SIDEKEY_TOKEN";

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
    /// A step of GitHub Actions: `echo "NAME=value" >> "$GITHUB_ENV"`
    Github,
}

/// Where the token comes from.
const TOKEN: &str = "${SIDEKEY_TOKEN}";

impl Format {
    /// Whether a variable is of use there: Node does not start where it may not read the file that NODE_OPTIONS names, and what an
    /// image is made from seldom has it.
    fn can_have(self, (name, _): &Variable) -> bool {
        self != Self::Docker || name != "NODE_OPTIONS"
    }

    /// One line. A value has the token's variable, which stays one, and what a person put into a path.
    fn line(self, (name, value): &Variable) -> String {
        let escaped = |special: &[char]| {
            let mut parts = value.split(TOKEN).map(|part| {
                part.chars().fold(String::new(), |mut out, c| {
                    if special.contains(&c) {
                        out.push('\\');
                    }
                    out.push(c);
                    out
                })
            });
            let first = parts.next().unwrap_or_default();
            parts.fold(first, |out, part| format!("{out}{TOKEN}{part}"))
        };
        match self {
            Self::Sh => format!("export {name}=\"{}\"", escaped(&['\\', '"', '`', '$'])),
            // Variables are not expanded there, but `%` begins a specifier (systemd.unit(5)).
            Self::Systemd => format!("Environment=\"{name}={}\"", escaped(&['\\', '"']).replace('%', "%%")),
            Self::Docker => format!("ENV {name}=\"{}\"", escaped(&['\\', '"', '$'])),
            Self::Github => {
                format!("echo \"{name}={}\" >> \"$GITHUB_ENV\"", escaped(&['\\', '"', '`', '$']))
            }
        }
    }
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let opened = ca::opened(session)?;
    let user = match &arguments.caller {
        None => String::new(),
        Some(name) if arguments.format == Format::Systemd => {
            return Err(wrong_use(format!(
                "systemd expands no variables in Environment=, so no token can come from one: write \
                 `ExecStart=sidekey run --as {name} -- COMMAND`, which has a token of its own for as long as it runs"
            )));
        }
        Some(name) => {
            opened.operations.caller(&opened.actor, name)?;
            format!("{name}:{TOKEN}@")
        }
    };
    if arguments.format == Format::Docker && arguments.caller.is_some() {
        session.screen.note("Note: the token will stand in the image, for whoever has it.")?;
        session.screen.say("ARG SIDEKEY_TOKEN")?;
    }
    let variables = surroundings::variables(&opened, &Way { user, mute: None }, session)?;
    for variable in variables.iter().filter(|variable| arguments.format.can_have(variable)) {
        session.screen.say(arguments.format.line(variable))?;
    }
    Ok(())
}
