//! `sidekey explain`: what would become of a request, and why. It asks the same tables as the proxy, in the same order, and
//! sends nothing, opens no key and runs no command.

mod show;
mod view;

use std::time::Duration;

use clap::Args;

use crate::access::Known;
use crate::domain::{Credential, Name};
use crate::operations::{GateShown, GatesShown};
use crate::pipeline::explain::{self, Finding};

use super::failure::wrong_use;
use super::opened::Opened;
use super::session::Session;
use super::table::show_json;

const EXAMPLES: &str = "\
Examples:
  sidekey explain GET https://api.stripe.com/v1/charges
  sidekey explain --as etl POST /stripe/v1/charges
  sidekey explain --credential stripe-staging GET http://stripe.localhost:8080/v1/balance
  sidekey explain --json GET https://api.stripe.com/v1/charges | jq .outcome";

/// Explain what would become of a request; nothing is sent
///
/// Shows the door, the service, the caller, every key of the service and why it is used or not, the rules, where the key
/// would go, where the request would be dialled, and what the limits would make of it at this moment, as far as the running proxy
/// noted that, which it does once a second. The URL is either the service's own, as a client behind
/// HTTP_PROXY writes it, or one of the proxy's: with the service as first part of the path or of the host. A declared key whose
/// file yields no value is shown with the reason; its command is not run, and the proxy's environment is not seen from here.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The method, such as GET
    method: String,
    /// The URL, or a path of the proxy such as /stripe/v1/charges
    url: String,
    /// Ask as this caller [default: the one without proof, `local`]
    #[arg(long = "as", value_name = "CALLER")]
    caller: Option<Name>,
    /// The key that the caller would name by the header Sidekey-Credential
    #[arg(long, value_name = "KEY")]
    credential: Option<Name>,
    /// Print JSON: {"version":1,"outcome":…,…}
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> anyhow::Result<()> {
    let method = arguments.method.to_ascii_uppercase();
    let asked = explain::read(&method, &arguments.url).map_err(wrong_use)?;
    let opened = Opened::or_make(session)?;
    let (view, dry) = view::build(&opened, &session.environment)?;
    let known = view::caller(&view, &opened.config, arguments.caller.as_ref())?;
    let wanted = arguments.credential.as_ref().map(Name::as_str);
    let mut finding = explain::decide(&view, &known, &asked, wanted, session.now());
    let names = opened.operations.names()?;
    let (now, asked) = (session.now(), &asked);
    let met = met(&opened, &known, &finding)?;
    // Circuits do not outlive the process whose requests failed.
    if let Some(met) = met.as_ref().filter(|met| met.running) {
        let until = met.gates.iter().flat_map(|gate| &gate.circuits).filter_map(|circuit| circuit.open_until).max();
        let left = until.and_then(|until| u64::try_from(until.as_second() - now).ok()).unwrap_or_default();
        finding.circuit_is_open(Duration::from_secs(left));
    }
    let shown =
        show::Shown { asked, known: &known, finding: &finding, names: &names, dry: &dry, met: met.as_ref(), now };
    if arguments.json {
        return Ok(show_json(&shown.json(), &mut session.screen)?);
    }
    shown.text(&mut session.screen)
}

/// What is known of the limits on its way; none when there is no key that could meet any.
fn met(opened: &Opened, known: &Known, finding: &Finding) -> anyhow::Result<Option<GatesShown>> {
    let Some(met) = &finding.met else { return Ok(None) };
    let keys: Vec<&Credential> = met.keys().collect();
    let may_meet =
        |gate: &GateShown| met.may_meet(gate.is_of_route(), gate.exact_bucket.as_deref(), gate.bucket.as_deref());
    let found = opened.operations.gates_met(&opened.actor, known, &keys, met.origin.as_ref(), may_meet)?;
    Ok(Some(found))
}
