//! `sidekey check`: reads the configuration and says what is wrong with it, without starting anything.

use clap::Args;

use crate::app;
use crate::config::{Config, Environment};
use crate::domain::SourceKind;

use super::local;
use super::session::Session;
use super::table::show_json;

const EXAMPLES: &str = "\
Examples:
  sidekey check                             the file that `sidekey serve` would use
  sidekey --config staging.toml check
  sidekey check --running                   whether the proxy is up, such as for a container's probe
  sidekey check && systemctl reload sidekey";

/// Check the configuration
///
/// Reads and compiles the configuration file as a start would, and prints every error with its line, what was expected and the
/// fix. Declared keys whose file or environment variable yields no value here are named, as they may where the file is only
/// checked; commands are not run. Nothing is started or changed. The exit code is 0 when the file is good and 2 when it is not.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Print JSON: {"version":1,"ok":…,"errors":[…],"warnings":[…]}
    #[arg(long)]
    json: bool,
    /// Also ask the proxy that runs with this file whether it is ready; the exit code is 1 when it is not
    #[arg(long)]
    running: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let loaded = match session.load() {
        Ok(loaded) => loaded,
        Err(errors) if arguments.json && !errors.errors().is_empty() => {
            let found: Vec<_> = errors
                .errors()
                .iter()
                .map(|error| {
                    serde_json::json!({
                        "line": error.line,
                        "column": error.column,
                        "key": error.key,
                        "problem": error.problem,
                        "fix": error.fix,
                    })
                })
                .collect();
            show_json(&serde_json::json!({ "version": 1, "ok": false, "errors": found }), &mut session.screen)?;
            return Err(errors.into());
        }
        Err(errors) => return Err(errors.into()),
    };
    if arguments.running {
        local::must_be_ready(&loaded.config)?;
    }
    let (services, credentials) = (loaded.config.services.len(), loaded.config.credentials.len());
    let custom = loaded.config.services.iter().filter(|entry| !entry.service.built_in).count();
    let warnings = dry(&loaded.config, &session.environment).into_iter().map(|(_, why)| why).collect::<Vec<_>>();
    if arguments.json {
        let report = serde_json::json!({
            "version": 1,
            "ok": true,
            "file": loaded.path,
            "services": services,
            "credentials": credentials,
            "errors": [],
            "warnings": warnings,
        });
        return Ok(show_json(&report, &mut session.screen)?);
    }
    for warning in warnings {
        session.screen.note(format!("warning: {warning}"))?;
    }
    let name = loaded.path.as_deref().map_or("the built-in defaults".into(), |path| match path.file_name() {
        Some(name) => name.to_string_lossy(),
        None => path.to_string_lossy(),
    });
    let plural = |n: usize, what: &str| if n == 1 { format!("{n} {what}") } else { format!("{n} {what}s") };
    let counts = format!("{}, {}", plural(services, "service"), plural(credentials, "credential"));
    let own = if custom > 0 { format!("; {custom} of the services are your own") } else { String::new() };
    session.screen.say(format!("{name}: ok ({counts}){own}"))?;
    Ok(())
}

/// The declared keys that yield no value here, and why in a sentence each; without the path, which stands in the file.
pub(super) fn dry(config: &Config, environment: &Environment) -> Vec<(String, String)> {
    let look = |declared| app::look_at_declared(declared, environment, &[SourceKind::File, SourceKind::Env]).err();
    let dry = config.credentials.iter().filter_map(look);
    dry.map(|error| {
        let kind = error.kind.describe();
        let why = anyhow::Error::new(error.source);
        let said = format!("the {kind} of [credential.{}] yields no value here: {why:#}", error.credential);
        (error.credential.to_string(), said)
    })
    .collect()
}
