//! `sidekey service`: what can be called. The built-in catalogue with proxy.toml laid over it, and custom services.

mod list;
mod search;
mod show;

pub(super) use show::limits;

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
  sidekey service show stripe             where its key goes, and how to get one";

/// The services that can be called: built-in and custom
///
/// Many APIs are built in and need no configuration; `[service.NAME]` in proxy.toml changes one of them or adds your own.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES, arg_required_else_help = true)]
pub(super) enum Command {
    List(list::Arguments),
    Show(show::Arguments),
    Search(search::Arguments),
}

pub(super) fn run(command: Command, session: &mut Session) -> anyhow::Result<()> {
    match command {
        Command::List(arguments) => list::run(&arguments, session),
        Command::Show(arguments) => show::run(&arguments, session),
        Command::Search(arguments) => search::run(&arguments, session),
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
    match (service.built_in, service.declared) {
        (true, false) => "built-in",
        (true, true) => "built-in, changed in proxy.toml",
        (false, _) => "proxy.toml",
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
        "category": service.category,
        "aliases": service.aliases,
        "docs": service.docs,
        "key_url": service.key_url,
    })
}
