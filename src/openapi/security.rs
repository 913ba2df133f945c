//! How the service wants its key: one alternative of what the document demands becomes the record's `auth`. Plain keys are
//! preferred to what needs more, and several schemes that are demanded together become several places.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::record::{Auth, AuthList};

use super::Version;
use super::operations::Operation;
use super::template::snake;
use super::walk::{Walk, below, member};

/// The key's places.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// The record's `auth`.
    pub(super) auth: Option<AuthList>,
    /// The parameters that are the key itself, in lower case: a call that demands nothing else can be tried.
    pub(super) keys: BTreeSet<String>,
}

/// How much a scheme asks of whoever uses it; the least is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Effort {
    Header,
    Elsewhere,
    Pair,
    Token,
}

/// A scheme that sidekey can serve.
#[derive(Debug, Clone)]
struct Scheme {
    auth: Auth,
    effort: Effort,
}

/// The places that somebody gave instead of the document's.
pub(super) fn given(auth: &AuthList) -> Chosen {
    let places = match auth {
        AuthList::One(auth) => std::slice::from_ref(auth),
        AuthList::Several(places) => places.as_slice(),
    };
    let keys = places.iter().filter_map(|place| Some(place.name.as_ref()?.to_lowercase())).collect();
    Chosen { auth: Some(auth.clone()), keys }
}

/// Chooses how the key is placed.
pub(super) fn of<'d>(walk: &mut Walk<'d>, operations: &[Operation<'d>]) -> Chosen {
    let (schemes, at) = schemes(walk);
    if schemes.is_empty() {
        return of_parameters(walk, operations);
    }
    let mut alternatives = alternatives(walk, operations);
    if alternatives.is_empty() {
        walk.notes.add(&at, "schemes of authentication that nothing demands", "one of them is taken to be needed");
        alternatives = schemes.keys().map(|name| vec![name.clone()]).collect();
    }
    let served = alternatives.iter().filter(|names| names.iter().all(|name| schemes.contains_key(name)));
    let effort = |names: &&Vec<String>| names.iter().filter_map(|name| Some(schemes.get(name)?.effort)).max();
    let Some(chosen) = served.clone().min_by_key(effort) else {
        walk.notes.add("/security", "only combinations with a scheme that sidekey cannot serve", "no key is placed");
        return Chosen::default();
    };
    if served.count() > 1 {
        let others = alternatives.iter().filter(|names| *names != chosen).map(|names| names.join(" with "));
        let others = others.take(5).collect::<Vec<_>>().join(", ");
        walk.notes.add(
            "/security",
            format!("other ways to authenticate ({others})"),
            format!("{} is used", chosen.join(" with ")),
        );
    }
    placed(chosen, &schemes, walk)
}

/// Names of parameters that are a key in many documents which declare no scheme.
const KEY_PARAMETERS: [&str; 10] = [
    "x-api-key",
    "api-key",
    "apikey",
    "x-apikey",
    "api_key",
    "x-auth-token",
    "x-access-token",
    "access_token",
    "authorization",
    "x-token",
];

/// Some documents declare no scheme, and the key as a parameter of nearly every operation.
fn of_parameters(walk: &mut Walk<'_>, operations: &[Operation<'_>]) -> Chosen {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for parameter in operations.iter().flat_map(|operation| &operation.parameters) {
        let fits = KEY_PARAMETERS.contains(&parameter.name.to_lowercase().as_str());
        if fits && matches!(parameter.place.as_str(), "header" | "query") {
            *counts.entry((&parameter.place, &parameter.name)).or_default() += 1;
        }
    }
    let frequent = counts.into_iter().filter(|(_, count)| count * 2 > operations.len()).max_by_key(|(_, count)| *count);
    let Some(((place, name), _)) = frequent else {
        walk.notes.add(
            "",
            "no authentication that sidekey could serve",
            "calls get no key until you say where it goes",
        );
        return Chosen::default();
    };
    walk.notes.add(
        "",
        format!("no scheme of authentication, and a {place} parameter `{name}`"),
        "it is taken to be the key",
    );
    let auth = Auth { location: Some(place.to_owned()), name: Some(name.to_owned()), ..Auth::default() };
    Chosen { auth: Some(AuthList::One(auth)), keys: BTreeSet::from([name.to_lowercase()]) }
}

