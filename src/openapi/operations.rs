//! The operations of a document with what is needed of each: method, path, parameters, security, responses. References to
//! path items and parameters are followed; what is no operation is passed over.

use serde_json::{Map, Value};

use super::servers::{self, Place};
use super::walk::{self, Walk, below, member};

/// The members of a path item that are operations.
const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

/// One operation.
pub(super) struct Operation<'d> {
    /// In upper case.
    pub(super) method: String,
    /// As it is written, with its parameters in braces.
    pub(super) path: &'d str,
    /// Where it stands.
    pub(super) at: String,
    /// Itself.
    pub(super) value: &'d Map<String, Value>,
    /// Its parameters and those of its path.
    pub(super) parameters: Vec<Parameter>,
    /// It is sent to a server of its own.
    pub(super) elsewhere: bool,
}

impl<'d> Operation<'d> {
    /// The alternatives of what it demands, when it says so itself.
    pub(super) fn security(&self) -> Option<&'d Vec<Value>> {
        self.value.get("security").and_then(Value::as_array)
    }

    /// Its answers by status.
    pub(super) fn responses(&self) -> Option<&'d Map<String, Value>> {
        self.value.get("responses").and_then(Value::as_object)
    }

    /// The words that it is tagged and named by, in lower case.
    pub(super) fn words(&self) -> String {
        let tags = self.value.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(walk::text);
        let id = self.value.get("operationId").and_then(walk::text);
        tags.chain(id).collect::<Vec<_>>().join(" ").to_lowercase()
    }
}

/// A parameter, as far as it decides whether a call can do without.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    /// `path`, `query`, `header`, `cookie`, `body`, `formData`.
    pub(super) place: String,
    /// Its name.
    pub(super) name: String,
    /// A call without it is refused.
    pub(super) required: bool,
}

/// Every operation, in the order of the paths.
pub(super) fn of<'d>(walk: &mut Walk<'d>, place: &Place) -> Vec<Operation<'d>> {
    let root = walk.root;
    let mut found = Vec::new();
    let Some(paths) = root.get("paths").filter(|paths| !paths.is_null()) else {
        walk.notes.add("", "no `paths`", "neither a verification call nor rules can be suggested");
        return found;
    };
    let Some(paths) = paths.as_object() else {
        walk.notes.add("/paths", "`paths` is no table of keys", "taken as empty");
        return found;
    };
    for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
        let at = below("/paths", path);
        let Some(item) = walk.resolved(item, &at).and_then(Value::as_object) else {
            walk.notes.add(&at, "a path without operations", "left out");
            continue;
        };
        of_item((path, item, &at), place, walk, &mut found);
    }
    found
}

/// The operations of one path.
fn of_item<'d>(
    (path, item, at): (&'d str, &'d Map<String, Value>, &str),
    place: &Place,
    walk: &mut Walk<'d>,
    found: &mut Vec<Operation<'d>>,
) {
    let servers =
        |owner: &'d Map<String, Value>| owner.get("servers").and_then(Value::as_array).filter(|s| !s.is_empty());
    let shared = parameters(item, at, walk);
    let usual = METHODS.iter().filter_map(|method| Some((*method, item.get(*method)?)));
    let more = item.get("additionalOperations").and_then(Value::as_object).into_iter().flatten();
    for (method, value) in usual.chain(more.map(|(method, value)| (method.as_str(), value))) {
        let at = below(at, method);
        let Some(value) = value.as_object() else {
            walk.notes.add(&at, "an operation that is no table of keys", "left out");
            continue;
        };
        let own = parameters(value, &at, walk);
        // A parameter of the operation takes the place of the path's of the same name.
        let is_own = |other: &Parameter| own.iter().any(|p| p.name == other.name && p.place == other.place);
        let inherited: Vec<Parameter> = shared.iter().filter(|p| !is_own(p)).cloned().collect();
        found.push(Operation {
            method: method.to_ascii_uppercase(),
            path,
            parameters: inherited.into_iter().chain(own).collect(),
            elsewhere: servers(value).or(servers(item)).is_some_and(|own| servers::are_elsewhere(own, place)),
            at,
            value,
        });
    }
}

/// The parameters of a path item or an operation.
fn parameters<'d>(owner: &'d Map<String, Value>, at: &str, walk: &mut Walk<'d>) -> Vec<Parameter> {
    let listed = owner.get("parameters").and_then(Value::as_array).into_iter().flatten();
    let mut found = Vec::new();
    for (i, value) in listed.enumerate() {
        let at = format!("{at}/parameters/{i}");
        // One that cannot be found may be needed: a call without it is no safe guess.
        let unknown = || Parameter { place: String::new(), name: String::new(), required: true };
        let Some(value) = walk.resolved(value, &at) else {
            found.push(unknown());
            continue;
        };
        let (Some(place), Some(name)) = (member(value, "in"), member(value, "name")) else {
            walk.notes.add(&at, "a parameter without `in` or `name`", "taken as required");
            found.push(unknown());
            continue;
        };
        let required = value.get("required").is_some_and(|r| r.as_bool() == Some(true) || r.as_str() == Some("true"));
        found.push(Parameter { required: required || place == "path", place, name });
    }
    found
}
