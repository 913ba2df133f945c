//! The file of a backup: a tar of known names. `manifest.json` comes first and says of every other file how long it is and what
//! its SHA-256 is. Anything else in it is refused.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, EntryType, Header};

use crate::crypto::digest::{Sha256, hex};

use super::BackupError;
use super::folder::{self, Folder};

/// The store's copy.
pub(super) const STORE: &str = "sidekey.db";
/// The folder of the audit log's copy.
pub(super) const AUDIT: &str = "audit";
/// The master key, when it is in it.
pub(super) const MASTER: &str = "master.key";

const MANIFEST: &str = "manifest.json";
const FORMAT: u32 = 1;
/// More than the list of any real audit log's segments needs.
const LONGEST_MANIFEST: u64 = 16 << 20;

/// What a backup says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    sidekey: String,
    made_at: String,
    pub(super) holds_master_key: bool,
    files: Vec<Listed>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Listed {
    name: String,
    bytes: u64,
    sha256: String,
}

impl Manifest {
    /// Of no file yet.
    pub(super) fn new(made_at: String, holds_master_key: bool) -> Self {
        let sidekey = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, sidekey, made_at, holds_master_key, files: Vec::new() }
    }

    /// When it was made, in UTC.
    pub(super) fn made_at(&self) -> &str {
        &self.made_at
    }
}

/// Writes what was gathered in `work` into the new file `to`, onto the disk.
pub(super) fn write(work: &Folder, to: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let mut manifest = manifest.clone();
    for name in gathered(work)? {
        let path = work.path(&name);
        let (bytes, sha256) = File::open(&path).and_then(digest).map_err(BackupError::file(&path))?;
        manifest.files.push(Listed { name, bytes, sha256 });
    }
    let mut tar = Builder::new(io::BufWriter::new(folder::create(to)?));
    let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from).map_err(BackupError::file(to))?;
    append(&mut tar, MANIFEST, text.len() as u64, text.as_slice()).map_err(BackupError::file(to))?;
    for listed in &manifest.files {
        let path = work.path(&listed.name);
        let file = File::open(&path).map_err(BackupError::file(&path))?;
        append(&mut tar, &listed.name, listed.bytes, file).map_err(BackupError::file(to))?;
    }
    let written = tar.into_inner().and_then(|buffer| buffer.into_inner().map_err(io::IntoInnerError::into_error));
    written.and_then(|file| file.sync_all()).map_err(BackupError::file(to))
}

/// The names of what was gathered, in their order in the file.
fn gathered(work: &Folder) -> Result<Vec<String>, BackupError> {
    let mut names = vec![STORE.to_owned()];
    let audit = work.path(AUDIT);
    for item in std::fs::read_dir(&audit).map_err(BackupError::file(&audit))? {
        let item = item.map_err(BackupError::file(&audit))?;
        names.push(format!("{AUDIT}/{}", item.file_name().to_string_lossy()));
    }
    names.extend(work.path(MASTER).exists().then(|| MASTER.to_owned()));
    names.sort_unstable();
    Ok(names)
}

fn append(tar: &mut Builder<impl io::Write>, name: &str, bytes: u64, from: impl Read) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_entry_type(EntryType::Regular);
    tar.append_data(&mut header, name, from)
}

/// Unpacks `from` into `work`, every file compared with the manifest.
pub(super) fn read(from: &Path, work: &Folder) -> Result<Manifest, BackupError> {
    let file = File::open(from).map_err(BackupError::file(from))?;
    let mut tar = Archive::new(io::BufReader::new(file));
    let broken = |error: io::Error| BackupError::damaged(from, error.to_string());
    let mut entries = tar.entries().map_err(broken)?;
    let first = entries.next().ok_or_else(|| BackupError::damaged(from, "it is empty"))?.map_err(broken)?;
    if first.path_bytes().as_ref() != MANIFEST.as_bytes() {
        return Err(BackupError::damaged(from, "it does not begin with a manifest"));
    }
    let manifest: Manifest = serde_json::from_reader(first.take(LONGEST_MANIFEST))
        .map_err(|error| BackupError::damaged(from, format!("its manifest cannot be read: {error}")))?;
    if manifest.format != FORMAT {
        let why = format!("its format is {}, and this sidekey knows {FORMAT}", manifest.format);
        return Err(BackupError::damaged(from, why));
    }
    folder::private(&work.path(AUDIT))?;
    let mut listed = manifest.files.iter();
    for entry in entries {
        let mut entry = entry.map_err(broken)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(expected) = listed.next().filter(|listed| listed.name == name && is_known(&name)) else {
            return Err(BackupError::damaged(from, format!("`{name}` is not what the manifest lists here")));
        };
        if entry.header().entry_type() != EntryType::Regular {
            // A sparse one would be longer than the file that it came in.
            return Err(BackupError::damaged(from, format!("`{name}` is no plain file")));
        }
        let to = work.path(&name);
        let mut out = folder::create(&to)?;
        io::copy(&mut entry, &mut out).map_err(broken)?;
        out.flush().and_then(|()| out.sync_all()).map_err(BackupError::file(&to))?;
        let (bytes, sha256) = File::open(&to).and_then(digest).map_err(BackupError::file(&to))?;
        if (bytes, &sha256) != (expected.bytes, &expected.sha256) {
            return Err(BackupError::damaged(from, format!("`{name}` was changed")));
        }
    }
    match listed.next() {
        Some(missing) => Err(BackupError::damaged(from, format!("`{}` is missing", missing.name))),
        None if work.path(STORE).exists() => Ok(manifest),
        None => Err(BackupError::damaged(from, "it has no store")),
    }
}

/// Names that a backup may have, none of which leads anywhere else.
fn is_known(name: &str) -> bool {
    let segment = |file: &str| {
        let digits = file.strip_prefix("audit-").and_then(|rest| rest.strip_suffix(".jsonl"));
        file == "head" || digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    matches!(name, STORE | MASTER) || name.strip_prefix("audit/").is_some_and(segment)
}

fn digest(mut file: File) -> io::Result<(u64, String)> {
    let mut hasher = Sha256::new();
    let (mut chunk, mut bytes) = (vec![0_u8; 1 << 16], 0_u64);
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok((bytes, hex(&hasher.finish())));
        }
        bytes += read as u64;
        hasher.update(chunk.get(..read).unwrap_or_default());
    }
}
