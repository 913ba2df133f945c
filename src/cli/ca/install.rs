//! `sidekey ca install` and `sidekey ca uninstall`: having this machine trust the certificate authority, and no more.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::places::{Certificate, Machine, Place};
use super::plan::{Step, take_all};
use crate::cli::session::Session;
use crate::operations::AuthorityView;

const EXAMPLES: &str = "\
Examples:
  sidekey ca install --dry-run            what it would do
  sudo sidekey ca install
  sidekey ca install --to nss             one place alone";

const UNDO: &str = "\
Examples:
  sidekey ca uninstall --dry-run
  sudo sidekey ca uninstall";

/// Have this machine trust the certificate authority
///
/// Finds the places where authorities are trusted here (the system's store, NSS, Java) and puts it there. During a rotation
/// both are put there. Programs that bring their own list, such as Node and Python's requests, do not look at them: for those,
/// see `sidekey ca export`. The system's store needs the rights of root.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Only these places; all that are found without it
    #[arg(long, value_name = "PLACE")]
    to: Vec<Place>,
}

/// Have this machine trust the certificate authority no more
///
/// Undoes `sidekey ca install`, for former authorities too.
#[derive(Debug, Args)]
#[command(after_long_help = UNDO)]
pub(in crate::cli) struct Uninstall {
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Only these places; all that are found without it
    #[arg(long, value_name = "PLACE")]
    from: Vec<Place>,
}

/// The folder, beside the store, of every certificate that was installed: what is replaced must still be taken away.
pub(super) const FOLDER: &str = "ca";

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let opened = super::opened(session)?;
    let folder = opened.config.data.join(FOLDER);
    let certificates: Vec<_> =
        super::trusted(&opened)?.iter().map(|authority| certificate(authority, &folder)).collect();
    if !arguments.dry_run {
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        for one in &certificates {
            std::fs::write(&one.file, &one.pem).with_context(|| format!("{} cannot be written", one.file.display()))?;
        }
    }
    let machine = machine(session);
    let places = found(&machine, &arguments.to)?;
    let steps: Vec<Step> = places.iter().flat_map(|place| machine.trust(*place, &certificates)).collect();
    finish(&steps, arguments.dry_run, session)
}

pub(super) fn undo(arguments: &Uninstall, session: &mut Session) -> anyhow::Result<()> {
    let opened = super::opened(session)?;
    let folder = opened.config.data.join(FOLDER);
    let mut certificates: Vec<_> =
        super::trusted(&opened)?.iter().map(|authority| certificate(authority, &folder)).collect();
    certificates.extend(former(&folder, &certificates));
    let machine = machine(session);
    let places = found(&machine, &arguments.from)?;
    let mut steps: Vec<Step> = places.iter().flat_map(|place| machine.distrust(*place, &certificates)).collect();
    if arguments.from.is_empty() {
        steps.extend(certificates.into_iter().map(|one| Step::Remove(one.file)));
    }
    finish(&steps, arguments.dry_run, session)
}

pub(super) fn certificate(authority: &AuthorityView, folder: &Path) -> Certificate {
    let alias = authority.name.replace(' ', "-");
    let file = folder.join(format!("{alias}.pem"));
    Certificate { name: authority.name.clone(), alias, pem: authority.certificate.clone(), file }
}

/// What was installed before and is none of `present`.
pub(super) fn former(folder: &Path, present: &[Certificate]) -> Vec<Certificate> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path()).filter(|path| present.iter().all(|one| one.file != *path));
    let read = |file: PathBuf| {
        let alias = file.file_stem()?.to_str()?.to_owned();
        let pem = std::fs::read_to_string(&file).ok()?;
        Some(Certificate { name: alias.replace('-', " "), alias, pem, file })
    };
    files.filter_map(read).collect()
}

pub(super) fn machine(session: &Session) -> Machine {
    let folder = |name: &str| session.environment.filled(name).map(PathBuf::from);
    let path = session.environment.filled("PATH").unwrap_or_default();
    // What an administrator runs is not always on the path of others.
    let path = path.split(':').filter(|part| !part.is_empty()).chain(["/usr/sbin", "/sbin"]).map(PathBuf::from);
    Machine { root: "/".into(), path: path.collect(), home: folder("HOME"), java_home: folder("JAVA_HOME") }
}

/// The places that were asked for, or all that there are.
fn found(machine: &Machine, wanted: &[Place]) -> anyhow::Result<Vec<Place>> {
    let places = machine.places();
    if let Some(absent) = wanted.iter().find(|place| !places.contains(place)) {
        anyhow::bail!("this machine has no {absent:?} place, or the program that fills it is not installed");
    }
    if places.is_empty() {
        anyhow::bail!(
            "no place was found where authorities are trusted; `sidekey ca export` writes the certificate out"
        );
    }
    Ok(if wanted.is_empty() { places } else { wanted.to_vec() })
}

fn finish(steps: &[Step], dry_run: bool, session: &mut Session) -> anyhow::Result<()> {
    if dry_run {
        for step in steps {
            session.screen.say(step.to_string())?;
        }
        return Ok(());
    }
    match take_all(steps, &mut session.screen)? {
        0 => Ok(()),
        failed => anyhow::bail!("{failed} of {} steps failed; the system's store needs root (sudo)", steps.len()),
    }
}
