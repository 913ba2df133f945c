//! Where the service is: one of the document's servers becomes the base URL, variables in its host become tenant
//! variables, and the hosts of its siblings belong to the service too.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::record::VariableRecord;

use super::Version;
use super::template::{Holes, Part, Variables, filled};
use super::walk::{Walk, below, member};

/// Words in an address or its description that say that it is not the one for daily use.
const TRIALS: [&str; 9] = ["sandbox", "staging", "stage", "test", "testing", "mock", "dev", "development", "demo"];

/// How many hosts besides the base URL's are taken over.
const MOST_HOSTS: usize = 20;

/// Where the service is.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// The record's `base_url`; none when the document names no host.
    pub(super) base_url: Option<String>,
    /// Its path, in the record's syntax, without a `/` at its end.
    pub(super) path: String,
    /// The record's `hosts`, when there are more than the base URL's.
    pub(super) hosts: Option<Vec<String>>,
    /// The record's `vars`.
    pub(super) vars: BTreeMap<String, VariableRecord>,
    /// It is on this machine or in a private network.
    pub(super) allow_private: bool,
    /// The server's URL as the document writes it.
    pub(super) written: Option<String>,
}

/// A server as it is written.
struct Written<'d> {
    at: String,
    url: String,
    about: String,
    variables: Variables<'d>,
}

/// A server with a host.
struct Server {
    at: String,
    written: String,
    is_tls: bool,
    host: String,
    port: Option<u16>,
    path: String,
    vars: BTreeMap<String, VariableRecord>,
    is_trial: bool,
}

/// The place that somebody gave instead of the document's.
pub(super) fn given(base_url: &str) -> Place {
    let after = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    let path = after.find('/').and_then(|at| after.get(at..)).unwrap_or_default();
    let path = path.trim_end_matches('/').to_owned();
    Place { base_url: Some(base_url.to_owned()), path, ..Place::default() }
}

/// Chooses the base URL.
pub(super) fn of(walk: &mut Walk<'_>) -> Place {
    let mut relative = None;
    let mut servers = Vec::new();
    for written in written(walk) {
        match parsed(&written, walk) {
            Some(Parsed::Absolute(server)) => servers.push(server),
            Some(Parsed::Relative(path)) => relative = relative.or(Some((written.at, path))),
            None => {}
        }
    }
    // A stable sort: of equals the first counts.
    servers.sort_by_key(|server| (is_private(&server.host), server.is_trial));
    let mut servers = servers.into_iter();
    match servers.next() {
        Some(first) => place(first, servers.as_slice(), walk),
        None => homeless(relative, walk),
    }
}

/// What is known when no server has a host.
fn homeless(relative: Option<(String, String)>, walk: &mut Walk<'_>) -> Place {
    let (at, path) = relative.unwrap_or_default();
    let path = path.trim_end_matches('/').to_owned();
    let found = if path.is_empty() { "no server with a host".to_owned() } else { format!("only the path `{path}`") };
    walk.notes.add(&at, found, format!("no base URL: it has to be given, such as https://HOST{path}"));
    Place { path, ..Place::default() }
}

/// The servers as the document writes them; those of paths and operations when it has none of its own.
fn written<'d>(walk: &mut Walk<'d>) -> Vec<Written<'d>> {
    let root = walk.root;
    if walk.version == Version::Two {
        return vec![of_two(root)];
    }
    let listed = |owner: &'d Value, at: &str| -> Vec<Written<'d>> {
        let servers = owner.get("servers").and_then(Value::as_array).into_iter().flatten().enumerate();
        servers.filter_map(|(i, server)| of_three(server, &format!("{at}/servers/{i}"))).collect()
    };
    let own = listed(root, "");
    if !own.is_empty() {
        return own;
    }
    let paths = root.get("paths").and_then(Value::as_object).into_iter().flatten();
    for (path, item) in paths {
        let at = below("/paths", path);
        let operations = item.as_object().into_iter().flatten();
        let inner = operations.flat_map(|(method, operation)| listed(operation, &below(&at, method)));
        let found: Vec<_> = listed(item, &at).into_iter().chain(inner).collect();
        if let Some(first) = found.first() {
            walk.notes.add(&first.at, "no server for the document as a whole", "the first that a path names is used");
            return found;
        }
    }
    Vec::new()
}

