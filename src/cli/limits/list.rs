//! `sidekey limits list`.

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use crate::cli::local;
use crate::cli::moment;
use crate::cli::opened::{self, Opened};
use crate::cli::session::Session;
use crate::cli::table::{List, counted, show_json};
use crate::operations::GateShown;

use super::circuit;

const EXAMPLES: &str = "\
Examples:
  sidekey limits list
  sidekey limits list --json | jq -r '.items[] | select(.state == \"closed\") | .service'";

/// List what the running proxy knows of the limits of services
///
/// One line for each limit owner and bucket of which something is known: what is left, of quotas too, until when nothing is
/// sent, what is pinned, and who waits. A limit of proxy.toml is listed while somebody waits for it, with whose it is in place
/// of the owner: `caller etl`, `team ops`, `credential prod`, `share everyone`, `service *`. Beneath stands what services said when
/// they refused last, and which upstreams fail. Buckets that are paths are shown without identifiers; `#` and a mark tell those
/// apart that look the same, and `sidekey explain` shows the mark of a path. The proxy notes this once a second, quotas every
/// five; where none is running, it is said since when this is so. An owner `*` stands for all.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Arguments {
    /// Print JSON: {"version":1,"running":…,"noted_at":…,"items":[…]}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let head = ["SERVICE", "OWNER", "KEY", "BUCKET", "STATE", "FOR", "LEFT", "PINNED", "UNDER WAY", "WAITING"];
    let mut list = List::new(&head, "Nothing is known of any limit: no service told of one, and none was met.");
    let (mut beneath, mut running, mut noted_at) = (Vec::new(), false, None);
    if opened::has_store(&session.load()?.config)? {
        let now = session.now();
        let Opened { config, operations, actor } = Opened::or_make(session)?;
        let found = operations.gates(&actor)?;
        // One that was killed may have noted something a moment before.
        running = found.running && local::is_running(&config) != Some(false);
        noted_at = found.noted_at;
        if !running {
            session.screen.note(since_when(found.noted_at, now))?;
        }
        for gate in &found.gates {
            beneath.extend(refusal(gate, now));
            beneath.extend(gate.circuits.iter().map(|one| format!("{}: {}", gate.service, circuit(one, now))));
            list.add(row(gate, now), serde_json::to_value(gate)?);
        }
    }
    if arguments.json {
        let items = list.into_items();
        let told = json!({ "version": 1, "running": running, "noted_at": noted_at, "items": items });
        return Ok(show_json(&told, &mut session.screen)?);
    }
    list.show(false, &mut session.screen)?;
    for line in beneath {
        session.screen.say(line)?;
    }
    Ok(())
}

/// How old it is where no proxy notes it any more.
fn since_when(noted_at: Option<Timestamp>, now: i64) -> String {
    noted_at.map_or_else(
        || "No proxy is running, and none ran with this store before.".to_owned(),
        |at| {
            let (ago, at) = (moment::ago(at.as_second(), now), moment::shown_to_the_second(at.as_second()));
            format!("No proxy is running: this is how the last one left it, {ago} ({at} UTC).")
        },
    )
}

/// What the service said when it refused last.
fn refusal(gate: &GateShown, now: i64) -> Option<String> {
    let of = gate.marked_bucket().map(|bucket| format!(" {bucket}")).unwrap_or_default();
    let ago = gate.last_refusal_at.map(|at| format!(", {}", moment::ago(at.as_second(), now))).unwrap_or_default();
    let said = gate.last_refusal.join("; ");
    (!said.is_empty()).then(|| format!("{} ({}){of} refused last with {said}{ago}", gate.service, gate.owner))
}

fn row(gate: &GateShown, now: i64) -> Vec<String> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let until = |at: Timestamp| moment::left(at.as_second(), now);
    let left = gate.limits.iter().map(|limit| match limit.limit {
        Some(most) => format!("{}/{most} {} ({})", limit.left, limit.name, until(limit.reset_at)),
        None => format!("{} {} ({})", limit.left, limit.name, until(limit.reset_at)),
    });
    let quotas = gate.quotas.iter().map(|one| {
        let (count, period) = one.quota.split_once('/').unwrap_or((&one.quota, ""));
        format!("{}/{count} this {period} ({})", one.left, until(one.reset_at))
    });
    let left: Vec<String> = left.chain(quotas).collect();
    let pinned = gate.pin.as_ref().map(|pin| {
        let ends = pin.until.map(|at| format!(" ({})", until(at))).unwrap_or_default();
        format!("{}{ends}", pin.limit)
    });
    let waiting = gate.waiting.iter().map(|one| format!("{} {}", one.waiting, one.caller)).collect::<Vec<_>>();
    let callers = usize::try_from(gate.waiters()).unwrap_or(usize::MAX);
    vec![
        gate.service.clone(),
        if gate.is_of_upstream() { gate.owner.clone() } else { format!("{} {}", gate.of, gate.owner) },
        or_dash(&gate.key),
        or_dash(&gate.marked_bucket()),
        gate.reason
            .as_ref()
            .filter(|_| gate.closed_until.is_some())
            .map_or_else(|| gate.state.clone(), |reason| format!("{} ({reason})", gate.state)),
        gate.closed_until.map_or_else(|| "-".to_owned(), until),
        if left.is_empty() { "-".to_owned() } else { left.join(", ") },
        or_dash(&pinned),
        gate.under_way.to_string(),
        if waiting.is_empty() {
            "-".to_owned()
        } else {
            format!("{} ({})", counted(callers, "request"), waiting.join(", "))
        },
    ]
}
