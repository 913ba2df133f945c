//! `sidekey key show`: everything that is known of one key, except its value.

use clap::Args;
use serde_json::json;

use super::Which;
use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::table::{show_facts, show_items};
use crate::cli::ways;
use crate::config::ValueSource;
use crate::domain::Name;
use crate::store::{CredentialHistory, VersionRow};

const EXAMPLES: &str = "\
Examples:
  sidekey key show stripe
  sidekey key show stripe --json";

/// Show one key without its value
///
/// Shows where the key goes, which hosts it is pinned to, who may use it, and the versions of its value. The value itself is
/// never shown by any command.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Print JSON: {"version":1,"items":[…]} with the one key
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let opened = Opened::existing(session)?;
    let which = &arguments.which;
    let found = opened.vault.find(&which.name, which.owner(&opened)?.as_ref());
    let listed = match found {
        Err(_) if opened.declared(&which.name).is_some() => return declared(&opened, &which.name, session),
        found => found?,
    };
    let history = opened.vault.show(&listed.credential.id)?;
    let (users, now) = (opened.user_names()?, session.now());
    if arguments.json {
        let mut item = super::item(&history.listed, &users, now);
        let current = history.listed.credential.version;
        let versions: Vec<_> = history.versions.iter().map(|version| version_item(version, current)).collect();
        if let Some(members) = item.as_object_mut() {
            members.insert("versions".to_owned(), json!(versions));
        }
        return Ok(show_items(&[item], &mut session.screen)?);
    }
    let credential = &history.listed.credential;
    let title = session.screen.bold(&format!("{} (for {})", credential.name, credential.service));
    session.screen.say(title)?;
    let mut facts = vec![("owner", users.of(&credential.owner))];
    facts.extend(credential.environment.as_ref().map(|name| ("environment", name.to_string())));
    let shared = super::shares(&credential.shares, &users);
    facts.push(("shared with", if shared.is_empty() { "nobody: personal".to_owned() } else { shared }));
    facts.extend(credential.expires.map(|at| ("expires", format!("{} UTC", super::expiry(Some(at), now)))));
    facts.push(("value", versions(&history, now)));
    match opened.config.service(credential.service.as_str()) {
        None => facts.push(("service", format!("`{}` is not in the configuration any more", credential.service))),
        Some(entry) => {
            facts.push(("key goes", ways::places(&entry.service)));
            facts.push(("pinned to", ways::hosts_in_short(&entry.service, &credential.variables)));
            facts.extend(ways::ways(&opened.config, &entry.service, &credential.variables));
        }
    }
    Ok(show_facts(&facts, &mut session.screen)?)
}

fn versions(history: &CredentialHistory, now: i64) -> String {
    let current = history.listed.credential.version;
    let line = |version: &VersionRow| {
        let state = match (version.number == current, version.destroyed_at) {
            (true, _) => ", current",
            (_, Some(_)) => ", destroyed",
            _ => "",
        };
        format!("version {}, added {}{state}", version.number, moment::ago(version.created_at, now))
    };
    history.versions.iter().rev().map(line).collect::<Vec<_>>().join("\n")
}

fn version_item(version: &VersionRow, current: u32) -> serde_json::Value {
    json!({
        "number": version.number,
        "current": version.number == current,
        "created_at": moment::rfc3339(version.created_at),
        "retired_at": version.retired_at.map(moment::rfc3339),
        "destroyed_at": version.destroyed_at.map(moment::rfc3339),
    })
}

/// A key that lives in proxy.toml: where its values come from.
fn declared(opened: &Opened, name: &Name, session: &mut Session) -> anyhow::Result<()> {
    let Some(credential) = opened.declared(name) else { return Ok(()) };
    let title = session.screen.bold(&format!("{name} (for {})", credential.service));
    session.screen.say(title)?;
    let source = |source: &ValueSource| match source {
        ValueSource::Env(variable) => format!("the environment variable {variable}"),
        ValueSource::File(path) => format!("the file {}", path.display()),
        ValueSource::Command(argv) => format!("the command {}", argv.first().map_or("", String::as_str)),
    };
    let from = credential.fields.iter().map(|(field, from)| format!("{field}: {}", source(from)));
    let mut facts = vec![("declared", format!("[credential.{name}] in proxy.toml"))];
    facts.extend(credential.environment.as_ref().map(|name| ("environment", name.to_string())));
    facts.push(("value from", from.collect::<Vec<_>>().join("\n")));
    if let Some(entry) = opened.config.service(credential.service.as_str()) {
        facts.push(("key goes", ways::places(&entry.service)));
        facts.push(("pinned to", ways::hosts_in_short(&entry.service, &credential.variables)));
        facts.extend(ways::ways(&opened.config, &entry.service, &credential.variables));
    }
    Ok(show_facts(&facts, &mut session.screen)?)
}
