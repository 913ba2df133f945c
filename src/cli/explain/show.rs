//! A finding, for people and for programs.

use serde_json::{Value, json};

use crate::access::{Known, Verdict};
use crate::cli::service::limits;
use crate::cli::session::Screen;
use crate::cli::table::{List, show_facts};
use crate::cli::ways;
use crate::domain::{ConnectTo, Http2, Name, Origin, Placement, Scheme, Service, Source};
use crate::route::Door;

use super::decide::{Finding, Outcome};
use super::target::Asked;
use super::view::Dry;

/// Writes it for people.
pub(super) fn text(
    asked: &Asked,
    known: &Known,
    finding: &Finding,
    dry: &Dry,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let title = screen.bold(&format!("{} {}", asked.method, asked.shown));
    screen.say(title)?;
    let caller = &known.caller;
    let environment = caller.environment.as_ref().map(|name| format!(", environment {name}")).unwrap_or_default();
    let mut facts =
        vec![("door", door(asked)), ("caller", format!("{}, owned by {}{environment}", caller.name, known.owner.name))];
    if let Some(entry) = &finding.service {
        let service = &entry.service;
        facts.push(("service", format!("{} ({})", service.name, service.title)));
        facts.push(("rule", rule(service, finding)));
        facts.push(("key", key(finding)));
        facts.push(("key goes", ways::places(service)));
        let limits = limits(&service.limits);
        facts.push(("limits", if limits.is_empty() { "none".to_owned() } else { limits }));
        if let Some((origin, path)) = &finding.sent {
            facts.push((
                "sent as",
                format!("{} {}://{}{path}", asked.method, origin.scheme.as_str(), origin.authority()),
            ));
            facts.push(("dialled", dialled(service, origin)));
        }
    }
    show_facts(&facts, screen)?;
    if !finding.candidates.is_empty() {
        screen.say("")?;
        screen.say("Keys that are open to this caller, in the order of the selection:")?;
        candidates(finding, dry).show(false, screen)?;
        for (_, held, _) in &finding.candidates {
            if let Some(why) = dry.get(&held.credential.id) {
                screen.say(format!("{} has no value: {why}", held.credential.name))?;
            }
        }
    }
    screen.say("")?;
    Ok(screen.say(match &finding.outcome {
        Outcome::Sent => "It would be sent. Nothing was.".to_owned(),
        Outcome::Passed => {
            "It belongs to no service: it would be passed on without a key. Nothing was sent.".to_owned()
        }
        Outcome::Refused { code, why } => format!("It would be refused ({}): {why}", code.as_str()),
    })?)
}

fn door(asked: &Asked) -> String {
    let text = match asked.door {
        Door::Forward => "forward (HTTP_PROXY)",
        Door::Connect => "connect (HTTPS_PROXY)",
        Door::Path => "path (base URL, the service in the path)",
        Door::Host => "host (base URL, the service in the host)",
        Door::Own => "sidekey's own pages",
    };
    if !asked.is_tunnelled {
        return text.to_owned();
    }
    let plain = asked.shown.replacen("https://", "http://", 1);
    format!(
        "{text}, when the client calls {plain}\n(sidekey speaks TLS to the service; behind HTTPS_PROXY the client would \
         open a tunnel, in which no key can be placed)"
    )
}

fn rule(service: &Service, finding: &Finding) -> String {
    let refused = matches!(&finding.outcome, Outcome::Refused { code, .. } if *code == crate::domain::Code::NotAllowed);
    match (&service.allow, &finding.sent) {
        (None, _) => "none: everything is allowed".to_owned(),
        (Some(rules), Some(_)) => format!("admitted by `allow` ({} in all)", rules.len()),
        (Some(rules), None) if refused && finding.chosen.is_some() => {
            let all: Vec<String> = rules.iter().map(|rule| format!("\n{rule}")).collect();
            format!("not admitted by any of the {} in `allow`:{}", rules.len(), all.concat())
        }
        (Some(rules), None) => format!("{} in `allow`, not asked: there is no key", rules.len()),
    }
}

