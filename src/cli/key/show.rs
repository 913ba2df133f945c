//! `sidekey key show`: everything that is known of one key, except its value.

use clap::Args;

use super::Which;
use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::table::{show_facts, show_items};
use crate::cli::ways;
use crate::config::{DeclaredCredential, ValueSource};
use crate::operations::{KeyDetail, VersionView};

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
    let Opened { config, operations, actor } = Opened::existing(session)?;
    let detail = operations.key(&actor, &arguments.which.reference())?;
    if arguments.json {
        return Ok(show_items(&[serde_json::to_value(&detail)?], &mut session.screen)?);
    }
    let key = &detail.key;
    let title = session.screen.bold(&format!("{} (for {})", key.name, key.service));
    session.screen.say(title)?;
    let mut facts = match config.credentials.iter().find(|declared| key.id.is_none() && declared.name == key.name) {
        Some(declared) => declared_facts(declared),
        None => stored_facts(&detail, session.now()),
    };
    facts.extend(key.limit_owner.as_ref().map(|owner| ("limit owner", owner.to_string())));
    facts.extend(key.pool.as_ref().map(|pool| ("pool", pool.to_string())));
    let used = key.last_used_at.map(|at| moment::ago(at.as_second(), session.now()));
    facts.extend(used.map(|ago| ("last used", ago)));
    let variables = key.variables.clone().unwrap_or_default();
    match config.service(key.service.as_str()) {
        None => facts.push(("service", format!("`{}` is not in the configuration any more", key.service))),
        Some(entry) => {
            facts.push(("key goes", ways::places(&entry.service)));
            facts.push(("pinned to", ways::hosts_in_short(&entry.service, &variables)));
            facts.extend(ways::ways(&config, &entry.service, &variables));
        }
    }
    Ok(show_facts(&facts, &mut session.screen)?)
}

/// A key of the store.
fn stored_facts(detail: &KeyDetail, now: i64) -> Vec<(&'static str, String)> {
    let key = &detail.key;
    let mut facts = vec![("owner", key.owner.clone())];
    facts.extend(key.environment.as_ref().map(|name| ("environment", name.to_string())));
    let shared = super::shares(key);
    facts.push(("shared with", if shared.is_empty() { "nobody: personal".to_owned() } else { shared }));
    if key.expires_at.is_some() {
        facts.push(("expires", format!("{} UTC", super::expiry(key))));
    }
    facts.extend(super::concern(key, now).map(|concern| ("needs", concern)));
    if let Some(at) = key.rotation_due_at {
        facts.push(("new value due", format!("{} UTC", moment::shown(at.as_second()))));
    }
    if let Some(tried) = &key.last_try {
        let (when, version) = (moment::ago(tried.at.as_second(), now), tried.version);
        facts.push(("last try", format!("version {version}, {when}: {}", tried.verdict)));
    }
    if let Some(until) = key.fallback_until {
        let until = moment::shown(until.as_second());
        facts.push((
            "fall-back",
            format!("the former value where the service refuses the current one, until {until} UTC"),
        ));
    }
    facts.extend(detail.versions.as_ref().map(|versions| ("value", in_words(versions, now))));
    facts
}

fn in_words(versions: &[VersionView], now: i64) -> String {
    let line = |version: &VersionView| {
        let state = match (version.current, version.destroyed_at) {
            (true, _) => ", current",
            (_, Some(_)) => ", destroyed",
            _ => "",
        };
        let age = moment::ago(version.created_at.as_second(), now);
        format!("version {}, added {age}{state}", version.number)
    };
    versions.iter().rev().map(line).collect::<Vec<_>>().join("\n")
}

/// A key that lives in proxy.toml: where its values come from.
fn declared_facts(declared: &DeclaredCredential) -> Vec<(&'static str, String)> {
    let source = |source: &ValueSource| match source {
        ValueSource::Env(variable) => format!("the environment variable {variable}"),
        ValueSource::File(path) => format!("the file {}", path.display()),
        ValueSource::Command(argv) => format!("the command {}", argv.first().map_or("", String::as_str)),
    };
    let from = declared.fields.iter().map(|(field, from)| format!("{field}: {}", source(from)));
    let mut facts = vec![("declared", format!("[credential.{}] in proxy.toml", declared.name))];
    facts.extend(declared.environment.as_ref().map(|name| ("environment", name.to_string())));
    facts.push(("value from", from.collect::<Vec<_>>().join("\n")));
    facts
}
