//! Where a key goes and how a workflow calls a service without it, in words for people. Shown after a key was added and
//! wherever a service is explained.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::config::{Config, ListenAddress};
use crate::domain::{Host, HostPattern, Name, Part, Placement, Scheme, Service, Template};

use super::local;

/// How many hosts are shown where one line must do.
const MOST_HOSTS: usize = 4;

/// A key's place as it would look in the request, without the key: `Authorization: Bearer …`.
pub(super) fn place(placement: &Placement) -> String {
    match placement {
        Placement::Header { spelled, value, .. } => format!("{spelled}: {}", hidden(value)),
        Placement::Query { name, value } => format!("?{name}={}", hidden(value)),
        Placement::Basic { username, password } => {
            format!("Authorization: Basic {}:{}", hidden(username), hidden(password))
        }
        Placement::Cookie { name, value } => format!("Cookie: {name}={}", hidden(value)),
        Placement::Path { template } => format!("{} before the path", hidden(template)),
    }
}

/// All places of a service, one a line.
pub(super) fn places(service: &Service) -> String {
    if service.auth.is_empty() {
        return "nowhere: this service takes no key".to_owned();
    }
    service.auth.iter().map(place).collect::<Vec<_>>().join("\n")
}

/// The text with each secret's place marked.
fn hidden(template: &Template) -> String {
    let part = |part: &Part| match part {
        Part::Literal(text) => text.to_string(),
        Part::Hole(name) if name.as_str() == "key" => "…".to_owned(),
        Part::Hole(name) => format!("<{name}>"),
    };
    template.parts().iter().map(part).collect()
}

/// The hosts of a service as far as they are known with these variables; the base URL's first.
pub(super) fn hosts(service: &Service, variables: &BTreeMap<Name, String>) -> Vec<String> {
    let mut out = vec![filled(&service.base.host, service, variables)];
    for (pattern, port) in &service.hosts {
        let host = match pattern {
            HostPattern::Exact(host) => host.to_string(),
            HostPattern::AnyLabel(suffix) => format!("*.{suffix}"),
            HostPattern::Tenant(template) => filled(template, service, variables),
        };
        let host = port.map_or(host.clone(), |port| format!("{host}:{port}"));
        if !out.contains(&host) {
            out.push(host);
        }
    }
    out
}

/// The hosts in one line: the first few, and how many more there are.
pub(super) fn hosts_in_short(service: &Service, variables: &BTreeMap<Name, String>) -> String {
    let hosts = hosts(service, variables);
    let (shown, rest) = hosts.split_at(hosts.len().min(MOST_HOSTS));
    let shown = shown.join(", ");
    if rest.is_empty() { shown } else { format!("{shown} and {} more", rest.len()) }
}

/// The base URL as far as it is known with these variables.
pub(super) fn base_url(service: &Service, variables: &BTreeMap<Name, String>) -> String {
    let base = &service.base;
    let host = filled(&base.host, service, variables);
    let host = Host::new(&host).map_or(host, |host| host.to_string());
    let port = if base.port == base.scheme.default_port() { String::new() } else { format!(":{}", base.port) };
    format!("{}://{host}{port}{}", base.scheme.as_str(), filled(&base.path, service, variables))
}

/// The template with the variables filled in; an unknown one stays as it is written.
fn filled(template: &Template, service: &Service, variables: &BTreeMap<Name, String>) -> String {
    let default = |name: &Name| service.variables.iter().find(|v| v.name == *name).and_then(|v| v.default.clone());
    let part = |part: &Part| match part {
        Part::Literal(text) => text.to_string(),
        Part::Hole(name) => {
            variables.get(name).cloned().or_else(|| default(name)).unwrap_or_else(|| format!("{{{name}}}"))
        }
    };
    template.parts().iter().map(part).collect()
}

/// Where this machine reaches the proxy; none when it listens on Unix sockets alone.
pub(super) fn proxy_address(listen: &[ListenAddress]) -> Option<SocketAddr> {
    let tcp = |address: &ListenAddress| match address {
        ListenAddress::Tcp(address) => Some(*address),
        ListenAddress::Unix(_) => None,
    };
    listen.iter().find_map(tcp).map(local::reached)
}

/// `http://127.0.0.1:8080`: how a client on this machine reaches the proxy.
pub(super) fn proxy_url(listen: &[ListenAddress]) -> Option<String> {
    proxy_address(listen).map(|address| format!("http://{address}"))
}

/// The ways to call `service` without its key, as facts to show.
pub(super) fn ways(
    config: &Config,
    service: &Service,
    variables: &BTreeMap<Name, String>,
) -> Vec<(&'static str, String)> {
    let Some(proxy) = proxy_url(&config.listen.proxy) else {
        let socket = config.listen.proxy.first().map(ToString::to_string).unwrap_or_default();
        let socket = socket.trim_start_matches("unix:");
        let url = format!("curl --unix-socket {socket} http://localhost/{}/…", service.name);
        return vec![("base URL", url)];
    };
    let base = base_url(service, variables);
    let by_base = format!("{proxy}/{}   in place of   {base}", service.name);
    let plain = base.replacen("https://", "http://", 1);
    let mut by_proxy = format!("HTTP_PROXY={proxy}   and call   {plain}/…");
    if service.base.scheme == Scheme::Https {
        by_proxy.push_str("\n(sidekey speaks TLS to the service)");
    }
    let mut ways = vec![("base URL", by_base), ("proxy", by_proxy)];
    if service.base.scheme == Scheme::Https {
        ways.push(("as it is", format!("sidekey run -- COMMAND   and call   {base}/…")));
    }
    ways
}
