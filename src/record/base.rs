//! Where a service is: its base URL and the hosts that belong to it, checked and normalised. Whatever passes here is a
//! host that the doors can compare and a path that can be sent as it stands; holes in them are tenant variables only.

use crate::domain::{BaseUrl, Host, HostPattern, Scheme, Template, Variable};

use super::error::Faults;
use super::units::host_and_port;
use super::{KeyPath, ServiceRecord};

/// What is wrong with a path that is to be sent as it stands: `None` when nothing is. Holes count as letters.
pub(super) fn path_problem(text: &str) -> Option<&'static str> {
    if !text.starts_with('/') {
        return Some("it must begin with `/`");
    }
    if text.contains(['?', '#']) {
        return Some("it has a query or a fragment");
    }
    if text.bytes().any(|b| !b.is_ascii_graphic() || matches!(b, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'|')) {
        return Some("it has a character that must be percent-encoded in a path");
    }
    let dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    text.split('/').any(dots).then_some("it has a `.` or `..` segment")
}

/// Parses a template whose holes must all be tenant variables.
pub(super) fn variable_template(
    text: &str,
    path: &KeyPath,
    variables: &[Variable],
    faults: &mut Faults,
) -> Option<Template> {
    let template = parse_template(text, path, faults)?;
    for hole in template.holes() {
        if !variables.iter().any(|v| v.name == *hole) {
            let near = super::nearest(hole.as_str(), variables.iter().map(|v| v.name.as_str()));
            let fix = near.map_or_else(
                || "declare it under `vars`, or write `{{` and `}}` for the braces themselves".to_owned(),
                |near| format!("did you mean `{{{near}}}`? Otherwise declare it under `vars`"),
            );
            faults.quote(path.clone(), "a hole that is no tenant variable of this service", hole.as_str(), fix);
            return None;
        }
    }
    Some(template)
}

/// Parses a template and notes why it is none.
pub(super) fn parse_template(text: &str, path: &KeyPath, faults: &mut Faults) -> Option<Template> {
    Template::parse(text)
        .map_err(|_| {
            let fix = "write `{name}` with a name of a-z, 0-9, `-`, `_` and `.`, and `{{` or `}}` for a brace itself";
            faults.add(path.clone(), "a brace without its partner, or a hole whose name is no name", fix);
        })
        .ok()
}

/// A template with a letter in every hole, to check its form.
pub(super) fn sample(template: &Template) -> String {
    template.fill(|_| Some("x")).unwrap_or_default()
}

/// Parses a host that may have holes; a host without holes is kept in its one spelling.
fn host_template(text: &str, path: &KeyPath, variables: &[Variable], faults: &mut Faults) -> Option<Template> {
    let template = variable_template(text, path, variables, faults)?;
    let fix = "write a host name or an IP address, such as `api.example.com` or `{tenant}.example.com`";
    let Ok(host) = Host::new(&sample(&template)) else {
        faults.quote(path.clone(), "not a host", text, fix);
        return None;
    };
    let spelled = if template.literal().is_some() { host.as_str().to_owned() } else { text.to_ascii_lowercase() };
    let spelled = spelled.strip_suffix('.').unwrap_or(&spelled);
    Template::parse(spelled).ok()
}

/// Takes a base URL apart into scheme, authority and path.
fn split_url(text: &str) -> Result<(Scheme, &str, &str), (&'static str, &'static str)> {
    let whole = "write it as `https://host/path`";
    let (scheme, rest) = text.split_once("://").ok_or(("not a URL with a scheme", whole))?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return Err(("a scheme that sidekey does not speak", "use `https://` or `http://`")),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err((
            "a user name or password in the URL",
            "leave it out: a key is placed by `auth`, for example `auth = { location = \"basic\", … }`",
        ));
    }
    if path.contains('?') {
        return Err(("a query in the URL", "leave it out: a fixed parameter belongs to the caller's request"));
    }
    if path.contains('#') {
        return Err(("a fragment in the URL", "leave it out: fragments are never sent"));
    }
    Ok((scheme, authority, path))
}

