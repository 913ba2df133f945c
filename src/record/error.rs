//! What is wrong with a record, and where: a key path, the problem, the fix. The value as written is kept apart from the
//! problem, so that who expanded it from the environment can leave it out: `problem` and `fix` never quote a value.

use std::fmt;

/// One step of a [`KeyPath`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// A key of a table.
    Key(Box<str>),
    /// An element of a list, from 0.
    Index(usize),
}

/// Where in a record, or in a whole file: `auth[1].name`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPath(Vec<Step>);

impl KeyPath {
    /// The record itself.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// This path and one more key.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.into()));
        Self(steps)
    }

    /// This path and one more index.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }

    /// This path with `inner` behind it.
    #[must_use]
    pub fn join(&self, inner: &Self) -> Self {
        Self(self.0.iter().chain(&inner.0).cloned().collect())
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The last step's key; none for the root and for an index.
    pub fn last_key(&self) -> Option<&str> {
        match self.0.last()? {
            Step::Key(key) => Some(key),
            Step::Index(_) => None,
        }
    }

    /// Whether `outer` is this path or contains it.
    pub fn is_within(&self, outer: &Self) -> bool {
        self.0.starts_with(&outer.0)
    }
}

impl fmt::Display for KeyPath {
    /// As it would be written in TOML; a key that is no bare key stands in quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    if i > 0 {
                        f.write_str(".")?;
                    }
                    let bare =
                        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
                    if bare { f.write_str(key)? } else { write!(f, "{key:?}")? }
                }
            }
        }
        Ok(())
    }
}

/// One thing that is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RecordError {
    /// Where. A missing key is named as if it were there.
    pub path: KeyPath,
    /// What is wrong, without the value.
    pub problem: String,
    /// The value as written, or a part of it. Not to be shown when it may come from the environment.
    pub found: Option<String>,
    /// What to write instead.
    pub fix: String,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.path, self.problem)?;
        if let Some(found) = &self.found {
            write!(f, " (found `{found}`)")?;
        }
        write!(f, "; {}", self.fix)
    }
}

/// Everything that is wrong with a record; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RecordErrors(Vec<RecordError>);

impl RecordErrors {
    /// The errors in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &RecordError> {
        self.0.iter()
    }

    /// The errors themselves.
    pub fn into_vec(self) -> Vec<RecordError> {
        self.0
    }
}

impl fmt::Display for RecordErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// Collects errors while a record, or a whole file, is compiled.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<RecordError>);

impl Faults {
    /// Notes an error that quotes nothing.
    pub(crate) fn add(&mut self, path: KeyPath, problem: impl Into<String>, fix: impl Into<String>) {
        self.0.push(RecordError { path, problem: problem.into(), found: None, fix: fix.into() });
    }

    /// Notes an error and what was found, cut to 80 characters.
    pub(crate) fn quote(&mut self, path: KeyPath, problem: impl Into<String>, found: &str, fix: impl Into<String>) {
        let found = Some(found.chars().take(80).collect());
        self.0.push(RecordError { path, problem: problem.into(), found, fix: fix.into() });
    }

    /// Notes an error as it is.
    pub(crate) fn push(&mut self, error: RecordError) {
        self.0.push(error);
    }

    /// The errors in the order in which they were noted.
    pub(crate) fn into_vec(self) -> Vec<RecordError> {
        self.0
    }

    /// The value when nothing was noted.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, RecordErrors> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(RecordErrors(self.0)),
        }
    }
}
