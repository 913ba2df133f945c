//! `sidekey service`: what can be called. The built-in catalogue with the store and proxy.toml laid over it, and custom
//! services of either.

mod add;
mod delete;
mod edit;
mod flags;
mod import;
mod keep;
mod list;
mod search;
mod show;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::domain::Service;

use super::session::Session;
use super::table::List;
use super::ways;

const EXAMPLES: &str = "\
Examples:
  sidekey service list                    every service, built-in and custom
  sidekey service search payments         find one by a word
  sidekey service show stripe             where its key goes, and how to get one
  sidekey service add billing --base-url https://billing.example.com --header X-API-Key
  sidekey service import openapi.yaml     your own API from its description";

/// Services: list, search, show, add, edit, delete, import
///
/// Many APIs are built in and need no configuration. Your own are kept in the store by `add` and `import`, or stand as
/// [service.NAME] in proxy.toml, which counts first; both can change a built-in one key by key. A running proxy follows every
/// change within one second.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(super) enum Command {
    List(list::Arguments),
    Show(show::Arguments),
    Search(search::Arguments),
    Add(add::Arguments),
    Edit(edit::Arguments),
    Delete(delete::Arguments),
    Import(import::Arguments),
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::List(arguments) => list::run(&arguments, session),
        Command::Show(arguments) => show::run(&arguments, session),
        Command::Search(arguments) => search::run(&arguments, session),
        Command::Add(arguments) => add::run(&arguments, session),
        Command::Edit(arguments) => edit::run(&arguments, session),
        Command::Delete(arguments) => delete::run(&arguments, session),
        Command::Import(arguments) => import::run(&arguments, session),
    }
}

/// `services` as a list.
fn listed<'a>(services: impl IntoIterator<Item = &'a Service>, empty: &str) -> List {
    let mut list = List::new(&["NAME", "TITLE", "KEY GOES", "HOSTS", "FROM"], empty);
    for service in services {
        let hosts = ways::hosts(service, &std::collections::BTreeMap::new());
        let shown = match hosts.as_slice() {
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first} +{}", rest.len()),
            [] => String::new(),
        };
        let key = service.auth.first().map_or_else(|| "no key".to_owned(), ways::place);
        let row = vec![service.name.to_string(), service.title.clone(), key, shown, origin(service).to_owned()];
        list.add(row, item(service));
    }
    list
}

/// Where a service is from, in words.
fn origin(service: &Service) -> &'static str {
    match (service.built_in, service.declared, service.stored) {
        (true, true, _) => "built-in, changed in proxy.toml",
        (true, false, true) => "built-in, changed in the store",
        (true, false, false) => "built-in",
        (false, true, _) => "proxy.toml",
        (false, false, _) => "store",
    }
}

/// A service for programs.
fn item(service: &Service) -> Value {
    let none = std::collections::BTreeMap::new();
    json!({
        "name": service.name.as_str(),
        "title": service.title,
        "base_url": ways::base_url(service, &none),
        "hosts": ways::hosts(service, &none),
        "auth": service.auth.iter().map(crate::domain::Placement::describe).collect::<Vec<_>>(),
        "fields": service.fields().iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        "variables": service.variables.iter().map(|variable| json!({
            "name": variable.name.as_str(),
            "title": variable.title,
            "default": variable.default,
            "choices": variable.choices,
        })).collect::<Vec<_>>(),
        "built_in": service.built_in,
        "declared": service.declared,
        "stored": service.stored,
        "from": origin(service),
        "category": service.category,
        "aliases": service.aliases,
        "docs": service.docs,
        "key_url": service.key_url,
    })
}
