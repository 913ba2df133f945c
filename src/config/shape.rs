//! Checks a tree against the schema: unknown keys, wrong kinds, words that are none, numbers out of bounds. What fits is
//! handed on as JSON, what does not is cut out, so that the rest of the file can still be judged in the same run.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use crate::record::{KeyPath, RecordError, nearest};

use super::schema::schema;
use super::tree::{Fault, Node, Value};

/// The result of a check.
pub(super) struct Shape {
    /// What fits, for serde.
    pub(super) json: Json,
    /// The paths at which something was cut out, and those that the mistyped keys were probably meant to be.
    pub(super) cut: BTreeSet<KeyPath>,
}

/// Checks `root`, leaving out what the faults so far are about.
pub(super) fn check(root: &Node, faults: &mut Vec<Fault>) -> Shape {
    let cut = faults.iter().map(|fault| fault.error.path.clone()).collect();
    let mut checker = Checker { schema: schema(), faults, cut };
    let json = checker.value(root, schema(), &KeyPath::root()).unwrap_or(Json::Object(Map::new()));
    Shape { json, cut: checker.cut }
}

struct Checker<'a> {
    schema: &'static Json,
    faults: &'a mut Vec<Fault>,
    cut: BTreeSet<KeyPath>,
}

impl Checker<'_> {
    /// The value as JSON when it fits.
    fn value(&mut self, node: &Node, schema: &'static Json, path: &KeyPath) -> Option<Json> {
        if self.cut.contains(path) {
            return None;
        }
        let schema = self.chosen(node, schema);
        if !kinds(schema).contains(&kind(&node.value)) {
            self.wrong_kind(node, schema, path);
            return None;
        }
        match &node.value {
            Value::Text(text) => self.word(text, node, schema, path),
            Value::Integer(number) => self.number(*number, node, schema, path),
            Value::Boolean(value) => Some(Json::Bool(*value)),
            Value::List(items) => {
                let inner = schema.get("items")?;
                let each = |(i, item): (usize, &Node)| self.value(item, inner, &path.index(i));
                let fitting: Vec<Json> = items.iter().enumerate().filter_map(each).collect();
                if fitting.len() < items.len() {
                    // Later elements would be named by a wrong index; the list is left out as a whole.
                    self.cut.insert(path.clone());
                    return None;
                }
                Some(Json::Array(fitting))
            }
            Value::Table(members) => Some(self.table(members, schema, path)),
            Value::Other(_) => None,
        }
    }

    /// Follows references, and of several shapes takes the one of the value's kind.
    fn chosen(&self, node: &Node, schema: &'static Json) -> &'static Json {
        let schema = self.followed(schema);
        let Some(choices) = schema.get("anyOf").and_then(Json::as_array) else { return schema };
        let fitting =
            choices.iter().map(|choice| self.followed(choice)).find(|c| kinds(c).contains(&kind(&node.value)));
        fitting.unwrap_or(schema)
    }

    fn followed(&self, schema: &'static Json) -> &'static Json {
        let name = schema.get("$ref").and_then(Json::as_str).and_then(|r| r.strip_prefix("#/$defs/"));
        name.and_then(|name| self.schema.get("$defs")?.get(name)).unwrap_or(schema)
    }

    fn table(&mut self, members: &[(String, Node)], schema: &'static Json, path: &KeyPath) -> Json {
        let known = schema.get("properties").and_then(Json::as_object);
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        let mut out = Map::new();
        for (key, node) in members {
            let inner = known.and_then(|known| known.get(key)).or(others);
            let at = path.key(key);
            match inner {
                Some(inner) => {
                    if let Some(json) = self.value(node, inner, &at) {
                        out.insert(key.clone(), json);
                    }
                }
                None => self.unknown_key(key, node, known, path),
            }
        }
        Json::Object(out)
    }

    fn unknown_key(&mut self, key: &str, node: &Node, known: Option<&'static Map<String, Json>>, path: &KeyPath) {
        let known = || known.into_iter().flat_map(|known| known.keys().map(String::as_str));
        let near = nearest(key, known());
        let all = known().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        let fix = match near {
            Some(near) => format!("did you mean `{near}`? Known here: {all}"),
            None if path.to_string().starts_with("credential.") => {
                format!("a key's value never stands in this file: say where it comes from. Known here: {all}")
            }
            None => format!("remove it; known here: {all}"),
        };
        let place = if path.steps().is_empty() { "at the top".to_owned() } else { format!("in `{path}`") };
        let error = RecordError { path: path.key(key), problem: format!("unknown key {place}"), found: None, fix };
        self.faults.push(Fault { span: node.key.clone().unwrap_or(node.span.clone()), error });
        self.cut.insert(path.key(key));
        self.cut.extend(near.map(|near| path.key(near)));
    }

    fn wrong_kind(&mut self, node: &Node, schema: &'static Json, path: &KeyPath) {
        let mut wanted: Vec<&str> = self.kinds_of(schema);
        wanted.dedup();
        let wanted = wanted.join(" or ");
        let found = match &node.value {
            Value::Text(_) => "a text",
            Value::Integer(_) => "a number",
            Value::Boolean(_) => "`true` or `false`",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(name) => name,
        };
        let fix = fix_for(schema, &wanted, node, path.last_key().unwrap_or_default());
        self.fault(path, node, format!("expected {wanted}, found {found}"), None, fix);
    }

    /// The kinds that a schema takes, in words.
    fn kinds_of(&self, schema: &'static Json) -> Vec<&'static str> {
        let choices = schema.get("anyOf").and_then(Json::as_array);
        let each = choices.map_or_else(|| vec![schema], |all| all.iter().map(|c| self.followed(c)).collect());
        each.into_iter().flat_map(kinds).map(|kind| words(kind)).collect()
    }

    fn word(&mut self, text: &str, node: &Node, schema: &'static Json, path: &KeyPath) -> Option<Json> {
        let allowed = schema.get("enum").and_then(Json::as_array).map(|words| words.iter().filter_map(Json::as_str));
        let Some(allowed) = allowed else { return Some(Json::String(text.to_owned())) };
        let allowed: Vec<&str> = allowed.collect();
        if allowed.contains(&text) {
            return Some(Json::String(text.to_owned()));
        }
        let all = allowed.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        // A hint repeats no value: near is a known word.
        let near = nearest(text, allowed.iter().copied()).map(|near| format!("did you mean `{near}`? "));
        let fix = format!("{}It is one of {all}", near.unwrap_or_default());
        self.fault(path, node, "unknown word".to_owned(), Some(text.chars().take(80).collect()), fix);
        None
    }

    fn number(&mut self, number: i64, node: &Node, schema: &'static Json, path: &KeyPath) -> Option<Json> {
        let bound = |key: &str| schema.get(key).and_then(Json::as_i64);
        let (least, most) = (bound("minimum").unwrap_or(i64::MIN), bound("maximum").unwrap_or(i64::MAX));
        if (least..=most).contains(&number) {
            return Some(Json::from(number));
        }
        let fix = format!("use a number from {least} to {most}");
        self.fault(path, node, "a number out of bounds".to_owned(), Some(number.to_string()), fix);
        None
    }

    fn fault(&mut self, path: &KeyPath, node: &Node, problem: String, found: Option<String>, fix: String) {
        let error = RecordError { path: path.clone(), problem, found, fix };
        let span = match &node.value {
            Value::Table(_) => node.key.clone().unwrap_or(node.span.clone()),
            _ => node.span.clone(),
        };
        self.faults.push(Fault { span, error });
        self.cut.insert(path.clone());
    }
}

/// What to write where a value has the wrong kind.
fn fix_for(schema: &Json, wanted: &str, node: &Node, key: &str) -> String {
    let takes = kinds(schema);
    if takes.contains(&"string") && schema.get("anyOf").is_none() {
        return match with_unit(schema) {
            Some(example) => format!("write it in quotes and with its unit, such as `\"{example}\"`"),
            None => "write it in quotes".to_owned(),
        };
    }
    let has_limit = schema.get("properties").is_some_and(|known| known.get("limit").is_some());
    if takes.contains(&"object") && has_limit && matches!(node.value, Value::Text(_)) {
        return format!("write it in braces, such as `{key} = {{ limit = \"100/s\" }}`");
    }
    match takes.as_slice() {
        ["boolean"] => "write `true` or `false`, without quotes".to_owned(),
        ["integer"] => "write a whole number, without quotes".to_owned(),
        ["array"] => "write it in brackets, such as `[\"…\"]`".to_owned(),
        ["object"] => "write it in braces, such as `{ key = … }`, or as a table of its own".to_owned(),
        _ => format!("write {wanted}"),
    }
}

/// An example of a text that is a number with its unit, where the schema takes such a one.
fn with_unit(schema: &Json) -> Option<&'static str> {
    let pattern = schema.get("pattern")?.as_str()?;
    [("^[0-9]+ ?(ms|", "30s"), ("^[0-9]+ ?/ ?(s|", "100/s"), ("^[0-9]+ ?/ ?(d|", "10000/day")]
        .into_iter()
        .find_map(|(beginning, example)| pattern.starts_with(beginning).then_some(example))
}

/// The JSON Schema name of a value's kind.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "string",
        Value::Integer(_) => "integer",
        Value::Boolean(_) => "boolean",
        Value::List(_) => "array",
        Value::Table(_) => "object",
        Value::Other(_) => "other",
    }
}

/// The kinds that a schema takes.
fn kinds(schema: &Json) -> Vec<&str> {
    schema.get("type").and_then(Json::as_str).into_iter().collect()
}

fn words(kind: &str) -> &'static str {
    match kind {
        "string" => "a text",
        "integer" => "a whole number",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        _ => "a table",
    }
}
