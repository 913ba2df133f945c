//! Finding the file and reading it: `--config`, `./proxy.toml`, `$XDG_CONFIG_HOME/sidekey/proxy.toml`,
//! `/etc/sidekey/proxy.toml`, else the built-in defaults. The first that exists counts, even when it cannot be read.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{ConfigErrors, Environment};

/// The largest file that is read, in bytes.
pub(super) const LARGEST: u64 = 64 << 20;

/// The name of the file.
const NAME: &str = "proxy.toml";

/// A file that was found: its path as it is shown to people, its absolute path, and its bytes.
pub(super) struct Found {
    pub(super) shown: PathBuf,
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// Where a file is looked for when none is named.
pub(super) fn candidates(environment: &Environment) -> Vec<PathBuf> {
    let absolute = |text: &str| Path::new(text).is_absolute();
    let home = environment
        .filled("XDG_CONFIG_HOME")
        .filter(|text| absolute(text))
        .map(PathBuf::from)
        .or_else(|| environment.filled("HOME").map(|home| Path::new(home).join(".config")));
    let mut out = vec![PathBuf::from(NAME)];
    out.extend(home.map(|home| home.join("sidekey").join(NAME)));
    out.push(Path::new("/etc/sidekey").join(NAME));
    out
}

/// Reads the named file, or the first candidate that exists; none when there is none.
pub(super) fn find(explicit: Option<&Path>, environment: &Environment) -> Result<Option<Found>, ConfigErrors> {
    if let Some(shown) = explicit {
        return open(shown.to_owned(), environment).map(Some);
    }
    for shown in candidates(environment) {
        match open(shown, environment) {
            Err(ConfigErrors::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            found => return found.map(Some),
        }
    }
    Ok(None)
}

fn open(shown: PathBuf, environment: &Environment) -> Result<Found, ConfigErrors> {
    let path = environment.folder().join(&shown);
    match read(&path) {
        Ok(bytes) => Ok(Found { shown, path, bytes }),
        Err(source) => Err(ConfigErrors::Read { path: shown, source }),
    }
}

/// The bytes of a file of reasonable size.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file has more than 64 MiB"));
    }
    Ok(bytes)
}