fn of_three<'d>(server: &'d Value, at: &str) -> Option<Written<'d>> {
    let url = member(server, "url")?;
    let about = member(server, "description").unwrap_or_default();
    let variables = Variables(server.get("variables").and_then(Value::as_object));
    Some(Written { at: at.to_owned(), url, about, variables })
}

/// Swagger 2.0 has one server, in parts.
fn of_two(root: &Value) -> Written<'_> {
    let path = member(root, "basePath").unwrap_or_default();
    let path = if path.is_empty() || path.starts_with('/') { path } else { format!("/{path}") };
    let schemes = root.get("schemes").and_then(Value::as_array);
    let is_plain_only = schemes.is_some_and(|all| {
        !all.is_empty() && !all.iter().any(|scheme| scheme.as_str().is_some_and(|s| s.eq_ignore_ascii_case("https")))
    });
    let scheme = if is_plain_only { "http" } else { "https" };
    let host = member(root, "host").unwrap_or_default();
    // Some write a whole URL where the host belongs.
    let host = host.split_once("://").map_or(host.as_str(), |(_, rest)| rest).trim_end_matches('/');
    let (at, url) = if host.is_empty() { ("/basePath", path) } else { ("/host", format!("{scheme}://{host}{path}")) };
    Written { at: at.to_owned(), url, about: String::new(), variables: Variables(None) }
}

enum Parsed {
    Absolute(Server),
    Relative(String),
}

/// Takes a server's URL apart.
fn parsed(written: &Written<'_>, walk: &mut Walk<'_>) -> Option<Parsed> {
    let at = written.at.as_str();
    let mut holes = Holes::new(written.variables);
    let url = with_scheme(&written.url, written.variables)?;
    let Some((scheme, rest)) = url.split_once("://") else {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        return Some(Parsed::Relative(filled(path, Part::Path, &mut holes)));
    };
    let is_tls = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => {
            walk.notes.add(at, "a server that speaks neither https nor http", "left out");
            return None;
        }
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = path.split_once(['?', '#']).map_or(path, |(path, _)| {
        walk.notes.add(at, "a server with a query or a fragment", "only the path is used");
        path
    });
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| {
        walk.notes.add(at, "a server with a user name in its URL", "the name is left out");
        host
    });
    let (host, port) = host_and_port(authority, &mut holes);
    let host = filled(host, Part::Host, &mut holes);
    let path = filled(path, Part::Path, &mut holes).trim_end_matches('/').to_owned();
    let vars = holes.into_vars();
    let words = format!("{host} {}", written.about).to_lowercase();
    let is_trial = words.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| TRIALS.contains(&word));
    let server = Server { at: at.to_owned(), written: written.url.clone(), is_tls, host, port, path, vars, is_trial };
    Some(Parsed::Absolute(server))
}

/// The URL with the variables of its scheme, or the one that it begins with, filled in; none when that cannot be done.
fn with_scheme(url: &str, variables: Variables<'_>) -> Option<String> {
    let url = url.trim();
    if let Some(rest) = url.strip_prefix("//") {
        return Some(format!("https://{rest}"));
    }
    let hole = |text: &str| {
        text.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(a, b)| (a.to_owned(), b.to_owned()))
    };
    match url.split_once("://") {
        Some((scheme, rest)) if scheme.contains('{') => {
            let (name, _) = hole(scheme)?;
            let is_plain = variables.default(&name).is_some_and(|default| default.eq_ignore_ascii_case("http"));
            let has_tls = variables.choices(&name).iter().any(|choice| choice.eq_ignore_ascii_case("https"));
            Some(format!("{}://{rest}", if is_plain && !has_tls { "http" } else { "https" }))
        }
        Some(_) => Some(url.to_owned()),
        None => match hole(url) {
            Some((name, rest)) => Some(format!("{}{rest}", variables.default(&name)?)),
            None => Some(url.to_owned()),
        },
    }
}

