//! Who may read the files of the store, and whose they are. A store whose files others can read is not opened, and one whose
//! files belong to somebody else cannot be.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::domain::KeyPlace;
use crate::operations::{audit_folder, is_restore_pending};

use super::finding::{Finding, Findings};
use super::quoted;

/// What nobody but the owner may have.
const GROUP_AND_OTHERS: u32 = 0o077;

/// Looks at the files, without opening any.
///
/// # Errors
/// What stands in the way of looking at the store itself.
pub(super) fn examine(config: &Config, findings: &mut Findings) -> Result<(), &'static str> {
    if let Some(finding) = of_somebody_else(&config.data) {
        findings.add(finding);
        return Err("the store belongs to another user");
    }
    let pending = is_restore_pending(config);
    findings.add(if pending {
        Finding::problem("restore", "a restore was cut off; the next start or command finishes it")
            .mended_by("sidekey key list")
    } else {
        Finding::fine("restore", "none is left unfinished")
    });
    if let KeyPlace::File(path) = &config.master_key {
        if path.exists() || config.store.exists() {
            findings.add(of_one("master_key_file", path, 0o600, &config.data));
        }
    } else {
        let found = format!("the master key is in no file: {}", config.master_key);
        findings.add(Finding::fine("master_key_file", found));
    }
    if pending {
        return Err("the restore comes first");
    }
    if !config.store.exists() {
        let found = format!("there is no store at {} yet", config.store.display());
        findings.add(Finding::warning("store", found).mended_by("sidekey up"));
        return Err("there is no store yet");
    }
    let looked = paths(config).into_iter().filter(|(path, _)| path.exists());
    let looked = looked.map(|(path, mode)| of_one("store_files", &path, mode, &config.data));
    let wrong: Vec<Finding> = looked.filter(|finding| finding.mend.is_some()).collect();
    if wrong.is_empty() {
        findings.add(Finding::fine("store_files", format!("{} is the owner's alone", config.data.display())));
        return Ok(());
    }
    for finding in wrong {
        findings.add(finding);
    }
    Err("the modes and owners of the files come first")
}

/// That this user is neither root nor the one whom the folder belongs to, and can say nothing of what is in it.
fn of_somebody_else(folder: &Path) -> Option<Finding> {
    let (own, whose) = (rustix::process::geteuid().as_raw(), fs::metadata(folder).ok()?.uid());
    let shown = quoted(folder);
    (own != 0 && own != whose).then(|| {
        let found = format!("{shown} belongs to the user {whose}, and this is the user {own}");
        Finding::problem("store_files", found).mended_by(format!("sudo -u '#{whose}' sidekey doctor"))
    })
}

/// The folder, the files of the store and the audit's, and the mode that each should have.
fn paths(config: &Config) -> Vec<(PathBuf, u32)> {
    let beside = |suffix: &str| {
        let mut name = config.store.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    let audit = audit_folder(config);
    let files = [config.store.clone(), beside("-wal"), beside("-shm"), audit.join("head")];
    let folders = [config.data.clone(), audit];
    folders.into_iter().map(|path| (path, 0o700)).chain(files.into_iter().map(|path| (path, 0o600))).collect()
}

/// Looks at one path: it should be of `wanted` at most, and whose `folder` is.
fn of_one(check: &'static str, path: &Path, wanted: u32, folder: &Path) -> Finding {
    let shown = quoted(path);
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) => {
            let lost = format!("{shown} cannot be looked at: {error}");
            return Finding::problem(check, lost).of(name_of(path)).mended_by("sidekey restore --help");
        }
    };
    let mode = found.permissions().mode() & 0o7777;
    if mode & GROUP_AND_OTHERS != 0 {
        let open = format!("{shown} is open to other users of this machine (mode {mode:04o})");
        return Finding::problem(check, open).of(name_of(path)).mended_by(format!("chmod {wanted:o} {shown}"));
    }
    // Root may read everything; the proxy, which runs as the folder's owner, may not.
    let (whose, expected) = (found.uid(), fs::metadata(folder).map_or(found.uid(), |folder| folder.uid()));
    if whose != expected {
        let foreign = format!("{shown} belongs to the user {whose}, and its folder to the user {expected}");
        let chown = format!("sudo chown {expected} {shown}");
        return Finding::problem(check, foreign).of(name_of(path)).mended_by(chown);
    }
    Finding::fine(check, format!("{shown} has mode {mode:04o}"))
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