/// The places of the schemes in `names`, all at once.
fn placed(names: &[String], schemes: &BTreeMap<String, Scheme>, walk: &mut Walk<'_>) -> Chosen {
    let mut places: Vec<Auth> = Vec::new();
    let mut spots: BTreeSet<String> = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for name in names {
        let Some(scheme) = schemes.get(name) else { continue };
        if scheme.effort == Effort::Token {
            let found = format!("`{name}` is OAuth 2.0 or OpenID Connect, which hand out tokens");
            walk.notes.add(
                "/security",
                found,
                "sent as a bearer token; sidekey places the token that you give it and fetches none",
            );
        }
        let mut auth = scheme.auth.clone();
        if !spots.insert(spot(&auth)) {
            walk.notes.add("/security", format!("`{name}` at the place of another scheme"), "left out");
            continue;
        }
        keys.extend(auth.name.as_ref().map(|name| name.to_lowercase()));
        if names.len() > 1 {
            name_fields(&mut auth, name);
        }
        places.push(auth);
    }
    let auth = match places.len() {
        0 => None,
        1 => places.pop().map(AuthList::One),
        _ => Some(AuthList::Several(places)),
    };
    Chosen { auth, keys }
}

/// Where in a request a place writes; two of the same cannot both be filled.
fn spot(auth: &Auth) -> String {
    match (auth.location.as_deref(), &auth.name) {
        (Some("header"), Some(name)) => name.to_lowercase(),
        (Some("bearer" | "basic"), _) => "authorization".to_owned(),
        (location, name) => format!("{} {}", location.unwrap_or_default(), name.as_deref().unwrap_or_default()),
    }
}

/// Gives each place of several a field of its own.
fn name_fields(auth: &mut Auth, scheme: &str) {
    let field = snake(scheme);
    if auth.location.as_deref() == Some("basic") {
        auth.username = Some(format!("{{{field}_username}}"));
        auth.password = Some(format!("{{{field}_password}}"));
    } else {
        auth.value = Some(format!("{{{field}}}"));
    }
}

/// The alternatives that the document demands, each the names of schemes that are needed together: its own, else those of
/// its operations, the most frequent first.
fn alternatives<'d>(walk: &mut Walk<'d>, operations: &[Operation<'d>]) -> Vec<Vec<String>> {
    let root = walk.root;
    let own = root.get("security").and_then(Value::as_array).map(|all| requirements(all)).unwrap_or_default();
    if !own.is_empty() {
        return own;
    }
    let mut counts: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for names in operations.iter().filter_map(Operation::security).flat_map(|all| requirements(all)) {
        *counts.entry(names).or_default() += 1;
    }
    let mut found: Vec<_> = counts.into_iter().collect();
    found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    found.into_iter().map(|(names, _)| names).collect()
}

/// The alternatives in a list of requirements; one that demands nothing is none.
fn requirements(all: &[Value]) -> Vec<Vec<String>> {
    let named = all.iter().filter_map(Value::as_object).map(|one| one.keys().cloned().collect::<Vec<_>>());
    named.filter(|names| !names.is_empty()).collect()
}

/// The schemes that can be served, by name, and where they are declared.
fn schemes<'d>(walk: &mut Walk<'d>) -> (BTreeMap<String, Scheme>, String) {
    let root: &'d Value = walk.root;
    let (at, declared) = match walk.version {
        Version::Two => ("/securityDefinitions", root.get("securityDefinitions")),
        Version::Three => ("/components/securitySchemes", root.pointer("/components/securitySchemes")),
    };
    let mut found = BTreeMap::new();
    for (name, value) in declared.and_then(Value::as_object).into_iter().flatten() {
        let at = below(at, name);
        let Some(value) = walk.resolved(value, &at).and_then(Value::as_object) else { continue };
        if let Some(scheme) = scheme(value, &at, walk) {
            found.insert(name.clone(), scheme);
        }
    }
    (found, at.to_owned())
}