/// Compiles `base_url`.
pub(super) fn base_url(record: &ServiceRecord, variables: &[Variable], faults: &mut Faults) -> Option<BaseUrl> {
    let at = KeyPath::root().key("base_url");
    let Some(text) = record.base_url.as_deref().map(str::trim) else {
        faults.add(at, "the address of the service is missing", "add `base_url = \"https://…\"`");
        return None;
    };
    let (scheme, authority, path) =
        split_url(text).map_err(|(problem, fix)| faults.add(at.clone(), problem, fix)).ok()?;
    let (host, port) = host_and_port(authority)
        .map_err(|error| faults.add(at.clone(), error.to_string(), "write `host:port`, or leave the port out"))
        .ok()?;
    let host = host_template(host, &at, variables, faults)?;
    let path = variable_template(path.trim_end_matches('/'), &at, variables, faults)?;
    if let Some(problem) = path_problem(&format!("/{}", sample(&path).trim_start_matches('/'))) {
        faults.add(at.clone(), format!("the path cannot be sent as it stands: {problem}"), "write a plain path");
        return None;
    }
    let base = BaseUrl { scheme, host, port: port.unwrap_or(scheme.default_port()), path };
    if scheme == Scheme::Http && !is_loopback(&base.host) && record.allow_plaintext != Some(true) {
        faults.add(
            at,
            "plain HTTP to a host that is not loopback would send the key readable by everyone on the way",
            "use `https://`, or set `allow_plaintext = true` when the network in between is trusted",
        );
    }
    Some(base)
}

/// Whether a host without holes is this machine itself.
fn is_loopback(host: &Template) -> bool {
    let Some(text) = host.literal() else { return false };
    let address = Host::new(&text).ok().and_then(|host| host.ip());
    address.map_or_else(|| text == "localhost" || text.ends_with(".localhost"), |ip| ip.is_loopback())
}

/// Compiles `hosts`, or takes the base URL's host.
pub(super) fn hosts(
    record: &ServiceRecord,
    base: Option<&BaseUrl>,
    variables: &[Variable],
    faults: &mut Faults,
) -> Vec<(HostPattern, Option<u16>)> {
    let Some(written) = &record.hosts else {
        return base.map(|base| (pattern(base.host.clone()), None)).into_iter().collect();
    };
    let at = KeyPath::root().key("hosts");
    written
        .iter()
        .enumerate()
        .filter_map(|(i, text)| host_pattern(text.trim(), &at.index(i), variables, faults))
        .collect()
}

/// A template as a pattern: exact when it has no holes.
fn pattern(host: Template) -> HostPattern {
    match host.literal().and_then(|text| Host::new(&text).ok()) {
        Some(host) => HostPattern::Exact(host),
        None => HostPattern::Tenant(host),
    }
}

/// Parses one entry of `hosts`.
fn host_pattern(
    text: &str,
    at: &KeyPath,
    variables: &[Variable],
    faults: &mut Faults,
) -> Option<(HostPattern, Option<u16>)> {
    let fix = "write `host`, `*.suffix` or `{variable}.suffix`, each with an optional `:port`";
    if text.contains(['/', '@', '?', '#']) {
        faults.quote(at.clone(), "more than a host", text, fix);
        return None;
    }
    let (host, port) = host_and_port(text).map_err(|error| faults.add(at.clone(), error.to_string(), fix)).ok()?;
    let Some(suffix) = host.strip_prefix("*.") else {
        if host.contains('*') {
            let problem = "a `*` that does not stand for the whole first label";
            faults.quote(at.clone(), problem, text, fix);
            return None;
        }
        return host_template(host, at, variables, faults).map(|host| (pattern(host), port));
    };
    match Host::new(suffix) {
        Ok(suffix) if suffix.ip().is_none() => Some((HostPattern::AnyLabel(suffix), port)),
        _ => {
            faults.quote(at.clone(), "what follows `*.` is no host name", text, fix);
            None
        }
    }
}
