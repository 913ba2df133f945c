//! Whether the store opens and is whole, its master key fits, there is room for it, and the audit log can be gone on with.

use crate::app;
use crate::audit;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::config::Config;
use crate::operations::audit_folder;
use crate::store::{Sqlite, Store as _};

use super::finding::{Finding, Findings};
use super::quoted;

/// With less room than one segment of the audit log takes, requests are refused soon.
const TOO_LITTLE: u64 = 64 << 20;
/// With less than this somebody should look after it.
const LITTLE: u64 = 512 << 20;

/// Opens the store and its master key.
///
/// # Errors
/// What stands in the way of everything that needs them.
pub(super) fn examine(config: &Config, session: &Session, findings: &mut Findings) -> Result<(), &'static str> {
    disk(config, findings);
    let restore = "sidekey restore --help";
    if let Err(error) = Sqlite::open(&config.store).and_then(|store| store.check_integrity()) {
        let found = format!("{}: {:#}", config.store.display(), anyhow::Error::new(error));
        findings.add(Finding::problem("store", found).mended_by(restore));
        return Err("the store comes first");
    }
    findings.add(Finding::fine("store", format!("{} opens and is whole", config.store.display())));
    let vault = match app::open_vault(config, &session.environment) {
        Ok(vault) => vault,
        Err(error) => {
            findings.add(Finding::problem("master_key", format!("{error:#}")).mended_by(restore));
            return Err("the master key comes first");
        }
    };
    match vault.unopenable() {
        Ok((number, closed)) if closed.is_empty() => {
            findings.add(Finding::fine("master_key", format!("it opens all {number} sealed values")));
        }
        Ok((_, closed)) => {
            let found = format!("it does not open {}", closed.join(", "));
            findings.add(Finding::problem("master_key", found).mended_by(restore));
        }
        Err(error) => findings.add(Finding::problem("master_key", format!("{:#}", anyhow::Error::new(error)))),
    }
    Ok(())
}

/// The room where the store is.
fn disk(config: &Config, findings: &mut Findings) {
    let check = "disk";
    let look = format!("df -h {}", quoted(&config.data));
    let found = match rustix::fs::statvfs(&config.data) {
        Ok(found) => found,
        Err(error) => return findings.add(Finding::unchecked(check, format!("{}: {error}", config.data.display()))),
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let shown = format!("{} MiB are free at {}", free >> 20, config.data.display());
    findings.add(match free {
        _ if found.f_files > 0 && found.f_favail == 0 => {
            let full = format!("there is no room for one more file at {}", config.data.display());
            Finding::problem(check, full).mended_by(look.replace("-h", "-i"))
        }
        free if free < TOO_LITTLE => {
            Finding::problem(check, format!("{shown}: on a full disk no request is admitted")).mended_by(look)
        }
        free if free < LITTLE => Finding::warning(check, shown).mended_by(look),
        _ => Finding::fine(check, shown),
    });
}

/// Whether acts can be recorded, and whether the log's last segment holds.
pub(super) fn audit(opened: &Opened, findings: &mut Findings) {
    let check = "audit";
    if !findings.wants(check) {
        return;
    }
    let dir = audit_folder(&opened.config);
    if let Err(error) = opened.operations.ready() {
        let found = format!("nothing can be recorded: {:#}", anyhow::Error::new(error));
        return findings.add(Finding::problem(check, found).mended_by(format!("ls -la {}", quoted(&dir))));
    }
    findings.add(match audit::verify_end(&dir) {
        Ok(report) => match report.problem {
            None => Finding::fine(check, format!("it can be written, and its end holds ({} entries)", report.entries)),
            Some(problem) => {
                let found = format!("{}:{}: {}", problem.file.display(), problem.line, problem.meaning);
                Finding::problem(check, found).mended_by("sidekey audit verify")
            }
        },
        Err(error) => {
            Finding::problem(check, format!("{:#}", anyhow::Error::new(error))).mended_by("sidekey audit verify")
        }
    });
}