fn key(finding: &Finding) -> String {
    finding.chosen.as_ref().map_or_else(
        || "none".to_owned(),
        |(held, step)| {
            let declared =
                if matches!(held.credential.source, Source::Declared { .. }) { ", declared in proxy.toml" } else { "" };
            format!("{}, {}{declared}", held.credential.name, step.describe())
        },
    )
}

fn dialled(service: &Service, origin: &Origin) -> String {
    let options = &service.upstream;
    let whom = match &options.connect_to {
        Some(ConnectTo::Address(address)) => format!("{address} instead of {}:{}", origin.host, origin.port),
        Some(ConnectTo::Name(host, port)) => format!("{host}:{port} instead of {}:{}", origin.host, origin.port),
        None => format!("{}:{}", origin.host, origin.port),
    };
    let how = match (origin.scheme, options.http2) {
        (Scheme::Https, Http2::Auto) => "TLS, HTTP/2 or HTTP/1.1 by ALPN",
        (Scheme::Https, Http2::Always) => "TLS, HTTP/2",
        (Scheme::Https, Http2::Never) => "TLS, HTTP/1.1",
        (Scheme::Http, Http2::Always) => "without TLS, HTTP/2 by prior knowledge",
        (Scheme::Http, _) => "without TLS, HTTP/1.1",
    };
    let private = if options.allow_private { "" } else { "; private addresses are refused" };
    format!("{whom}, {how}{private}")
}

fn verdict(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Eligible => ("eligible", "may be used"),
        Verdict::OtherEnvironment => ("other_environment", "of another environment"),
        Verdict::Expired => ("expired", "expired"),
        Verdict::OtherHost => ("other_host", "pinned to another host"),
        Verdict::NoValue => ("no_value", "has no value"),
    }
}

fn candidates(finding: &Finding, dry: &Dry) -> List {
    let mut list = List::new(&["KEY", "STEP", "VERDICT"], "");
    for (step, held, found) in &finding.candidates {
        let chosen =
            finding.chosen.as_ref().is_some_and(|(one, at)| one.credential.id == held.credential.id && at == step);
        let (word, text) = verdict(*found);
        let text = if chosen { format!("{text}, and is") } else { text.to_owned() };
        let row = vec![held.credential.name.to_string(), step.describe().to_owned(), text];
        let item = json!({
            "key": held.credential.name.as_str(),
            "step": step.describe(),
            "verdict": word,
            "chosen": chosen,
            "why": dry.get(&held.credential.id),
        });
        list.add(row, item);
    }
    list
}

/// The same for programs.
pub(super) fn json(asked: &Asked, known: &Known, finding: &Finding, dry: &Dry) -> Value {
    let service = finding.service.as_ref().map(|entry| &entry.service);
    let (outcome, code, why) = match &finding.outcome {
        Outcome::Sent => ("sent", None, None),
        Outcome::Passed => ("passed", None, None),
        Outcome::Refused { code, why } => ("refused", Some(code.as_str()), Some(why.as_str())),
    };
    json!({
        "version": 1,
        "method": asked.method.as_str(),
        "url": asked.shown,
        "door": asked.door.as_str(),
        "caller": known.caller.name.as_str(),
        "owner": known.owner.name.as_str(),
        "environment": known.caller.environment.as_ref().map(Name::as_str),
        "service": service.map(|service| service.name.as_str()),
        "placement": service.map(|service| service.auth.iter().map(Placement::describe).collect::<Vec<_>>()),
        "limits": service.map(|service| limits(&service.limits)),
        "key": finding.chosen.as_ref().map(|(held, _)| held.credential.name.as_str()),
        "step": finding.chosen.as_ref().map(|(_, step)| step.describe()),
        "candidates": candidates(finding, dry).into_items(),
        "upstream": finding.sent.as_ref().map(|(origin, path)| format!("{}://{}{path}", origin.scheme.as_str(), origin.authority())),
        "outcome": outcome,
        "code": code,
        "why": why,
    })
}
