//! Running a program that prints a secret: no shell, no input, a time limit, and nothing of its output in any message. What
//! it says on its standard error is shown, as that is where programs explain themselves.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use zeroize::Zeroizing;

/// How long a command may take.
pub const LIMIT: Duration = Duration::from_secs(30);
/// How much a command may print, in bytes. More than any secret; a command that prints more is refused.
pub const LONGEST: usize = 64 * 1024;

const STDERR_KEPT: usize = 2048;
/// How often a command that closed its output is asked whether it has ended.
const POLL: Duration = Duration::from_millis(5);

/// Why a command gave no secret.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// No program was named.
    #[error("the command is empty; name a program and its arguments")]
    Empty,
    /// It could not be started.
    #[error("`{program}` could not be started; check that it is installed and in the PATH of this process")]
    Start {
        /// Which.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended with an error.
    #[error("`{program}` failed ({status}){said}")]
    Failed {
        /// Which.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said on standard error, with a colon before; empty when nothing.
        said: String,
    },
    /// It took too long and was ended.
    #[error("`{program}` did not end within {seconds} s and was stopped; run it by hand: it may be waiting for input")]
    Slow {
        /// Which.
        program: String,
        /// The limit.
        seconds: u64,
    },
    /// It printed too much.
    #[error("`{program}` printed more than 64 KiB, which is no secret")]
    TooLong {
        /// Which.
        program: String,
    },
    /// Its output could not be read.
    #[error("the output of `{program}` could not be read")]
    Output {
        /// Which.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Runs `argv` and returns what it prints on its standard output, as it is. Blocks for at most `limit`.
///
/// # Errors
/// When the program cannot be started, fails, takes longer than `limit`, or prints more than [`LONGEST`].
pub fn run(argv: &[String], limit: Duration) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let (program, arguments) = argv.split_first().ok_or(CommandError::Empty)?;
    let program = program.clone();
    let mut child = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| CommandError::Start { program: program.clone(), source })?;
    let (ended, end) = mpsc::channel::<()>();
    let output = read_aside(child.stdout.take(), LONGEST + 1, ended.clone());
    let said = read_aside(child.stderr.take(), STDERR_KEPT, ended);
    // Both readers dropping their sender means that both pipes are closed; nothing is ever sent.
    let closed = end.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Disconnected);
    let status = if closed { wait(&mut child, limit) } else { None };
    let Some(status) = status else {
        // It may have ended by itself in this moment; either way it is gone.
        let _ = child.kill();
        let _ = child.wait();
        return Err(CommandError::Slow { program, seconds: limit.as_secs() });
    };
    let (output, said) = (joined(output, &program)?, joined(said, &program)?);
    if !status.success() {
        return Err(CommandError::Failed { program, status, said: printable(&said) });
    }
    if output.len() > LONGEST { Err(CommandError::TooLong { program }) } else { Ok(output) }
}

type Reader = thread::JoinHandle<io::Result<Zeroizing<Vec<u8>>>>;

/// Reads to the end on a thread of its own, so that a full pipe never stops the command, and keeps the first `most` bytes.
fn read_aside(pipe: Option<impl Read + Send + 'static>, most: usize, ended: mpsc::Sender<()>) -> Reader {
    thread::spawn(move || {
        let _ended = ended;
        // Its full size at once: a buffer that grows leaves copies behind.
        let mut kept = Zeroizing::new(Vec::with_capacity(most));
        let Some(mut pipe) = pipe else { return Ok(kept) };
        let mut chunk = Zeroizing::new([0_u8; 4096]);
        loop {
            let read = match pipe.read(chunk.as_mut_slice()) {
                Ok(0) => return Ok(kept),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let room = most.saturating_sub(kept.len()).min(read);
            kept.extend_from_slice(chunk.get(..room).unwrap_or_default());
        }
    })
}

fn joined(reader: Reader, program: &str) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let read = reader.join().unwrap_or_else(|_| Err(io::Error::other("the reading thread ended")));
    read.map_err(|source| CommandError::Output { program: program.to_owned(), source })
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let mut left = limit;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        left = left.checked_sub(POLL)?;
        thread::sleep(POLL);
    }
}

/// One line, without what could steer a terminal.
fn printable(said: &[u8]) -> String {
    let text: String =
        String::from_utf8_lossy(said).trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.is_empty() { text } else { format!(": {text}") }
}
