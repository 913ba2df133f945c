//! The keys: what they need of a person, whether their services can be reached as the proxy reaches them, and, when that is
//! wished, whether the services take them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app;
use crate::cli::around;
use crate::cli::moment;
use crate::cli::opened::Opened;
use crate::cli::session::Session;
use crate::cli::table::counted;
use crate::config::{Config, ParentProxies};
use crate::domain::{Name, Service};
use crate::operations::{KeyFilter, KeyState, KeyView, Probe, Reached, Verdict};

use super::finding::{Finding, Findings};

const CHECK: &str = "key";
/// How many keys or services are told of one by one.
const MOST: usize = 50;

/// What the keys need.
pub(super) fn examine(opened: &Opened, keys: &[KeyView], now: i64, findings: &mut Findings) {
    if keys.is_empty() {
        let found = "there are none yet; `sidekey service search` finds services";
        return findings.add(Finding::warning(CHECK, found).mended_by("sidekey key add SERVICE"));
    }
    let (good, other): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.state == KeyState::Ok);
    if !good.is_empty() && findings.wants_all_of(CHECK) {
        findings.add(Finding::fine(CHECK, format!("{} in order", counted(good.len(), "key"))));
    }
    let named: Vec<_> = good.into_iter().filter(|key| findings.names(CHECK, key.name.as_str())).collect();
    for key in named.into_iter().chain(other.iter().copied().take(MOST)) {
        findings.add(of_one(key, now).of(key.name.to_string()));
    }
    if other.len() > MOST {
        let found = format!("{} more need something", counted(other.len() - MOST, "key"));
        findings.add(Finding::warning(CHECK, found).mended_by("sidekey key list"));
    }
    let unknown = keys.iter().filter(|key| opened.config.service(key.service.as_str()).is_none());
    for key in unknown.take(MOST) {
        let found = format!("its service `{}` is not there", key.service);
        findings.add(Finding::problem(CHECK, found).of(key.name.to_string()).mended_by("sidekey service list"));
    }
}

fn of_one(key: &KeyView, now: i64) -> Finding {
    let shown = |at: Option<jiff::Timestamp>| at.map(|at| moment::shown(at.as_second())).unwrap_or_default();
    let (name, expires) = (&key.name, shown(key.expires_at));
    let rotate = format!("sidekey key rotate {name}");
    match key.state {
        KeyState::Expired => Finding::problem(CHECK, format!("it expired on {expires} UTC and is not used any more"))
            .mended_by(format!("{rotate} && sidekey key edit {name} --expires DATE")),
        KeyState::Refused => {
            let when = key.last_try.as_ref().map(|last| moment::ago(last.at.as_second(), now)).unwrap_or_default();
            Finding::problem(CHECK, format!("the service refused it when it was tried last, {when}"))
                .mended_by(format!("{rotate} --verify"))
        }
        KeyState::ExpiresSoon => Finding::warning(CHECK, format!("it expires on {expires} UTC"))
            .mended_by(format!("{rotate} && sidekey key edit {name} --expires DATE")),
        KeyState::RotationDue => {
            Finding::warning(CHECK, format!("a new value is due since {} UTC", shown(key.rotation_due_at)))
                .mended_by(rotate)
        }
        KeyState::Ok => Finding::fine(CHECK, "in order"),
    }
}

/// Asks the services that there are keys for, without a key, on the way that the proxy goes. Returns what each said.
pub(super) fn services(
    config: &Config,
    keys: &[KeyView],
    session: &Session,
    findings: &mut Findings,
) -> Vec<(String, Reached)> {
    let check = "service";
    if !findings.wants(check) && !findings.wants("clock") {
        return Vec::new();
    }
    let entry = |key: &KeyView| Some((config.service(key.service.as_str())?, around::variables(config, key)));
    let distinct: BTreeMap<(Name, BTreeMap<Name, String>), Arc<Service>> = keys
        .iter()
        .filter_map(entry)
        .map(|(entry, variables)| ((entry.service.name.clone(), variables), Arc::clone(&entry.service)))
        .filter(|((name, _), _)| findings.wants("clock") || findings.wants_of(check, name.as_str()))
        .collect();
    if distinct.len() > MOST {
        let found = format!("{} more are not asked", counted(distinct.len() - MOST, "service"));
        findings.add(Finding::unchecked(check, found));
    }
    let asked: Vec<_> = distinct.into_iter().take(MOST).map(|((_, variables), service)| (service, variables)).collect();
    let probe = match probe(config, session) {
        Ok(probe) => probe,
        Err(error) => {
            findings.add(Finding::problem(check, format!("no service can be called: {error:#}")));
            return Vec::new();
        }
    };
    let reached = probe.reach(&asked, &*session.clock);
    let names = asked.iter().map(|(service, _)| service.name.to_string());
    let told: Vec<(String, Reached)> = names.zip(reached).collect();
    for (name, reached) in &told {
        findings.add(of_service(name, reached).of(name));
    }
    told
}

/// The way to the services. A proxy variable that names this very proxy is meant for others than the proxy.
fn probe(config: &Config, session: &Session) -> anyhow::Result<Probe> {
    let leads_here = super::environment::leads_here(config, &session.environment);
    let parents = if leads_here { ParentProxies::default() } else { config.parents.clone() };
    app::probe(&Config { parents, ..config.clone() })
}

fn of_service(name: &str, reached: &Reached) -> Finding {
    let check = "service";
    let shown = reached.origin.clone().unwrap_or_else(|| "its base URL".to_owned());
    match &reached.answer {
        Ok(asked) => Finding::fine(check, format!("{shown} answers ({})", asked.status.as_u16())),
        Err(why) => Finding::problem(check, format!("{shown} does not answer: {why}"))
            .mended_by(format!("sidekey service show {name}")),
    }
}

/// Tries each key at its service. What a service refuses is noted, and told with what the keys need.
///
/// # Errors
/// When the keys cannot be listed.
pub(super) fn verify(opened: &Opened, session: &Session, findings: &mut Findings) -> anyhow::Result<()> {
    let mut keys = opened.operations.keys(&opened.actor, &KeyFilter::default())?;
    keys.retain(|key| findings.wants_of(CHECK, key.name.as_str()));
    let probe = match probe(&opened.config, session) {
        Ok(probe) => probe,
        Err(error) => {
            findings.add(Finding::unchecked(CHECK, format!("no key was tried: {error:#}")));
            return Ok(());
        }
    };
    let call = |key: &KeyView| opened.config.service(key.service.as_str())?.service.verify.as_ref();
    let (with, without): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.id.is_some() && call(key).is_some());
    for key in with.into_iter().take(MOST) {
        let finding = match opened.operations.verify_key(&opened.actor, &key.reference(), &probe) {
            Err(error) => Finding::problem(CHECK, format!("{:#}", anyhow::Error::new(error))),
            Ok(tried) => match tried.verdict {
                Verdict::Refused => continue,
                Verdict::Works => Finding::fine(CHECK, format!("{} takes it ({})", key.service, tried.call)),
                Verdict::Limited | Verdict::Unclear | Verdict::Unreachable => {
                    let why = tried.why.unwrap_or_else(|| format!("the answer was {}", tried.verdict.as_str()));
                    Finding::unchecked(CHECK, format!("{}: {why}", tried.call))
                }
            },
        };
        findings.add(finding.of(key.name.to_string()));
    }
    if !without.is_empty() {
        let names = without.into_iter().take(MOST).map(|key| key.name.as_str()).collect::<Vec<_>>().join(", ");
        findings.add(Finding::unchecked(CHECK, format!("no call is known by which to try {names}")));
    }
    Ok(())
}
