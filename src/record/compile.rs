//! From the record as written to `domain::Service`. Everything that is wrong is found in one pass and named by its key
//! path; a service that comes out here needs no further check of its form anywhere else.

use std::time::Duration;

use http::{HeaderName, Method};

use crate::domain::{
    Allowed, ConnectTo, Host, Http2, Name, Placement, Retry, Rule, Service, Template, Timeouts, UpstreamOptions,
    Variable, Verify,
};

use super::base::{base_url, hosts, parse_template, path_problem, sample, variable_template};
use super::error::Faults;
use super::gating;
use super::place::{fits_header, header_name, header_of, placements};
use super::signals::signals;
use super::units::{self, UnitError, host_and_port};
use super::{KeyPath, RecordErrors, ServiceRecord, nearest};

const LONGEST_STAGE: Duration = Duration::from_secs(24 * 60 * 60);
const LARGEST_BODY: u64 = 16 << 20;
const MOST_ATTEMPTS: u32 = 8;

/// Compiles `record`, which is complete: a catalogue record, a table of its own, or the one laid over the other.
///
/// `built_in`, `declared` and `stored` come out false, for who knows the record's origin to set. A relative `upstream.ca` stays
/// relative. Variables that no template uses are left out, so that a
/// table which overrides a templated base URL asks for nothing that it does not need.
///
/// # Errors
/// Everything that is wrong with the record, in the order of its keys.
pub fn compile(name: &Name, record: &ServiceRecord) -> Result<Service, RecordErrors> {
    let mut faults = Faults::default();
    let variables = variables(record, &mut faults);
    check_words(record, &mut faults);
    let base = base_url(record, &variables, &mut faults);
    let hosts = hosts(record, base.as_ref(), &variables, &mut faults);
    let auth = placements(record, &variables, &mut faults);
    let headers = headers(record, &auth, &variables, &mut faults);
    let paths = paths(record, &mut faults);
    let allowed = allowed(record, &mut faults);
    let gating = gating::gating(record, &mut faults);
    let limits = gating::limits(record, &mut faults);
    let retry = retry(record, &mut faults);
    let timeouts = timeouts(record, &mut faults);
    let upstream = upstream(record, &mut faults);
    let verify = verify(record, &auth, &variables, &mut faults);
    let signals = signals(record, &mut faults);
    let service = base.map(|base| Service {
        name: name.clone(),
        title: record.title.clone().unwrap_or_else(|| name.to_string()),
        built_in: false,
        declared: false,
        stored: false,
        base,
        hosts,
        paths,
        auth,
        headers,
        allowed,
        limits,
        gating,
        retry,
        timeouts,
        upstream,
        allow_plaintext: record.allow_plaintext.unwrap_or(false),
        variables,
        verify,
        signals,
        docs: record.docs.clone(),
        key_url: record.key_url.clone(),
        key_help: record.key_help.clone(),
        env: record.env.clone().unwrap_or_default(),
        aliases: record.aliases.clone().unwrap_or_default(),
        category: record.category.clone(),
    });
    faults.finish(service.map(without_unused_variables))
}

/// Drops the variables that occur in no template.
fn without_unused_variables(mut service: Service) -> Service {
    let mut used: Vec<Name> = service.base.host.holes().chain(service.base.path.holes()).cloned().collect();
    for (pattern, _) in &service.hosts {
        if let crate::domain::HostPattern::Tenant(template) = pattern {
            used.extend(template.holes().cloned());
        }
    }
    used.extend(service.auth.iter().flat_map(Placement::fields).cloned());
    used.extend(service.headers.iter().flat_map(|(_, value)| value.holes()).cloned());
    used.extend(service.verify.iter().flat_map(|verify| verify.path.holes()).cloned());
    service.variables.retain(|variable| used.contains(&variable.name));
    service
}

fn variables(record: &ServiceRecord, faults: &mut Faults) -> Vec<Variable> {
    let at = KeyPath::root().key("vars");
    let mut out = Vec::new();
    for (key, variable) in record.vars.iter().flatten() {
        let at = at.key(key);
        let Ok(name) = Name::new(key) else {
            let fix = "use 1 to 64 of a-z, 0-9, `-`, `_` and `.`, starting with a letter or digit";
            faults.quote(at, "not a name for a variable", key, fix);
            continue;
        };
        let choices = variable.choices.clone().unwrap_or_default();
        if variable.choices.as_ref().is_some_and(Vec::is_empty) {
            faults.add(at.key("choices"), "no choice at all", "list the values there are, or leave `choices` out");
        }
        if let Some(default) = variable.default.as_ref().filter(|d| !choices.is_empty() && !choices.contains(d)) {
            let fix = "use one of `choices`, or add it there";
            faults.quote(at.key("default"), "a default that is none of the choices", default, fix);
        }
        out.push(Variable {
            title: variable.title.clone().unwrap_or_else(|| key.replace(['_', '-'], " ")),
            name,
            example: variable.example.clone(),
            default: variable.default.clone(),
            choices,
        });
    }
    out
}

