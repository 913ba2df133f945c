//! `sidekey key`: adding, replacing and removing keys. Values go in and never come out.

mod add;
mod delete;
mod list;
mod rollback;
mod rotate;
mod show;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::domain::{Name, Share, Source, UserId};
use crate::store::ListedCredential;

use super::moment;
use super::opened::{Opened, UserNames};
use super::session::Session;

const EXAMPLES: &str = "\
Examples:
  sidekey key add stripe                            the value is asked for and not shown
  pass show github | sidekey key add github --stdin
  sidekey key list
  sidekey key rotate stripe                         a new value, for the next request
  sidekey key rollback stripe                       the former value again
  sidekey key delete stripe";

/// Keys: add, list, show, rotate, roll back, delete
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
    Delete(delete::Arguments),
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::Add(arguments) => add::run(&arguments, session),
        Command::List(arguments) => list::run(&arguments, session),
        Command::Show(arguments) => show::run(&arguments, session),
        Command::Rotate(arguments) => rotate::run(&arguments, session),
        Command::Rollback(arguments) => rollback::run(&arguments, session),
        Command::Delete(arguments) => delete::run(&arguments, session),
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
    /// The key in the store.
    fn find(&self, opened: &Opened) -> anyhow::Result<ListedCredential> {
        opened.refuse_declared(&self.name)?;
        Ok(opened.vault.find(&self.name, self.owner(opened)?.as_ref())?)
    }

    fn owner(&self, opened: &Opened) -> anyhow::Result<Option<UserId>> {
        self.owner.as_ref().map(|name| Ok(opened.owner(Some(name))?.id)).transpose()
    }
}

/// With whom a key is shared, in words.
fn shares(shares: &[Share], users: &UserNames) -> String {
    let one = |share: &Share| match share {
        Share::User(id) => format!("user:{}", users.of(id)),
        Share::Team(id) => format!("team:{id}"),
        Share::Caller(id) => format!("caller:{id}"),
        Share::Everyone => "everyone".to_owned(),
    };
    shares.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A key of the store for programs.
fn item(listed: &ListedCredential, users: &UserNames, now: i64) -> Value {
    let credential = &listed.credential;
    json!({
        "name": credential.name.as_str(),
        "id": credential.id.as_str(),
        "service": credential.service.as_str(),
        "owner": users.of(&credential.owner),
        "environment": credential.environment.as_ref().map(Name::as_str),
        "shared_with": credential.shares.iter().map(|share| shares(std::slice::from_ref(share), users)).collect::<Vec<_>>(),
        "variables": credential.variables.iter().map(|(k, v)| (k.to_string(), json!(v))).collect::<serde_json::Map<_, _>>(),
        "version": credential.version,
        "source": if credential.source == Source::Store { "store" } else { "declared" },
        "created_at": moment::rfc3339(listed.created_at),
        "value_since": moment::rfc3339(listed.value_since),
        "expires_at": credential.expires.map(moment::rfc3339),
        "expired": credential.expires.is_some_and(|at| at <= now),
    })
}

/// When a key expires, in words.
fn expiry(expires: Option<i64>, now: i64) -> String {
    match expires {
        None => String::new(),
        Some(at) if at <= now => format!("expired {}", moment::shown(at)),
        Some(at) => moment::shown(at),
    }
}
