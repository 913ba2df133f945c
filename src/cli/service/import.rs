//! `sidekey service import`: a service from an API description. The draft and what was assumed are shown before anything is
//! stored.

use std::fs::File;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::flags::Described;
use super::keep::{Asking, Way, announce, keep};
use crate::cli::failure::wrong_use;
use crate::cli::opened::Opened;
use crate::cli::session::{Screen, Session, read_limited};
use crate::cli::table::show_json;
use crate::domain::Name;
use crate::openapi::{self, Draft, Given};
use crate::record::{ServiceRecord, to_table, to_toml};

/// Beyond so many rules it is worth saying what they cost.
const MANY_RULES: usize = 200;

const EXAMPLES: &str = "\
Examples:
  sidekey service import openapi.yaml
  curl -s https://api.example.com/openapi.json | sidekey service import - --name example --yes
  sidekey service import petstore.json --base-url https://petstore.example.com/v3 --allow-rules
  sidekey service import openapi.yaml --toml >> proxy.toml
  sidekey service import openapi.yaml --toml --json | jq .notes";

/// Add an API from its OpenAPI description
///
/// Reads OpenAPI 3.0 to 3.2 or Swagger 2.0, JSON or YAML: where the API is, where its key goes, a harmless call to try a key
/// with. What the document leaves open is noted with its place and with what was assumed; flags say it otherwise. The draft
/// is shown, and stored when you agree. Documents in several files have to be bundled into one before; nothing is fetched.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "a flag each")]
pub(in crate::cli) struct Arguments {
    /// The document, or `-` for the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What to call the service [default: from the document's title]
    #[arg(long)]
    name: Option<Name>,
    /// Allow only what the document describes: a rule for each method and path
    #[arg(long)]
    allow_rules: bool,
    #[command(flatten)]
    described: Box<Described>,
    /// Take the place of the service that the store has under this name
    #[arg(long)]
    replace: bool,
    /// Print the table for proxy.toml instead; nothing is stored
    #[arg(long, visible_alias = "dry-run")]
    toml: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print JSON: {"version":1,"items":[…]} with the one service; with --toml the draft and its notes
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let bytes = read(arguments, session)?;
    let flags = arguments.described.record(session.environment.folder())?;
    let given = Given { base_url: flags.base_url.as_deref(), auth: flags.auth.as_ref() };
    let draft = openapi::read(&bytes, given)
        .map_err(|error| wrong_use(format!("{} cannot be imported: {error}", arguments.file.display())))?;
    let name = arguments.name.clone().or_else(|| draft.name.clone());
    let name = name.ok_or_else(|| wrong_use("the document gives no name that a service can have: give --name"))?;
    let record = record(arguments, &draft)?.overlaid(flags);
    if arguments.toml {
        return preview(&name, &record, &draft, arguments.json, session);
    }
    if record.base_url.is_none() {
        session.screen.note(noted(&draft))?;
        return Err(wrong_use("the document does not say where the API is: give --base-url https://HOST/PATH"));
    }
    let opened = Opened::or_make(session)?.ready()?;
    let built_in = opened.config.service(name.as_str()).is_some_and(|entry| entry.service.built_in);
    if built_in && arguments.name.is_none() {
        return Err(wrong_use(format!(
            "from the document's title it would be called `{name}`, which is built in already: give --name with another \
             name, or --name {name} to lay it over the built-in one"
        )));
    }
    let way = match opened.operations.kept_record(&name)? {
        None => Way::Add,
        Some(kept) if arguments.replace => Way::Replace(kept.revision),
        Some(_) => {
            return Err(wrong_use(format!(
                "there is a service `{name}` in the store already: --replace puts this one in its place, --name adds another"
            )));
        }
    };
    opened.operations.weigh_service(&opened.actor, &name, &record)?;
    show(&name, &record, &draft, &mut session.screen)?;
    if !arguments.yes {
        if !session.terminal.answers() {
            let text =
                "importing asks first, and there is no terminal to ask at: give --yes, or --toml to store nothing";
            return Err(wrong_use(text));
        }
        if !session.confirms(&format!("Add the service `{name}`?"))? {
            anyhow::bail!("nothing was added");
        }
    }
    let entry = keep(&opened, (&name, &record), way, Asking::unless(arguments.yes), session)?;
    announce(if way == Way::Add { "Added" } else { "Changed" }, &entry, &opened, arguments.json, session)
}

/// The whole document, refused beyond the largest that is read.
fn read(arguments: &Arguments, session: &mut Session) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    if arguments.file.as_os_str() == "-" {
        return session.terminal.input(openapi::LARGEST).context("the standard input cannot be read");
    }
    let path = session.environment.folder().join(&arguments.file);
    let cannot = || format!("`{}` cannot be read", arguments.file.display());
    let file = File::open(path).with_context(cannot)?;
    read_limited(file, openapi::LARGEST).with_context(cannot)
}

/// The draft's record, with its rules when they are wanted.
fn record(arguments: &Arguments, draft: &Draft) -> anyhow::Result<ServiceRecord> {
    let mut record = draft.record.clone();
    if arguments.allow_rules {
        if draft.rules.is_empty() {
            return Err(wrong_use("the document describes no operation, so --allow-rules would allow nothing"));
        }
        record.allow = Some(draft.rules.clone());
    }
    Ok(record)
}

/// Prints the draft and stores nothing: the table on the standard output, notes beside it.
fn preview(
    name: &Name,
    record: &ServiceRecord,
    draft: &Draft,
    as_json: bool,
    session: &mut Session,
) -> anyhow::Result<()> {
    if as_json {
        let notes = draft
            .notes
            .iter()
            .map(|note| json!({ "at": note.at, "more": note.more, "found": note.found, "assumed": note.assumed }));
        let written: toml::Table = to_toml(record).parse()?;
        let shown = json!({
            "version": 1,
            "name": name.as_str(),
            "dialect": draft.dialect,
            "operations": draft.operations,
            "record": written,
            "rules": draft.rules,
            "notes": notes.collect::<Vec<_>>(),
        });
        return Ok(show_json(&shown, &mut session.screen)?);
    }
    if !draft.notes.is_empty() {
        session.screen.note(noted(draft))?;
    }
    session.screen.say(to_table(name, record).trim_end())?;
    Ok(())
}

/// What was assumed.
fn noted(draft: &Draft) -> String {
    let lines: Vec<String> = draft.notes.iter().map(|note| format!("  {note}")).collect();
    format!("What the document leaves open:\n{}", lines.join("\n"))
}

/// Shows the draft beside the results, before anything is asked.
fn show(name: &Name, record: &ServiceRecord, draft: &Draft, screen: &mut Screen) -> anyhow::Result<()> {
    let operations = match draft.operations {
        1 => "1 operation".to_owned(),
        n => format!("{n} operations"),
    };
    screen.note(format!("{}, {operations}. It becomes the service `{name}`:", draft.dialect))?;
    screen.note(indented(&to_toml(&ServiceRecord { allow: None, ..record.clone() })))?;
    if let Some(rules) = &record.allow {
        let cost =
            if rules.len() > MANY_RULES { "; they are compared one after the other with each request" } else { "" };
        screen.note(format!("  and {} rules in `allow`{cost}", rules.len()))?;
    }
    if !draft.notes.is_empty() {
        screen.note(noted(draft))?;
    }
    Ok(())
}

fn indented(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { String::new() } else { format!("  {line}") };
    text.trim_end().lines().map(line).collect::<Vec<_>>().join("\n")
}
