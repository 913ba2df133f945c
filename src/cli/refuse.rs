//! What clap says about a wrong command line, without what may be a secret. People type a key's value where it does not
//! belong; the message must explain that, and must not repeat it for the log of whatever ran the command.

use std::ffi::OsString;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

const EXPLAINED: &str = "\
a value was given as an argument, where the shell's history and the process list show it; it was not used.

Give a key's value at the hidden prompt, or with --stdin, --from-env VAR or --from-file FILE:
  sidekey key add SERVICE
  pass show stripe | sidekey key add stripe --stdin

If what you typed was a real key, replace it at the service.";

const UNKNOWN: &str = "an argument that this command does not know; see its --help";

/// The longest text that is repeated in a message about keys: keys are longer.
pub(super) const LONGEST_SHOWN: usize = 20;

/// The same error, or one that says what is wrong without repeating what was typed.
pub(super) fn without_values(error: Error, arguments: &[OsString]) -> Error {
    let quotes = matches!(
        error.kind(),
        ErrorKind::UnknownArgument
            | ErrorKind::TooManyValues
            | ErrorKind::InvalidSubcommand
            | ErrorKind::InvalidValue
            | ErrorKind::ValueValidation
    );
    if !quotes || !touches_values(arguments) {
        return error;
    }
    match error.kind() {
        // A misspelt word is worth repeating; a key is none.
        ErrorKind::InvalidSubcommand if quoted(&error, ContextKind::InvalidSubcommand).is_some_and(is_word) => error,
        ErrorKind::UnknownArgument => match quoted(&error, ContextKind::InvalidArg) {
            Some(option) if option.strip_prefix("--").is_some_and(is_word) => error,
            Some(option) if option.starts_with('-') => refusal(UNKNOWN),
            _ => refusal(EXPLAINED),
        },
        // A long text is more likely a key than a name.
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => match quoted(&error, ContextKind::InvalidValue) {
            Some(text) if text.len() > LONGEST_SHOWN => refusal(&unfit(quoted(&error, ContextKind::InvalidArg))),
            _ => error,
        },
        _ => refusal(EXPLAINED),
    }
}

/// Whether the command is one that takes a key's value on some other way, or describes where a key goes.
fn touches_values(arguments: &[OsString]) -> bool {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    has("key") || has("service") && ["add", "edit", "import"].into_iter().any(has)
}

fn refusal(text: &str) -> Error {
    Error::raw(ErrorKind::UnknownArgument, format!("{text}\n"))
}

fn unfit(argument: Option<&str>) -> String {
    let argument = argument.unwrap_or("an argument");
    format!(
        "what was given for {argument} does not fit; it is not repeated here, since it may be a key.\n\n{EXPLAINED}"
    )
}

fn quoted(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// A word as subcommands and options are named: short, lower case, without digits.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 14 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}
