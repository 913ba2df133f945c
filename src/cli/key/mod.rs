//! `sidekey key`: adding, replacing and removing keys. Values go in and never come out.

mod add;
mod delete;
mod edit;
mod list;
mod restore;
mod rollback;
mod rotate;
mod share;
mod show;
mod verify;

use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use crate::domain::Name;
use crate::operations::{KeyRef, KeyState, KeyView};
use crate::record::duration;

use super::failure::wrong_use;
use super::moment;
use super::session::Session;
use super::table::joined;

const EXAMPLES: &str = "\
Examples:
  sidekey key add stripe                            the value is asked for and not shown
  pass show github | sidekey key add github --stdin
  sidekey key list
  sidekey key rotate stripe                         a new value, for the next request
  sidekey key rollback stripe                       the former value again
  sidekey key share stripe --with team:data         others use it and never see it
  sidekey key verify stripe                         does the service take it?
  sidekey key delete stripe
  sidekey key restore stripe                        within seven days";

/// Keys: add, list, show, rotate, roll back, verify, edit, share, delete, restore
///
/// A key belongs to one service and is sealed in the store. Its value is read from a hidden prompt, the standard input, an
/// environment variable or a file, never from an argument, and no command shows it. A running proxy follows every change
/// within one second.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(super) enum Command {
    Add(add::Arguments),
    List(list::Arguments),
    Show(show::Arguments),
    Rotate(rotate::Arguments),
    Rollback(rollback::Arguments),
    Verify(verify::Arguments),
    Edit(edit::Arguments),
    Share(share::Share),
    Unshare(share::Unshare),
    Delete(delete::Arguments),
    Restore(restore::Arguments),
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::Add(arguments) => add::run(&arguments, session),
        Command::List(arguments) => list::run(&arguments, session),
        Command::Show(arguments) => show::run(&arguments, session),
        Command::Rotate(arguments) => rotate::run(&arguments, session),
        Command::Rollback(arguments) => rollback::run(&arguments, session),
        Command::Verify(arguments) => verify::run(&arguments, session),
        Command::Edit(arguments) => edit::run(&arguments, session),
        Command::Share(arguments) => share::share(&arguments, session),
        Command::Unshare(arguments) => share::unshare(&arguments, session),
        Command::Delete(arguments) => delete::run(&arguments, session),
        Command::Restore(arguments) => restore::run(&arguments, session),
    }
}

/// Which key is meant.
#[derive(Debug, Args)]
struct Which {
    /// The key's name
    #[arg(value_name = "KEY")]
    name: Name,
    /// The user it belongs to, where several have a key of this name
    #[arg(long, value_name = "USER")]
    owner: Option<Name>,
}

impl Which {
    fn reference(&self) -> KeyRef {
        KeyRef::Named { name: self.name.clone(), owner: self.owner.clone() }
    }
}

/// With whom a key is shared, in words.
fn shares(key: &KeyView) -> String {
    key.shares.as_ref().map_or_else(|| joined(&key.shared_with), |shares| joined(shares))
}

/// The number of a key's current version.
fn version(key: &KeyView) -> String {
    key.version.map(|number| number.to_string()).unwrap_or_default()
}

/// Whose a key is, for which environment, whom its service counts, what it stands in for, and how long.
fn in_short(key: &KeyView) -> String {
    let environment = key.environment.as_ref().map(|name| format!(", environment {name}")).unwrap_or_default();
    let until = key.expires_at.map(|at| format!(", until {} UTC", moment::shown(at.as_second()))).unwrap_or_default();
    let pool = key.pool.as_ref().map(|pool| format!(", pool {pool}")).unwrap_or_default();
    let limit_owner = key.limit_owner.as_ref().map(|owner| format!(", limit owner {owner}")).unwrap_or_default();
    format!("owner {}{environment}{limit_owner}{pool}{until}", key.owner)
}

/// When a key expires, in words.
fn expiry(key: &KeyView) -> String {
    match key.expires_at {
        None => String::new(),
        Some(at) if key.expired => format!("expired {}", moment::shown(at.as_second())),
        Some(at) => moment::shown(at.as_second()),
    }
}

/// Reads when a key expires, in Unix seconds.
fn read_expiry(text: &str, now: i64) -> anyhow::Result<i64> {
    let at = moment::expiry(text, now).ok_or_else(|| {
        wrong_use("--expires takes a date such as 2027-03-31, a moment such as 2027-03-31T12:00:00Z, or a duration such as 90d")
    })?;
    if at <= now { Err(wrong_use("--expires lies in the past")) } else { Ok(at) }
}

/// Reads a duration such as `90d`, longer than nothing.
fn span(text: &str) -> Result<Duration, String> {
    let span = duration(text).ok().filter(|span| !span.is_zero());
    span.ok_or_else(|| "a duration is written such as 30m, 12h or 90d".to_owned())
}

/// What a key needs of a person, in words.
fn concern(key: &KeyView, now: i64) -> Option<String> {
    let name = &key.name;
    let days = |at: Option<Timestamp>| at.map_or(0, |at| (at.as_second() - now).abs() / (24 * 60 * 60));
    let tried = || key.last_try.as_ref().map(|tried| moment::ago(tried.at.as_second(), now)).unwrap_or_default();
    match key.state {
        KeyState::Ok => None,
        KeyState::RotationDue => Some(format!("`{name}` was to get a new value {} d ago", days(key.rotation_due_at))),
        KeyState::ExpiresSoon => Some(format!("`{name}` expires in {} d", days(key.expires_at))),
        KeyState::Refused => Some(format!("`{name}` was not taken by its service when it was tried {}", tried())),
        KeyState::Expired => Some(format!("`{name}` has expired and is not used any more")),
    }
}
