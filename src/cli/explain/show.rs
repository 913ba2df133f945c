//! A finding, for people and for programs.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::access::{Grant, Known, Step};
use crate::cli::limits::circuit;
use crate::cli::session::Screen;
use crate::cli::table::{List, show_facts};
use crate::cli::ways;
use crate::domain::{ConnectTo, Http2, Name, Origin, Placement, Scheme, Service, Source};
use crate::operations::{GateShown, GatesShown, Names};
use crate::pipeline::explain::{Asked, Considering, Fate, Finding, Met, Outcome, Told, in_seconds};
use crate::route::Door;

use super::view::Dry;

/// What there is to show.
pub(super) struct Shown<'a> {
    pub(super) asked: &'a Asked,
    pub(super) known: &'a Known,
    pub(super) finding: &'a Finding,
    pub(super) names: &'a Names,
    pub(super) dry: &'a Dry,
    /// What a proxy noted of the limits on its way; none when it has none.
    pub(super) met: Option<&'a GatesShown>,
    /// Unix seconds.
    pub(super) now: i64,
}

impl Shown<'_> {
    /// Writes it for people.
    pub(super) fn text(&self, screen: &mut Screen) -> anyhow::Result<()> {
        let Self { asked, known, finding, .. } = self;
        let title = screen.bold(&format!("{} {}", asked.method, asked.shown));
        screen.say(title)?;
        let mut facts = vec![("door", door(asked)), ("caller", caller(known))];
        if let Some(entry) = &finding.service {
            let service = &entry.service;
            facts.push(("service", format!("{} ({})", service.name, service.title)));
            facts.push(("rule", rule(service, finding)));
            facts.push(("key", key(finding)));
            facts.extend(self.share().map(|share| ("share", share)));
            facts.push(("key goes", ways::places(service)));
            let limits = service.limits_in_words();
            facts.push(("limits", if limits.is_empty() { "none".to_owned() } else { limits }));
            facts.extend(self.gates().iter().map(|gate| ("gate", self.told(gate))));
            facts.extend(self.noted().map(|noted| ("noted", noted)));
            if let Some((origin, path)) = &finding.sent {
                facts.push(("sent as", format!("{} {origin}{path}", asked.method)));
                facts.push(("dialled", dialled(service, origin)));
            }
        }
        show_facts(&facts, screen)?;
        if !finding.candidates.is_empty() {
            screen.say("")?;
            screen.say(
                "The keys of this service, those that are open to this caller first, in the order of the selection:",
            )?;
            self.candidates().show(false, screen)?;
            for Considering { held, .. } in &finding.candidates {
                if let Some(why) = self.dry.get(&held.credential.id) {
                    screen.say(format!("{} has no value: {why}", held.credential.name))?;
                }
            }
        }
        screen.say("")?;
        Ok(screen.say(match &finding.outcome {
            Outcome::Sent { wait } => format!("It would be sent{}. Nothing was.", self.when(*wait)),
            Outcome::Passed => {
                "It belongs to no service: it would be passed on without a key. Nothing was sent.".to_owned()
            }
            Outcome::Refused { code, why, wait: None } => format!("It would be refused ({}): {why}", code.as_str()),
            Outcome::Refused { code, why, wait: Some(wait) } => {
                format!("It would be refused now ({}, {} s): {why}", code.as_str(), in_seconds(*wait))
            }
        })?)
    }

    fn gates(&self) -> &[GateShown] {
        self.met.map_or(&[], |met| &met.gates)
    }

    /// How old what is known of limits is.
    fn noted(&self) -> Option<String> {
        let met = self.met?;
        if met.running {
            return (!met.gates.is_empty()).then(|| "by the running proxy, a moment ago".to_owned());
        }
        let age = self.now - met.noted_at?.as_second();
        Some(format!("no proxy is running: the limits are as the last one left them {} s ago", age.max(0)))
    }

    /// When it would be sent, as far as it was noted.
    fn when(&self, wait: Duration) -> String {
        let on_its_way = || self.gates().iter().filter(|gate| self.is_on_its_way(gate));
        let waiting: u64 = on_its_way().map(GateShown::waiters).sum();
        let mut parts = Vec::new();
        if !wait.is_zero() {
            parts.push(format!(" after a wait of {} s", in_seconds(wait)));
        }
        if waiting > 0 && self.met.is_some_and(|met| met.running) {
            parts.push(format!(" when its turn has come ({waiting} already waiting)"));
        }
        let is_certain = self.finding.met.as_ref().is_none_or(Met::is_certain);
        parts.extend(on_its_way().filter(|_| !is_certain).filter_map(|gate| {
            let (bucket, left) = (gate.marked_bucket()?, left(gate.closed_until?, self.now));
            (left > 0)
                .then(|| format!(", unless the service counts it in {bucket}, which lets nothing pass for {left} s"))
        }));
        parts.concat()
    }

    /// Whether it is a gate for the key that would be used, and not for one that stands in.
    fn is_on_its_way(&self, gate: &GateShown) -> bool {
        let Some(grant) = &self.finding.chosen else { return false };
        let held = grant.candidate();
        let is_its_key = gate.key.as_deref() == Some(held.credential.name.as_str());
        let is_its_owner = gate.owner == held.limit_owner();
        match gate.of.as_str() {
            "credential" | "share" => is_its_key,
            "caller" | "team" | "service" => true,
            _ => is_its_owner || gate.is_of_every_owner(),
        }
    }

    /// A gate in a line.
    fn told(&self, gate: &GateShown) -> String {
        let now = self.now;
        let bucket = gate.marked_bucket().map(|bucket| format!("{bucket}: ")).unwrap_or_default();
        let closed = gate.closed_until.map(|until| format!(" for {} s", left(until, now)));
        let limits: Vec<String> = gate.limits.iter().map(|one| format!(", {} {} left", one.left, one.name)).collect();
        let quotas: Vec<String> =
            gate.quotas.iter().map(|one| format!(", {} left of {}", one.left, one.quota)).collect();
        let pin = gate.pin.as_ref().map(|pin| format!(", pinned to {}", pin.limit)).unwrap_or_default();
        let circuits: Vec<String> = gate.circuits.iter().map(|one| format!(", {}", circuit(one, now))).collect();
        let (closed, limits, quotas, circuits) =
            (closed.unwrap_or_default(), limits.concat(), quotas.concat(), circuits.concat());
        let whose = if gate.is_of_upstream() { self.whose(gate) } else { format!("of the {}: ", gate.of) };
        format!("{whose}{bucket}{}{closed}{limits}{quotas}{pin}{circuits}, {} waiting", gate.state, gate.waiters())
    }

    /// Which keys a gate of the service is for, where there are several.
    fn whose(&self, gate: &GateShown) -> String {
        let Some(met) = self.finding.met.as_ref().filter(|met| met.keys().len() > 1) else { return String::new() };
        let keys: Vec<&str> =
            met.keys().filter(|key| key.counted_as() == gate.owner).map(|key| key.name.as_str()).collect();
        if keys.is_empty() { String::new() } else { format!("of {}: ", keys.join(", ")) }
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let Self { asked, known, finding, .. } = self;
        let service = finding.service.as_ref().map(|entry| &entry.service);
        let Told { outcome, code, why, wait_s } = finding.outcome.told();
        let sent = |(origin, path): &(Origin, String)| format!("{origin}{path}");
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
            "limits": service.map(|service| service.limits_in_words()),
            "key": finding.chosen.as_ref().map(|grant| grant.candidate().credential.name.as_str()),
            "step": finding.chosen.as_ref().map(|grant| grant.step().describe()),
            "stand_ins": finding.stand_ins().map(Name::as_str).collect::<Vec<_>>(),
            "stands_in_for": finding.stands_in_for.as_ref().map(Name::as_str),
            "share": self.share(),
            "gates": self.gates(),
            "noted_at": self.met.and_then(|met| met.noted_at),
            "running": self.met.map(|met| met.running),
            "candidates": self.candidates().into_items(),
            "upstream": finding.sent.as_ref().map(sent),
            "outcome": outcome,
            "code": code,
            "why": why,
            "wait_s": wait_s,
        })
    }

    /// Through which share the key is used, when that bounds it.
    fn share(&self) -> Option<String> {
        let shares = self.finding.chosen.as_ref().map_or(&[][..], Grant::shares);
        let all = shares.iter().map(|bounded| format!("{} ({})", self.names.share(&bounded.with), bounded.bounds));
        // Once one admits the request, it is the one that counts.
        let most = if self.finding.sent.is_some() { 1 } else { usize::MAX };
        let shares: Vec<String> = all.take(most).collect();
        (!shares.is_empty()).then(|| shares.join(" and "))
    }

    fn candidates(&self) -> List {
        let mut list = List::new(&["KEY", "OWNER", "STEP", "FOR", "VERDICT"], "");
        for Considering { held, step, bounded, fate } in &self.finding.candidates {
            let (word, text) = fate.told();
            let credential = &held.credential;
            let owner = self.names.user(&credential.owner);
            let bounds = bounded.as_ref().map(|bounded| bounded.bounds.to_string());
            let row = vec![
                credential.name.to_string(),
                owner.clone(),
                step.map(Step::describe).unwrap_or_default().to_owned(),
                bounds.clone().unwrap_or_default(),
                text.to_owned(),
            ];
            let item = json!({
                "key": credential.name.as_str(),
                "owner": owner,
                "step": step.map(Step::describe),
                "for": bounds,
                "verdict": word,
                "chosen": *fate == Fate::Chosen,
                "why": self.dry.get(&credential.id).map_or(text, String::as_str),
            });
            list.add(row, item);
        }
        list
    }
}

