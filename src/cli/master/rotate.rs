//! `sidekey master rotate`: everything under another master key.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use zeroize::Zeroizing;

use crate::app;
use crate::cli::failure::wrong_use;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::keys::MasterKeySource;

const EXAMPLES: &str = "\
Examples:
  sidekey master rotate                               a fresh key in the same file
  sidekey master rotate --to-file /run/next.key       a fresh key in another file
  sidekey master rotate --to-passphrase-env NEXT      derived from a passphrase
  sidekey master rotate --to-command pass show next   what a command prints";

/// Put everything under another master key
///
/// Only the data keys are wrapped anew: no value is opened, and the sealed values stay as they are. A running proxy follows
/// within a second and refuses no request meanwhile. For a key file, a fresh key takes the place of the present one, which is
/// not kept: a backup made before needs the master key of its time. For every other source, say where the new key comes from;
/// [master_key] has to name the same place from then on.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[group(multiple = false)]
pub(in crate::cli) struct Arguments {
    /// Make a fresh key in this file
    #[arg(long = "to-file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Take the key from this environment variable: 32 bytes as base64
    #[arg(long = "to-env", value_name = "VAR")]
    env: Option<String>,
    /// Derive the key from the passphrase in this environment variable
    #[arg(long = "to-passphrase-env", value_name = "VAR")]
    passphrase_env: Option<String>,
    /// Take the key from what this command prints: 32 bytes as base64
    #[arg(long = "to-command", value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true)]
    command: Option<Vec<String>>,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Opened { config, operations, actor } = Opened::existing(session)?.ready()?;
    let present = app::master_key_source(&config, &session.environment)?;
    let named = arguments.source(session)?;
    let next = match (&named, &present) {
        (Some(next), _) => next,
        (None, MasterKeySource::File(_)) => &present,
        (None, other) => {
            return Err(wrong_use(format!(
                "the present master key comes from {other}; say where the new one comes from: --to-file, --to-env, \
                 --to-passphrase-env or --to-command"
            )));
        }
    };
    let rotated = operations.rotate_master(&actor, next)?;
    let screen = &mut session.screen;
    screen.say(format!("Everything is under master key {} now, from {next}.", rotated.number))?;
    if next.to_string() != present.to_string() {
        let line = toml_of(next);
        screen
            .say(format!("Write this into proxy.toml now; a running proxy takes changes up after that:\n  {line}"))?;
    }
    Ok(screen.say("Backups made before need the former master key.")?)
}

impl Arguments {
    /// The source that was named, with the environment's part filled in.
    fn source(&self, session: &Session) -> anyhow::Result<Option<MasterKeySource>> {
        let value = |name: &String| {
            let text = session.environment.filled(name).map(|text| Zeroizing::new(text.to_owned()));
            text.with_context(|| format!("the environment variable `{name}` is not set"))
        };
        Ok(match self {
            Self { file: Some(path), .. } => Some(MasterKeySource::File(session.environment.folder().join(path))),
            Self { env: Some(name), .. } => Some(MasterKeySource::Env { name: name.clone(), value: value(name)? }),
            Self { passphrase_env: Some(name), .. } => {
                Some(MasterKeySource::Passphrase { name: name.clone(), value: value(name)? })
            }
            Self { command: Some(argv), .. } => Some(MasterKeySource::Command(argv.clone())),
            _ => None,
        })
    }
}

/// What `[master_key]` has to say from now on.
fn toml_of(source: &MasterKeySource) -> String {
    let text = |text: &str| toml::Value::String(text.to_owned());
    let (key, value) = match source {
        MasterKeySource::File(path) => ("file", text(&path.display().to_string())),
        MasterKeySource::Env { name, .. } => ("env", text(name)),
        MasterKeySource::Passphrase { name, .. } => ("passphrase_env", text(name)),
        MasterKeySource::Command(argv) => ("command", toml::Value::Array(argv.iter().map(|part| text(part)).collect())),
    };
    format!("master_key = {{ {key} = {value} }}")
}