/// Splits an authority; a variable in the place of the port is filled in.
fn host_and_port<'a>(authority: &'a str, holes: &mut Holes<'_>) -> (&'a str, Option<u16>) {
    let after = authority.rfind(']').map_or(0, |end| end + 1);
    let colon = authority.get(after..).and_then(|rest| rest.rfind(':')).map(|at| at + after);
    let Some((host, port)) = colon.and_then(|at| authority.split_at_checked(at)) else { return (authority, None) };
    let port = filled(port.trim_start_matches(':'), Part::Port, holes);
    (host, port.parse().ok().filter(|port| *port != 0))
}

/// The base URL from the chosen server, and what its siblings add.
fn place(first: Server, others: &[Server], walk: &mut Walk<'_>) -> Place {
    let allow_private = is_private(&first.host);
    let mut port = first.port;
    let mut scheme = "https";
    if !first.is_tls && is_loopback(&first.host) {
        scheme = "http";
    } else if !first.is_tls {
        walk.notes.add(
            &first.at,
            "a server that is reached without TLS",
            "https is used: a key must not go in the clear",
        );
        port = port.filter(|port| *port != 80);
    }
    port = port.filter(|port| *port != if scheme == "http" { 80 } else { 443 });
    if allow_private {
        let found = "a server on this machine or in a private network";
        walk.notes.add(&first.at, found, "sidekey may dial such an address for this service (`allow_private`)");
    }
    if first.is_trial && !others.is_empty() {
        walk.notes.add(&first.at, "only servers for trials", "the first of them is used");
    }
    let shown_port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let base_url = format!("{scheme}://{}{shown_port}{}", first.host, first.path);
    for (name, _) in first.vars.iter().filter(|(_, variable)| variable.choices.is_none()) {
        walk.notes.add(&first.at, format!("`{name}` differs for each customer"), "it is asked for with each key");
    }
    let hosts = hosts(&first, port, others, walk);
    Place {
        base_url: Some(base_url),
        path: first.path,
        hosts,
        vars: first.vars,
        allow_private,
        written: Some(first.written),
    }
}

/// The base URL's host and those of its siblings, when there are any.
fn hosts(first: &Server, port: Option<u16>, others: &[Server], walk: &mut Walk<'_>) -> Option<Vec<String>> {
    let mut hosts = vec![first.host.clone()];
    for other in others.iter().filter(|other| other.host != first.host) {
        let host = match other.port {
            Some(own) if Some(own) != port => format!("{}:{own}", other.host),
            _ => other.host.clone(),
        };
        let known = other.vars.keys().all(|name| first.vars.contains_key(name));
        if !known || !are_siblings(&first.host, &other.host) || is_private(&other.host) || hosts.len() >= MOST_HOSTS {
            let found = format!("the server `{}` besides `{}`", other.host, first.host);
            walk.notes.add(&other.at, found, "left out of `hosts`: a key only goes to hosts that are listed");
        } else if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    (hosts.len() > 1).then_some(hosts)
}

/// Whether two hosts end in the same two labels, which are no variables.
fn are_siblings(a: &str, b: &str) -> bool {
    let ending = |host: &str| -> Option<String> {
        let mut labels = host.rsplit('.');
        let (top, second) = (labels.next()?, labels.next()?);
        (!top.contains('}') && !second.contains('}')).then(|| format!("{second}.{top}"))
    };
    ending(a).is_some_and(|ending_a| ending(b).is_some_and(|ending_b| ending_a == ending_b))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|ip| ip.is_loopback())
}

/// Whether a host is one that only this machine or a private network knows.
fn is_private(host: &str) -> bool {
    let address = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        Ok(IpAddr::V6(ip)) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified(),
        Err(_) => {
            let top = host.rsplit('.').next().unwrap_or_default();
            !host.contains(['.', '{']) || matches!(top, "local" | "internal")
        }
    };
    address || is_loopback(host)
}

/// Whether the servers of a path or an operation have none in common with the place.
pub(super) fn are_elsewhere(servers: &[Value], place: &Place) -> bool {
    let url = |server: &Value| {
        server.as_object().and_then(|server: &Map<String, Value>| super::walk::text(server.get("url")?))
    };
    !servers.iter().any(|server| url(server).is_none_or(|url| Some(url) == place.written))
}
