//! What a stored service overrides and shadows: services of the same name and of the same hosts.

use crate::config::Config;
use crate::domain::{HostPattern, Service};

/// A sentence on each service that `service` changes or takes hosts from, or that keeps them.
pub(super) fn of(config: &Config, service: &Service) -> Vec<String> {
    let mut tells = Vec::new();
    if service.built_in {
        let name = &service.name;
        let before = config.service(name.as_str()).map(|entry| &entry.service.base);
        let moved = before.is_some_and(|before| *before != service.base);
        let address = if moved { " Its address is another one from now on." } else { "" };
        tells.push(format!("`{name}` is built in: what is stored counts before that, key by key.{address}"));
    }
    for other in config.services.iter().map(|entry| &entry.service).filter(|other| other.name != service.name) {
        let hosts: Vec<String> = shared_hosts(service, other).collect();
        if hosts.is_empty() {
            continue;
        }
        let hosts = hosts.join(", ");
        tells.push(match other.precedence().cmp(&service.precedence()) {
            std::cmp::Ordering::Less => format!("`{}` in proxy.toml keeps {hosts} at the proxy door.", other.name),
            std::cmp::Ordering::Equal => {
                format!("`{}` has {hosts} too: at the proxy door the first name gets it.", other.name)
            }
            std::cmp::Ordering::Greater => {
                format!("At the proxy door {hosts} was the built-in `{}` and is this one now.", other.name)
            }
        });
    }
    tells
}

/// The hosts that both claim, with the same port and a path in common.
fn shared_hosts<'a>(service: &'a Service, other: &'a Service) -> impl Iterator<Item = String> + 'a {
    let port = |service: &Service, port: Option<u16>| port.unwrap_or(service.base.port);
    let claims = move |(pattern, own): &&(HostPattern, Option<u16>)| {
        let same =
            |(theirs, at): &(HostPattern, Option<u16>)| theirs == pattern && port(other, *at) == port(service, *own);
        other.hosts.iter().any(same) && share_a_path(service, other)
    };
    service.hosts.iter().filter(claims).map(|(pattern, _)| match pattern {
        HostPattern::Exact(host) => host.to_string(),
        HostPattern::AnyLabel(suffix) => format!("*.{suffix}"),
        HostPattern::Tenant(template) => template.to_string(),
    })
}

/// Whether some prefix is the same; a longer one wins anyway.
fn share_a_path(a: &Service, b: &Service) -> bool {
    let whole: [Box<str>; 1] = ["".into()];
    let prefixes = |service: &Service| -> Vec<String> {
        let listed = if service.paths.is_empty() { &whole[..] } else { &service.paths[..] };
        listed.iter().map(|prefix| prefix.trim_end_matches('/').to_owned()).collect()
    };
    let theirs = prefixes(b);
    prefixes(a).iter().any(|prefix| theirs.contains(prefix))
}
