//! `sidekey doctor`: looks at this machine from the inside and says what is wrong and the command that mends it. Each file here
//! makes some of the checks; `finding` knows all their names.
//!
//! Invariants: nothing is mended by itself; no key is sent anywhere, but to its own service and with `--verify`; a check that
//! cannot be made says so and why.

mod clock;
mod environment;
mod files;
mod finding;
mod keys;
mod listeners;
mod runtimes;
mod store;
mod trust;

use std::sync::Arc;

use clap::Args;

use super::check::dry;
use super::opened::Opened;
use super::session::Session;
use crate::config::{Config, Loaded};
use crate::domain::Name;
use crate::operations::KeyFilter;
use finding::{Finding, Findings, Wanted};

const EXAMPLES: &str = "\
Examples:
  sidekey doctor
  sidekey doctor --as etl                        where callers prove who they are
  sidekey doctor --only runtime --only service
  sidekey doctor --only runtime:curl
  sidekey doctor --json | jq '.items[] | select(.verdict != \"ok\")'

Exit codes:
  0 when nothing is wrong, warnings or not; 1 when something is; 2 for wrong use";

/// Look for what is wrong on this machine
///
/// Checks the configuration, the listeners, the store and its files, the master key, the audit log, the certificate authority and
/// who trusts it, the variables of this shell, the keys and their services, the clock; and has each runtime that is found here
/// (curl, Python, Node, Java, Go, git, Ruby, Perl) make a real call through the proxy, as under `sidekey run`, to a page of the
/// proxy's own. Prints what was found, and the command that mends it. It mends nothing by itself, and sends no key anywhere
/// without --verify.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// As which caller runtimes call; needed for that where callers prove who they are
    #[arg(long = "as", value_name = "CALLER")]
    caller: Option<Name>,
    /// Make this check alone: NAME or NAME:SUBJECT, as --json calls them; may be given several times
    #[arg(long, value_name = "CHECK", value_parser = Wanted::parse)]
    only: Vec<Wanted>,
    /// Also try each key at its service, as `sidekey key verify` does
    #[arg(long)]
    verify: bool,
    /// Print JSON: {"version":1,"ok":…,"items":[{"check":…,"subject":…,"verdict":…,"found":…,"mend":…}]}
    #[arg(long)]
    json: bool,
}

/// Why nothing was found of a check that could be made.
const ABSENT: &str = "there is nothing of that kind here";

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let mut findings = Findings::new(arguments.only.clone());
    let why = examine(arguments, session, &mut findings)?;
    findings.leave_the_rest(why);
    findings.finish(arguments.json, &mut session.screen)
}

/// Makes the checks, and says why the others were not made.
fn examine(arguments: &Arguments, session: &mut Session, findings: &mut Findings) -> anyhow::Result<&'static str> {
    environment::open_files(findings);
    let Some(config) = configuration(session, findings) else { return Ok("the configuration comes first") };
    let listening = listeners::examine(&config, findings);
    environment::variables(&config, session, findings);
    if let Err(why) = files::examine(&config, findings).and_then(|()| store::examine(&config, session, findings)) {
        return Ok(why);
    }
    let opened = Opened::or_make(session)?;
    store::audit(&opened, findings);
    if arguments.verify {
        keys::verify(&opened, session, findings)?;
    }
    let keys = opened.operations.keys(&opened.actor, &KeyFilter::default())?;
    environment::no_proxy(&opened.config, &keys, session, findings);
    keys::examine(&opened, &keys, session.now(), findings);
    let reached = keys::services(&opened.config, &keys, session, findings);
    clock::examine(&reached, findings);
    let can_open = trust::examine(&opened, session, listening, findings)?;
    if !findings.wants("runtime") {
        return Ok(ABSENT);
    }
    Ok(match listening {
        _ if !can_open => "there is no usable certificate authority",
        None => "the proxy does not answer at an address that proxy variables can name",
        Some(address) => {
            runtimes::examine(&opened, arguments.caller.as_ref(), address, session, findings)?;
            ABSENT
        }
    })
}

/// Reads the configuration as a start would.
fn configuration(session: &Session, findings: &mut Findings) -> Option<Arc<Config>> {
    let check = "configuration";
    match session.load() {
        Err(errors) => {
            let found = match errors.errors() {
                [] => errors.to_string(),
                [first, rest @ ..] => {
                    let more =
                        if rest.is_empty() { String::new() } else { format!(" (and {} more errors)", rest.len()) };
                    format!("line {}, {}: {}{more}", first.line, first.key, first.problem)
                }
            };
            findings.add(Finding::problem(check, found).mended_by("sidekey check"));
            None
        }
        Ok(Loaded { config, path, .. }) => {
            let path = path.map_or_else(|| "the built-in defaults".to_owned(), |path| path.display().to_string());
            findings.add(Finding::fine(check, format!("{path}: {} services", config.services.len())));
            for (name, why) in dry(&config, &session.environment) {
                findings.add(Finding::warning("declared_key", why).of(name).mended_by("sidekey check"));
            }
            Some(Arc::new(config))
        }
    }
}

/// A path as a shell takes it.
fn quoted(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
