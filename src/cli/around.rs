//! What programs call without the proxy: `NO_PROXY` as it is set, as `sidekey run` sets it, and the services whose keys that
//! keeps from being added.

use std::collections::BTreeMap;

use crate::config::{Config, Environment};
use crate::domain::{Host, HostPattern, Name, Origin, Service, ServiceName};
use crate::operations::KeyView;
use crate::upstream::goes_around;

/// What is always called without the proxy: this machine.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What `NO_PROXY` says in both cases, each entry once. Programs read the one or the other.
pub(super) fn present(environment: &Environment) -> String {
    let set = ["no_proxy", "NO_PROXY"].map(|name| environment.filled(name).unwrap_or_default());
    joined(set.iter().flat_map(|text| text.split(',')))
}

/// What goes around the proxy under `sidekey run`: what does already, and this machine.
pub(super) fn direct(environment: &Environment) -> String {
    joined(present(environment).split(',').chain(LOCAL))
}

/// The same as Java writes it: parts between bars, `*` for what may stand before. It knows no networks.
pub(super) fn of_java(direct: &str) -> String {
    let entry = |entry: &str| match entry {
        "127.0.0.1" => "127.*".to_owned(),
        "::1" => "[::1]".to_owned(),
        suffix if suffix.starts_with('.') => format!("*{suffix}"),
        other => other.to_owned(),
    };
    let known = direct.split(',').filter(|one| !one.is_empty() && !one.contains(['/', '|', ' ']));
    known.map(entry).collect::<Vec<_>>().join("|")
}

fn joined<'a>(entries: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<&str> = Vec::new();
    for entry in entries.map(str::trim).filter(|entry| !entry.is_empty()) {
        if !all.contains(&entry) {
            all.push(entry);
        }
    }
    all.join(",")
}

/// The services, of those that there is a key for, of which `no` lets a host be called around the proxy; with the first such
/// host.
pub(super) fn lost(config: &Config, keys: &[KeyView], no: &str) -> BTreeMap<ServiceName, Host> {
    let mut lost = BTreeMap::new();
    for key in keys.iter().filter(|_| !no.is_empty()) {
        let Some(entry) = config.service(key.service.as_str()) else { continue };
        let around = |host: &Host| {
            let base = &entry.service.base;
            goes_around(no, &Origin { scheme: base.scheme, host: host.clone(), port: base.port })
        };
        if let Some(host) = hosts(&entry.service, &variables(config, key)).into_iter().find(around) {
            lost.entry(key.service.clone()).or_insert(host);
        }
    }
    lost
}

/// The values of a key's variables.
pub(super) fn variables(config: &Config, key: &KeyView) -> BTreeMap<Name, String> {
    let declared = || config.credentials.iter().find(|declared| key.id.is_none() && declared.name == key.name);
    key.variables.clone().or_else(|| declared().map(|declared| declared.variables.clone())).unwrap_or_default()
}

/// The hosts at which a key with these variables is used, as far as they can be named.
fn hosts(service: &Service, variables: &BTreeMap<Name, String>) -> Vec<Host> {
    let value = |name: &Name| {
        let default = || service.variables.iter().find(|known| known.name == *name)?.default.as_deref();
        variables.get(name).map(String::as_str).or_else(default)
    };
    let base = service.base.host.fill(value);
    let listed = service.hosts.iter().filter_map(|(pattern, _)| match pattern {
        HostPattern::Exact(host) => Some(host.to_string()),
        HostPattern::AnyLabel(rest) => Some(format!("any.{rest}")),
        HostPattern::Tenant(template) => template.fill(value),
    });
    base.into_iter().chain(listed).filter_map(|text| Host::new(&text).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_around_is_of_both_cases_each_once_with_this_machine() {
        for (set, direct) in [
            (&[][..], "localhost,127.0.0.1,::1"),
            (&[("NO_PROXY", "corp.test")], "corp.test,localhost,127.0.0.1,::1"),
            (&[("no_proxy", "a.test, ::1,"), ("NO_PROXY", "a.test,.b.test")], "a.test,::1,.b.test,localhost,127.0.0.1"),
        ] {
            assert_eq!(self::direct(&Environment::of_pairs(set.iter().copied())), direct);
        }
    }

    #[test]
    fn java_is_told_in_its_own_words() {
        let direct = "corp.test,.b.test,10.0.0.0/8,*,localhost,127.0.0.1,::1";
        assert_eq!(of_java(direct), "corp.test|*.b.test|*|localhost|127.*|[::1]");
    }
}
