//! A folder below the system's temporary one, for this user alone, that is gone when it is dropped.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::config::Environment;
use crate::crypto::{digest, random};

/// The folder.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it, with a name that nobody can foresee.
    ///
    /// # Errors
    /// When the temporary folder cannot be written to.
    pub(super) fn make(environment: &Environment) -> anyhow::Result<Self> {
        let parent = environment.filled("TMPDIR").unwrap_or("/tmp");
        let name = digest::hex(&random::bytes::<8>().context("no random bytes can be had")?);
        let path = environment.folder().join(parent).join(format!("sidekey-demo-{name}"));
        DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is the system's to tidy up, as everything in its temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}
