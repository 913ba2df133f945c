//! How a command fails: the message on the standard error, and the exit code. 2 is for who must change the command line or
//! the configuration, 1 for everything else.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config::ConfigErrors;
use crate::operations::{ErrorCode, OperationError};

use super::session::Session;

/// The command line or the configuration asks for something that cannot be; the text says what to write instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct WrongUse(String);

/// Wrong use, as an error that can be returned.
pub(super) fn wrong_use(message: impl Into<String>) -> anyhow::Error {
    WrongUse(message.into()).into()
}

/// The message was printed already; only the exit code is left to say.
#[derive(Debug, thiserror::Error)]
#[error("failed as said above")]
pub(super) struct Reported;

/// A command that was run ended with this code, and has said what there is to say.
#[derive(Debug, thiserror::Error)]
#[error("it ended with {0}")]
pub(super) struct Ended(pub(super) u8);

/// Prints `error` with its causes and gives its exit code. Nothing is printed when the reader of the standard output went
/// away, as `head` does: it had what it wanted.
pub(super) fn report(error: &anyhow::Error, session: &mut Session) -> ExitCode {
    if let Some(Ended(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let text = if error.is::<Reported>() { String::new() } else { text(error, session.screen.error_colour()) };
    // Where even the standard error is closed, the exit code has to do.
    let _ = write!(session.screen.error, "{text}").and_then(|()| session.screen.error.flush());
    ExitCode::from(code(error))
}

/// The exit code of `error`.
pub(super) fn code(error: &anyhow::Error) -> u8 {
    let refused = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref().is_some_and(asks_for_another_line);
    let wrong = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<WrongUse>() || cause.is::<ConfigErrors>() || refused(cause)
    };
    if error.chain().any(wrong) { 2 } else { 1 }
}

/// Whether the command line or the configuration has to change, and not the world.
fn asks_for_another_line(error: &OperationError) -> bool {
    use OperationError::{BuiltInService, ConcernsKeys, Declared, DeclaredService, NoService, TakenByDeclared};
    let another = matches!(
        error,
        NoService { .. }
            | TakenByDeclared(_)
            | Declared(_)
            | DeclaredService(_)
            | BuiltInService(_)
            | ConcernsKeys { .. }
    );
    another || (error.code() == ErrorCode::Invalid && !matches!(error, OperationError::Backup(_)))
}

/// The message with its causes, one a line; an error that only repeats its cause stands once.
pub(super) fn text(error: &anyhow::Error, colour: bool) -> String {
    if let Some(errors) = error.downcast_ref::<ConfigErrors>() {
        return format!("{}\n", errors.render(colour));
    }
    let title = if colour { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
    let mut out = format!("{title} {error}\n");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        if text != last {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  because: {text}");
        }
        last = text;
    }
    out
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(broken)
}
