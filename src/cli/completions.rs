//! `sidekey completions`: what a shell needs to complete the command line.

use clap::Args;
use clap_complete::Shell;

use super::arguments;
use super::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey completions bash > ~/.local/share/bash-completion/completions/sidekey
  sidekey completions zsh > \"${fpath[1]}/_sidekey\"
  sidekey completions fish > ~/.config/fish/completions/sidekey.fish
  sidekey completions powershell | Out-String | Invoke-Expression";

/// Print completions for a shell
///
/// Writes the script to the standard output; put it where your shell looks for completions.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut arguments::command(), "sidekey", &mut script);
    session.screen.out.write_all(&script)?;
    Ok(session.screen.out.flush()?)
}
