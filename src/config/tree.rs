//! The text as a tree in which every value knows where it stands. `${VAR}` is expanded here, and a value that was expanded
//! is marked, so that no message ever shows it.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::record::{KeyPath, RecordError, Step};

use super::Environment;

/// A value with its place in the text.
#[derive(Debug)]
pub(super) struct Node {
    /// Where its key stands; none for elements of a list and the root.
    pub(super) key: Option<Range<usize>>,
    /// Where the value stands.
    pub(super) span: Range<usize>,
    /// Whether the environment had a part in it.
    pub(super) expanded: bool,
    pub(super) value: Value,
}

/// What a value is. Kinds that no key takes are kept as their name only.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
    Other(&'static str),
}

/// An error at a range of bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) span: Range<usize>,
    pub(super) error: RecordError,
}

impl Node {
    /// The member of a table.
    pub(super) fn member(&self, key: &str) -> Option<&Self> {
        let Value::Table(members) = &self.value else { return None };
        members.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The deepest node on the way to `path`, and whether it is the one that `path` names.
    pub(super) fn deepest(&self, path: &KeyPath) -> (&Self, bool) {
        let mut node = self;
        for step in path.steps() {
            let next = match (step, &node.value) {
                (Step::Key(key), Value::Table(_)) => node.member(key),
                (Step::Index(index), Value::List(items)) => items.get(*index),
                _ => None,
            };
            let Some(next) = next else { return (node, false) };
            node = next;
        }
        (node, true)
    }

    /// Where to point for `path`: at its value; at the key of a table, which may be long; at the table when a key in it
    /// is missing.
    pub(super) fn place(&self, path: &KeyPath) -> Range<usize> {
        let (node, whole) = self.deepest(path);
        let pointed = whole && !matches!(node.value, Value::Table(_));
        match &node.key {
            Some(key) if !pointed => key.clone(),
            None if std::ptr::eq(node, self) => 0..0,
            _ => node.span.clone(),
        }
    }

    /// Where to point for an error: at a key that is itself what was found to be wrong, else as for its path.
    pub(super) fn place_of(&self, error: &RecordError) -> Range<usize> {
        let (node, whole) = self.deepest(&error.path);
        let is_value = matches!((&node.value, &error.found), (Value::Text(text), Some(found)) if text == found);
        let is_key = whole && !is_value && error.found.as_deref().is_some_and(|f| error.path.last_key() == Some(f));
        node.key.clone().filter(|_| is_key).unwrap_or_else(|| self.place(&error.path))
    }

    /// Whether the environment had a part in this value or in one inside it.
    pub(super) fn any_expanded(&self) -> bool {
        self.expanded
            || match &self.value {
                Value::List(items) => items.iter().any(Self::any_expanded),
                Value::Table(members) => members.iter().any(|(_, node)| node.any_expanded()),
                _ => false,
            }
    }
}

/// Turns a parsed document into a tree; a `${VAR}` that cannot be expanded is a fault at its own place.
pub(super) fn build(
    text: &str,
    document: &Spanned<DeTable<'_>>,
    environment: &Environment,
    faults: &mut Vec<Fault>,
) -> Node {
    let mut builder = Builder { text, environment, faults };
    let value = builder.table(document.get_ref(), &KeyPath::root());
    Node { key: None, span: document.span(), expanded: false, value }
}

struct Builder<'a> {
    text: &'a str,
    environment: &'a Environment,
    faults: &'a mut Vec<Fault>,
}

impl Builder<'_> {
    fn table(&mut self, table: &DeTable<'_>, path: &KeyPath) -> Value {
        let member = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let name: &std::borrow::Cow<'_, str> = key.get_ref();
            let node = self.node(Some(key.span()), value, &path.key(name));
            (name.to_string(), node)
        };
        Value::Table(table.iter().map(member).collect())
    }

    fn node(&mut self, key: Option<Range<usize>>, value: &Spanned<DeValue<'_>>, path: &KeyPath) -> Node {
        let span = value.span();
        let mut expanded = false;
        let value = match value.get_ref() {
            DeValue::String(text) => {
                expanded = text.contains("${");
                Value::Text(if text.contains('$') { self.expand(text, &span, path) } else { text.to_string() })
            }
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map_or(Value::Other("a number that is too large"), Value::Integer),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Float(_) => Value::Other("a number with a fraction"),
            DeValue::Datetime(_) => Value::Other("a date or time"),
            DeValue::Array(items) => {
                Value::List(items.iter().enumerate().map(|(i, item)| self.node(None, item, &path.index(i))).collect())
            }
            DeValue::Table(table) => self.table(table, path),
        };
        Node { key, span, expanded, value }
    }

    /// Replaces `${VAR}` by the variable's value and `$${` by `${`. What cannot be replaced becomes nothing, and a fault.
    fn expand(&mut self, text: &str, span: &Range<usize>, path: &KeyPath) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, dollar)) = rest.find('$').and_then(|at| rest.split_at_checked(at)) {
            out.push_str(before);
            if let Some(after) = dollar.strip_prefix("$${") {
                out.push_str("${");
                rest = after;
            } else if let Some(inner) = dollar.strip_prefix("${") {
                let Some((name, after)) = inner.split_once('}') else {
                    let fix = "close it as `${NAME}`, or write `$${` for the characters `${` themselves";
                    self.fault("${", span, path, "a `${` that is not closed".to_owned(), fix.to_owned());
                    return out;
                };
                self.variable(name, span, path, &mut out);
                rest = after;
            } else {
                out.push('$');
                rest = dollar.strip_prefix('$').unwrap_or_default();
            }
        }
        out.push_str(rest);
        out
    }

    fn variable(&mut self, name: &str, span: &Range<usize>, path: &KeyPath, out: &mut String) {
        let place = format!("${{{name}}}");
        let fix = "write `$${` for the characters `${` themselves";
        if !is_variable(name) {
            let problem = "not the name of an environment variable".to_owned();
            self.fault(&place, span, path, problem, format!("use letters, digits and `_`, or {fix}"));
        } else if let Some(value) = self.environment.get(name) {
            out.push_str(value);
        } else {
            let problem = format!("the environment variable `{name}` is not set");
            let near = crate::record::nearest(name, self.environment.names());
            let near = near.map(|near| format!(", or use `{near}`, which is set")).unwrap_or_default();
            self.fault(&place, span, path, problem, format!("set it before sidekey starts{near}, or {fix}"));
        }
    }

    /// Notes a fault at the first `needle` within the value's own text.
    fn fault(&mut self, needle: &str, span: &Range<usize>, path: &KeyPath, problem: String, fix: String) {
        let raw = self.text.get(span.clone()).unwrap_or_default();
        let place = raw.find(needle).map_or_else(
            || span.clone(),
            |at| {
                let start = span.start + at;
                start..start + needle.len()
            },
        );
        let error = RecordError { path: path.clone(), problem, found: None, fix };
        self.faults.push(Fault { span: place, error });
    }
}

/// Whether a text can be the name of an environment variable.
pub(super) fn is_variable(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}
