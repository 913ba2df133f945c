//! `sidekey key share` and `unshare`: who else may use a key.

use clap::Args;

use super::Which;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::domain::{Allowed, Bounds, Quota, Rate, Rule};
use crate::operations::{KeyView, Party};
use crate::record::{quota, rate};

const SHARE_EXAMPLES: &str = "\
Examples:
  sidekey key share stripe --with caller:etl
  sidekey key share stripe --with team:data --with user:ada
  sidekey key share weather --with everyone --read-only --rate 10/s --quota 1000/day
  sidekey key share stripe --with caller:report --allow 'GET /v1/charges/**' --allow 'GET /v1/balance'";

const UNSHARE_EXAMPLES: &str = "\
Examples:
  sidekey key unshare stripe --with team:data
  sidekey key unshare stripe --with caller:etl --with user:ada";

/// Let others use a key
///
/// Shares the key with a user (all callers of that user), a team (all callers of its members), one caller, or everyone. They
/// use it and never see it: it stays its owner's, who alone can change it. Sharing again replaces what the share may be used
/// for. A share with the owner itself says what the owner's own callers may use it for. A running proxy follows within one
/// second.
#[derive(Debug, Args)]
#[command(after_long_help = SHARE_EXAMPLES)]
pub(in crate::cli) struct Share {
    #[command(flatten)]
    which: Which,
    /// With whom: user:NAME, team:NAME, caller:NAME or everyone; repeatable
    #[arg(long = "with", value_name = "WHOM", required = true)]
    parties: Vec<Party>,
    /// Only requests that this rule admits, as in a service's `allow`; repeatable
    #[arg(long, value_name = "RULE", value_parser = rule, help_heading = "What they may use it for")]
    allow: Vec<Rule>,
    /// Only GET, HEAD and OPTIONS
    #[arg(long, help_heading = "What they may use it for")]
    read_only: bool,
    /// At most so often, such as 10/s or 1000/h, on top of the service's own limit
    #[arg(long, value_name = "RATE", value_parser = read_rate, help_heading = "What they may use it for")]
    rate: Option<Rate>,
    /// At most so much in a day or a month (UTC), such as 1000/day or 50000/month
    #[arg(long, value_name = "QUOTA", value_parser = read_quota, help_heading = "What they may use it for")]
    quota: Option<Quota>,
}

/// Let others use a key no more
///
/// Ends shares of the key. The next request cannot use it through them; requests that are under way finish.
#[derive(Debug, Args)]
#[command(after_long_help = UNSHARE_EXAMPLES)]
pub(in crate::cli) struct Unshare {
    #[command(flatten)]
    which: Which,
    /// With whom no more: user:NAME, team:NAME, caller:NAME or everyone; repeatable
    #[arg(long = "with", value_name = "WHOM", required = true)]
    parties: Vec<Party>,
}

pub(super) fn share(arguments: &Share, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::existing(session)?;
    let bounds = Bounds {
        allowed: Allowed {
            rules: (!arguments.allow.is_empty()).then(|| arguments.allow.clone()),
            read_only: arguments.read_only,
        },
        rate: arguments.rate,
        quota: arguments.quota,
    };
    let key = operations.share_key(&actor, &arguments.which.reference(), &arguments.parties, &bounds)?;
    say(&key, session)
}

pub(super) fn unshare(arguments: &Unshare, session: &mut Session) -> anyhow::Result<()> {
    let Opened { operations, actor, .. } = Opened::existing(session)?;
    let key = operations.unshare_key(&actor, &arguments.which.reference(), &arguments.parties)?;
    say(&key, session)
}

fn rule(text: &str) -> Result<Rule, String> {
    Rule::parse(text).map_err(|error| error.to_string())
}

fn read_rate(text: &str) -> Result<Rate, String> {
    rate(text).map_err(|error| error.to_string())
}

fn read_quota(text: &str) -> Result<Quota, String> {
    quota(text).map_err(|error| error.to_string())
}

fn say(key: &KeyView, session: &mut Session) -> anyhow::Result<()> {
    let shared = super::shares(key);
    let with = if shared.is_empty() { "nobody: it is personal".to_owned() } else { shared };
    Ok(session.screen.say(format!("The key `{}` (owner {}) is shared with {with}.", key.name, key.owner))?)
}