/// One scheme; what cannot be served is noted.
fn scheme(value: &Map<String, Value>, at: &str, walk: &mut Walk<'_>) -> Option<Scheme> {
    let whole = Value::Object(value.clone());
    let kind = member(&whole, "type").unwrap_or_default().to_lowercase();
    let plain = |location: &str, effort| {
        let auth = Auth { location: Some(location.to_owned()), ..Auth::default() };
        Some(Scheme { auth, effort })
    };
    match kind.as_str() {
        "apikey" => api_key(&whole, at, walk),
        "basic" => pair(),
        "oauth2" | "openidconnect" => plain("bearer", Effort::Token),
        "http" => {
            let written = member(&whole, "scheme").unwrap_or_default();
            match written.to_lowercase().as_str() {
                "bearer" => plain("bearer", Effort::Header),
                "basic" => pair(),
                "" | "digest" | "negotiate" | "ntlm" | "hoba" | "mutual" | "scram-sha-256" | "scram-sha-1"
                | "vapid" => {
                    walk.notes.add(
                        at,
                        format!("the HTTP scheme `{written}`, which is more than a key in a place"),
                        "left out",
                    );
                    None
                }
                _ => Some(authorization(&format!("{written} "))),
            }
        }
        _ => {
            walk.notes.add(at, format!("a scheme of the type `{kind}`, which is no key in a place"), "left out");
            None
        }
    }
}

/// A user name and a password, each a field.
#[allow(clippy::unnecessary_wraps, reason = "an arm among others that may have none")]
fn pair() -> Option<Scheme> {
    let auth = Auth {
        location: Some("basic".to_owned()),
        username: Some("{username}".to_owned()),
        password: Some("{password}".to_owned()),
        ..Auth::default()
    };
    Some(Scheme { auth, effort: Effort::Pair })
}

/// `Authorization` with something before the key.
fn authorization(prefix: &str) -> Scheme {
    let auth = Auth {
        location: Some("header".to_owned()),
        name: Some("Authorization".to_owned()),
        prefix: Some(prefix.to_owned()),
        ..Auth::default()
    };
    Scheme { auth, effort: Effort::Header }
}

/// A key in a header, a query parameter or a cookie.
fn api_key(value: &Value, at: &str, walk: &mut Walk<'_>) -> Option<Scheme> {
    let (Some(name), place) = (member(value, "name"), member(value, "in").unwrap_or_default().to_lowercase()) else {
        walk.notes.add(at, "a key whose parameter has no name", "left out");
        return None;
    };
    let effort = match place.as_str() {
        "header" => Effort::Header,
        "query" | "cookie" => Effort::Elsewhere,
        _ => {
            walk.notes.add(at, "a key in no place that a request has", "left out");
            return None;
        }
    };
    if place == "header" && name.eq_ignore_ascii_case("authorization") {
        return Some(whole_authorization(value, at, walk));
    }
    let auth = Auth { location: Some(place), name: Some(name), ..Auth::default() };
    Some(Scheme { auth, effort })
}

/// A key that is the whole of `Authorization`. What stands before it is, if anywhere, in the description.
fn whole_authorization(value: &Value, at: &str, walk: &mut Walk<'_>) -> Scheme {
    let about = member(value, "description").unwrap_or_default();
    let prefixes = ["Bearer ", "Token ", "Basic ", "ApiKey ", "Api-Key ", "Key "];
    let meant = prefixes.iter().find(|prefix| {
        let (lower, prefix) = (about.to_lowercase(), prefix.to_lowercase());
        // Before a placeholder: `Token <key>`, `Bearer {token}`, `"Bearer " + key`.
        ["<", "{", "[", "$", "xxx", "your"].iter().any(|next| lower.contains(&format!("{prefix}{next}")))
            || lower.contains(&format!("\"{prefix}\""))
            || (prefix == "bearer " && lower.contains("bearer"))
    });
    let found = "the whole of `Authorization` is the key";
    if let Some(prefix) = meant {
        let prefix = prefix.trim_end();
        walk.notes.add(
            at,
            format!("{found}, and its description speaks of `{prefix}`"),
            format!("`{prefix} ` is put before the key"),
        );
        return authorization(&format!("{prefix} "));
    }
    walk.notes.add(at, found, "nothing is put before the key; give --prefix when the service wants a word there");
    let mut scheme = authorization("");
    scheme.auth.prefix = None;
    scheme
}
