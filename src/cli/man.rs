//! `sidekey man`: the manual, made from the same help texts that `--help` shows.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::arguments;
use super::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey man | man -l -                                read it
  sidekey man --dir ~/.local/share/man/man1             install it, a page for each subcommand";

/// Print the manual
///
/// Writes sidekey(1) to the standard output, or with --dir a page for each subcommand into a folder.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Write a page for each subcommand into this folder; it is made when absent
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let Some(folder) = &arguments.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(arguments::command()).render(&mut page)?;
        session.screen.out.write_all(&page)?;
        return Ok(session.screen.out.flush()?);
    };
    let folder = session.environment.folder().join(folder);
    let failed = || format!("the manual cannot be written to {}", folder.display());
    fs::create_dir_all(&folder).with_context(failed)?;
    clap_mangen::generate_to(arguments::command(), &folder).with_context(failed)?;
    session.screen.say(format!("The manual is in {}: sidekey.1 and a page for each subcommand.", folder.display()))?;
    Ok(())
}
