//! `sidekey ca`: the certificate authority with which calls over `https` are opened.

mod export;
mod install;
mod places;
mod plan;
mod rotate;
mod show;
mod trusted;

use std::path::PathBuf;

use clap::Subcommand;

use super::opened::Opened;
use super::session::Session;
use crate::operations::{AuthorityState, AuthorityView};

pub(super) use export::bundle;
pub(super) use trusted::{PlaceTrusts, looked_at};

const EXAMPLES: &str = "\
Examples:
  sidekey ca show
  sidekey ca export > sidekey-ca.pem
  sidekey ca export --bundle > trusted.pem       with what this system trusts
  sidekey ca install --dry-run
  sidekey ca rotate";

/// The certificate authority: show, export, install, rotate
///
/// When a workflow calls https://api.example.com through the proxy and that host belongs to a service, sidekey answers in its
/// place, with a certificate that its own authority signed. Whoever calls has to trust that authority. It is made at the first
/// start, its private key is sealed in the store and never comes out, and no other machine has it.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(super) enum Command {
    Show(show::Arguments),
    Export(export::Arguments),
    Install(install::Arguments),
    Uninstall(install::Uninstall),
    Rotate(rotate::Arguments),
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::Show(arguments) => show::run(&arguments, session),
        Command::Export(arguments) => export::run(&arguments, session),
        Command::Install(arguments) => install::run(&arguments, session),
        Command::Uninstall(arguments) => install::undo(&arguments, session),
        Command::Rotate(arguments) => rotate::run(&arguments, session),
    }
}

/// Java's own program for its stores, where there is Java.
pub(super) fn keytool(session: &Session) -> Option<PathBuf> {
    install::machine(session).keytool()
}

/// The store with its authority, which is made when there is none.
pub(super) fn opened(session: &Session) -> anyhow::Result<Opened> {
    let opened = Opened::or_make(session)?;
    opened.operations.ensure_authority(&opened.actor)?;
    Ok(opened)
}

/// The authorities that clients have to trust: the one that signs, and the one that will.
pub(super) fn trusted(opened: &Opened) -> anyhow::Result<Vec<AuthorityView>> {
    let mut authorities = opened.operations.authorities()?;
    authorities.retain(|authority| authority.state != AuthorityState::Replaced);
    Ok(authorities)
}

#[cfg(test)]
mod tests;
