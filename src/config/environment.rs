//! A snapshot of the process's environment: the variables and the current folder. Taken once at start and passed on, so
//! that everything else is a function of its arguments. Values may be secrets: they are never printed, and wiped on drop.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::domain::Secret;

/// The variables and the current folder, as they were when the snapshot was taken.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, Zeroizing<String>>,
    folder: PathBuf,
}

impl Environment {
    /// The process's own environment. Variables that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, Zeroizing::new(value.into_string().ok()?)))
        };
        let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Self { variables: std::env::vars_os().filter_map(text).collect(), folder }
    }

    /// An environment of these variables alone, in the folder `.`.
    pub fn of_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let variables = pairs.into_iter().map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned())));
        Self { variables: variables.collect(), folder: PathBuf::from(".") }
    }

    /// The same variables in another current folder.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// The value of a variable; not to be logged, since any variable may hold a secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.as_str())
    }

    /// The value of a variable that is set and not empty.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The value of a variable as a secret.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.get(name).map(|value| Secret::new(value.as_bytes().to_vec()))
    }

    /// The names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// The current folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables, in {})", self.variables.len(), self.folder.display())
    }
}
