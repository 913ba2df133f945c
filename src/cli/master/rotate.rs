//! `sidekey master rotate`: everything under another master key.

use std::path::PathBuf;

use clap::Args;

use crate::app;
use crate::cli::failure::wrong_use;
use crate::cli::master::{place, toml_of};
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::KeyPlace;
use crate::keys::MasterKeySource;
use crate::vault::{MasterRotation, OutOfReach};

const EXAMPLES: &str = "\
Examples:
  sidekey master rotate                               a fresh key in the same file
  sidekey master rotate --to-file /run/next.key       a fresh key in another file
  sidekey master rotate --to-passphrase-env NEXT      derived from a passphrase
  sidekey master rotate --to-command pass show next   what a command prints
  sidekey master rotate --drop-slots                  when the key of another slot is lost";

/// Put everything under another master key
///
/// Only the data keys are wrapped anew: no value is opened, and the sealed values stay as they are. A running proxy follows
/// within a second and refuses no request meanwhile. For a key file, a fresh key takes the place of the present one, which is
/// not kept: a backup made before needs the key of its time. For every other place, say where the new key comes from;
/// [master_key] has to name the same place from then on. Other slots keep their keys and get the new master key, so run this
/// where they can be reached: when one cannot, nothing is changed, unless --drop-slots gives it up.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// Make a fresh key in this file
    #[arg(long = "to-file", value_name = "FILE", group = "place")]
    file: Option<PathBuf>,
    /// Take the key from this environment variable: 32 bytes as base64
    #[arg(long = "to-env", value_name = "VAR", group = "place")]
    env: Option<String>,
    /// Derive the key from the passphrase in this environment variable
    #[arg(long = "to-passphrase-env", value_name = "VAR", group = "place")]
    passphrase_env: Option<String>,
    /// Take the key from what this command prints: 32 bytes as base64
    #[arg(long = "to-command", value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true, group = "place")]
    command: Option<Vec<String>>,
    /// Give up the slots whose keys cannot be reached from here
    #[arg(long)]
    drop_slots: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Arguments { file, env, passphrase_env, command, drop_slots } = arguments;
    let named = place(session, file.as_ref(), env.as_ref(), passphrase_env.as_ref(), command.as_ref());
    let Opened { config, operations, actor } = Opened::existing(session)?.ready()?;
    let present = app::master_key_source(&config, &session.environment)?;
    let next = match (named, &present) {
        (Some(place), _) => app::key_source(&place, &session.environment)?,
        (None, MasterKeySource::File(_)) => present.clone(),
        (None, other) => {
            return Err(wrong_use(format!(
                "the present key comes from {other}; say where the new one comes from: --to-file, --to-env, \
                 --to-passphrase-env or --to-command"
            )));
        }
    };
    let look = |place: &KeyPlace| app::key_source(place, &session.environment).map_err(|error| error.to_string());
    let out_of_reach = if *drop_slots { OutOfReach::Drop } else { OutOfReach::Refuse };
    let rotation = MasterRotation { present: &present, next: &next, look: &look, out_of_reach };
    let rotated = operations.rotate_master(&actor, &rotation)?;
    let screen = &mut session.screen;
    screen.say(format!("Everything is under master key {} now, from {next}.", rotated.number))?;
    for name in &rotated.ended {
        screen.say(format!("The slot `{name}` opens the store no more: its key could not be reached."))?;
    }
    if next.place() != present.place() {
        let line = toml_of(&next.place());
        screen
            .say(format!("Write this into proxy.toml now; a running proxy takes changes up after that:\n  {line}"))?;
    }
    Ok(screen.say("Backups made before need the keys of their time.")?)
}
