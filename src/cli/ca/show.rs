//! `sidekey ca show`.

use clap::Args;

use crate::cli::moment;
use crate::cli::session::Session;
use crate::cli::table::{show_facts, show_items};
use crate::operations::AuthorityView;

const EXAMPLES: &str = "\
Examples:
  sidekey ca show
  sidekey ca show --json | jq -r '.items[0].fingerprint'";

/// Show the certificate authority
///
/// The one that signs, and during a rotation the one that will: name, SHA-256 fingerprint, times, and the hosts that it may
/// vouch for.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// Print JSON: {"version":1,"items":[…]}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let opened = super::opened(session)?;
    let (authorities, config) = (super::trusted(&opened)?, &opened.config);
    if arguments.json {
        let items = authorities.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        return Ok(show_items(&items, &mut session.screen)?);
    }
    let listed: Vec<String> = config.intercept.iter().map(ToString::to_string).collect();
    if authorities.last().is_some_and(|newest| newest.hosts != listed) {
        session.screen.note(
            "The configuration lists other hosts than it may vouch for; `sidekey ca rotate` makes one for them.",
        )?;
    }
    for authority in &authorities {
        let title = session.screen.bold(&authority.name);
        session.screen.say(title)?;
        show_facts(&facts(authority), &mut session.screen)?;
    }
    Ok(())
}

fn facts(authority: &AuthorityView) -> Vec<(&'static str, String)> {
    let day = |at: &jiff::Timestamp| format!("{} UTC", moment::shown(at.as_second()));
    let hosts = if authority.hosts.is_empty() { "any".to_owned() } else { authority.hosts.join("\n") };
    vec![
        ("state", authority.state.as_str().to_owned()),
        ("SHA-256", authority.fingerprint.clone()),
        ("made", day(&authority.created_at)),
        ("signs from", day(&authority.signs_from)),
        ("ends", day(&authority.expires_at)),
        ("hosts", hosts),
    ]
}
