//! `sidekey service edit`: another record for a service of the store, or the first change to a built-in one.

use clap::Args;

use super::flags::Described;
use super::keep::{Asking, Way, announce, keep};
use crate::cli::failure::wrong_use;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::Name;
use crate::operations::OperationError;
use crate::record::{ServiceRecord, from_toml, to_toml};

const EXAMPLES: &str = "\
Examples:
  sidekey service edit billing --allow 'GET /v1/**' --allow 'POST /v1/charges'
  sidekey service edit billing --set 'rate.limit = \"100/s\"' --unset allow
  sidekey service edit stripe --set 'rate = { limit = \"80/s\", burst = 20 }'      a built-in one
  sidekey service edit billing --base-url https://new.example.com --yes";

/// Change a service
///
/// Changes the keys that are given and leaves the others as they are; a list is replaced as a whole. A running proxy uses the
/// new record for the next request. When keys exist that would go to another address or to another place, they are named and
/// you are asked; without a terminal, --yes is needed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The service
    name: Name,
    #[command(flatten)]
    described: Box<Described>,
    /// Take a key out, such as `allow` or `rate.limit`; repeatable
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    /// Do not ask about keys that the change concerns
    #[arg(long)]
    yes: bool,
    /// Print JSON: {"version":1,"items":[…]} with the one service
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let name = &arguments.name;
    if arguments.described.is_empty() && arguments.unset.is_empty() {
        return Err(wrong_use("nothing to change: say what, such as --base-url, --allow, --set or --unset"));
    }
    let flags = arguments.described.record(session.environment.folder())?;
    let opened = Opened::or_make(session)?.ready()?;
    let (former, way) = match opened.operations.kept_record(name)? {
        Some(kept) => (kept.record, Way::Replace(kept.revision)),
        None if opened.config.service(name.as_str()).is_some() => (ServiceRecord::default(), Way::Add),
        None => return Err(OperationError::no_service(&opened.config, name).into()),
    };
    let record = without(former, &arguments.unset)?.overlaid(flags);
    let entry = keep(&opened, (name, &record), way, Asking::unless(arguments.yes), session)?;
    announce("Changed", &entry, &opened, arguments.json, session)
}

/// The record without these keys.
fn without(record: ServiceRecord, keys: &[String]) -> anyhow::Result<ServiceRecord> {
    if keys.is_empty() {
        return Ok(record);
    }
    let mut whole: toml::Table = to_toml(&record).parse()?;
    for key in keys {
        if remove(&mut whole, key).is_none() {
            let set = whole.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let set = if set.is_empty() { "nothing".to_owned() } else { set };
            return Err(wrong_use(format!("--unset {key}: the record in the store has no such key; it sets {set}")));
        }
    }
    Ok(from_toml(&toml::to_string(&whole)?)?)
}

/// Takes out `a.b`, and the table that is empty without it.
fn remove(table: &mut toml::Table, key: &str) -> Option<()> {
    let Some((first, rest)) = key.split_once('.') else { return table.remove(key).map(drop) };
    let inner = table.get_mut(first)?.as_table_mut()?;
    remove(inner, rest)?;
    if inner.is_empty() {
        table.remove(first);
    }
    Some(())
}
