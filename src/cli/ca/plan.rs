//! Steps that change what a machine trusts: shown, or done one after the other. A step that fails does not keep the others
//! from being done.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use crate::cli::session::Screen;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Write a file.
    Write {
        /// Where.
        path: PathBuf,
        /// What.
        text: String,
    },
    /// Remove a file; none there is as good.
    Remove(PathBuf),
    /// Run a program with its arguments.
    Run(Vec<String>),
    /// The same, where nothing is lost when it fails.
    Try(Vec<String>),
}

impl Step {
    pub(super) fn run<'a>(argv: impl IntoIterator<Item = impl AsRef<str> + 'a>) -> Self {
        Self::Run(argv.into_iter().map(|part| part.as_ref().to_owned()).collect())
    }

    fn take(&self) -> Result<(), String> {
        match self {
            Self::Write { path, text } => std::fs::write(path, text).map_err(|error| error.to_string()),
            Self::Remove(path) => match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
                _ => Ok(()),
            },
            Self::Try(argv) => {
                // What was to be taken away may not be there.
                let _absent = Self::Run(argv.clone()).take();
                Ok(())
            }
            Self::Run(argv) => {
                let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
                let output = Command::new(program).args(arguments).output().map_err(|error| error.to_string())?;
                if output.status.success() {
                    return Ok(());
                }
                let said = [output.stderr, output.stdout].concat();
                let said = String::from_utf8_lossy(&said);
                let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
                Err(format!("{}: {last}", output.status))
            }
        }
    }
}

impl fmt::Display for Step {
    /// As a person would type it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { path, .. } => write!(f, "write {}", path.display()),
            Self::Remove(path) => write!(f, "rm -f {}", path.display()),
            Self::Run(argv) | Self::Try(argv) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,".contains(c);
                let word = |word: &String| if word.chars().all(plain) { word.clone() } else { format!("'{word}'") };
                f.write_str(&argv.iter().map(word).collect::<Vec<_>>().join(" "))
            }
        }
    }
}

/// Takes the steps and says of each whether it was done. Returns how many were not.
pub(super) fn take_all(steps: &[Step], screen: &mut Screen) -> io::Result<usize> {
    let mut failed = 0;
    for step in steps {
        match step.take() {
            Ok(()) => screen.say(format!("done    {step}"))?,
            Err(why) => {
                failed += 1;
                screen.say(format!("failed  {step}\n        {why}"))?;
            }
        }
    }
    Ok(failed)
}
