//! `sidekey key list`: every key without its value, those that proxy.toml declares included.

use clap::Args;
use serde_json::json;

use crate::cli::moment;
use crate::cli::opened::{Opened, UserNames};
use crate::cli::session::Session;
use crate::cli::table::List;
use crate::config::DeclaredCredential;
use crate::domain::Name;
use crate::store::{CredentialFilter, LOCAL};

const EXAMPLES: &str = "\
Examples:
  sidekey key list
  sidekey key list --service stripe --env prod
  sidekey key list --json | jq -r '.items[] | select(.expired) | .name'";

const EMPTY: &str = "There is no key yet; `sidekey key add SERVICE` adds one.";

/// List the keys
///
/// Shows every key without its value. Keys that proxy.toml declares are in the list too.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// Only keys for this service
    #[arg(long)]
    service: Option<Name>,
    /// Only keys of this user
    #[arg(long, value_name = "USER")]
    owner: Option<Name>,
    /// Only keys of this environment
    #[arg(long, value_name = "ENVIRONMENT")]
    env: Option<Name>,
    /// Print JSON: {"version":1,"items":[…]}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let narrowed = arguments.service.is_some() || arguments.owner.is_some() || arguments.env.is_some();
    let empty = if narrowed { "No key fits." } else { EMPTY };
    let mut list = List::new(&["NAME", "SERVICE", "ENV", "OWNER", "SHARED WITH", "VALUE SINCE", "EXPIRES"], empty);
    let config = session.load()?.config;
    if config.store.exists() {
        stored(arguments, &Opened::or_make(session)?, &mut list, session.now())?;
    }
    for credential in config.credentials.iter().filter(|credential| fits(credential, arguments)) {
        add_declared(credential, &mut list);
    }
    Ok(list.show(arguments.json, &mut session.screen)?)
}

fn stored(arguments: &Arguments, opened: &Opened, list: &mut List, now: i64) -> anyhow::Result<()> {
    let filter = CredentialFilter {
        owner: arguments.owner.as_ref().map(|name| opened.owner(Some(name))).transpose()?.map(|user| user.id),
        service: arguments.service.clone(),
        environment: arguments.env.clone(),
        ..CredentialFilter::default()
    };
    let users: UserNames = opened.user_names()?;
    for listed in opened.vault.list(&filter)? {
        let credential = &listed.credential;
        let row = vec![
            credential.name.to_string(),
            credential.service.to_string(),
            credential.environment.as_ref().map(ToString::to_string).unwrap_or_default(),
            users.of(&credential.owner),
            super::shares(&credential.shares, &users),
            format!("{} (version {})", moment::ago(listed.value_since, now), credential.version),
            super::expiry(credential.expires, now),
        ];
        list.add(row, super::item(&listed, &users, now));
    }
    Ok(())
}

fn fits(credential: &DeclaredCredential, arguments: &Arguments) -> bool {
    arguments.service.as_ref().is_none_or(|service| *service == credential.service)
        && arguments.env.as_ref().is_none_or(|env| credential.environment.as_ref() == Some(env))
        && arguments.owner.as_ref().is_none_or(|owner| owner.as_str() == LOCAL)
}

fn add_declared(credential: &DeclaredCredential, list: &mut List) {
    let environment = credential.environment.as_ref().map(ToString::to_string);
    let row = vec![
        credential.name.to_string(),
        credential.service.to_string(),
        environment.clone().unwrap_or_default(),
        LOCAL.to_owned(),
        "everyone".to_owned(),
        "declared in proxy.toml".to_owned(),
        String::new(),
    ];
    let item = json!({
        "name": credential.name.as_str(),
        "service": credential.service.as_str(),
        "owner": LOCAL,
        "environment": environment,
        "shared_with": ["everyone"],
        "source": "declared",
        "expires_at": null,
        "expired": false,
    });
    list.add(row, item);
}
