//! Values that are declared in the configuration and kept elsewhere: in an environment variable, a file or what a command
//! prints. Read here, checked, and sealed by the vault like any other, so that a request finds them on the same way.
//!
//! Not the environment itself: who read the configuration brings a variable's value along.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::domain::{Fields, Name, Secret, ServiceName, SourceKind};
use crate::keys::{CommandError, command};
use crate::seal::{self, MAX_LEN, ValueError};

/// Where the value of one field is.
#[derive(Clone)]
pub enum DeclaredValue {
    /// In an environment variable.
    Env {
        /// The variable's name, for messages.
        name: String,
        /// Its value; none when it is not set.
        value: Option<Zeroizing<String>>,
    },
    /// In a file, whole, but for one newline at the end.
    File(PathBuf),
    /// On the standard output of a program and its arguments, but for one newline at the end.
    Command(Vec<String>),
}

impl DeclaredValue {
    /// What kind of place it is.
    pub fn kind(&self) -> SourceKind {
        match self {
            Self::Env { .. } => SourceKind::Env,
            Self::File(_) => SourceKind::File,
            Self::Command(_) => SourceKind::Command,
        }
    }
}

impl std::fmt::Display for DeclaredValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env { name, .. } => write!(f, "the environment variable `{name}`"),
            Self::File(path) => write!(f, "the file `{}`", path.display()),
            Self::Command(argv) => write!(f, "the command `{}`", argv.first().map_or("", String::as_str)),
        }
    }
}

impl std::fmt::Debug for DeclaredValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeclaredValue({self})")
    }
}

/// A credential whose value is kept elsewhere.
#[derive(Debug, Clone)]
pub struct Declared {
    /// What it is called.
    pub name: Name,
    /// The service it is for.
    pub service: ServiceName,
    /// Where each of its fields is.
    pub fields: Vec<(Name, DeclaredValue)>,
}

/// Why a declared credential has no value.
#[derive(Debug, thiserror::Error)]
#[error("the field `{field}` of the credential `{credential}` cannot be had from {place}")]
pub struct DeclaredError {
    /// The credential.
    pub credential: Name,
    /// The field.
    pub field: Name,
    /// Where it should be.
    pub place: String,
    /// What kind of place that is.
    pub kind: SourceKind,
    /// Why.
    #[source]
    pub source: Unreadable,
}

/// Why a place gave no value.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The file cannot be read.
    #[error("it cannot be read")]
    File(#[source] io::Error),
    /// The environment variable is absent or empty.
    #[error("it is not set")]
    Unset,
    /// The command gave nothing.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// What was found is no value.
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// What a file looked like, to see that it was replaced or rewritten without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    file: (u64, u64),
    len: u64,
    modified: (i64, i64),
}

impl Declared {
    /// Reads every field. Blocks: a command may take up to 30 s.
    ///
    /// # Errors
    /// When a place cannot be read, or holds nothing, more than 64 KiB, or what no header can carry.
    pub fn read(&self) -> Result<Fields, DeclaredError> {
        let fields = self.fields.iter().map(|(name, value)| Ok((name.clone(), self.field(name, value)?)));
        Ok(Fields::new(fields.collect::<Result<_, _>>()?))
    }

    /// Reads the fields that are in places of these kinds, and forgets what it read.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn look(&self, kinds: &[SourceKind]) -> Result<(), DeclaredError> {
        let mut looked_at = self.fields.iter().filter(|(_, value)| kinds.contains(&value.kind()));
        looked_at.try_for_each(|(name, value)| self.field(name, value).map(drop))
    }

    fn field(&self, name: &Name, value: &DeclaredValue) -> Result<Secret, DeclaredError> {
        bytes(value).and_then(|bytes| Ok(seal::clean(bytes)?.0)).map_err(|source| DeclaredError {
            credential: self.name.clone(),
            field: name.clone(),
            place: value.to_string(),
            kind: value.kind(),
            source,
        })
    }

    /// How the files look now, following links; none for one that is absent. When this differs from last time, read again.
    /// Costs one system call a file.
    pub fn stamps(&self) -> Vec<Option<Stamp>> {
        let files = self.fields.iter().filter_map(|(_, value)| match value {
            DeclaredValue::File(path) => Some(path),
            _ => None,
        });
        files
            .map(|path| {
                let found = fs::metadata(path).ok()?;
                let modified = (found.mtime(), found.mtime_nsec());
                Some(Stamp { file: (found.dev(), found.ino()), len: found.len(), modified })
            })
            .collect()
    }
}

fn bytes(value: &DeclaredValue) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    match value {
        DeclaredValue::Env { value, .. } => {
            let value = value.as_ref().ok_or(Unreadable::Unset)?;
            Ok(Zeroizing::new(value.as_bytes().to_vec()))
        }
        DeclaredValue::Command(argv) => Ok(command::run(argv, command::LIMIT)?),
        DeclaredValue::File(path) => {
            // Room for the longest value, its newline and one byte more, so that the buffer never grows and leaves a copy.
            let most = MAX_LEN + 3;
            let mut bytes = Zeroizing::new(Vec::with_capacity(most));
            let file = File::open(path).map_err(Unreadable::File)?;
            file.take(most as u64 - 1).read_to_end(&mut bytes).map_err(Unreadable::File)?;
            Ok(bytes)
        }
    }
}
