//! What a command has around it: the environment, the person at the terminal (or none), and where its output goes. Commands
//! take all of it from here, so that tests can stand in for each.

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::config::{Config, ConfigErrors, Environment, Loaded};
use crate::domain::{Clock, Name, SystemClock};

use super::failure::wrong_use;

/// What a command has around it.
pub(super) struct Session {
    /// The file that `--config` names.
    pub(super) config: Option<PathBuf>,
    /// The variables and the current folder.
    pub(super) environment: Environment,
    /// Where questions go and answers come from.
    pub(super) terminal: Box<dyn Terminal>,
    /// Where output goes.
    pub(super) screen: Screen,
    /// What time it is.
    pub(super) clock: Box<dyn Clock>,
}

/// Where questions go and answers come from. An implementation that echoes a hidden answer shows a key to whoever looks on.
pub(super) trait Terminal {
    /// Whether somebody can be asked.
    fn answers(&self) -> bool;
    /// Asks and shows what is typed; the answer comes without its newline.
    fn ask(&mut self, question: &str) -> io::Result<String>;
    /// Asks and hides what is typed; the answer comes without its newline.
    fn ask_hidden(&mut self, question: &str) -> io::Result<Zeroizing<String>>;
    /// The whole standard input, refused beyond `most` bytes.
    fn input(&mut self, most: usize) -> io::Result<Zeroizing<Vec<u8>>>;
}

/// Where output goes, and what it can show.
pub(super) struct Screen {
    /// The standard output: results.
    pub(super) out: Box<dyn Write>,
    /// The standard error: notes, questions, errors.
    pub(super) error: Box<dyn Write>,
    /// Whether the standard output is a terminal, where tables have lines.
    pub(super) is_terminal: bool,
    /// Whether the standard error is one.
    pub(super) error_is_terminal: bool,
    /// Colours are not wanted.
    pub(super) plain: bool,
    /// How many columns the terminal has, when that is known.
    pub(super) width: Option<u16>,
}

impl Session {
    /// The process's own surroundings.
    pub(super) fn of_process() -> Self {
        let environment = Environment::of_process();
        let (out, error) = (io::stdout(), io::stderr());
        let screen = Screen {
            is_terminal: out.is_terminal(),
            error_is_terminal: error.is_terminal(),
            plain: environment.filled("NO_COLOR").is_some() || environment.get("TERM") == Some("dumb"),
            width: columns(&environment, &out),
            out: Box::new(out),
            error: Box::new(error),
        };
        Self { config: None, environment, terminal: Box::new(OwnTerminal), screen, clock: Box::new(SystemClock) }
    }

    /// Finds, reads and compiles the configuration.
    ///
    /// # Errors
    /// With everything that is wrong in it.
    pub(super) fn load(&self) -> Result<Loaded, ConfigErrors> {
        Config::load(self.config.as_deref(), &self.environment)
    }

    /// The time in Unix seconds.
    pub(super) fn now(&self) -> i64 {
        i64::try_from(self.clock.wall().as_secs()).unwrap_or(i64::MAX)
    }

    /// Refuses to go on without asking where nobody answers. `deed` is such as `deleting`.
    ///
    /// # Errors
    /// When there is no terminal.
    pub(super) fn must_answer(&self, deed: &str) -> anyhow::Result<()> {
        if self.terminal.answers() {
            return Ok(());
        }
        Err(wrong_use(format!("{deed} asks first, and there is no terminal to ask at: give --yes")))
    }

    /// Asks whether `what` called `name` shall be deleted, after `told` what that means.
    ///
    /// # Errors
    /// When it shall not, nobody is there to answer, or the answer cannot be read.
    pub(super) fn confirm_deletion(&mut self, what: &str, name: &Name, told: Option<String>) -> anyhow::Result<()> {
        self.must_answer("deleting")?;
        if let Some(told) = told {
            self.screen.note(told)?;
        }
        if self.confirms(&format!("Delete the {what} `{name}`?"))? {
            return Ok(());
        }
        anyhow::bail!("nothing was deleted")
    }

    /// Asks for `yes`; everything else is a no. Not to be called when nobody answers.
    pub(super) fn confirms(&mut self, question: &str) -> io::Result<bool> {
        let answer = self.terminal.ask(&format!("{question} [y/N] "))?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }
}

impl Screen {
    /// Whether results may be coloured.
    pub(super) fn colour(&self) -> bool {
        self.is_terminal && !self.plain
    }

    /// Whether errors may be coloured.
    pub(super) fn error_colour(&self) -> bool {
        self.error_is_terminal && !self.plain
    }

    /// Writes a line of results.
    pub(super) fn say(&mut self, line: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.out, "{}", line.as_ref())
    }

    /// Writes a line beside the results.
    pub(super) fn note(&mut self, line: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.error, "{}", line.as_ref())
    }

    /// `text` in bold where colours are wanted.
    pub(super) fn bold(&self, text: &str) -> String {
        if self.colour() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// `text` in the background where colours are wanted.
    pub(super) fn dim(&self, text: &str) -> String {
        if self.colour() { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The terminal that the process was started from.
struct OwnTerminal;

impl Terminal for OwnTerminal {
    fn answers(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        let mut error = io::stderr();
        error.write_all(question.as_bytes())?;
        error.flush()?;
        let mut answer = String::new();
        if io::stdin().read_line(&mut answer)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "nothing was answered"));
        }
        answer.truncate(answer.trim_end_matches(['\n', '\r']).len());
        Ok(answer)
    }

    fn ask_hidden(&mut self, question: &str) -> io::Result<Zeroizing<String>> {
        rpassword::prompt_password(question).map(Zeroizing::new)
    }

    fn input(&mut self, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
        read_limited(io::stdin().lock(), most)
    }
}

/// Reads to the end, into one buffer that never grows and so leaves no copy behind.
pub(super) fn read_limited(source: impl Read, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 2));
    source.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {most} bytes")));
    }
    Ok(bytes)
}

/// How wide the terminal is: `COLUMNS`, else what the terminal itself says.
fn columns(environment: &Environment, out: &io::Stdout) -> Option<u16> {
    let named = environment.filled("COLUMNS").and_then(|text| text.parse().ok());
    named.or_else(|| rustix::termios::tcgetwinsize(out).ok().map(|size| size.ws_col)).filter(|columns| *columns >= 20)
}