/// Checks the keys that are carried through as they stand.
fn check_words(record: &ServiceRecord, faults: &mut Faults) {
    for (key, value) in [("docs", &record.docs), ("key_url", &record.key_url)] {
        if let Some(text) = value.as_deref().filter(|t| !t.starts_with("https://") && !t.starts_with("http://")) {
            faults.quote(KeyPath::root().key(key), "not a web address", text, "begin it with `https://`");
        }
    }
    for (i, variable) in record.env.iter().flatten().enumerate() {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if variable.is_empty() || !variable.bytes().all(fits) || variable.starts_with(|c: char| c.is_ascii_digit()) {
            let at = KeyPath::root().key("env").index(i);
            faults.quote(at, "not the name of an environment variable", variable, "write a name such as `API_KEY`");
        }
    }
}

fn headers(
    record: &ServiceRecord,
    auth: &[Placement],
    variables: &[Variable],
    faults: &mut Faults,
) -> Vec<(HeaderName, Template)> {
    let mut out: Vec<(HeaderName, Template)> = Vec::new();
    for (key, text) in record.headers.iter().flatten() {
        let at = KeyPath::root().key("headers").key(key);
        let Some(name) = header_name(key, &at, faults) else { continue };
        let Some(value) = variable_template(text, &at, variables, faults) else { continue };
        if !fits_header(&value) {
            faults.add(at, "text that no header can carry", "use printable ASCII characters and spaces");
        } else if auth.iter().any(|place| header_of(place) == Some(name.as_str())) {
            faults.add(at, "a fixed header where `auth` puts the key", "remove it: the key takes its place");
        } else if out.iter().any(|(other, _)| *other == name) {
            faults.add(at, "the same header twice", "keep one of the two spellings");
        } else {
            out.push((name, value));
        }
    }
    out
}

fn paths(record: &ServiceRecord, faults: &mut Faults) -> Vec<Box<str>> {
    for (i, text) in record.paths.iter().flatten().enumerate() {
        if let Some(problem) = path_problem(text) {
            let at = KeyPath::root().key("paths").index(i);
            faults.quote(at, format!("not a path prefix: {problem}"), text, "write a prefix such as `/maps/api`");
        }
    }
    record.paths.iter().flatten().map(|path| path.as_str().into()).collect()
}

fn allowed(record: &ServiceRecord, faults: &mut Faults) -> Allowed {
    let rules = record.allow.as_ref().map(|texts| rules(texts, &KeyPath::root().key("allow"), faults));
    Allowed { rules, read_only: record.read_only.unwrap_or(false) }
}

/// Methods and paths, as `allow` has them.
pub(super) fn rules(texts: &[String], at: &KeyPath, faults: &mut Faults) -> Vec<Rule> {
    let parse = |(i, text): (usize, &String)| {
        Rule::parse(text)
            .map_err(|_| {
                let fix = "write `METHOD /path`, such as `GET /v1/**` or `* /v1/charges`: the method in upper case, a \
                           `*` for a whole segment or method, `**` for any number of segments, no `?` and no `#`";
                faults.quote(at.index(i), "not a rule", text, fix);
            })
            .ok()
    };
    texts.iter().enumerate().filter_map(parse).collect()
}

/// Notes a quantity that is none, or out of bounds, and gives the good one.
pub(super) fn quantity<T: PartialOrd>(
    text: Option<&str>,
    at: &KeyPath,
    parse: fn(&str) -> Result<T, UnitError>,
    bounds: (&T, &T, &str),
    faults: &mut Faults,
) -> Option<T> {
    let text = text?;
    let (least, most, words) = bounds;
    match parse(text) {
        Ok(value) if value >= *least && value <= *most => Some(value),
        Ok(_) | Err(UnitError::TooLarge) => {
            faults.quote(at.clone(), "out of bounds", text, format!("use {words}"));
            None
        }
        Err(error) => {
            faults.quote(at.clone(), error.to_string(), text, format!("use {words}"));
            None
        }
    }
}

fn retry(record: &ServiceRecord, faults: &mut Faults) -> Retry {
    let mut out = Retry::default();
    let Some(retry) = &record.retry else { return out };
    let at = KeyPath::root().key("retry");
    match retry.attempts {
        Some(attempts) if (1..=MOST_ATTEMPTS).contains(&attempts) => out.attempts = attempts,
        Some(attempts) => {
            let fix = "use 1 (never again) to 8";
            faults.quote(at.key("attempts"), "attempts out of bounds", &attempts.to_string(), fix);
        }
        None => {}
    }
    let bounds = (&0, &LARGEST_BODY, "`0` to `16MiB`, such as `256KiB`");
    if let Some(size) = quantity(retry.max_body.as_deref(), &at.key("max_body"), units::bytes, bounds, faults) {
        out.max_body = size;
    }
    out.throttle_safe = retry.throttle_safe.unwrap_or(true);
    out.generate_idempotency_key = retry.generate_idempotency_key.unwrap_or(false);
    let at = at.key("idempotency_header");
    if let Some(name) = retry.idempotency_header.as_deref().and_then(|text| header_name(text, &at, faults)) {
        out.idempotency_header = name;
    }
    out
}

