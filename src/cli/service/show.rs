//! `sidekey service show`: everything that is known of one service.

use std::collections::BTreeMap;

use clap::Args;

use crate::cli::opened;
use crate::cli::session::Session;
use crate::cli::table::{show_facts, show_items};
use crate::cli::ways;
use crate::config::Config;
use crate::domain::{Allowed, Name, Service, Variable};
use crate::gate::mode_of;
use crate::record::to_table;
use crate::throttle::Family;

const EXAMPLES: &str = "\
Examples:
  sidekey service show stripe
  sidekey service show billing --json
  sidekey service show billing --toml >> proxy.toml";

/// Show one service
///
/// Shows where its requests go, where its key is placed, what callers may do there, its limits, and how to get a key.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// The service
    service: Name,
    /// Print the whole record as a table for proxy.toml
    #[arg(long, conflicts_with = "json")]
    toml: bool,
    /// Print JSON: {"version":1,"items":[…]} with the one service
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let config = opened::with_stored(session)?;
    let entry = opened::service(&config, &arguments.service)?;
    let service = &entry.service;
    if arguments.toml {
        return Ok(session.screen.say(to_table(&service.name, &entry.record.record()).trim_end())?);
    }
    if arguments.json {
        return Ok(show_items(&[super::item(service)], &mut session.screen)?);
    }
    let title = session.screen.bold(&format!("{} ({})", service.title, service.name));
    session.screen.say(title)?;
    Ok(show_facts(&facts(service, &config), &mut session.screen)?)
}

fn facts(service: &Service, config: &Config) -> Vec<(&'static str, String)> {
    let none = BTreeMap::new();
    let mut facts = vec![
        ("from", super::origin(service).to_owned()),
        ("base URL", ways::base_url(service, &none)),
        ("hosts", ways::hosts(service, &none).join("\n")),
        ("key goes", ways::places(service)),
    ];
    let mut add = |title, text: Option<String>| facts.extend(text.filter(|text| !text.is_empty()).map(|t| (title, t)));
    add("variables", Some(service.variables.iter().map(variable).collect::<Vec<_>>().join("\n")));
    add(
        "headers",
        Some(service.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")),
    );
    add("allowed", allowed(&service.allowed));
    add("limits", Some(service.own_limits().join(", ")));
    add("longest wait", Some(format!("{} s for its turn", service.limits.max_wait.as_secs_f64())));
    add("limit mode", Some(mode(service)));
    add("limit headers", service.signals.family.map(|family| format!("of the family {}", family.as_str())));
    add("get a key", service.key_help.clone());
    add("key page", service.key_url.clone());
    add("docs", service.docs.clone());
    add("also called", Some(service.aliases.join(", ")));
    facts.push(("add a key", format!("sidekey key add {}", service.name)));
    facts.extend(ways::ways(config, service, &none));
    facts
}

/// How far its gates follow what it says of its limits.
fn mode(service: &Service) -> String {
    let mode = mode_of(service.gating.mode, &Family::new(&service.signals)).as_str();
    match (service.gating.mode, service.signals.family) {
        (Some(_), _) => format!("{mode}, as `rate.mode` says"),
        (None, Some(_)) => format!("{mode}, since its limit headers are known"),
        (None, None) => format!("{mode}, since its limit headers are not known"),
    }
}

fn allowed(allowed: &Allowed) -> Option<String> {
    let reading = allowed.read_only.then(|| "reading only (GET, HEAD, OPTIONS)".to_owned());
    let rules = allowed.rules.as_ref().map(|rules| match rules.len() {
        0 => "nothing".to_owned(),
        1 => "what 1 rule admits; `sidekey explain METHOD URL` tells of one request".to_owned(),
        n => format!("what {n} rules admit; `sidekey explain METHOD URL` tells of one request"),
    });
    let parts: Vec<String> = reading.into_iter().chain(rules).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn variable(variable: &Variable) -> String {
    let default = variable.default.as_ref().map(|value| format!(", {value} unless given")).unwrap_or_default();
    let example = variable.example.as_ref().map(|value| format!(", such as {value}")).unwrap_or_default();
    let choices =
        if variable.choices.is_empty() { String::new() } else { format!(", one of {}", variable.choices.join(", ")) };
    format!("{}: {}{default}{choices}{example}", variable.name, variable.title)
}
