//! A program that is run to its end, or for so long and no longer.

use std::io::Read;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::cli::surroundings::Variable;

/// How often it is looked whether a program has ended.
const STEP: Duration = Duration::from_millis(20);
/// The most that is read of what a program says, in bytes.
const MOST: u64 = 64 * 1024;

/// How a program ended, and what it said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// Its exit code; none when a signal ended it.
    pub(super) code: Option<i32>,
    /// Whether it was ended because it took too long.
    pub(super) late: bool,
    /// Its standard output.
    pub(super) out: String,
    /// Its standard error.
    pub(super) error: String,
}

impl Ended {
    /// The version that it told: the first word with a digit, without what stands before that.
    pub(super) fn version(&self) -> Option<&str> {
        // Java speaks of its variables first, and of its version as an error.
        let lines = self.out.lines().chain(self.error.lines()).filter(|line| !line.starts_with("Picked up "));
        let word = lines.flat_map(str::split_whitespace).find(|word| word.contains(|c: char| c.is_ascii_digit()))?;
        Some(word.trim_start_matches(|c: char| !c.is_ascii_digit()).trim_end_matches(['"', ',']))
    }

    /// The last line of its errors that says something.
    pub(super) fn last_error(&self) -> &str {
        let lines = self.error.lines().rev().map(str::trim);
        lines.into_iter().find(|line| !line.is_empty() && !line.starts_with("at ")).unwrap_or("it said nothing")
    }
}

/// Runs `program` to its end, with more variables, for at most `patience`; what it has started ends with it.
///
/// # Errors
/// When it cannot be started.
pub(super) fn end_of(
    program: &Path,
    arguments: &[PathBuf],
    variables: &[Variable],
    patience: Duration,
) -> anyhow::Result<Ended> {
    let mut command = Command::new(program);
    command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
    // What programs say is read, and git would ask a person.
    command.env("LC_ALL", "C.UTF-8").env("GIT_TERMINAL_PROMPT", "0");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().with_context(|| format!("{} cannot be run", program.display()))?;
    let group = Pid::from_raw(child.id().cast_signed());
    let (out, error) = (child.stdout.take().map(all_of), child.stderr.take().map(all_of));
    let mut left = patience;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        let Some(less) = left.checked_sub(STEP) else { break None };
        left = less;
        thread::sleep(STEP);
    };
    if status.is_none() {
        // It may have ended this very moment.
        let _gone = group.map(|group| kill_process_group(group, Signal::KILL));
        child.wait()?;
    }
    let text = |reader: Option<thread::JoinHandle<String>>| reader.and_then(|one| one.join().ok()).unwrap_or_default();
    let code = status.and_then(|status| status.code().or_else(|| status.signal().map(|signal| 128 + signal)));
    Ok(Ended { code, late: status.is_none(), out: text(out), error: text(error) })
}

fn all_of(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A reader that fails has read what there was; the rest must not hold the program up.
        let _ended = from.by_ref().take(MOST).read_to_end(&mut bytes);
        let _ended = std::io::copy(&mut from, &mut std::io::sink());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_say_of_theirs() {
        for (said, version) in [
            ("curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1", Some("7.88.1")),
            ("Python 3.13.0", Some("3.13.0")),
            ("v24.1.0", Some("24.1.0")),
            ("Picked up JAVA_TOOL_OPTIONS: -Dx=1\nopenjdk version \"17.0.15\" 2025-04-15", Some("17.0.15")),
            ("go version go1.24.1 linux/amd64", Some("1.24.1")),
            ("git version 2.39.5", Some("2.39.5")),
            ("", None),
        ] {
            let ended = Ended { error: said.to_owned(), ..Ended::default() };
            assert_eq!(ended.version(), version, "{said}");
        }
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended_with_what_it_started() {
        let script = ["-c", "echo begun; sleep 60 & wait"].map(PathBuf::from);
        let ended = end_of(Path::new("/bin/sh"), &script, &[], Duration::from_millis(300)).unwrap();
        assert_eq!((ended.late, ended.code, ended.out.as_str()), (true, None, "begun\n"));
        let script = ["-c", "echo $A; echo no >&2; exit 7"].map(PathBuf::from);
        let ended = end_of(Path::new("/bin/sh"), &script, &[("A".into(), "b".into())], PATIENCE).unwrap();
        assert_eq!((ended.code, ended.out.as_str(), ended.last_error()), (Some(7), "b\n", "no"));
    }

    const PATIENCE: Duration = Duration::from_secs(20);
}
