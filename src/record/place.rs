//! Where the key goes: `auth` turned into placements. A header that belongs to the connection or to sidekey is refused, a
//! key that does not fit the location is refused, and at least one place must really hold the credential.

use http::{HeaderName, HeaderValue};

use crate::domain::{Fields, Name, Placement, Template, Variable};

use super::base::{parse_template, path_problem, sample};
use super::error::Faults;
use super::{Auth, AuthList, KeyPath, ServiceRecord, nearest};

/// The locations, each with the keys that fit it besides `location`.
const LOCATIONS: [(&str, &[&str]); 6] = [
    ("header", &["name", "prefix", "value"]),
    ("query", &["name", "value"]),
    ("bearer", &["value"]),
    ("basic", &["username", "password"]),
    ("cookie", &["name", "value"]),
    ("path", &["template"]),
];

/// Whether a header is set by the HTTP engine, ends at the next hop, or is sidekey's own: never a record's to set.
pub(super) fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str();
    let hop = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        "http2-settings",
        "expect",
        "via",
        "forwarded",
    ];
    hop.contains(&name) || name.starts_with("proxy-") || name.starts_with("sidekey-")
}

/// Parses a header's name; notes what is wrong with it.
pub(super) fn header_name(text: &str, at: &KeyPath, faults: &mut Faults) -> Option<HeaderName> {
    let Ok(name) = HeaderName::try_from(text) else {
        let fix = "use letters, digits and `-`, such as `X-API-Key`";
        faults.quote(at.clone(), "not a header name", text, fix);
        return None;
    };
    if is_reserved(&name) {
        let problem = format!("`{name}` belongs to the connection or to sidekey and cannot be set by a service");
        faults.add(at.clone(), problem, "use a header of the service's own, such as `X-API-Key` or `Authorization`");
        return None;
    }
    Some(name)
}

/// Whether a template's fixed text can stand in a header.
pub(super) fn fits_header(template: &Template) -> bool {
    let text = sample(template);
    HeaderValue::from_str(&text).is_ok() && text.is_ascii()
}

/// The path of place `i`: `auth`, or `auth[i]` when it is a list.
fn path_of(list: &AuthList, i: usize) -> KeyPath {
    let at = KeyPath::root().key("auth");
    match list {
        AuthList::One(_) => at,
        AuthList::Several(_) => at.index(i),
    }
}

/// Compiles `auth`; no `auth` is no place, for a service that needs no key.
pub(super) fn placements(record: &ServiceRecord, variables: &[Variable], faults: &mut Faults) -> Vec<Placement> {
    let Some(list) = &record.auth else { return Vec::new() };
    let auths = match list {
        AuthList::One(auth) => std::slice::from_ref(auth),
        AuthList::Several(auths) => auths.as_slice(),
    };
    if auths.is_empty() {
        let fix = "name at least one place, or leave `auth` out for a service that needs no key";
        faults.add(KeyPath::root().key("auth"), "an empty list of places", fix);
    }
    let mut places: Vec<Placement> = Vec::new();
    let mut whole = true;
    for (i, auth) in auths.iter().enumerate() {
        let at = path_of(list, i);
        let Some(place) = placement(auth, &at, faults) else {
            whole = false;
            continue;
        };
        if place.fields().is_empty() {
            let fix = "write `{key}` where the key goes; fixed text belongs in `headers`";
            faults.add(at, "a place without a `{field}`: the key would never be sent", fix);
            whole = false;
        } else if places.iter().any(|other| same_spot(other, &place)) {
            faults.add(at, "the same place twice", "remove one of the two: a place holds one value");
        } else {
            places.push(place);
        }
    }
    let secret = |field: &&Name| !variables.iter().any(|v| v.name == **field);
    if whole && !places.is_empty() && !places.iter().any(|p| p.fields().iter().any(secret)) {
        let problem = "every hole is a tenant variable: no place holds the key itself";
        faults.add(
            KeyPath::root().key("auth"),
            problem,
            "write `{key}`, or the name of a secret field, in one of them",
        );
    }
    places
}