fn timeouts(record: &ServiceRecord, faults: &mut Faults) -> Timeouts {
    let mut out = Timeouts::default();
    let Some(timeouts) = &record.timeouts else { return out };
    let at = KeyPath::root().key("timeouts");
    let least = Duration::from_millis(1);
    for (key, text, slot) in [
        ("connect", &timeouts.connect, &mut out.connect),
        ("first_byte", &timeouts.first_byte, &mut out.first_byte),
        ("idle", &timeouts.idle, &mut out.idle),
    ] {
        let bounds = (&least, &LONGEST_STAGE, "`1ms` to `24h`, such as `30s` or `10m`");
        if let Some(duration) = quantity(text.as_deref(), &at.key(key), units::duration, bounds, faults) {
            *slot = duration;
        }
    }
    out
}

fn upstream(record: &ServiceRecord, faults: &mut Faults) -> UpstreamOptions {
    let mut out = UpstreamOptions::default();
    let Some(upstream) = &record.upstream else { return out };
    let at = KeyPath::root().key("upstream");
    out.allow_private = upstream.allow_private.unwrap_or(false);
    if upstream.ca.as_deref().is_some_and(str::is_empty) {
        faults.add(at.key("ca"), "an empty file name", "name a PEM file, or leave `ca` out");
    }
    out.ca = upstream.ca.as_ref().map(Into::into);
    if let Some(text) = upstream.connect_to.as_deref() {
        out.connect_to = connect_to(text);
        if out.connect_to.is_none() {
            let fix = "write `host:port`, such as `10.0.0.7:8443` or `[fd00::7]:8443`";
            faults.quote(at.key("connect_to"), "not a host with a port", text, fix);
        }
    }
    match upstream.http2.as_deref() {
        None | Some("auto") => {}
        Some("always") => out.http2 = Http2::Always,
        Some("never") => out.http2 = Http2::Never,
        Some(other) => {
            let near = nearest(other, ["auto", "always", "never"]);
            let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            faults.quote(at.key("http2"), "unknown", other, format!("{near}It is one of `auto`, `always`, `never`"));
        }
    }
    out
}

fn connect_to(text: &str) -> Option<ConnectTo> {
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return (address.port() != 0).then_some(ConnectTo::Address(address));
    }
    let (host, port) = host_and_port(text).ok()?;
    let host = Host::new(host).ok()?;
    port.map(|port| ConnectTo::Name(host, port))
}

fn verify(record: &ServiceRecord, auth: &[Placement], variables: &[Variable], faults: &mut Faults) -> Option<Verify> {
    let verify = record.verify.as_ref()?;
    let at = KeyPath::root().key("verify");
    let method = method(verify.method.as_deref(), &at, faults);
    if let Some(body) = verify.body.as_deref().filter(|b| serde_json::from_str::<serde::de::IgnoredAny>(b).is_err()) {
        faults.quote(at.key("body"), "not JSON", body, "write the body as a JSON text, such as `{}`");
    }
    let expect = verify.expect.clone().unwrap_or_else(|| vec![200]);
    if expect.is_empty() || expect.iter().any(|status| !(100..=599).contains(status)) {
        faults.add(at.key("expect"), "no status, or one that does not exist", "list statuses, such as `[200, 204]`");
    }
    let Some(text) = verify.path.as_deref() else {
        faults.add(at.key("path"), "the path of the call is missing", "add `path = \"/v1/me\"`");
        return None;
    };
    let at = at.key("path");
    let path = parse_template(text, &at, faults)?;
    let known = |hole: &&Name| {
        variables.iter().any(|v| v.name == **hole) || auth.iter().any(|place| place.fields().contains(hole))
    };
    if let Some(hole) = path.holes().find(|hole| !known(hole)) {
        let fix = "use a field that `auth` names or a variable under `vars`";
        faults.quote(at, "a hole that is neither a field nor a variable", hole.as_str(), fix);
        return None;
    }
    let shape = sample(&path);
    let (before, query) = shape.split_once('?').unwrap_or((&shape, ""));
    if let Some(problem) = path_problem(before).or_else(|| path_problem(&format!("/{}", query.replace('?', "")))) {
        faults.quote(
            at,
            format!("not a path: {problem}"),
            text,
            "write a path such as `/v1/me`, with a query if needed",
        );
        return None;
    }
    let expect_true = verify.expect_true.clone();
    Some(Verify { method: method?, path, body: verify.body.clone(), expect, expect_true })
}

fn method(text: Option<&str>, at: &KeyPath, faults: &mut Faults) -> Option<Method> {
    let text = text.unwrap_or("GET");
    let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase()) && !matches!(text, "CONNECT" | "TRACE");
    let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| fits);
    if method.is_none() {
        faults.quote(at.key("method"), "not a method for such a call", text, "write `GET`, `HEAD` or `POST`");
    }
    method
}
