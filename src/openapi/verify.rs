//! A harmless call with which a key can be tried: a GET that needs nothing but the key, best one that says who the key
//! belongs to.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::record::VerifyRecord;

use super::operations::Operation;

/// Words in a path to which even a GET does something, or never ends.
const ACTIVE: [&str; 22] = [
    "logout",
    "signout",
    "login",
    "signin",
    "authorize",
    "oauth",
    "oauth2",
    "token",
    "callback",
    "redirect",
    "delete",
    "remove",
    "cancel",
    "send",
    "reset",
    "revoke",
    "export",
    "download",
    "stream",
    "events",
    "subscribe",
    "unsubscribe",
];

/// Words in a path that only few keys may call.
const PRIVILEGED: [&str; 4] = ["admin", "organization", "organizations", "enterprise"];

/// Last words of a path, and how telling a call to it is.
const TELLING: [(&str, u32); 24] = [
    ("me", 100),
    ("whoami", 100),
    ("self", 95),
    ("viewer", 95),
    ("user", 90),
    ("current", 90),
    ("currentuser", 90),
    ("current_user", 90),
    ("profile", 85),
    ("account", 85),
    ("my", 80),
    ("accounts", 60),
    ("users", 35),
    ("organization", 60),
    ("workspace", 60),
    ("team", 60),
    ("balance", 55),
    ("limits", 55),
    ("usage", 50),
    ("models", 55),
    ("ping", 45),
    ("status", 45),
    ("check", 45),
    ("health", 30),
];

/// Suggests a call. `keys` are the parameters that are the key itself, `base` the base URL's path in the record's syntax.
pub(super) fn of(operations: &[Operation<'_>], keys: &BTreeSet<String>, base: &str) -> Option<VerifyRecord> {
    let best = operations.iter().filter(|operation| is_harmless(operation, keys)).max_by_key(|operation| {
        // Of equals the shortest, and of these the first, so that a document always gives the same.
        (score(operation), std::cmp::Reverse((operation.path.len(), operation.path)))
    })?;
    let path = format!("{base}/{}", best.path.trim_start_matches('/').replace('{', "{{").replace('}', "}}"));
    Some(VerifyRecord { path: Some(path), expect: expected(best), ..VerifyRecord::default() })
}

/// Whether a call can be made with nothing but a key, changes nothing, and tells a good key from a bad one.
fn is_harmless(operation: &Operation<'_>, keys: &BTreeSet<String>) -> bool {
    let free = operation.parameters.iter().all(|p| !p.required || keys.contains(&p.name.to_lowercase()));
    let open = operation.security().is_some_and(|alternatives| {
        let demands = |one: &Value| one.as_object().is_some_and(|names| !names.is_empty());
        !alternatives.iter().all(demands) || alternatives.is_empty()
    });
    let plain = !operation.path.contains(['{', '}', '?', '#', ' ']) && !operation.path.trim_matches('/').is_empty();
    let active = words(operation.path).any(|word| ACTIVE.contains(&word.as_str()));
    operation.method == "GET" && free && !open && plain && !active && !operation.elsewhere
}

/// The words of a path in lower case.
fn words(path: &str) -> impl Iterator<Item = String> {
    path.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_lowercase)
}

/// How telling a call is.
fn score(operation: &Operation<'_>) -> u32 {
    let last = operation.path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_lowercase();
    let last = last.split('.').next().unwrap_or_default();
    let word = TELLING.iter().find(|(word, _)| *word == last).map_or(20, |(_, score)| *score);
    let about = operation.words();
    let tagged = words(&about).any(|word| ["auth", "account", "user", "me", "profile"].contains(&word.as_str()));
    let deprecated = operation.value.get("deprecated").and_then(Value::as_bool) == Some(true);
    let privileged = words(operation.path).any(|word| PRIVILEGED.contains(&word.as_str()));
    let less = if deprecated { 40 } else { 0 } + if privileged { 30 } else { 0 };
    (word + if tagged { 10 } else { 0 }).saturating_sub(less)
}

/// The statuses that mean success, unless that is 200 alone.
fn expected(operation: &Operation<'_>) -> Option<Vec<u16>> {
    let keys = operation.responses().into_iter().flat_map(|responses| responses.keys());
    let good: BTreeSet<u16> = keys.filter_map(|key| key.parse().ok()).filter(|s| (200..300).contains(s)).collect();
    let usual = good.is_empty() || (good.len() == 1 && good.contains(&200));
    (!usual).then(|| good.into_iter().collect())
}