/// Whether two placements would write to one and the same spot of a request.
fn same_spot(a: &Placement, b: &Placement) -> bool {
    match (a, b) {
        (Placement::Query { name: a, .. }, Placement::Query { name: b, .. })
        | (Placement::Cookie { name: a, .. }, Placement::Cookie { name: b, .. }) => a == b,
        (Placement::Path { .. }, Placement::Path { .. }) => true,
        _ => header_of(a).is_some_and(|name| header_of(b) == Some(name)),
    }
}

/// The header that a placement writes as a whole.
pub(super) fn header_of(place: &Placement) -> Option<&str> {
    match place {
        Placement::Header { name, .. } => Some(name.as_str()),
        Placement::Basic { .. } => Some(http::header::AUTHORIZATION.as_str()),
        _ => None,
    }
}

/// Compiles one place.
fn placement(auth: &Auth, at: &KeyPath, faults: &mut Faults) -> Option<Placement> {
    let known = || LOCATIONS.iter().map(|(location, _)| *location);
    let Some(written) = auth.location.as_deref() else {
        let fix = format!("add `location`, one of {}", words(known()));
        faults.add(at.key("location"), "the place's location is missing", fix);
        return None;
    };
    let Some((location, fitting)) = LOCATIONS.iter().find(|(location, _)| *location == written) else {
        let near = nearest(written, known()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let fix = format!("{near}It is one of {}", words(known()));
        faults.quote(at.key("location"), "not a location", written, fix);
        return None;
    };
    let fits = refuse_unfit(auth, location, fitting, at, faults);
    let place = match *location {
        "header" => header(auth, at, faults),
        "bearer" => bearer(auth, at, faults),
        "query" => query(auth, at, faults),
        "basic" => basic(auth, at, faults),
        "cookie" => cookie(auth, at, faults),
        _ => path(auth, at, faults),
    };
    place.filter(|_| fits)
}

/// Notes every key that means nothing at this location; says whether all fit.
fn refuse_unfit(auth: &Auth, location: &str, fitting: &[&str], at: &KeyPath, faults: &mut Faults) -> bool {
    let given = [
        ("name", &auth.name),
        ("prefix", &auth.prefix),
        ("value", &auth.value),
        ("username", &auth.username),
        ("password", &auth.password),
        ("template", &auth.template),
    ];
    let mut all = true;
    for (key, _) in given.into_iter().filter(|(key, value)| value.is_some() && !fitting.contains(key)) {
        let others: Vec<&str> =
            LOCATIONS.iter().filter(|(_, keys)| keys.contains(&key)).map(|(location, _)| *location).collect();
        let fix = format!(
            "remove it, or use location {}; with `{location}` stand {}",
            words(others.iter().copied()),
            words(fitting.iter().copied())
        );
        faults.add(at.key(key), format!("`{key}` does not fit the location `{location}`"), fix);
        all = false;
    }
    all
}

/// `` `a`, `b` ``.
fn words<'a>(all: impl Iterator<Item = &'a str>) -> String {
    all.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The value's template, `{key}` unless set.
fn value(auth: &Auth, at: &KeyPath, faults: &mut Faults) -> Option<Template> {
    let single = format!("{{{}}}", Fields::SINGLE);
    parse_template(auth.value.as_deref().unwrap_or(&single), &at.key("value"), faults)
}

/// A required name; `what` is what it names.
fn name<'a>(auth: &'a Auth, what: &str, example: &str, at: &KeyPath, faults: &mut Faults) -> Option<&'a str> {
    match auth.name.as_deref() {
        Some("") => {
            faults.add(at.key("name"), format!("the {what}'s name is empty"), format!("write `name = \"{example}\"`"));
            None
        }
        Some(name) => Some(name),
        None => {
            faults.add(at.key("name"), format!("the {what}'s name is missing"), format!("add `name = \"{example}\"`"));
            None
        }
    }
}

