//! `sidekey key list`: every key without its value, those that proxy.toml declares included.

use clap::Args;
use jiff::Timestamp;

use crate::cli::moment;
use crate::cli::opened::{self, Opened};
use crate::cli::session::Session;
use crate::cli::table::List;
use crate::domain::Name;
use crate::operations::{self, KeyFilter, Party};
use crate::vault::KEPT_AFTER_DELETION;

const EXAMPLES: &str = "\
Examples:
  sidekey key list
  sidekey key list --service stripe --env prod
  sidekey key list --owner ada --shared-with team:data
  sidekey key list --deleted
  sidekey key list --json | jq -r '.items[] | select(.expired) | .name'";

const EMPTY: &str = "There is no key yet; `sidekey key add SERVICE` adds one.";

/// List the keys
///
/// Shows every key without its value, whose it is and with whom it is shared. Keys that proxy.toml declares are in the list too.
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
    /// Only keys that are shared with this one: user:NAME, team:NAME, caller:NAME or everyone
    #[arg(long, value_name = "WHOM", conflicts_with = "deleted")]
    shared_with: Option<Party>,
    /// The deleted ones instead, as long as they can be restored
    #[arg(long)]
    deleted: bool,
    /// Print JSON: {"version":1,"items":[…]}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let filter = KeyFilter {
        service: arguments.service.clone(),
        owner: arguments.owner.clone(),
        environment: arguments.env.clone(),
        shared_with: arguments.shared_with.clone(),
    };
    if arguments.deleted {
        return deleted(&filter, arguments.json, session);
    }
    let empty = if filter == KeyFilter::default() { EMPTY } else { "No key fits." };
    let config = session.load()?.config;
    let keys = if opened::has_store(&config)? {
        let Opened { operations, actor, .. } = Opened::or_make(session)?;
        operations.keys(&actor, &filter)?
    } else {
        operations::declared_keys(&config, &filter)
    };
    let mut titles = vec!["NAME", "SERVICE", "ENV", "OWNER", "SHARED WITH", "VALUE SINCE", "LAST USED", "EXPIRES"];
    // Most have neither.
    let (has_owners, has_pools) =
        (keys.iter().any(|key| key.limit_owner.is_some()), keys.iter().any(|key| key.pool.is_some()));
    titles.extend(has_owners.then_some("LIMIT OWNER"));
    titles.extend(has_pools.then_some("POOL"));
    let mut list = List::new(&titles, empty);
    let now = session.now();
    let concerns: Vec<String> = keys.iter().filter_map(|key| super::concern(key, now)).collect();
    for key in keys {
        let since = match key.value_since {
            Some(at) => format!("{} (version {})", moment::ago(at.as_second(), now), super::version(&key)),
            None => "declared in proxy.toml".to_owned(),
        };
        let environment = key.environment.as_ref().map(ToString::to_string).unwrap_or_default();
        let (shared, expiry) = (super::shares(&key), super::expiry(&key));
        let used = key.last_used_at.map(|at| moment::ago(at.as_second(), now)).unwrap_or_default();
        let (name, service, owner) = (key.name.to_string(), key.service.to_string(), key.owner.clone());
        let mut row = vec![name, service, environment, owner, shared, since, used, expiry];
        let or_empty = |name: &Option<Name>| name.as_ref().map(Name::to_string).unwrap_or_default();
        row.extend(has_owners.then(|| or_empty(&key.limit_owner)));
        row.extend(has_pools.then(|| or_empty(&key.pool)));
        list.add(row, serde_json::to_value(&key)?);
    }
    list.show(arguments.json, &mut session.screen)?;
    for concern in concerns {
        session.screen.note(format!("warning: {concern}"))?;
    }
    Ok(())
}

/// The keys that `sidekey key restore` would bring back, the last deleted first.
fn deleted(filter: &KeyFilter, as_json: bool, session: &mut Session) -> anyhow::Result<()> {
    let mut list =
        List::new(&["NAME", "SERVICE", "ENV", "OWNER", "DELETED", "DESTROYED ON"], "No key can be restored.");
    if opened::has_store(&session.load()?.config)? {
        let Opened { operations, actor, .. } = Opened::or_make(session)?;
        let now = session.now();
        for key in operations.deleted_keys(&actor, filter)? {
            let deleted = key.deleted_at.map_or(now, Timestamp::as_second);
            let environment = key.environment.as_ref().map(ToString::to_string).unwrap_or_default();
            let destroyed = moment::shown(deleted.saturating_add(KEPT_AFTER_DELETION));
            let when = moment::ago(deleted, now);
            let row =
                vec![key.name.to_string(), key.service.to_string(), environment, key.owner.clone(), when, destroyed];
            list.add(row, serde_json::to_value(&key)?);
        }
    }
    Ok(list.show(as_json, &mut session.screen)?)
}
