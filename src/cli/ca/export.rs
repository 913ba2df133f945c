//! `sidekey ca export`: the certificates that clients have to trust.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::cli::session::Session;
use crate::intercept::pem;
use crate::upstream::system_authorities;

const EXAMPLES: &str = "\
Examples:
  sidekey ca export > sidekey-ca.pem
  NODE_EXTRA_CA_CERTS=sidekey-ca.pem node app.js
  sidekey ca export --bundle --output trusted.pem
  SSL_CERT_FILE=trusted.pem REQUESTS_CA_BUNDLE=trusted.pem python app.py";

/// Write out the certificates that clients have to trust
///
/// As PEM: the authority that signs, and during a rotation the one that will. With --bundle, what this system trusts stands
/// before them: most programs take one file in the place of the system's, and need both to reach anything else. A running
/// proxy gives the same without the bundle at /-/ca.pem.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// Put what this system trusts before them
    #[arg(long)]
    bundle: bool,
    /// Write into this file instead of the standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let own: String = super::trusted(&super::opened(session)?)?.into_iter().map(|one| one.certificate).collect();
    let text = if arguments.bundle { bundle(&own, session)? } else { own };
    match &arguments.output {
        None => Ok(session.screen.out.write_all(text.as_bytes())?),
        Some(path) => {
            let path = session.environment.folder().join(path);
            std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
        }
    }
}

/// What the system trusts, and then `own`.
pub(in crate::cli) fn bundle(own: &str, session: &mut Session) -> anyhow::Result<String> {
    let (system, problems) = system_authorities();
    for problem in &problems {
        session.screen.note(format!("Not in the bundle: {problem}"))?;
    }
    if system.is_empty() {
        session.screen.note("This system trusts no authority: sidekey's own is alone in the bundle.")?;
    }
    Ok(system.iter().map(|certificate| pem(certificate)).chain([own.to_owned()]).collect())
}
