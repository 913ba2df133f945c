//! From a server URL with variables to a template of ours: `{accountId}` in a host becomes the tenant variable
//! `account_id`, a variable with a fixed set of values keeps them, and a version in a path is filled in.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::record::VariableRecord;

use super::walk::{member, text};

/// How many values of a variable are taken over.
const MOST_CHOICES: usize = 100;
/// The longest description that becomes a title, in characters.
const LONGEST_TITLE: usize = 80;

/// The variables that a server declares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variables<'d>(pub(super) Option<&'d Map<String, Value>>);

impl<'d> Variables<'d> {
    fn declared(self, name: &str) -> Option<&'d Value> {
        self.0?.get(name)
    }

    /// The default, when there is one.
    pub(super) fn default(self, name: &str) -> Option<String> {
        member(self.declared(name)?, "default")
    }

    /// The only values there are; empty when any will do.
    pub(super) fn choices(self, name: &str) -> Vec<String> {
        let listed = self.declared(name).and_then(|v| v.get("enum")).and_then(Value::as_array);
        let mut choices: Vec<String> = Vec::new();
        for choice in listed.into_iter().flatten().filter_map(text).filter(|choice| !choice.is_empty()) {
            if !choices.contains(&choice) && choices.len() < MOST_CHOICES {
                choices.push(choice);
            }
        }
        choices
    }

    fn title(self, name: &str) -> Option<String> {
        let about = member(self.declared(name)?, "description")?;
        let first = about.split_once(". ").map_or(about.as_str(), |(first, _)| first);
        let short: String = first.chars().take(LONGEST_TITLE).collect();
        Some(short.trim_end_matches(['.', ' ']).to_owned()).filter(|title| !title.is_empty())
    }
}

/// Which part of a URL a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Host,
    Port,
    Path,
}

/// The tenant variables that a URL turned out to need.
pub(super) struct Holes<'d> {
    declared: Variables<'d>,
    /// By the name in the document: the name of ours.
    names: BTreeMap<String, String>,
    vars: BTreeMap<String, VariableRecord>,
}

impl<'d> Holes<'d> {
    pub(super) fn new(declared: Variables<'d>) -> Self {
        Self { declared, names: BTreeMap::new(), vars: BTreeMap::new() }
    }

    pub(super) fn into_vars(self) -> BTreeMap<String, VariableRecord> {
        self.vars
    }

    /// What stands in the place of the variable `written`: its one value, or a hole of ours.
    fn fill(&mut self, written: &str, part: Part) -> String {
        let (default, choices) = (self.declared.default(written), self.declared.choices(written));
        let fixed = match (choices.as_slice(), part) {
            ([only], _) => Some(only.clone()),
            (_, Part::Port) => default.clone().or_else(|| choices.first().cloned()),
            // In a path, a default without a choice is a version or the like; in a host it shows the form.
            ([], Part::Path) => default.clone(),
            _ => None,
        };
        if let Some(fixed) = fixed {
            return fixed.trim_matches('/').to_owned();
        }
        let name = self.name(written);
        let title = self.declared.title(written);
        let variable = if choices.is_empty() {
            VariableRecord { title, example: default, ..VariableRecord::default() }
        } else {
            let default = default.filter(|default| choices.contains(default));
            VariableRecord { title, default, choices: Some(choices), ..VariableRecord::default() }
        };
        let hole = format!("{{{name}}}");
        self.vars.insert(name, variable);
        hole
    }

    /// Our name of a variable: small letters, digits and `_`, each name once.
    fn name(&mut self, written: &str) -> String {
        if let Some(name) = self.names.get(written) {
            return name.clone();
        }
        let plain = snake(written);
        let mut name = plain.clone();
        let mut number = 2;
        while self.vars.contains_key(&name) {
            name = format!("{plain}_{number}");
            number += 1;
        }
        self.names.insert(written.to_owned(), name.clone());
        name
    }
}

/// `accountId`, `account-id` and `Account ID` as `account_id`.
pub(super) fn snake(text: &str) -> String {
    let mut out = String::new();
    let mut after_small = false;
    for c in text.chars().take(40) {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase() && after_small {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
            after_small = c.is_ascii_lowercase() || c.is_ascii_digit();
        } else {
            if !out.ends_with('_') && !out.is_empty() {
                out.push('_');
            }
            after_small = false;
        }
    }
    let name = out.trim_end_matches('_');
    if name.is_empty() { "tenant".to_owned() } else { name.to_owned() }
}

/// `text` with each variable filled in or turned into a hole of ours.
pub(super) fn filled(text: &str, part: Part, holes: &mut Holes<'_>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { break };
        out.push_str(before);
        out.push_str(&holes.fill(name, part));
        rest = behind;
    }
    out.push_str(rest);
    out
}