fn header(auth: &Auth, at: &KeyPath, faults: &mut Faults) -> Option<Placement> {
    let spelled = name(auth, "header", "X-API-Key", at, faults);
    let name = spelled.and_then(|text| header_name(text, &at.key("name"), faults));
    let value = value(auth, at, faults)?;
    let prefix = auth.prefix.as_deref().unwrap_or_default().replace('{', "{{").replace('}', "}}");
    let value = Template::parse(&format!("{prefix}{value}")).ok()?;
    header_value(&value, auth, at, faults)?;
    Some(Placement::Header { name: name?, spelled: spelled?.into(), value })
}

fn bearer(auth: &Auth, at: &KeyPath, faults: &mut Faults) -> Option<Placement> {
    let value = Template::parse(&format!("Bearer {}", value(auth, at, faults)?)).ok()?;
    header_value(&value, auth, at, faults)?;
    Some(Placement::Header { name: http::header::AUTHORIZATION, spelled: "Authorization".into(), value })
}

/// Notes fixed text that no header can carry.
fn header_value(value: &Template, auth: &Auth, at: &KeyPath, faults: &mut Faults) -> Option<()> {
    if fits_header(value) {
        return Some(());
    }
    let key = if auth.value.is_some() { "value" } else { "prefix" };
    let fix = "use printable ASCII characters and spaces";
    faults.add(at.key(key), "text that no header can carry", fix);
    None
}

fn query(auth: &Auth, at: &KeyPath, faults: &mut Faults) -> Option<Placement> {
    let name = name(auth, "parameter", "api_key", at, faults);
    let value = value(auth, at, faults)?;
    Some(Placement::Query { name: name?.into(), value })
}

fn basic(auth: &Auth, at: &KeyPath, faults: &mut Faults) -> Option<Placement> {
    if auth.username.is_none() && auth.password.is_none() {
        let fix = "add `username = \"{key}\"`, `password = \"{key}\"`, or both with a field's name each";
        faults.add(at.key("username"), "neither a user name nor a password", fix);
        return None;
    }
    let username = parse_template(auth.username.as_deref().unwrap_or_default(), &at.key("username"), faults);
    let password = parse_template(auth.password.as_deref().unwrap_or_default(), &at.key("password"), faults);
    let username = username?;
    if sample(&username).contains(':') {
        let fix = "remove it: in Basic authentication the first colon ends the user name";
        faults.add(at.key("username"), "a colon in the user name", fix);
        return None;
    }
    Some(Placement::Basic { username, password: password? })
}

fn cookie(auth: &Auth, at: &KeyPath, faults: &mut Faults) -> Option<Placement> {
    let name = name(auth, "cookie", "session", at, faults);
    // A cookie's name is a token (RFC 6265 §4.1.1), as a header's name is.
    if let Some(text) = name.filter(|text| HeaderName::try_from(*text).is_err()) {
        faults.quote(at.key("name"), "not a cookie name", text, "use letters, digits, `-` and `_`");
        return None;
    }
    let value = value(auth, at, faults)?;
    let octet = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\');
    if !sample(&value).bytes().all(octet) {
        let fix = "use printable ASCII characters without spaces, quotes, commas, semicolons and backslashes";
        faults.add(at.key("value"), "text that no cookie can carry", fix);
        return None;
    }
    Some(Placement::Cookie { name: name?.into(), value })
}

fn path(auth: &Auth, at: &KeyPath, faults: &mut Faults) -> Option<Placement> {
    let at = at.key("template");
    let Some(text) = auth.template.as_deref() else {
        faults.add(at, "the template is missing", "add the segments to insert: `template = \"/bot{key}\"`");
        return None;
    };
    let template = parse_template(text, &at, faults)?;
    let shape = sample(&template);
    let problem = path_problem(&shape).or_else(|| shape.ends_with('/').then_some("it must not end with `/`"));
    if let Some(problem) = problem {
        let fix = "write segments such as `/bot{key}`";
        faults.add(at, format!("a template that cannot be put into a path: {problem}"), fix);
        return None;
    }
    Some(Placement::Path { template })
}
