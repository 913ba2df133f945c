//! What is wrong with a file, for a person: `proxy.toml:LINE:COL: problem`, the line, the fix. What may be a secret is
//! never shown: values that the environment had a part in are left out, and texts at secret-like places are masked.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::OnceLock;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::record::RecordError;

use super::tree::{Fault, Node, Value};

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The line, from 1; always one that the file has.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The key, such as `service.billing.auth[1].name`; empty for the file as a whole.
    pub key: String,
    /// What is wrong. Holds no value that may be a secret.
    pub problem: String,
    /// What to write instead.
    pub fix: String,
    span: Range<usize>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigErrors {
    /// The file could not be read.
    #[error("cannot read {}: {source}; name another with --config, or make it readable for this user", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file was read and is wrong.
    #[error("{0}")]
    Invalid(Invalid),
}

impl ConfigErrors {
    /// The text for a person, with colours when it goes to a terminal.
    pub fn render(&self, colour: bool) -> String {
        match self {
            Self::Read { .. } => self.to_string(),
            Self::Invalid(invalid) => invalid.render(colour),
        }
    }

    /// The errors with their places; none when the file could not be read.
    pub fn errors(&self) -> &[ConfigError] {
        match self {
            Self::Read { .. } => &[],
            Self::Invalid(invalid) => &invalid.errors,
        }
    }
}

/// Everything that is wrong with a file; never empty.
#[derive(Debug)]
pub struct Invalid {
    name: String,
    /// The text with secret-like parts masked, byte for byte as long as the file.
    masked: String,
    errors: Vec<ConfigError>,
}

impl Invalid {
    /// Sorts the faults by place and prepares the text for being shown. `tree` is what could be parsed.
    pub(super) fn new(name: String, text: &str, faults: Vec<Fault>, tree: &Node) -> Self {
        let mut spans = Vec::new();
        secret_spans(tree, "", &mut spans);
        let masked = mask(text, &spans);
        let mut errors: Vec<ConfigError> = faults.into_iter().map(|fault| located(text, fault, tree)).collect();
        errors.sort_by(|a, b| (a.span.start, &a.key).cmp(&(b.span.start, &b.key)));
        errors.dedup();
        Self { name, masked, errors }
    }

    /// The same for a text that is no TOML: the lines at fault are masked behind an unknown or secret-like key.
    pub(super) fn syntax(name: String, text: &str, faults: Vec<Fault>, tree: &Node) -> Self {
        let mut invalid = Self::new(name, text, faults, tree);
        // What follows on the same line is mostly an echo of the first error there.
        invalid.errors.dedup_by_key(|error| error.line);
        let spans: Vec<_> = invalid.errors.iter().filter_map(|e| secret_line(&invalid.masked, e.span.start)).collect();
        invalid.masked = mask(&invalid.masked, &spans);
        invalid
    }

    fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let each = |error: &ConfigError| {
            let title = format!("{}:{}:{}: {}", self.name, error.line, error.column, error.title());
            let mark = AnnotationKind::Primary.span(error.span.clone());
            let group = Level::ERROR
                .no_name()
                .primary_title(title)
                .element(Snippet::source(self.masked.as_str()).annotation(mark))
                .element(Level::HELP.message(error.fix.as_str()));
            renderer.render(&[group])
        };
        self.errors.iter().map(each).collect::<Vec<_>>().join("\n\n")
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl ConfigError {
    /// The key and the problem.
    fn title(&self) -> String {
        if self.key.is_empty() { self.problem.clone() } else { format!("`{}`: {}", self.key, self.problem) }
    }
}

/// Gives a fault its line and column, and adds what was found unless that may come from the environment.
fn located(text: &str, fault: Fault, tree: &Node) -> ConfigError {
    let Fault { span, error: RecordError { path, problem, found, fix } } = fault;
    let (node, _) = tree.deepest(&path);
    let shown = found.filter(|_| !node.any_expanded() && !is_secret_key(path.last_key().unwrap_or_default()));
    let problem = shown.map_or(problem.clone(), |found| format!("{problem} (found `{found}`)"));
    let span = clamped(text, span);
    let before = text.get(..span.start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    ConfigError {
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        key: printable(&path.to_string()),
        problem: printable(&problem),
        fix: printable(&fix),
        span,
    }
}

/// The range within the text, on character boundaries, and never on a line behind the last.
fn clamped(text: &str, span: Range<usize>) -> Range<usize> {
    let last = text.strip_suffix('\n').map_or(text.len(), str::len);
    let boundary = |at: usize| (0..=at.min(last)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let start = boundary(span.start);
    start..boundary(span.end).max(start)
}

/// Control characters, which could repaint a terminal, as their escapes.
fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

/// Tables whose keys are rules, statuses and names of buckets: what stands there is no secret.
const TOLD: [&str; 4] = ["per_route", "costs", "statuses", "buckets"];

/// Keys whose text may be the secret itself when somebody wrote it into the file.
fn is_secret_key(key: &str) -> bool {
    matches!(key, "value" | "username" | "password" | "prefix" | "template" | "body" | "secret" | "webhook")
}

/// A key that the schema knows, or differs from by one letter, and that is no secret's place.
fn is_plain_key(key: &str) -> bool {
    static KNOWN: OnceLock<BTreeSet<String>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let mut keys = BTreeSet::new();
        known_keys(super::schema::schema(), &mut keys);
        keys
    });
    let meant = |name: &&String| strsim::damerau_levenshtein(key, name) <= usize::from(key.len() > 4);
    known.iter().find(meant).is_some_and(|key| !is_secret_key(key))
}

fn known_keys(schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(object) => {
            if let Some(properties) = object.get("properties").and_then(serde_json::Value::as_object) {
                keys.extend(properties.keys().cloned());
            }
            object.values().for_each(|inner| known_keys(inner, keys));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|inner| known_keys(inner, keys)),
        _ => {}
    }
}

/// Collects the spans of texts under keys that are unknown or secret-like; one that names a `{field}` is no secret.
fn secret_spans(node: &Node, key: &str, spans: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Table(members) => members.iter().for_each(|(name, node)| {
            let is_told = TOLD.contains(&key) && !is_secret_key(name);
            secret_spans(node, if is_told { key } else { name }, spans);
        }),
        Value::List(items) => items.iter().for_each(|item| secret_spans(item, key, spans)),
        Value::Text(text) if !is_plain_key(key) && !text.contains('{') && !node.expanded => {
            spans.push(node.span.clone());
        }
        Value::Integer(_) if !is_plain_key(key) => spans.push(node.span.clone()),
        _ => {}
    }
}

/// On the line of a syntax error, what stands behind the `=` of a key that is unknown or secret-like.
fn secret_line(text: &str, at: usize) -> Option<Range<usize>> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(start..)?.lines().next()?;
    let (key, _) = line.split_once('=')?;
    let last = key.rsplit(['.', '{', ',']).next().unwrap_or(key).trim().trim_matches(['"', '\'']);
    (!is_plain_key(last)).then_some(start + key.len() + 1..start + line.len())
}

/// Replaces the bytes of the spans by `*`, so that all other positions stay. Line ends stay too.
fn mask(text: &str, spans: &[Range<usize>]) -> String {
    let mut hidden = vec![false; text.len()];
    for span in spans {
        if let Some(part) = hidden.get_mut(span.clone()) {
            part.fill(true);
        }
    }
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if hidden.get(at) == Some(&true) && !c.is_whitespace() && !matches!(c, '"' | '\'') {
            out.extend(std::iter::repeat_n('*', c.len_utf8()));
        } else {
            out.push(c);
        }
    }
    out
}