fn caller(known: &Known) -> String {
    let caller = &known.caller;
    let environment = caller.environment.as_ref().map(|name| format!(", environment {name}")).unwrap_or_default();
    let perimeter = &caller.perimeter;
    let from = if perimeter.is_open() { String::new() } else { format!(", only from {perimeter}") };
    format!("{}, owned by {}{environment}{from}", caller.name, known.owner.name)
}

fn door(asked: &Asked) -> String {
    let text = match asked.door {
        Door::Forward => "forward (HTTP_PROXY)",
        Door::Connect => "connect (HTTPS_PROXY)",
        Door::Intercept => "intercept (HTTPS_PROXY, opened)",
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
    let reading = if service.allowed.read_only { "reading only (GET, HEAD, OPTIONS); " } else { "" };
    let rules = match (&service.allowed.rules, finding.rules_admit) {
        (None, Some(false)) => "not admitted".to_owned(),
        (None, _) if service.allowed.read_only => "no `allow` besides".to_owned(),
        (None, _) => "none: everything is allowed".to_owned(),
        (Some(rules), Some(true)) => format!("admitted by `allow` ({} in all)", rules.len()),
        (Some(rules), Some(false)) => {
            let all: Vec<String> = rules.iter().map(|rule| format!("\n{rule}")).collect();
            format!("not admitted by any of the {} in `allow`:{}", rules.len(), all.concat())
        }
        (Some(rules), None) if finding.chosen.is_none() => {
            format!("{} in `allow`, not asked: there is no key", rules.len())
        }
        (Some(rules), None) => format!("{} in `allow`, not asked", rules.len()),
    };
    format!("{reading}{rules}")
}

fn key(finding: &Finding) -> String {
    finding.chosen.as_ref().map_or_else(
        || "none".to_owned(),
        |grant| {
            let credential = &grant.candidate().credential;
            let declared =
                if matches!(credential.source, Source::Declared { .. }) { ", declared in proxy.toml" } else { "" };
            let others: Vec<&str> = finding.stand_ins().map(Name::as_str).collect();
            let next = if others.is_empty() {
                String::new()
            } else {
                format!("when its limit is used up, {}", others.join(", then "))
            };
            let pool = match (&credential.pool, &finding.stands_in_for) {
                (Some(pool), Some(first)) => {
                    let next = if next.is_empty() { next } else { format!("; {next}") };
                    format!("\nof the pool {pool}: it stands in for {first}, whose limit would hold it up{next}")
                }
                (Some(pool), None) if !next.is_empty() => format!("\nof the pool {pool}: {next}"),
                _ => String::new(),
            };
            format!("{}, {}{declared}{pool}", credential.name, grant.step().describe())
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

/// How many seconds are left.
fn left(until: Timestamp, now: i64) -> i64 {
    (until.as_second() - now).max(0)
}
